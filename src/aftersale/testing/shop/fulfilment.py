"""How does an order reach the customer, and what goes wrong on the way?"""

import msgspec

from aftersale.kernel.instants import DAY, HOUR, MINUTE, Instant
from aftersale.testing.shop.moments import at_work, soon
from aftersale.testing.shop.people import Person
from aftersale.testing.shop.stream import Stream

SHARE_CANCELLED = 0.02
SHARE_LATE = 0.08
SHARE_LOST = 0.006
_SPLIT = 0.07
_DAYS = {
    "DE": (1, 3), "AT": (2, 4), "CH": (2, 5), "GB": (3, 6), "US": (5, 10), "BR": (8, 17),
    "JP": (6, 12),
}  # fmt: skip
_HOME = "Europe/Berlin"


class Parcel(msgspec.Struct, frozen=True, gc=False):
    """One parcel of an order."""

    id: str
    carrier: str
    shipped_at: Instant
    promised_at: Instant
    delivered_at: Instant | None
    """None for a parcel that got lost."""

    @property
    def late(self) -> bool:
        """Whether it came after the promised time, or never."""
        return self.delivered_at is None or self.delivered_at > self.promised_at


class Fulfilment(msgspec.Struct, frozen=True, gc=False):
    """What became of an order."""

    mode: str
    cancelled_at: Instant | None = None
    parcels: tuple[Parcel, ...] = ()
    picked_up_at: Instant | None = None
    returned: tuple[str, int, int] | None = None
    """Product, quantity and amount of the line that went back."""
    returned_at: Instant = 0
    refunded_at: Instant = 0

    @property
    def last_arrival(self) -> Instant | None:
        """When the last of it was there; None where nothing came. A lost parcel is sent anew."""
        if self.picked_up_at is not None:
            return self.picked_up_at
        return max(
            (p.delivered_at for p in self.parcels if p.delivered_at is not None), default=None
        )

    @property
    def trouble(self) -> float:
        """How much of the customer's content the wait has cost."""
        if self.cancelled_at is not None:
            return 0.25
        if any(parcel.delivered_at is None for parcel in self.parcels):
            return 0.6
        return 0.35 if any(parcel.late for parcel in self.parcels) else 0.0


def fulfil(
    stream: Stream,
    person: Person,
    index: int,
    *,
    number: str,
    at: Instant,
    goods: tuple[str, ...],
    pickup: bool,
) -> Fulfilment:
    """Cancelled, picked up, sent, or, where there are no goods, performed."""
    smooth = any(which == index for which, _ in person.fates)
    if stream.chance(SHARE_CANCELLED) and not smooth:
        return Fulfilment("delivery", cancelled_at=at + stream.between(10, 600) * MINUTE)
    if not goods:
        return Fulfilment("service")
    ready = at_work(stream, at + stream.between(2, 44) * HOUR, _HOME)
    if pickup:
        return Fulfilment("pickup", picked_up_at=soon(stream, ready + 2 * HOUR, _HOME))
    carrier = stream.weighted(("gelbe-post", "blauwagen", "parcelhawk"), (60, 25, 15))
    parcels = []
    for part in range(2 if len(goods) > 1 and stream.chance(_SPLIT) else 1):
        late = person.fated(index, "late") or (stream.chance(SHARE_LATE) and not smooth)
        lost = stream.chance(SHARE_LOST) and not smooth
        soonest, latest = _DAYS[person.place.country]
        promised = (ready // DAY + latest + 1) * DAY + 18 * HOUR
        days = stream.between(soonest, latest + 1)
        arrival = soon(stream, ready + days * DAY - 6 * HOUR, person.place.zone)
        arrival = min(arrival, promised - HOUR)
        if late:
            arrival = soon(stream, promised + stream.between(8, 150) * HOUR, person.place.zone)
        parcels.append(
            Parcel(f"{number}-p{part + 1}", carrier, ready, promised, None if lost else arrival)
        )
        ready = at_work(stream, ready + stream.between(40, 140) * HOUR, _HOME)
    lost_promise = max((p.promised_at for p in parcels if p.delivered_at is None), default=None)
    if lost_promise is not None:
        again = at_work(stream, lost_promise + 5 * DAY, _HOME)
        promised = again + (_DAYS[person.place.country][1] + 1) * DAY
        parcels.append(
            Parcel(f"{number}-p{len(parcels) + 1}", carrier, again, promised, promised - 9 * HOUR)
        )
    return Fulfilment("delivery", parcels=tuple(parcels))
