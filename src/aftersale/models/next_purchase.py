"""On which day will this customer buy again, if it does so soon?

The median of the days to the next purchase among those who buy within the horizon. BG/NBD knows
it in closed form; a median regression on how the customer buys (`rhythms`) knows what BG/NBD does
not see. The answer is the mean of the two; where that was worse on the last horizon of the shop's
own past, or there is too little to learn from, the closed form alone. There the shop's own median,
the same for everybody, must be beaten; otherwise nothing is told, with the reason.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from aftersale.models import buying, logistic, medians
from aftersale.models.buying import Buying
from aftersale.models.churn import HORIZON, LEAST_PAST, REASON_OF, REASONS, Purchases
from aftersale.models.drivers import Drivers, pushed, together
from aftersale.models.gammas import Numbers
from aftersale.models.logistic import Logistic
from aftersale.models.rhythms import Rhythms, rhythms
from aftersale.models.sample import sample
from aftersale.models.sorting import Whole

WAYS = ("both", "closed-form", "learned", "none")
"""`learned` alone is only looked at: it was never nearer by more than chance."""
OFTEN = 3
"""Repeat purchase days of a customer that bought often."""
LATE, EARLY = 0.9, 0.1
"""Shares of buyers by whose days the interval ends and begins."""

FLAGS = {
    "too-few-buyers": "too few customers bought again to fit BG/NBD",
    "too-few-returns": "too few customers came back within a horizon to learn their days",
    "closed-form-was-nearer": "on the last horizon BG/NBD alone was nearer",
    "not-judged": "the history is too short to judge the answer on its own past",
    "no-better-than-the-shop": "the median of the shop was as near for everybody",
}

ENOUGH_RETURNS = 100
"""Customers that came back within the horizon, below which nothing is learnt."""
ENOUGH_JUDGED = 30
_EARLIER = (0, 15, 30, 45, 60)


class Nearness(msgspec.Struct, frozen=True):
    """How far one way of guessing was off, in days, among those who bought."""

    way: str
    mae: float
    error: float
    """Standard error of the mean."""
    mae_often: float
    """Of customers with four or more purchase days before."""
    error_often: float
    rows: int
    rows_often: int


class NextPurchase(msgspec.Struct, frozen=True):
    """A way to tell days, as of a day."""

    way: str
    until: int
    horizon: int
    flags: tuple[str, ...] = ()
    buying: Buying = Buying()
    shaped: Logistic = Logistic()
    """How the columns of the regression are centred and scaled."""
    line: tuple[float, ...] = ()
    """Intercept and coefficients of the logarithm of the median day."""
    judged: tuple[Nearness, ...] = ()
    within: float | None = None
    """Share of the judged who bought between the bounds; eight of ten should have."""


class Days(msgspec.Struct, frozen=True):
    """Days from the model's day to the next purchase, if that comes within the horizon."""

    customer: Whole
    middle: Numbers
    """As many of them buy before as after."""
    early: Numbers
    """One of ten buys before."""
    late: Numbers
    """One of ten buys after."""
    frequency: Whole
    """Repeat purchase days."""
    why: Drivers = Drivers()


def learn(purchases: Purchases, until: int, *, horizon: int = HORIZON) -> NextPurchase:
    """The way that the last horizon allows, fitted to everything up to `until`."""
    chosen = sample(purchases[0])
    purchases = purchases[0][chosen], purchases[1][chosen], purchases[2][chosen]
    model = _fit(purchases, until, horizon)
    if model.way == "none":
        return model
    off, often, within = _off(purchases, until - horizon, horizon)
    rows = len(next(iter(off.values()), ()))
    if rows < ENOUGH_JUDGED:
        return msgspec.structs.replace(model, flags=(*model.flags, "not-judged"))
    judged = tuple(_nearness(way, one, often) for way, one in off.items())
    way, flags = model.way, model.flags
    if way in off and _worse(off[way], off["closed-form"]):
        way, flags = "closed-form", (*flags, "closed-form-was-nearer")
    # Where the history is too short for more, the closed form stands for both.
    stand_in = off.get(way, off["closed-form"])
    if not np.abs(stand_in).mean() < np.abs(off["shop"]).mean():
        way, flags = "none", (*flags, "no-better-than-the-shop")
    return msgspec.structs.replace(model, way=way, flags=flags, judged=judged, within=within)


def _worse(off: Numbers, other: Numbers) -> bool:
    """Whether one was farther off by more than one standard error of the difference."""
    apart = np.abs(off) - np.abs(other)
    return bool(apart.mean() > apart.std() / np.sqrt(len(apart)))


