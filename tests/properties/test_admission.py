"""Does every event act once, for the right person, however it arrives?"""

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aftersale.events.event import Event, Ref
from aftersale.events.vocabulary import CustomerMerged, OrderCompleted, decode_body
from aftersale.kernel.instants import DAY
from aftersale.ledger.admission import Admission, admit, arrive
from aftersale.ledger.ports import NewEntry

LAW = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])

NOW = 1_700_000_000_000_000


class Book:
    """What a store keeps of admissions, as plain tables."""

    def __init__(self) -> None:
        self.entries: list[NewEntry] = []
        self.refs: dict[Ref, int] = {}
        self.became: dict[int, int] = {}
        self.customers = 0
        self.conflicts = 0
        self.duplicates = 0

    def living(self, customer: int) -> int:
        while customer in self.became:
            customer = self.became[customer]
        return customer

    def refs_of(self, customer: int) -> list[Ref]:
        return sorted(ref for ref, owner in self.refs.items() if self.living(owner) == customer)

    def take(self, events: list[Event], received_at: int = NOW) -> Admission:
        found = admit(
            [arrive(event, received_at, history=False) for event in events],
            {entry.key: (n + 1, entry.digest) for n, entry in enumerate(self.entries)},
            {ref: self.living(owner) for ref, owner in self.refs.items()},
            next_customer=self.customers + 1,
            refs_of=self.refs_of,
        )
        self.entries += found.entries
        self.refs.update(found.bindings)
        self.became.update(found.merges)
        self.customers += found.created
        self.conflicts += len(found.conflicts)
        self.duplicates += found.duplicates
        return found

    def people(self) -> set[frozenset[Ref]]:
        """Tell who is known, as sets of the ids by which each is."""
        return {
            frozenset(self.refs_of(self.living(customer)))
            for customer in range(1, self.customers + 1)
        }

    def owners(self) -> list[frozenset[Ref]]:
        """Tell whose each event is."""
        return [frozenset(self.refs_of(self.living(entry.customer))) for entry in self.entries]


def event_of(number: str, refs: tuple[Ref, ...], at: int = NOW, total: int = 0) -> Event:
    body = OrderCompleted(order=number, total=total)
    return Event(number, "shop", "order.completed", at, "main", body, refs, {"name": "Ada"})


STRENGTHS = ("customer", "email", "phone", "anonymous")
REFS = {
    "customer": ["main/1", "main/2", "second/1", "second/2"],
    "email": ["a@x.de", "b@x.de", "c@x.de"],
    "phone": ["+4930111", "+4930222"],
    "anonymous": ["k", "l"],
}


@st.composite
def refs(draw: st.DrawFn) -> tuple[Ref, ...]:
    kinds = draw(st.lists(st.sampled_from(STRENGTHS), unique=True))
    return tuple(
        Ref(kind, draw(st.sampled_from(REFS[kind]))) for kind in sorted(kinds, key=STRENGTHS.index)
    )


EVENTS = st.lists(
    st.builds(
        event_of,
        st.sampled_from([str(n) for n in range(12)]),
        refs(),
        st.integers(NOW - DAY, NOW + DAY),
        st.sampled_from([0, 0, 0, 1]),
    ),
    max_size=14,
)


@LAW
@given(EVENTS)
def test_admitting_again_changes_nothing(events):
    """A batch that arrives a second time brings no entry, no person and no id."""
    book = Book()
    book.take(events)
    people, entries = book.people(), list(book.entries)
    again = book.take(events)
    assert not again.entries
    assert not again.bindings
    assert not again.merges
    assert again.created == 0
    assert again.duplicates + len(again.conflicts) == len(events)
    assert (book.people(), book.entries) == (people, entries)


@LAW
@given(EVENTS)
def test_an_id_acts_once(events):
    """Of every id exactly one telling acts, the first; what differs from it is a conflict."""
    book = Book()
    found = book.take(events)
    acted = [entry for entry in found.entries if entry.type != "customer.merged"]
    assert [entry.id for entry in acted] == list(dict.fromkeys(event.id for event in events))
    assert len(acted) + found.duplicates + len(found.conflicts) == len(events)
    assert len({entry.key for entry in found.entries}) == len(found.entries)


def test_the_same_id_with_other_content_is_a_conflict_and_never_acts():
    """It is kept to be shown; it binds no id and makes nobody, in one batch or in two."""
    first = event_of("1", (Ref("email", "a@x.de"),), total=100)
    other = event_of("1", (Ref("email", "b@x.de"),), total=200)
    for batches in ([[first, other]], [[first], [other]]):
        book = Book()
        for batch in batches:
            last = book.take(batch)
        (conflict,) = last.conflicts
        assert decode_body(conflict.type, conflict.payload) == other.body
        assert [entry.payload for entry in book.entries] == [
            arrive(first, NOW, history=False).payload
        ]
        assert book.people() == {frozenset(first.refs)}


def test_the_same_id_of_another_source_is_another_event():
    """Ids are scoped by their source."""
    one = event_of("1", ())
    assert len(Book().take([one, msgspec.structs.replace(one, source="till")]).entries) == 2


@LAW
@given(EVENTS, st.lists(st.booleans(), min_size=14, max_size=14))
def test_people_are_the_same_in_one_batch_or_in_many(events, cuts):
    """Where the stream is cut into batches does not matter to who is who."""
    whole, parts = Book(), Book()
    whole.take(events)
    batch: list[Event] = []
    for event, cut in zip(events, cuts, strict=False):
        batch.append(event)
        if cut:
            parts.take(batch)
            batch = []
    parts.take(batch)
    assert parts.entries == whole.entries
    assert parts.people() == whole.people()
    assert parts.owners() == whole.owners()
    assert (parts.conflicts, parts.duplicates) == (whole.conflicts, whole.duplicates)


