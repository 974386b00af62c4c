"""To which of many is a customer drawn, and is that more than chance?

A customer's points are shared out over choices that exclude each other (categories, brands). The
shares of one who did little say little, so they are drawn to those of the shop: as if the customer
had done so much more of what everybody does (a Dirichlet prior; Agresti and Hitchcock 2005,
"Bayesian inference for categorical data analysis", 2.3). How much more is asked of the shop: every
second act is laid aside, and the pull is taken under which the others tell it best by squared
error. If they tell it no better than the shares of the shop do, nothing is told.

Choices may lie in a tree. Then a customer is drawn to the deepest part of it that holds nine tenths
of what the strongest root holds.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from aftersale.models.gammas import Numbers
from aftersale.models.leaning import ENOUGH, NOISY, of_the_whole
from aftersale.models.sorting import Whole, numbered
from aftersale.models.value import TAIL

PULLS = tuple(0.25 * 2 ** (n / 2) for n in range(27))
"""Points of everybody's that are added to one's own, of which the best is taken."""
MOST = 0.9
"""Share of its parent's points from which on a part of the tree speaks for it."""
AN_ACT = 3.0
"""Points that are as good as one observation: those of an order line."""


class Points(msgspec.Struct, frozen=True):
    """One row for each customer and choice with points, in two halves by act; by customer."""

    customer: Whole
    choice: Whole
    """Place in `names`."""
    first: Numbers
    second: Numbers
    names: tuple[str, ...]


class Affinity(msgspec.Struct, frozen=True):
    """What is known of all together, and how far it reaches for one."""

    shares: tuple[float, ...] = ()
    """Of the choices, over everybody's points."""
    pull: float = 0.0
    reliability: float = 0.0
    """0: nothing but chance, 1: no chance; of the customers with both halves."""
    judged: int = 0
    """Customers with both halves."""
    error: float = 0.0
    """Mean squared distance of the second half's shares, told from the first."""
    constant: float = 0.0
    """That of the shop's shares."""
    off: str = ""
    """Why it is not told; empty where it earns its place."""

    @property
    def noisy(self) -> bool:
        """Whether most of the differences between customers is chance."""
        return self.reliability < NOISY


class Leading(msgspec.Struct, frozen=True):
    """What each customer is drawn to most."""

    customer: Whole
    """Ascending."""
    name: Whole
    """Place in `names`."""
    share: Numbers
    """Of what the customer will do; with the bounds that hold it nine times of ten."""
    low: Numbers
    high: Numbers
    own: Numbers
    """Share of its own points."""
    acts: Numbers
    """As many order lines as its points come to."""
    weight: Numbers
    """How much of what is said is its own, 0 to 1; the rest is the shop's."""
    names: tuple[str, ...]


def fit(points: Points) -> Affinity:
    """Learn from all points, and judge the second half by the first."""
    number = len(points.names)
    both = points.first + points.second
    total = both.sum()
    if number < 2 or total <= 0:
        return Affinity(off=f"{number} to choose from, 2 are needed")
    shares = np.bincount(points.choice, both, number) / total
    begun = Affinity(shares=tuple(shares.tolist()))
    _, which = numbered(points.customer)
    one, other = (np.bincount(which, half) for half in (points.first, points.second))
    judged = (one > 0) & (other > 0)
    begun = msgspec.structs.replace(begun, judged=int(judged.sum()))
    if begun.judged < ENOUGH:
        why = f"{begun.judged} customers with two acts or more, {ENOUGH} are needed"
        return msgspec.structs.replace(begun, off=why)
    first, second = (
        half / np.where(sums > 0, sums, 1.0)[which]
        for half, sums in ((points.first, one), (points.second, other))
    )
    apart, across, after = _distances(which, first, second, shares[points.choice], shares)
    apart, across, after = (d[judged] for d in (apart, across, after))
    errors = [
        float((own**2 * apart - 2 * own * across + after).mean())
        for own in (one[judged] / (one[judged] + pull) for pull in PULLS)
    ]
    best = int(np.argmin(errors))
    found = msgspec.structs.replace(
        begun,
        pull=PULLS[best],
        error=errors[best],
        constant=float(after.mean()),
        reliability=_reliability(apart, across, after),
    )
    if found.error < found.constant:
        return found
    return msgspec.structs.replace(found, off="the shares of the shop tell the other half as well")


