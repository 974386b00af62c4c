"""Whose event is this, and have we seen it before?

Pure: what the store knows comes in as look-ups, what should be written goes out as a value. An
event id, scoped by its source, acts once for ever; the same id with other content is a conflict.
Where the ids of one event mean two customers, they are one person and merge, unless both have an
id of the same shop: then the more telling id wins and the other is left alone. An address that
belongs to somebody with another id of the event's shop names nobody either.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from aftersale.events.event import Event, Ref, content_digest, is_telling
from aftersale.events.vocabulary import CustomerMerged, encode_body
from aftersale.kernel.ids import CustomerId, digest16
from aftersale.kernel.instants import Instant
from aftersale.ledger.ports import Conflict, NewEntry

PARCEL = "parcel"
"""Names a customer only while nothing better does, and never makes one of two."""

_pack = msgspec.msgpack.Encoder().encode


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One event as it reached us."""

    event: Event
    key: bytes
    digest: bytes
    payload: bytes
    received_at: Instant
    history: bool


class Admission(msgspec.Struct):
    """What a batch of arrivals changes."""

    entries: list[NewEntry] = []
    personal: list[tuple[int, CustomerId, Instant, bytes]] = []
    """(index of the entry, customer, at, data)."""
    bindings: dict[Ref, CustomerId] = {}
    created: int = 0
    merges: list[tuple[CustomerId, CustomerId]] = []
    """(absorbed, survivor) in order."""
    conflicts: list[Conflict] = []
    duplicates: int = 0
    clamped: int = 0
    """Events that claimed to be from the future."""


def arrive(event: Event, received_at: Instant, *, history: bool) -> Arrival:
    """An event with the keys under which it is known for ever."""
    payload = encode_body(event.body)
    digest = content_digest(event, payload)
    key = digest16(event.source, event.id)
    return Arrival(event, key, digest, payload, received_at, history)


def admit(
    arrivals: Sequence[Arrival],
    seen: Mapping[bytes, tuple[int, bytes]],
    known: Mapping[Ref, CustomerId],
    *,
    next_customer: CustomerId,
    refs_of: Callable[[CustomerId], Iterable[Ref]],
) -> Admission:
    """Sort a batch into new entries, duplicates and conflicts, and find each one's customer."""
    found = Admission()
    here: dict[bytes, bytes] = {}
    people = _People(found, known, next_customer, refs_of)
    for arrival in arrivals:
        before = seen.get(arrival.key)
        digest = before[1] if before is not None else here.get(arrival.key)
        if digest is not None:
            _again(found, arrival, before[0] if before is not None else 0, digest)
            continue
        here[arrival.key] = arrival.digest
        event = arrival.event
        at = event.at
        if at > arrival.received_at:
            at = arrival.received_at
            found.clamped += 1
        customer = people.customer(arrival, at)
        found.entries.append(_entry(arrival, customer, at))
        if event.personal and customer:
            found.personal.append((len(found.entries) - 1, customer, at, _pack(event.personal)))
    return found


def _again(found: Admission, arrival: Arrival, position: int, digest: bytes) -> None:
    if digest == arrival.digest:
        found.duplicates += 1
        return
    event = arrival.event
    found.conflicts.append(
        Conflict(
            position,
            event.source,
            event.id,
            arrival.received_at,
            event.type,
            event.at,
            arrival.payload,
        )
    )


def _entry(arrival: Arrival, customer: CustomerId, at: Instant) -> NewEntry:
    event = arrival.event
    return NewEntry(
        arrival.key,
        arrival.digest,
        customer,
        event.type,
        at,
        arrival.received_at,
        event.shop,
        event.source,
        event.id,
        arrival.history,
        arrival.payload,
    )