@LAW
@given(EVENTS)
def test_two_ids_of_one_shop_never_unite(events):
    """However their addresses mix, no customer ever has two ids of the same shop."""
    book = Book()
    book.take(events)
    for person in book.people():
        shops = [ref.value.partition("/")[0] for ref in person if ref.kind == "customer"]
        assert len(shops) == len(set(shops)), person


@LAW
@given(EVENTS)
def test_ids_that_meet_unite_customers(events):
    """Without ids of the shop, everybody whose ids meet in an event is one person."""
    anonymous = [
        msgspec.structs.replace(e, refs=tuple(r for r in e.refs if r.kind != "customer"))
        for e in {event.id: event for event in reversed(events)}.values()
    ]
    book = Book()
    book.take(anonymous)
    people: list[set[Ref]] = []
    for event in anonymous:
        if event.refs:
            met = [person for person in people if person & set(event.refs)]
            people = [person for person in people if person not in met]
            people.append(set(event.refs).union(*met))
    assert book.people() == set(map(frozenset, people))


def test_the_older_customer_survives_a_merge():
    """The merge is an event of its own, before the one that showed it, with its evidence."""
    book = Book()
    book.take(
        [event_of("1", (Ref("email", "a@x.de"),)), event_of("2", (Ref("phone", "+4930111"),))]
    )
    found = book.take([event_of("3", (Ref("email", "a@x.de"), Ref("phone", "+4930111")))])
    assert found.merges == [(2, 1)]
    merge, event = found.entries
    assert (merge.type, merge.customer, event.customer) == ("customer.merged", 1, 1)
    told = decode_body(merge.type, merge.payload)
    assert told == CustomerMerged(absorbed=2, evidence="shop:3 names email, phone")


def test_an_address_shared_by_two_accounts_stays_with_the_first():
    """A second account of the same shop with a known address is somebody else."""
    book = Book()
    mail = Ref("email", "family@x.de")
    book.take([event_of("1", (Ref("customer", "main/1"), mail))])
    book.take([event_of("2", (Ref("customer", "main/2"), mail))])
    assert book.people() == {
        frozenset({Ref("customer", "main/1"), mail}),
        frozenset({Ref("customer", "main/2")}),
    }
    # Another shop's id with that address is the same person.
    book.take([event_of("3", (Ref("customer", "second/9"), mail))])
    assert (
        frozenset({Ref("customer", "main/1"), Ref("customer", "second/9"), mail}) in book.people()
    )


def test_a_carrier_that_speaks_first_means_whoever_the_shop_names_later():
    """Nothing but a number was known; the order's customer has it now."""
    book = Book()
    parcel = Ref("parcel", "00340434161094")
    book.take([event_of("1", (parcel,))])
    book.take([event_of("2", (Ref("order", "main/10042"), parcel))])
    book.take([event_of("3", (Ref("email", "a@x.de"), Ref("order", "main/10042")))])
    assert book.people() == {
        frozenset({Ref("email", "a@x.de"), Ref("order", "main/10042"), parcel})
    }


def test_a_tracking_number_that_is_used_again_makes_no_two_people_one():
    """Carriers use numbers again: it means whoever it was told with last."""
    parcel = Ref("parcel", "00340434161094")
    events = [
        event_of("1", (Ref("email", "a@x.de"), parcel)),
        event_of("2", (Ref("email", "b@x.de"), parcel)),
        event_of("3", (parcel,)),
    ]
    book = Book()
    book.take(events)
    one_by_one = Book()
    for event in events:
        one_by_one.take([event])
    for found in (book, one_by_one):
        assert found.people() == {
            frozenset({Ref("email", "a@x.de")}),
            frozenset({Ref("email", "b@x.de"), parcel}),
        }
        assert Ref("email", "b@x.de") in found.owners()[2]


def test_an_event_without_ids_between_two_accounts_does_not_unite_them():
    """Neither do the address of one account and the phone of another, in a form without a login."""
    book = Book()
    mail, phone = Ref("email", "a@x.de"), Ref("phone", "+4930111")
    book.take([event_of("1", (Ref("customer", "main/1"), mail))])
    book.take([event_of("2", (Ref("customer", "main/2"), phone))])
    found = book.take([event_of("3", (mail, phone))])
    assert found.merges == []
    assert found.entries[-1].customer == 1


def test_what_names_nobody_makes_and_unites_nobody():
    """Placeholders for an address or a number are no ids, however often they come."""
    junk = (Ref("email", "n/a"), Ref("phone", "+"), Ref("email", ""), Ref("customer", "main/"))
    book = Book()
    found = book.take([event_of(str(n), (ref,)) for n, ref in enumerate(junk)])
    assert [entry.customer for entry in found.entries] == [0, 0, 0, 0]
    assert book.people() == set()


@LAW
@given(st.integers(-DAY, DAY), st.integers(0, DAY))
def test_the_future_is_clamped_to_the_arrival(ahead, later):
    """No entry is later than its arrival, each such claim is counted, and it stays one event."""
    event = event_of("1", (), NOW + ahead)
    book = Book()
    found = book.take([event], NOW)
    assert found.entries[0].at == min(NOW + ahead, NOW)
    assert found.clamped == (ahead > 0)
    assert book.take([event], NOW + later).duplicates == 1


def test_what_names_a_person_is_kept_for_the_customer_and_the_event():
    """Personal data goes with the entry it came from; without a customer nobody's is kept."""
    book = Book()
    found = book.take([event_of("1", ()), event_of("2", (Ref("email", "a@x.de"),))])
    ((index, customer, at, data),) = found.personal
    assert found.entries[index].id == "2"
    assert (customer, at, msgspec.msgpack.decode(data)) == (1, NOW, {"name": "Ada"})