def tell(model: NextPurchase, purchases: Purchases, *, seen: Rhythms | None = None) -> Days:
    """The days of everybody who bought up to the model's day; nobody's without a way.

    `seen`: the numbers of that day, where somebody has them already.
    """
    if model.way == "none":
        nothing = np.zeros(0)
        nobody = np.zeros(0, np.int64)
        return Days(nobody, nothing, nothing, nothing, nobody)
    seen = rhythms(*purchases, model.until) if seen is None else seen
    table = _columns(model, seen) if model.way == "both" else None
    middle = _middle(model, model.way, seen, table)
    bounds = _bounds(model, seen, middle)
    return Days(seen.customer, middle, *bounds, seen.frequency, _drivers(model, seen, table))


def _drivers(model: NextPurchase, seen: Rhythms, table: Numbers | None) -> Drivers:
    """What makes the day of each later or sooner than that of the mean customer."""
    if table is None:

        def middle(of: Rhythms) -> Numbers:
            found: Numbers = np.log(_closed_form(model.buying, of, model.horizon, 0.5))
            return found

        own, level = middle(seen), np.ones(len(seen.customer))
        often = msgspec.structs.replace(seen, frequency=level * seen.frequency.mean())
        known = msgspec.structs.replace(seen, age=level * seen.age.mean())
        push = np.column_stack([own - middle(often), own - middle(known)])
        return _directed(("how often it bought", "how long it is known"), push)
    parts = table * np.array(model.line[1:])
    columns = (*seen.names, "expected", "expected")
    columns = (*columns, *(columns[blank] for blank in model.shaped.blanks))
    names, sums = together(parts - parts.mean(0), [REASON_OF.get(name, name) for name in columns])
    return _directed([REASONS.get(name, name) for name in names], sums)


def _directed(names: Sequence[str], push: Numbers) -> Drivers:
    return pushed(push, [f"{name}: later" for name in names], [f"{name}: sooner" for name in names])


def _bounds(model: NextPurchase, seen: Rhythms, middle: Numbers) -> tuple[Numbers, Numbers]:
    """The interval of BG/NBD, drawn to where the answer lies; within one day and the horizon."""
    early, plain, late = (
        _closed_form(model.buying, seen, model.horizon, share) for share in (EARLY, 0.5, LATE)
    )
    left = (model.horizon - middle) * _left(plain, late, model.horizon)
    first: Numbers = np.maximum(middle * early / plain, np.minimum(middle, 1.0))
    last: Numbers = np.minimum(model.horizon - left, model.horizon)
    return first, last


def _left(plain: Numbers, late: Numbers, horizon: int) -> Numbers:
    """The share of the time after the middle that lies beyond the late bound."""
    found: Numbers = (horizon - late) / np.maximum(horizon - plain, 1e-9)
    return np.clip(found, 0.0, 1.0)


def compare(purchases: Purchases, cut: int, *, horizon: int = HORIZON) -> dict[str, Nearness]:
    """How near the ways came on the horizon after the cut.

    Beside them: the shop's median day of the horizon before, and each customer's median gap (that
    of all for whoever has none) after its last purchase, which is no sooner than the next day.
    """
    off, often, _ = _off(purchases, cut, horizon)
    return {way: _nearness(way, one, often) for way, one in off.items()}


def _off(
    purchases: Purchases, cut: int, horizon: int
) -> tuple[dict[str, Numbers], NDArray[np.bool_], float]:
    """Days that each way was off, of those who came; who bought often; the share within bounds."""
    model = _fit(purchases, cut, horizon)
    seen, after = _view(purchases, cut, horizon)
    came = ~np.isnan(after)
    before = _view(purchases, cut - horizon, horizon)[1]
    before = before[~np.isnan(before)]
    often = seen.frequency[came] >= OFTEN
    if model.way == "none" or not before.size:
        return {}, often, 0.0
    ways = WAYS[:-1] if model.line else ("closed-form",)
    guesses = {way: _middle(model, way, seen) for way in ways}
    guesses["shop"] = np.full(len(after), float(np.median(before)))
    guesses["own-gap"] = _own_gap(seen, horizon)
    first, last = _bounds(model, seen, guesses[ways[0]])
    # Days are told as whole ones.
    inside = (np.round(first) <= after) & (after <= np.round(last))
    off = {way: (guess - after)[came] for way, guess in guesses.items()}
    return off, often, float(inside[came].mean()) if came.any() else 0.0


def _nearness(way: str, off: Numbers, often: NDArray[np.bool_]) -> Nearness:
    return Nearness(way, *_mean(off), *_mean(off[often]), len(off), int(often.sum()))