class _People:
    """Finds the customer of each event of a batch, makes new ones and unites two that are one."""

    def __init__(
        self,
        found: Admission,
        known: Mapping[Ref, CustomerId],
        next_customer: CustomerId,
        refs_of: Callable[[CustomerId], Iterable[Ref]],
    ) -> None:
        self._found = found
        self._known = known
        self._next = next_customer
        self._refs_of = refs_of
        self._united: dict[CustomerId, CustomerId] = {}
        self._bound: dict[CustomerId, list[Ref]] = {}
        """Ids, but of parcels, that this batch gave to a customer."""
        self._parts: dict[CustomerId, list[CustomerId]] = {}
        """Survivor → everybody it absorbed in this batch."""
        self._told: dict[tuple[Ref, ...], CustomerId] = {}
        """What the ids of an event meant; those of an order's events are the same, and go on
        meaning the same person."""

    def customer(self, arrival: Arrival, at: Instant) -> CustomerId:
        """The customer that the event's ids mean; 0 where it has none."""
        refs = arrival.event.refs
        mine = self._told.get(refs)
        if mine is None:
            mine = self._told[refs] = self._find(arrival, at)
        return self._living(mine)

    def _find(self, arrival: Arrival, at: Instant) -> CustomerId:
        refs = [ref for ref in arrival.event.refs if is_telling(ref)]
        if not refs:
            return 0
        own = {ref for ref in refs if ref.kind == "customer"}
        mine: CustomerId = 0
        strange: list[Ref] = []
        for ref in refs:
            customer = self._meant(ref)
            if customer == 0:
                strange.append(ref)
            elif ref.kind == PARCEL and customer != mine and (mine or strange):
                if not self._is_parcel(customer):
                    strange.append(ref)  # carriers use numbers again: the latest telling stands
                else:
                    mine = self._unite(mine, customer, arrival, at) if mine else customer
            elif customer != mine and (ref in own or not self._strangers(own, mine, customer)):
                mine = self._unite(mine, customer, arrival, at) if mine else customer
        if mine == 0:
            mine = self._next
            self._next += 1
            self._found.created += 1
        for ref in strange:
            self._found.bindings[ref] = mine
            if ref.kind != PARCEL:
                self._bound.setdefault(mine, []).append(ref)
        return mine

    def _is_parcel(self, customer: CustomerId) -> bool:
        """Whether nothing is known of the customer but parcels: a carrier spoke first."""
        parts = (customer, *self._parts.get(customer, ()))
        return all(
            ref.kind == PARCEL
            for part in parts
            for ref in (*self._bound.get(part, ()), *self._refs_of(part))
        )

    def _meant(self, ref: Ref) -> CustomerId:
        return self._living(self._found.bindings.get(ref) or self._known.get(ref, 0))

    def _living(self, customer: CustomerId) -> CustomerId:
        while customer in self._united:
            customer = self._united[customer]
        return customer

    def _strangers(self, own: set[Ref], mine: CustomerId, other: CustomerId) -> bool:
        """Whether the event or its customer, and the other, have different ids of one shop."""
        ours = _by_shop({*own, *self._shop_ids(mine)})
        if not ours:
            return False
        theirs = _by_shop(self._shop_ids(other))
        return any(ids.isdisjoint(theirs[shop]) for shop, ids in ours.items() if shop in theirs)

    def _shop_ids(self, customer: CustomerId) -> Iterator[Ref]:
        if customer:
            for part in (customer, *self._parts.get(customer, ())):
                told = (*self._bound.get(part, ()), *self._refs_of(part))
                yield from (ref for ref in told if ref.kind == "customer")

    def _unite(
        self, one: CustomerId, other: CustomerId, arrival: Arrival, at: Instant
    ) -> CustomerId:
        survivor, absorbed = min(one, other), max(one, other)
        self._united[absorbed] = survivor
        parts = self._parts.setdefault(survivor, [])
        parts += (absorbed, *self._parts.pop(absorbed, ()))
        self._found.merges.append((absorbed, survivor))
        event = arrival.event
        evidence = f"{event.source}:{event.id} names {', '.join(r.kind for r in event.refs)}"
        payload = encode_body(CustomerMerged(absorbed=absorbed, evidence=evidence))
        name = f"merge:{absorbed}:{survivor}"
        self._found.entries.append(
            NewEntry(
                digest16("aftersale", name),
                digest16(payload)[:8],
                survivor,
                "customer.merged",
                at,
                arrival.received_at,
                event.shop,
                "aftersale",
                name,
                arrival.history,
                payload,
            )
        )
        return survivor


def _by_shop(refs: Iterable[Ref]) -> dict[str, set[Ref]]:
    found: dict[str, set[Ref]] = {}
    for ref in refs:
        found.setdefault(ref.value.rpartition("/")[0], set()).add(ref)
    return found
