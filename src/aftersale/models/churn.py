"""Will this customer buy nothing within the next 90 days, and why do we think so?

A logistic regression (`logistic`) on how the customer buys (`rhythms`) and on what BG/NBD expects
of it (`buying`), learnt where the answer is known: as of days that lie at least the horizon back.
It ranks customers; how many of them buy is taken from BG/NBD, which knows that a shop's customers
grow older, while a regression learnt on a young shop does not. Where there is not enough to learn
from, or where it was worse on the last horizon of the shop's own past, the closed form of BG/NBD
speaks alone; then the share of those who came back lately; then nothing, with the reason.

Probabilities are looked at again once their time has passed. Where those of the horizon before the
last were off, and moving those of the last one likewise brought them nearer, today's are moved by
what the last horizon shows; otherwise they are left alone.

P(alive) is no score of churn: it is 1 for whoever bought once. Here it appears only within the
probability of a purchase.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from aftersale.kernel.ids import digest16
from aftersale.models import buying, logistic
from aftersale.models.buying import Buying
from aftersale.models.chances import (
    NO_CORRECTION,
    Correction,
    Measured,
    corrected,
    correction,
    measure,
)
from aftersale.models.drivers import together
from aftersale.models.gammas import Numbers
from aftersale.models.logistic import Logistic, sigmoid
from aftersale.models.rhythms import FAMILIES, Others, Rhythms, rhythms
from aftersale.models.sample import sample
from aftersale.models.sorting import Whole, in_order, order
from aftersale.models.spending import Spending
from aftersale.models.value import TAIL, spread_of_estimates

HORIZON = 90
"""Days without a purchase that count as churn."""
HIGH, LOW = 0.7, 0.3
"""Above HIGH the band is high, up to LOW it is low."""
BANDS = ("low", "medium", "high")
WAYS = ("learned", "closed-form", "base-rate", "none")
"""The ladder, best first."""

FLAGS = {
    "no-purchases": "nobody bought yet",
    "short-history": "there is no whole horizon of history to learn from, and a month before it",
    "too-few-outcomes": "too few customers came back, or too few stayed away, to learn from",
    "too-few-buyers": "too few customers bought again to fit BG/NBD",
    "closed-form-was-better": "on the last horizon BG/NBD alone was better than what was learnt",
    "base-rate-was-better": "on the last horizon the base rate was better than the models",
    "own-level": "how many buy was learnt too, for BG/NBD could not be fitted",
    "corrected": "its probabilities are moved by how those of the last horizon came true",
    "not-judged": "the history is too short to judge the answer on its own past",
}
"""What keeps the answer from the first step of the ladder, or what to know of it."""

EXPECTED = "expected"
"""What BG/NBD expects, as a logit: the number that is learnt from beside those of `rhythms`."""
REASONS = {
    **{family: words for family, (words, _) in FAMILIES.items()},
    EXPECTED: "what BG/NBD expects of its purchases so far",
}
"""What can move a probability, in plain words; further numbers are named as they came in."""
REASON_OF = {name: family for family, (_, names) in FAMILIES.items() for name in names.split()}

LEAST_PAST = 30
"""Days of history before a day from which something is learnt."""
ENOUGH_OUTCOMES = 50
"""Customers that came back, and that did not, below which nothing is learnt."""
ENOUGH_KNOWN = 30
"""Customers below which there is no base rate."""
_EARLIER = (0, 15, 30, 45, 60)
"""Days by which the days that are learnt from lie apart: five views, each with its own past."""
_LEAST_CHANCE = 1e-9
_SURE = 2.0
"""Standard errors by which a correction must have helped before it is used."""

Purchases = tuple[Whole, Whole, Numbers]
"""Customer, day and amount of every purchase."""


class Window(msgspec.Struct, frozen=True):
    """How a way did on one horizon of the past, told from what was known before it."""

    cut: int
    """The last day that was known."""
    measured: Measured


class Churn(msgspec.Struct, frozen=True):
    """A way to tell chances, as of a day."""

    way: str
    """One of WAYS."""
    until: int
    """The last day that it knows."""
    horizon: int
    flags: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """What is learnt from, in the order of the columns of `learnt`."""
    learnt: Logistic = Logistic()
    buying: Buying = Buying()
    level: float = 0.0
    """Added to every logit, so that as many buy as BG/NBD expects."""
    rate: float = 0.0
    """Share of customers that bought within the last horizon; its rows below."""
    known: int = 0
    correction: Correction = NO_CORRECTION
    """How every logit is moved at last."""
    judged: tuple[Measured, ...] = ()
    """The ways on the last horizon, each told from what was known before it."""
    windows: tuple[Window, ...] = ()
    """The best way that there was on the last horizon, on the one before it, and so on."""

    @property
    def version(self) -> str:
        """Twelve letters that change when any parameter does."""
        told = msgspec.structs.replace(self, judged=(), windows=(), flags=())
        return digest16(msgspec.json.encode(told)).hex()[:12]


class Scores(msgspec.Struct, frozen=True):
    """Chances of customers, ascending, one place a customer."""

    customer: Whole
    churn: Numbers
    """Probability of no purchase within the horizon."""
    low: Numbers
    """The bounds that hold it nine times of ten, for parameters are estimates."""
    high: Numbers
    band: Whole
    """Place in BANDS."""
    drivers: Whole
    """(customers, 3): the reasons that move it most, as places in `reasons`; -1 for none."""
    push: Numbers
    """(customers, 3): by how much, in logits of churn, against the mean customer."""
    reasons: tuple[str, ...]
    frequency: Whole
    """Repeat purchase days."""
    version: str

    def told(self, place: int) -> list[str]:
        """The drivers of one customer in plain words, the strongest first."""
        return [
            f"{REASONS.get(self.reasons[driver], self.reasons[driver])}: "
            f"{'raises' if push > 0 else 'lowers'} the risk"
            for driver, push in zip(self.drivers[place], self.push[place], strict=True)
            if driver >= 0
        ]


def learn(
    purchases: Purchases,
    until: int,
    *,
    horizon: int = HORIZON,
    others: Others | None = None,
    windows: int = 1,
) -> Churn:
    """The best way that the purchases up to `until` allow, judged on their last horizon.

    `others` gives further numbers of customers as of a day; each must be a fact of that day.
    `windows`: on how many past horizons it is looked at; from two on it may be corrected.
    """
    customer, day, amount = purchases
    chosen = sample(customer) & (day <= until)
    some = customer[chosen], day[chosen], amount[chosen]
    found = _learn(some, until, horizon, others)
    if found.way == "none":
        return found
    told, came = _told(some, until - horizon, horizon, others)
    way, flags = found.way, list(found.flags)
    if not told:
        flags.append("not-judged")
    for other in ("closed-form", "base-rate"):
        if WAYS.index(way) < WAYS.index(other) and _worse(told, way, other, came):
            way = other
            flags.append(f"{other}-was-better")
    judged = tuple(measure(one, chance, came) for one, chance in told.items())
    found = msgspec.structs.replace(found, way=way, flags=tuple(flags), judged=judged)
    return _looked_back(found, some, (told, came), others, windows)


def _looked_back(
    model: Churn,
    purchases: Purchases,
    last: tuple[dict[str, Numbers], NDArray[np.bool_]],
    others: Others | None,
    windows: int,
) -> Churn:
    """The model with its windows, and corrected where that would have helped on the last one."""
    cut, found, by = model.until - model.horizon, [], NO_CORRECTION
    told, came = last
    while told:
        way = _best(told, model.way)
        found.append(Window(cut, measure(way, told[way], came)))
        if len(found) >= windows:
            break
        later, told, came = (
            (way, told, came),
            *_told(purchases, cut - model.horizon, model.horizon, others),
        )
        cut -= model.horizon
        if len(found) == 1 and later[0] == model.way and model.way in told:
            by = _correction(told[model.way], came, later[1][model.way], later[2])
    flags = model.flags if by == NO_CORRECTION else (*model.flags, "corrected")
    return msgspec.structs.replace(model, windows=tuple(found), correction=by, flags=flags)


def _best(told: dict[str, Numbers], way: str) -> str:
    """The step of the ladder that spoke then: the one of today, or the next that there was."""
    return next(one for one in WAYS[WAYS.index(way) :] if one in told)


def _correction(
    before: Numbers, came_before: NDArray[np.bool_], last: Numbers, came: NDArray[np.bool_]
) -> Correction:
    """That of the last horizon, if that of the horizon before it would have helped there."""
    moved = corrected(last, correction(before, came_before))
    nearer = (last - came) ** 2 - (moved - came) ** 2
    if nearer.mean() > _SURE * nearer.std() / np.sqrt(max(len(nearer), 1)):
        return correction(last, came)
    return NO_CORRECTION


def _worse(told: dict[str, Numbers], way: str, other: str, came: NDArray[np.bool_]) -> bool:
    """Whether a way was worse than another by more than one standard error of the difference."""
    if way not in told or other not in told or not len(came):
        return False
    apart = (told[way] - came) ** 2 - (told[other] - came) ** 2
    return bool(apart.mean() > apart.std() / np.sqrt(len(apart)))


def compare(
    purchases: Purchases, cut: int, *, horizon: int = HORIZON, others: Others | None = None
) -> dict[str, Measured]:
    """How the ways that are possible at `cut` did on the horizon after it.

    Beside those of the ladder: recency (the longer the silence, the surer) and the rule that
    silence beyond nine of ten gaps is churn. Probabilities are of a purchase.
    """
    told, came = _told(purchases, cut, horizon, others)
    return {way: measure(way, chance, came) for way, chance in told.items()}


def _told(
    purchases: Purchases, cut: int, horizon: int, others: Others | None
) -> tuple[dict[str, Numbers], NDArray[np.bool_]]:
    """What each way says of those known at the cut, and what they did."""
    model = _learn(_upto(purchases, cut), cut, horizon, others)
    seen = _view(purchases, cut, others)
    came = _came(purchases, seen.customer, cut, horizon)
    if model.way == "none":
        return {}, came
    told: dict[str, Numbers] = {}
    for way in WAYS[WAYS.index(model.way) : -1]:
        if way != "closed-form" or model.buying.fitted:
            told[way] = sigmoid(_logits(msgspec.structs.replace(model, way=way), seen)[0])
    since = np.expm1(seen.values[:, seen.names.index("since")])
    told["recency"] = 1 - (since + 1) / (since.max(initial=0) + 2)
    told["p90-rule"] = (since <= _ninetieth(purchases, cut)).astype(np.float64)
    return told, came


def score(
    model: Churn,
    purchases: Purchases,
    *,
    others: Others | None = None,
    seen: Rhythms | None = None,
    high: float = HIGH,
    low: float = LOW,
) -> Scores:
    """The chances of everybody who bought up to the model's day; nobody's without a way.

    `seen`: the numbers of that day, where somebody has them already.
    """
    seen = _view(purchases, model.until, others) if seen is None else seen
    if model.way == "none":
        seen = _view((purchases[0][:0], purchases[1][:0], purchases[2][:0]), model.until, None)
    logit, error, parts = _logits(model, seen)
    churn = sigmoid(-logit)
    drivers, push = _drivers(parts)
    return Scores(
        customer=seen.customer,
        churn=churn,
        low=sigmoid(-logit - TAIL * error),
        high=sigmoid(-logit + TAIL * error),
        band=(churn > low).astype(np.int64) + (churn > high),
        drivers=drivers,
        push=push,
        reasons=_reasons(model.names),
        frequency=seen.frequency,
        version=model.version,
    )


# --- learning ---------------------------------------------------------------------------------


def _learn(purchases: Purchases, until: int, horizon: int, others: Others | None) -> Churn:
    begun = Churn("none", until, horizon)
    _, day, _ = purchases
    if not day.size:
        return msgspec.structs.replace(begun, flags=("no-purchases",))
    first, flags = int(day.min()), []
    now = _view(purchases, until, others)
    model = buying.fit(buying.distinct(now.frequency, now.recency, now.age))
    if not model.fitted:
        flags.append("too-few-buyers")
    before = _view(purchases, until - horizon, None)
    came = _came(purchases, before.customer, until - horizon, horizon)
    rate = float((came.sum() + 0.5) / (len(came) + 1))
    begun = msgspec.structs.replace(begun, buying=model, rate=rate, known=len(came))
    if until - horizon - LEAST_PAST < first:
        flags.append("short-history")
    elif min(int(came.sum()), int((~came).sum())) < ENOUGH_OUTCOMES:
        flags.append("too-few-outcomes")
    else:
        learnt, names = _regression(purchases, until - horizon, horizon, others)
        begun = msgspec.structs.replace(begun, way="learned", learnt=learnt, names=names)
        if model.fitted:
            level = _level(_logits(begun, now)[0], _closed_form(model, now, horizon))
            return msgspec.structs.replace(begun, level=level, flags=tuple(flags))
        return msgspec.structs.replace(begun, flags=(*flags, "own-level"))
    way = "none"
    if model.fitted:
        way = "closed-form"
    elif len(came) >= ENOUGH_KNOWN and until - horizon >= first:
        way = "base-rate"
    return msgspec.structs.replace(begun, way=way, flags=tuple(flags))


def _regression(
    purchases: Purchases, latest: int, horizon: int, others: Others | None
) -> tuple[Logistic, tuple[str, ...]]:
    """What is learnt from several days, the latest and such as lie before it."""
    tables: list[Numbers] = []
    outcomes: list[NDArray[np.bool_]] = []
    names: tuple[str, ...] = ()
    for earlier in _EARLIER:
        cut = latest - earlier
        seen = _view(purchases, cut, others)
        came = _came(purchases, seen.customer, cut, horizon)
        if earlier and min(int(came.sum()), int((~came).sum())) < ENOUGH_OUTCOMES:
            break
        model = buying.fit(buying.distinct(seen.frequency, seen.recency, seen.age))
        if earlier and not model.fitted:
            break
        names = (*seen.names, EXPECTED)
        tables.append(_table(seen, model, horizon))
        outcomes.append(came)
    # The views share customers: together they count as one.
    weight = np.full(sum(len(came) for came in outcomes), 1 / len(outcomes))
    return logistic.fit(np.vstack(tables), np.concatenate(outcomes), weight=weight), names


def _table(seen: Rhythms, model: Buying, horizon: int) -> Numbers:
    """What the regression reads: the numbers of a customer, and what BG/NBD expects."""
    expected = np.full(len(seen.customer), np.nan)
    if model.fitted:
        expected = _logit(_closed_form(model, seen, horizon))
    return np.column_stack([seen.values, expected])


def _level(logit: Numbers, chance: Numbers) -> float:
    """What to add to the logits so that their mean probability is that of the others."""
    target, low, high = float(chance.mean()), -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        if float(sigmoid(logit + middle).mean()) < target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


# --- telling ----------------------------------------------------------------------------------


def _logits(model: Churn, seen: Rhythms) -> tuple[Numbers, Numbers, Numbers]:
    """Logit of a purchase, its standard error, and what each reason adds."""
    logit, error, parts = _plain_logits(model, seen)
    shift, slope = model.correction
    return shift + slope * logit, abs(slope) * error, slope * parts


def _plain_logits(model: Churn, seen: Rhythms) -> tuple[Numbers, Numbers, Numbers]:
    """The same before they are moved by how earlier ones came true."""
    rows = len(seen.customer)
    nothing = np.zeros((rows, 0))
    if model.way == "learned":
        table = logistic.columns(model.learnt, _table(seen, model.buying, model.horizon))
        parts = table * np.array(model.learnt.coefficients)
        logit = parts.sum(1) + model.learnt.intercept + model.level
        return logit, logistic.errors(model.learnt, table), _by_reason(model, parts)
    if model.way == "closed-form":
        chance = _closed_form(model.buying, seen, model.horizon)
        return _logit(chance), _closed_form_errors(model, seen), nothing
    logit = float(np.log(model.rate / (1 - model.rate))) if 0 < model.rate < 1 else 0.0
    error = (max(model.known, 1) * model.rate * (1 - model.rate)) ** -0.5 if model.rate else 0.0
    return np.full(rows, logit), np.full(rows, error), nothing


def _reasons(names: Sequence[str]) -> tuple[str, ...]:
    """The reasons of these names, in their order."""
    return tuple(dict.fromkeys(REASON_OF.get(name, name) for name in names))


def _by_reason(model: Churn, parts: Numbers) -> Numbers:
    """What each reason adds: all of its numbers, and their not being known."""
    names = (*model.names, *(model.names[blank] for blank in model.learnt.blanks))
    return together(parts, [REASON_OF.get(name, name) for name in names])[1]


def _drivers(parts: Numbers) -> tuple[Whole, Numbers]:
    """The three that add most to churn or take most from it, against the mean customer."""
    rows, names = parts.shape
    if not rows or not names:
        return np.full((rows, 3), -1), np.zeros((rows, 3))
    apart = parts.mean(0) - parts  # churn has the opposite sign of a purchase
    size = np.abs(apart)
    some = np.argpartition(-size, 2, axis=1)[:, :3]
    order = np.argsort(-np.take_along_axis(size, some, 1), axis=1, kind="stable")
    drivers = np.take_along_axis(some, order, 1)
    return drivers, np.take_along_axis(apart, drivers, 1)


def _closed_form(model: Buying, seen: Rhythms, horizon: int) -> Numbers:
    """P(purchase within the horizon) of BG/NBD."""
    alive = buying.p_alive(model, seen.frequency, seen.recency, seen.age)
    return alive * buying.p_buys(model, seen.frequency, seen.age, horizon)


def _closed_form_errors(model: Churn, seen: Rhythms) -> Numbers:
    """Standard errors of the logits of the closed form (delta method)."""
    variance = spread_of_estimates(
        model.buying,
        Spending(),
        lambda bought, _: _logit(_closed_form(bought, seen, model.horizon)),
    )
    found: Numbers = np.sqrt(np.maximum(variance, 0))
    return found


def _logit(chance: Numbers) -> Numbers:
    held = np.clip(chance, _LEAST_CHANCE, 1 - _LEAST_CHANCE)
    found: Numbers = np.log(held / (1 - held))
    return found


# --- purchases --------------------------------------------------------------------------------


def _view(purchases: Purchases, cut: int, others: Others | None) -> Rhythms:
    return rhythms(*purchases, cut, others(cut) if others else None)


def _came(purchases: Purchases, who: Whole, cut: int, horizon: int) -> NDArray[np.bool_]:
    """Who of them bought within the horizon after the cut."""
    customer, day, _ = purchases
    return np.isin(who, customer[(day > cut) & (day <= cut + horizon)])


def _upto(purchases: Purchases, until: int) -> Purchases:
    customer, day, amount = purchases
    known = day <= until
    return (customer, day, amount) if known.all() else (customer[known], day[known], amount[known])


def _ninetieth(purchases: Purchases, cut: int) -> float:
    """The days within which nine of ten gaps of all customers end."""
    customer, day, _ = _upto(purchases, cut)
    if not day.size:
        return 0.0
    if not in_order(customer, day):
        by = order(customer, day)
        customer, day = customer[by], day[by]
    gaps = np.diff(day)[np.diff(customer) == 0]
    gaps = gaps[gaps > 0]
    return float(np.quantile(gaps, 0.9)) if gaps.size else 0.0