def _distances(
    which: Whole, first: Numbers, second: Numbers, mine: Numbers, shares: Numbers
) -> tuple[Numbers, Numbers, Numbers]:
    """By customer, over all choices, also those without points.

    Sums of the squares of the first half's distances from the shop's shares, of the products of
    both halves' distances, and of the squares of the second's.
    """
    square = float((shares**2).sum())
    sums = (
        first * (first - 2 * mine),
        first * second - mine * (first + second),
        second * (second - 2 * mine),
    )
    found: Numbers = np.array([np.bincount(which, part) + square for part in sums])
    return found[0], found[1], found[2]


def _reliability(apart: Numbers, across: Numbers, after: Numbers) -> float:
    """The correlation of the halves, extended to the whole (Spearman 1910, Brown 1910)."""
    size = float(np.sqrt(apart.sum() * after.sum()))
    return of_the_whole(float(across.sum()) / size if size > 0 else 0.0)


def leading(model: Affinity, points: Points, parts: Sequence[Sequence[str]]) -> Leading:
    """What everybody is drawn to most. `parts`: each choice as its way from the root."""
    both = points.first + points.second
    customer, which = numbered(points.customer)
    total = np.bincount(which, both)
    names, ways = _tree(parts)
    chosen = np.full(len(customer), -1)
    held = np.zeros(len(customer))
    for depth in range(ways.shape[1]):
        node = ways[points.choice, depth]
        above = ways[points.choice, depth - 1] if depth else np.full(len(node), -1)
        within = (node >= 0) & (above == chosen[which])
        best, most = _most(which[within], node[within], both[within], len(customer))
        moves = best >= 0
        if depth:
            moves &= most >= MOST * held
        else:
            held = most
        chosen = np.where(moves, best, chosen)
    kept = chosen >= 0
    customer, chosen, total = customer[kept], chosen[kept], total[kept]
    shares = np.zeros(len(names))
    for depth in range(ways.shape[1]):
        known = ways[:, depth] >= 0
        np.add.at(shares, ways[known, depth], np.array(model.shares)[known])
    place = np.full(len(kept), -2, np.int64)
    place[kept] = chosen
    mine = (ways[points.choice] == place[which][:, None]).any(1)
    own = np.bincount(which, both * mine, len(kept))[kept] / np.where(total > 0, total, 1.0)
    weight = total / (total + model.pull)
    share = weight * own + (1 - weight) * shares[chosen]
    reach = TAIL * np.sqrt(share * (1 - share) / ((total + model.pull) / AN_ACT + 1))
    low, high = np.maximum(share - reach, 0), np.minimum(share + reach, 1)
    return Leading(customer, chosen, share, low, high, own, total / AN_ACT, weight, names)


def _tree(parts: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], Whole]:
    """The names of all parts of the tree, and by choice and depth which part it lies in, or -1."""
    names: dict[str, int] = {}
    deepest = max((len(way) for way in parts), default=0)
    found = np.full((len(parts), max(deepest, 1)), -1, np.int64)
    for n, way in enumerate(parts):
        for depth in range(len(way)):
            found[n, depth] = names.setdefault("/".join(way[: depth + 1]), len(names))
    return tuple(names), found


def _most(which: Whole, node: Whole, points: Numbers, customers: int) -> tuple[Whole, Numbers]:
    """By customer the node with most points (the first of equals), and how many; -1 for none."""
    best, most = np.full(customers, -1, np.int64), np.zeros(customers)
    if not len(which):
        return best, most
    size = int(node.max()) + 1
    key, place = numbered(which * size + node)
    sums = np.bincount(place, points)
    # The last write wins: by points ascending, and of equals the first node last.
    order = np.lexsort((-(key % size), sums))
    best[key[order] // size] = key[order] % size
    most[key[order] // size] = sums[order]
    return best, most
