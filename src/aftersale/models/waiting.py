"""How long do customers of each segment wait between two orders, counted for everybody at once?

The counts of `lifecycle.Gaps`, from arrays. The counts of customers, of shards and, for the same
segments, of stretches of time add up, and quantiles are read from the counts alone.
"""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from aftersale.customers.tiers import WINDOW
from aftersale.kernel.instants import DAY, Instant
from aftersale.models.sorting import Whole

_BITS = 63
_MOST_PARTS = 64


class Segments(msgspec.Struct, frozen=True):
    """Who belongs where."""

    customer: Whole
    """Ascending."""
    segment: Whole
    """Place in `names`."""
    names: Sequence[tuple[str, str]]
    """Tier and category."""


class Counts(msgspec.Struct, frozen=True):
    """Gaps by segment and whole days."""

    closed: Whole
    """(segments, days)."""
    waiting: Whole
    names: Sequence[tuple[str, str]]

    def rows(self) -> Iterator[tuple[str, str, bool, int, int]]:
        """Tier, category, whether they are open, days and how many, as `Gaps.take` takes them."""
        for is_open, counts in ((False, self.closed), (True, self.waiting)):
            for segment, days in zip(*(place.tolist() for place in counts.nonzero()), strict=True):
                yield (*self.names[segment], is_open, days, int(counts[segment, days]))


def count(
    customer: Whole, at: Whole, of: Segments, *, until: Instant, since: Instant | None = None
) -> Counts:
    """The gaps between orders (one place each) of customers of a segment.

    A gap is closed by an order after `since` (None: two years before `until`), however long ago it
    began; the gap since the latest order is open, for whoever ordered before that. The closed gaps
    of stretches that meet add up to those of the whole, whose open ones are those of the last.
    """
    since = until - WINDOW if since is None else since
    place = _places(of.customer, customer)
    known = (place >= 0) & (at <= until)
    if not known.all():
        place, at = place[known], at[known]
    who, when = _sorted(place, at)
    same = who[1:] == who[:-1]
    ends = same & (when[1:] > since)
    last = np.append(~same, np.ones(min(len(who), 1), np.bool_))
    last[1:] &= same  # whoever ordered once has no gap
    last[:1] = False
    closed = (who[1:][ends], (when[1:][ends] - when[:-1][ends]) // DAY)
    waiting = (who[last], (until - when[last]) // DAY)
    most = 1 + max((int(days.max(initial=0)) for _, days in (closed, waiting)))
    shape = (len(of.names), most)
    found = [
        np.bincount(of.segment[mine] * most + days, minlength=shape[0] * most).reshape(shape)
        for mine, days in (closed, waiting)
    ]
    return Counts(found[0], found[1], of.names)


def _places(ascending: Whole, values: Whole) -> Whole:
    """Where each value stands among the ascending ones, -1 where it does not."""
    if not len(ascending) or not len(values):
        return np.full(len(values), -1)
    first, span = int(ascending[0]), int(ascending[-1] - ascending[0]) + 1
    if span <= 4 * len(ascending) + 1_000:
        table = np.full(span, -1)
        table[ascending - first] = np.arange(len(ascending))
        inside = (values >= first) & (values < first + span)
        if inside.all():
            found: Whole = table[values - first]
            return found
        return np.where(inside, table[np.where(inside, values - first, 0)], -1)
    place = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return np.where(ascending[place] == values, place, -1)


def _sorted(who: Whole, when: Whole) -> tuple[Whole, Whole]:
    """By customer and time.

    Both are packed into one number, which sorts fastest; customers for whom there is no room in it
    are taken in several parts.
    """
    if not len(who):
        return who, when
    first = int(when.min())
    bits = (int(when.max()) - first).bit_length()
    room = max(_BITS - bits, 0)
    parts = 1 + (int(who.max()) >> room)
    if parts > _MOST_PARTS:
        order = np.lexsort((when, who))
        return who[order], when[order]
    begins = np.zeros(len(who), np.int64)
    sizes = [len(who)]
    if parts > 1:
        which = (who >> room).astype(np.uint8)
        order = np.argsort(which, kind="stable")
        who, when, sizes = who[order], when[order], np.bincount(which).tolist()
        begins = np.repeat(np.arange(len(sizes)) << room, sizes)
    key = ((who - begins) << bits) | (when - first)
    for end, size in zip(np.cumsum(sizes).tolist(), sizes, strict=True):
        key[end - size : end].sort()
    return (key >> bits) + begins, (key & ((1 << bits) - 1)) + first
