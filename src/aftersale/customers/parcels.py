"""Where is a parcel, when several tell of it in any order?

An end (delivered, returned, lost) outlasts everything on the way to it, so a late `in_transit`
undoes no arrival. Among words on the way, and among ends, the latest by event time stands.
"""

from collections.abc import Mapping

from aftersale.customers.profile import Parcel, Profile, unite_earliest
from aftersale.events.vocabulary import ENDED, PARCEL_STATUSES, ParcelUpdated
from aftersale.kernel.instants import Instant


def told_parcel(body: ParcelUpdated, at: Instant) -> Parcel:
    """What one word of a carrier says, as a parcel that knows nothing else."""
    told = Parcel(status=body.status, status_at=at)
    if body.promised_at:
        told.promised_at, told.promised_told = body.promised_at, at
    if body.status == "in_transit":
        told.shipped_at = at
    if body.status == "delivered":
        told.delivered_at = at
    return told


def _standing(parcel: Parcel) -> tuple[bool, Instant, int]:
    """Of two words on a parcel the higher stands: an end, then the later, then the farther."""
    place = PARCEL_STATUSES.index(parcel.status) if parcel.status in PARCEL_STATUSES else -1
    return parcel.status in ENDED, parcel.status_at, place


def unite_parcel(mine: Parcel, theirs: Parcel) -> bool:
    """Take the other's word on the parcel in; True where it stands somewhere else now."""
    unite_earliest(mine, theirs, "shipped_at")
    unite_earliest(mine, theirs, "delivered_at")
    promise = max((p.promised_told, p.promised_at) for p in (mine, theirs))
    mine.promised_told, mine.promised_at = promise
    if _standing(theirs) <= _standing(mine):
        return False
    news = mine.status != theirs.status
    mine.status, mine.status_at = theirs.status, theirs.status_at
    return news


def unite_loose(profile: Profile, told: Mapping[str, Parcel]) -> bool:
    """Take in what was told of parcels without their orders, also where the orders are known."""
    news = False
    for number, parcel in told.items():
        news |= unite_parcel(profile.parcels.setdefault(number, Parcel()), parcel)
    for order in profile.orders.values():
        for number in order.parcels.keys() & profile.parcels.keys():
            unite_parcel(order.parcels[number], profile.parcels[number])
    return news