def _mean(off: Numbers) -> tuple[float, float]:
    """The mean distance and its standard error."""
    apart, rows = np.abs(off), max(len(off), 1)
    return float(apart.sum()) / rows, float(np.sqrt(apart.var() / rows)) if len(off) else 0.0


def _fit(purchases: Purchases, until: int, horizon: int) -> NextPurchase:
    customer, day, amount = purchases
    known = day <= until
    past = customer[known], day[known], amount[known]
    seen = rhythms(*past, until)
    model = buying.fit(buying.distinct(seen.frequency, seen.recency, seen.age))
    begun = NextPurchase("none", until, horizon, ("too-few-buyers",))
    if not model.fitted:
        return begun
    begun = msgspec.structs.replace(begun, way="closed-form", flags=(), buying=model)
    found = _views(past, until - horizon, horizon)
    if not found:
        return msgspec.structs.replace(begun, flags=("too-few-returns",))
    values = np.vstack([table for table, _ in found])
    days = np.log(np.concatenate([after for _, after in found]))
    # The views share customers, so all of them together weigh as one.
    shaped, line = medians.fit(values, days, 1 / len(found))
    return msgspec.structs.replace(begun, way="both", shaped=shaped, line=line)


def _views(past: Purchases, latest: int, horizon: int) -> list[tuple[Numbers, Numbers]]:
    """What was known as of several days of those who came back, and the days it took them."""
    found: list[tuple[Numbers, Numbers]] = []
    first = int(past[1].min(initial=latest))
    for earlier in _EARLIER:
        cut = latest - earlier
        if cut - LEAST_PAST < first:
            break
        seen, after = _view(past, cut, horizon)
        came = ~np.isnan(after)
        model = buying.fit(buying.distinct(seen.frequency, seen.recency, seen.age))
        if int(came.sum()) < ENOUGH_RETURNS or not model.fitted:
            break
        found.append((_table(seen, model, horizon)[came], after[came]))
    return found


def _view(purchases: Purchases, cut: int, horizon: int) -> tuple[Rhythms, Numbers]:
    """Customers known at the cut, and days to their next purchase; not a number for none."""
    seen = rhythms(*purchases, cut)
    customer, day, _ = purchases
    later = (day > cut) & (day <= cut + horizon)
    after = np.full(len(seen.customer), np.inf)
    who = customer[later]
    place = np.searchsorted(seen.customer, who)
    mine = place < len(seen.customer)
    mine[mine] = seen.customer[place[mine]] == who[mine]
    np.minimum.at(after, place[mine], (day[later] - cut)[mine].astype(np.float64))
    return seen, np.where(np.isinf(after), np.nan, after)


def _table(seen: Rhythms, model: Buying, horizon: int) -> Numbers:
    middle = np.log(_closed_form(model, seen, horizon, 0.5))
    alive = buying.p_alive(model, seen.frequency, seen.recency, seen.age)
    return np.column_stack([seen.values, middle, alive])


def _closed_form(model: Buying, seen: Rhythms, horizon: int, share: float) -> Numbers:
    """The day by which such a share has bought, of those who buy within the horizon.

    The time to the next purchase of a customer who is there is a Lomax with shape r + x and scale
    alpha + T; it is cut off at the horizon: (alpha + T) ((1 - q F)^(-1/(r + x)) - 1), where F is
    the probability of a purchase within the horizon.
    """
    scale = model.alpha * model.unit + seen.age
    shape = model.r + seen.frequency
    within = -np.expm1(-shape * np.log1p(horizon / scale))
    found: Numbers = scale * np.expm1(-np.log1p(-share * within) / shape)
    return np.clip(found, 1e-3, horizon)


def _columns(model: NextPurchase, seen: Rhythms) -> Numbers:
    """What the regression reads of each customer."""
    return logistic.columns(model.shaped, _table(seen, model.buying, model.horizon))


def _middle(model: NextPurchase, way: str, seen: Rhythms, table: Numbers | None = None) -> Numbers:
    plain = np.maximum(_closed_form(model.buying, seen, model.horizon, 0.5), 1.0)
    if way == "closed-form":
        return plain
    table = _columns(model, seen) if table is None else table
    logs = table @ np.array(model.line[1:]) + model.line[0]
    learned: Numbers = np.exp(np.clip(logs, 0.0, np.log(model.horizon)))
    return learned if way == "learned" else (learned + plain) / 2


def _own_gap(seen: Rhythms, horizon: int) -> Numbers:
    known = seen.gap[~np.isnan(seen.gap)]
    gap = np.where(np.isnan(seen.gap), np.median(known) if known.size else horizon, seen.gap)
    since = np.expm1(seen.values[:, seen.names.index("since")])
    found: Numbers = np.clip(gap - since, 1.0, horizon)
    return found
