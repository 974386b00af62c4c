"""How many days lie between the purchases of one item by one customer?

What happened on the days is forecast by `run_out`: here they are found, chosen and cut.
"""

from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from aftersale.models.gammas import Numbers
from aftersale.models.sorting import Whole, differs, in_order, order


class Gaps(msgspec.Struct, frozen=True):
    """Days between purchases of one item by one customer; one place a gap, open ones last."""

    pair: Whole
    """Place in `pairs` of the customer and item."""
    days: Numbers
    quantity: Whole
    """Bought at the beginning of the gap."""
    ends: Whole
    """The day on which it ended; of an open gap the last day that is known."""
    is_open: np.ndarray
    customers: Whole
    """Customer of each pair."""
    items: Whole
    """Item of each pair."""
    last: Whole
    """Day of the latest purchase of each pair."""
    last_quantity: Whole

    @property
    def closed(self) -> int:
        """How many have ended; the open ones come after them."""
        return len(self.is_open) - int(np.count_nonzero(self.is_open))


def gaps_of(customer: Whole, item: Whole, day: Whole, quantity: Whole, until: int) -> Gaps:
    """The gaps known on the day `until`. Later days and quantities below 1 are passed over.

    One place a line that was bought and kept; purchases of one day are one.
    """
    good = (day <= until) & (quantity > 0)
    if not good.all():
        customer, item, day, quantity = (c[good] for c in (customer, item, day, quantity))
    if not in_order(customer, item, day):
        by = order(customer, item, day)
        customer, item, day, quantity = (c[by] for c in (customer, item, day, quantity))
    moved = differs(customer) | differs(item)
    starts = np.flatnonzero(moved | differs(day))
    bought = np.add.reduceat(quantity, starts) if starts.size else quantity
    moved, day = moved[starts], day[starts]
    pair = np.cumsum(moved) - 1
    again = np.flatnonzero(~moved)
    first = np.flatnonzero(moved)
    last = np.append(first[1:], len(moved))[: len(first)] - 1
    waits = last[last > first]
    ends = np.concatenate((day[again], np.full(len(waits), until, np.int64)))
    begins = np.concatenate((again - 1, waits))
    return Gaps(
        pair=pair[begins],
        days=np.maximum(ends - day[begins], 0.5).astype(np.float64),
        quantity=bought[begins],
        ends=ends,
        is_open=np.arange(len(begins)) >= len(again),
        customers=customer[starts][first],
        items=item[starts][first],
        last=day[last],
        last_quantity=bought[last],
    )


def of_pairs(gaps: Gaps, chosen: NDArray[np.bool_]) -> Gaps:
    """The gaps of some of the pairs alone."""
    place = np.cumsum(chosen) - 1
    mine = chosen[gaps.pair]
    return Gaps(
        place[gaps.pair[mine]],
        gaps.days[mine],
        gaps.quantity[mine],
        gaps.ends[mine],
        gaps.is_open[mine],
        gaps.customers[chosen],
        gaps.items[chosen],
        gaps.last[chosen],
        gaps.last_quantity[chosen],
    )


def stretches(gaps: Gaps, at_once: int) -> list[tuple[int, int]]:
    """The first pair and the end of each stretch of whole customers, of so many gaps or so."""
    pairs = len(gaps.customers)
    size = 1 + np.bincount(gaps.pair, minlength=pairs)
    heads = np.flatnonzero(differs(gaps.customers))
    nth = (np.cumsum(size) - size)[heads] // at_once
    cuts = heads[differs(nth)].tolist()
    return list(pairwise([*cuts, pairs]))


def between(gaps: Gaps, first: int, end: int) -> Gaps:
    """The gaps of the pairs from `first` to before `end`."""
    closed = gaps.closed
    parts = (gaps.pair[:closed], gaps.pair[closed:])
    one, other = (np.searchsorted(pairs, (first, end)) for pairs in parts)
    ranges = (slice(*one), slice(*(other + closed)))

    def of(column: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([column[some] for some in ranges])

    return Gaps(
        of(gaps.pair) - first,
        of(gaps.days),
        of(gaps.quantity),
        of(gaps.ends),
        of(gaps.is_open),
        gaps.customers[first:end],
        gaps.items[first:end],
        gaps.last[first:end],
        gaps.last_quantity[first:end],
    )


def with_pairs_of(before: Gaps, after: Gaps) -> Gaps:
    """The gaps of `before` with the pairs of `after`, of which each of `before` is one."""
    size = int(after.items.max(initial=0)) + 1
    low = int(after.items.min(initial=0))
    size -= low
    key = after.customers * size + after.items - low
    place = np.searchsorted(key, before.customers * size + before.items - low)
    last, quantity = after.last.copy(), np.ones(len(key), np.int64)
    last[place], quantity[place] = before.last, before.last_quantity
    return msgspec.structs.replace(
        before,
        pair=place[before.pair],
        customers=after.customers,
        items=after.items,
        last=last,
        last_quantity=quantity,
    )
