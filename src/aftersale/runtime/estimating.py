"""What does each model say of every customer, of what is known as of an instant?

A model that does not earn its place on the shop's own past says nothing.
"""

from collections.abc import Callable, Collection
from functools import cached_property
from time import perf_counter

import msgspec
import numpy as np
from numpy.typing import NDArray

from aftersale.customers.purchases import IN_ANOTHER_CURRENCY
from aftersale.kernel.ids import digest16
from aftersale.kernel.instants import DAY, format_instant
from aftersale.kernel.money import exponent
from aftersale.kernel.zones import instants_at
from aftersale.models import (
    affinity,
    buying,
    churn,
    contract_churn,
    drivers,
    judging,
    leaning,
    next_purchase,
    rivals,
    run_out,
    seasons,
    spending,
)
from aftersale.models.gammas import Numbers
from aftersale.models.repeats import gaps_of
from aftersale.models.rhythms import Rhythms, rhythms
from aftersale.models.scores import SCORES, Card, Proof, Window
from aftersale.models.sorting import Whole, distinct
from aftersale.models.value import Scoring, summarise
from aftersale.models.value import drivers as worthwhile
from aftersale.runtime.facts import PARTS_OF_HEALTH, Facts
from aftersale.runtime.said import CUSTOMER, DEFAULT, SEGMENT, SHOP, Said
from aftersale.runtime.valuing import DISCOUNT

SHARES = (0.2, 0.4, 0.6, 0.8)
"""Where the bands of value begin: fifths of the customers of one currency."""

BANDS = {
    "engagement": (0.4, 0.8),
    "satisfaction": (3.0, 4.0),
    "price_sensitivity": (0.3, 0.7),
    "health": (0.4, 0.7),
}
"""Where the second and the third band begin."""

OWN = 0.5
"""Share of what is said that must be a customer's own for it to rest on the customer."""

Clock = Callable[[], float]

_UNNAMED = {
    "affinity": "no product names a category",
    "brand_affinity": "no product names a brand",
}


def estimate(
    known: Facts,
    *,
    only: Collection[str] = SCORES.keys(),
    windows: int = 1,
    clock: Clock = perf_counter,
    spoken: Callable[[int, int], None] = lambda done, total: None,
) -> list[Said]:
    """What the models say of what is known, in the order of `SCORES`.

    `windows`: on how many stretches of the past a model is looked at, where it can be. `spoken`:
    takes how many models have spoken, and how many will.
    """
    ask = _Ask(msgspec.structs.replace(known, windows=windows), clock)
    found = []
    for name in SCORES:
        if name in only:
            found.append(ask(name))
            spoken(len(found), len(only))
    return found


class _Ask:
    """What each model says, and what several of them read, each worked out once."""

    def __init__(self, known: Facts, clock: Clock) -> None:
        self.known, self.clock = known, clock
        self.found: dict[str, Said] = {}

    def __call__(self, name: str) -> Said:
        if name not in self.found:
            began = self.clock()
            said = _MODELS[name](self.known, self)
            seconds, rows = self.clock() - began, len(said.customer)
            card = msgspec.structs.replace(
                said.card, rows=rows, seconds=seconds, steps=said.steps()
            )
            self.found[name] = msgspec.structs.replace(said, card=card)
        return self.found[name]

    @cached_property
    def rhythms(self) -> Rhythms:
        """How everybody bought up to the last day."""
        return rhythms(*self.known.purchases, self.known.day)


def _date(day: int) -> str:
    """The day as one writes it; nothing for none."""
    return format_instant(day * DAY)[:10]


def _learnt(known: Facts, day: Whole) -> tuple[str, str]:
    return (_date(int(day.min())), _date(known.day)) if day.size else ("", "")


def _season(known: Facts, days: int) -> str:
    """What is to be known of the days ahead, in words; nothing where they are as usual."""
    customer, day, _ = known.purchases
    found = seasons.season(customer, day, known.day, days)
    if not found.known:
        why = f"whether the next {days} days are a season is not known: that takes "
        return why + f"{seasons.needs(days)} days of history" if day.size else ""
    if not found.marked:
        return ""
    past = "a year ago" if found.known == 1 else f"over the last {found.known} years"
    many = "more" if found.ratio > 1 else "fewer"
    return (
        f"{past}, {found.ratio:.2g} times as many of those who had just bought came back in these "
        f"{days} days as in the {days} days before; the model knows no seasons, so expect {many} "
        "than it says"
    )


def _churn(known: Facts, ask: _Ask) -> Said:
    model = churn.learn(known.purchases, known.day, windows=known.windows)
    by_way = {one.way: one for one in model.judged}
    # Where the past is too short to learn twice, the closed form was judged in its place.
    judged = model.way if model.way in by_way else "closed-form"
    mine = by_way.get(judged)
    others = [one.brier for way, one in by_way.items() if way != judged]
    why = "; ".join(churn.FLAGS[flag] for flag in model.flags)
    card = Card(
        "churn", model.version, 0, "Brier score",
        min(others, default=None) if mine else None,
        mine.brier if mine else None,
        "off" if model.way == "none" else "on",
        why, 0.0,
        learnt=_learnt(known, known.purchases[1]),
        proof=_proof(f"an order within {model.horizon} days", model),
        season=_season(known, model.horizon),
    )  # fmt: skip
    if model.way == "none":
        return Said(card)
    scores = churn.score(model, known.purchases, seen=ask.rhythms)
    names = [churn.REASONS.get(reason, reason) for reason in scores.reasons]
    lowers = len(names) * ((scores.push < 0) & (scores.drivers >= 0))
    return Said(
        card,
        scores.customer,
        scores.churn,
        scores.low,
        scores.high,
        _rests(scores.frequency) if model.way != "base-rate" else _everywhere(SHOP, scores.churn),
        scores.band,
        why=drivers.Drivers(_risks(names), scores.drivers + lowers),
    )


def _risks(names: Collection[str]) -> tuple[str, ...]:
    """The words of reasons that raise a risk, then of those that lower it."""
    return tuple(f"{name}: {what} the risk" for what in ("raises", "lowers") for name in names)


def _rests(frequency: Whole) -> Whole:
    """Who bought again has a rhythm of its own; who did not is told what such customers do."""
    return np.where(frequency > 0, CUSTOMER, SEGMENT)


def _everywhere(step: int, rows: Numbers) -> Whole:
    return np.full(len(rows), step)


def _proof(of: str, model: churn.Churn | contract_churn.ContractChurn) -> Proof:
    """What the last horizons show of a model of chances."""
    newest = model.windows[0].measured if model.windows else None
    return Proof(
        of=of,
        bins=newest.bins if newest else (),
        gains=newest.gains if newest else (),
        windows=tuple(
            Window(
                _date(one.cut + 1),
                _date(one.cut + model.horizon),
                one.measured.rows,
                one.measured.mean,
                one.measured.rate,
                one.measured.brier,
            )
            for one in model.windows
        ),
    )


def _contract_churn(known: Facts, _: _Ask) -> Said:
    told, purchases = known.contracts, known.purchases
    model = contract_churn.learn(told, purchases, known.day, windows=known.windows)
    newest = model.windows[0].measured if model.windows else None
    card = Card(
        "contract_churn", model.version, 0, "Brier score",
        model.baseline, newest.brier if newest else None,
        "off" if model.way == "none" else "on", model.why, 0.0,
        learnt=_learnt(known, told.day),
        proof=_proof(f"the end of a contract within {model.horizon} days", model),
    )  # fmt: skip
    if model.way == "none":
        return Said(card)
    scores = contract_churn.score(model, told, purchases)
    words = _risks(contract_churn.NAMES.values())
    half = len(words) // 2
    return Said(
        card,
        scores.customer,
        scores.churn,
        scores.low,
        scores.high,
        _everywhere(CUSTOMER if model.way == "learned" else SHOP, scores.churn),
        scores.band,
        why=drivers.pushed(scores.push, words[:half], words[half:]),
    )


def _next_order(known: Facts, ask: _Ask) -> Said:
    model = next_purchase.learn(known.purchases, known.day)
    off = {one.way: one.mae for one in model.judged}
    card = Card(
        "next_order", _version(model), 0, "days off, mean",
        off.get("shop"), off.get(model.way, off.get("closed-form")),
        "off" if model.way == "none" else "on",
        "; ".join(next_purchase.FLAGS[flag] for flag in model.flags), 0.0,
        learnt=_learnt(known, known.purchases[1]),
        proof=Proof(within=model.within, within_goal=next_purchase.LATE - next_purchase.EARLY),
    )  # fmt: skip
    if model.way == "none":
        return Said(card)
    days = next_purchase.tell(model, known.purchases, seen=ask.rhythms)

    noons = np.array(
        [
            float(instants_at((known.day + n) * DAY + DAY // 2, known.zone)[0])
            for n in range(model.horizon + 1)
        ]
    )

    def instants(after: Numbers) -> Numbers:
        """Noon of the day, on the clock of the shop's zone."""
        found: Numbers = noons[np.round(after).astype(np.int64)]
        return found

    return Said(
        card,
        days.customer,
        instants(days.middle),
        instants(days.early),
        instants(days.late),
        _rests(days.frequency),
        why=days.why,
    )


def _value(known: Facts, _: _Ask) -> Said:
    customer, day, amount = known.purchases
    most = max(known.currencies.values(), key=len, default=np.zeros(0, np.int64))
    judged = judging.judge(
        customer, day, np.where(_among(customer, most), amount, IN_ANOTHER_CURRENCY), known.day
    )
    ways = {guess.way: guess.rmse for guess in judged.purchases}
    card = Card(
        "value", "", 0, "root mean squared error of purchases",
        min((rmse for way, rmse in ways.items() if way != "model"), default=None),
        ways.get("model"),
        "off" if judged.off else "on",
        judged.off or judged.spend_off, 0.0,
        learnt=_learnt(known, day),
        proof=Proof(
            of=f"an order within {judged.days} days",
            bins=judged.bins,
            gains=judged.gains,
            within=judged.within if judged.spend else None,
            within_goal=0.9 if judged.spend else None,
        ),
    )  # fmt: skip
    if judged.off:
        return Said(card)
    customers, buyers = summarise(customer, day, amount, known.day)
    rows = buying.distinct(buyers.frequency, buyers.recency, buyers.age)
    model = buying.fit(rows)
    if known.windows > 1 and not card.why:
        card = msgspec.structs.replace(card, why=_rivalled(rows))
    value, low, high = (np.zeros(len(customers)) for _ in range(3))
    band = np.zeros(len(customers), np.int64)
    versions = [_version(model)]
    why = drivers.Drivers(place=np.full((len(customers), drivers.MOST), -1))
    for currency, some_of in sorted(known.currencies.items()):
        chosen = _among(customers, some_of)
        some = buyers.some(chosen)
        spend = spending.either(some.paid_days, some.paid_mean, judged.spend_off)[0]
        worth = Scoring(some).worth(model, spend, discount=DISCOUNT)
        unit = 10 ** exponent(currency)
        value[chosen] = worth.value / unit
        low[chosen], high[chosen] = (end / unit for end in worth.bounds())
        cuts = np.quantile(worth.value, SHARES, method="lower")
        band[chosen] = np.searchsorted(cuts, worth.value, "right")
        mine = worthwhile(worth, some)
        why.place[chosen] = mine.place
        why = drivers.Drivers(mine.words, why.place)
        versions.append(_version(spend))
    card = msgspec.structs.replace(card, version=digest16(*versions).hex()[:12])
    return Said(card, customers, value, low, high, _rests(buyers.frequency), band, why=why)


def _rivalled(rows: buying.Rows) -> str:
    """Whether another law of leaving explains the purchases much better, in words."""
    some = rivals.some(rows)
    found = rivals.better(buying.fit(some), rivals.rivals(some))
    if found is None:
        return ""
    name, gain = found
    return (
        f"{name}, which lets customers leave in another way, explains the purchases better: its "
        f"log-likelihood is {gain:.1%} higher"
    )


def _run_out(known: Facts, _: _Ask) -> Said:
    customer, item, day, quantity = known.lines
    judged = run_out.judge(customer, item, day, quantity, until=known.day, supply=known.supply)
    baseline = min(judged.median, judged.censored_median)
    card = Card(
        "run_out", run_out.VERSION, 0, "days off, mean",
        baseline or None, judged.model or None, "off" if judged.off else "on", judged.off, 0.0,
        learnt=_learnt(known, day),
        proof=Proof(within=judged.within, within_goal=0.9) if judged.judged else Proof(),
    )  # fmt: skip
    if judged.off:
        return Said(card)
    found = run_out.forecast(gaps_of(customer, item, day, quantity, known.day), known.supply)
    # Who bought an item once may never want it again: only repeats tell that it is used up.
    found = found.some(found.gaps > 0)
    return Said(
        card,
        found.customer,
        found.days,
        found.low,
        found.high,
        _RUN_OUT_STEPS[found.level],
        item=found.item,
        why=found.drivers(),
    )


_RUN_OUT_STEPS = np.array([CUSTOMER, CUSTOMER, SEGMENT, SHOP, SHOP, DEFAULT])
"""Step of each of `run_out.LEVELS`."""


def _leaning(name: str) -> "_Model":
    """A score that is the mean of many small observations."""

    def say(known: Facts, _: _Ask) -> Said:
        customer, first, second = known.observed[name]
        model = leaning.fit(first, second)
        card = _by_halves(name, model, model.off, "look at its band and not at the number")
        if model.off:
            return Said(card)
        seen = first + second
        value, reach = leaning.tell(model, seen)
        step = np.where(leaning.own_share(model, seen) >= OWN, CUSTOMER, SHOP)
        low, high = value - reach, value + reach
        if name == "engagement":
            # Nobody does something every week, so how much is much is told by the others.
            value, low, high = (leaning.standing(value, of) for of in (value, low, high))
        least, most = (1.0, 5.0) if name == "satisfaction" else (0.0, 1.0)
        return Said(
            card,
            customer,
            value,
            np.clip(low, least, most),
            np.clip(high, least, most),
            step,
            np.searchsorted(BANDS[name], value, "right"),
            why=drivers.told(_OBSERVED[name](seen), drivers.where(step == SHOP, _LITTLE)),
        )

    return say


def _of(what: str) -> Callable[[leaning.Sums], tuple[tuple[str, ...], Whole]]:
    """In how many of the observations something was so."""

    def say(seen: leaning.Sums) -> tuple[tuple[str, ...], Whole]:
        columns = [np.rint(column).astype(np.int64) for column in (seen.total, seen.count)]
        return drivers.counted(columns, what.format)

    return say


def _opinions(seen: leaning.Sums) -> tuple[tuple[str, ...], Whole]:
    tenths = np.rint(10 * seen.total / np.maximum(seen.count, 1)).astype(np.int64)
    return drivers.counted(
        [seen.count.astype(np.int64), tenths],
        lambda number, mean: f"opinions: {number}, {mean / 10:.1f} of 5 on average",
    )


_LITTLE = "little is known of it, so it is near the mean of all"
_OBSERVED = {
    "engagement": _of("something done in {} of {} weeks"),
    "satisfaction": _opinions,
    "price_sensitivity": _of("{} of {} orders with a discount or a code"),
}
"""Score → what was seen of each customer, in words."""


def _by_halves(
    name: str, model: leaning.Leaning | affinity.Affinity, off: str, advice: str
) -> Card:
    """The card of a score of which every second observation was laid aside."""
    noise = f"reliability {model.reliability:.2f}"
    if model.noisy:
        noise += f": mostly chance, so {advice}"
    return Card(
        name, _version(model), 0, "squared error of one half, told from the other",
        model.constant if model.judged else None, model.error if model.judged else None,
        "off" if off else "on", off or noise, 0.0,
        proof=Proof(reliability=model.reliability) if model.judged else Proof(),
    )  # fmt: skip


def _affinity(name: str) -> "_Model":
    """What a customer is drawn to most, of what its products are."""

    def say(known: Facts, _: _Ask) -> Said:
        points = known.points[name]
        model = affinity.fit(points)
        off = model.off if points.names else _UNNAMED[name]
        card = _by_halves(name, model, off, "look at what it names and not at the number")
        if off:
            return Said(card)
        ways = [one.split("/") if name == "affinity" else (one,) for one in points.names]
        found = affinity.leading(model, points, ways)
        step = np.where(found.weight >= OWN, CUSTOMER, SHOP)
        share, lines = (
            np.rint(column).astype(np.int64)
            for column in (100 * found.own, np.minimum(found.acts, _MANY))
        )
        return Said(
            card,
            found.customer,
            found.share,
            found.low,
            found.high,
            step,
            found.name,
            why=drivers.told(
                drivers.counted([share], lambda n: f"{n} % of all that it looked at and bought"),
                drivers.counted([lines], _as_lines),
                drivers.where(step == SHOP, _LITTLE),
            ),
            names=found.names,
        )

    return say


_MANY = 50


def _as_lines(number: int) -> str:
    if not number:
        return "it did less than one order line is worth"
    least = "at least " if number == _MANY else ""
    return f"it did as much as {least}{number} order {'line' if number == 1 else 'lines'}"


def _health(known: Facts, ask: _Ask) -> Said:
    """The mean of what is known of three things that each make a customer stay."""
    parts = [ask(name) for name in PARTS_OF_HEALTH]
    told = [one for one in parts if one.card.verdict == "on"]
    card = Card(
        "health", digest16(*(one.card.version for one in told)).hex()[:12], 0,
        "judged by its parts", None, None, "on" if told else "off",
        f"made of {', '.join(one.card.name for one in told)}" if told else "no part of it is told",
        0.0,
    )  # fmt: skip
    if not told:
        return Said(card)
    customer = distinct(np.concatenate([one.customer for one in told]))
    ends, number = np.zeros((3, len(customer))), np.zeros(len(customer))
    push, step = np.zeros((len(customer), len(told))), np.zeros(len(customer), np.int64)
    for column, one in enumerate(told):
        place = np.searchsorted(customer, one.customer)
        number[place] += 1
        step[place] = np.maximum(step[place], one.step)
        scales = _as_health(one)
        push[place, column] = scales[0] - scales[0].mean()
        for row, values in enumerate(scales):
            ends[row, place] += values
    value, low, high = ends / number
    better, worse = ([_HEALTHY[one.card.name][n] for one in told] for n in (0, 1))
    return Said(
        card,
        customer,
        value,
        low,
        high,
        step,
        np.searchsorted(BANDS["health"], value, "right"),
        why=drivers.pushed(push, better, worse),
    )


_HEALTHY = {
    "churn": ("likely to buy again", "likely to stay away"),
    "satisfaction": ("more content than most", "less content than most"),
    "engagement": ("does more than most", "does less than most"),
}
"""Part of health → what makes it better, and what makes it worse."""


def _as_health(part: Said) -> tuple[Numbers, Numbers, Numbers]:
    """Value and bounds on the scale of health, 0 to 1 and more is better."""
    match part.card.name:
        case "churn":
            return 1 - part.value, 1 - part.high, 1 - part.low
        case "satisfaction":
            return (part.value - 1) / 4, (part.low - 1) / 4, (part.high - 1) / 4
        case _:
            return part.value, part.low, part.high


_Model = Callable[[Facts, _Ask], Said]

_MODELS: dict[str, _Model] = {
    "churn": _churn,
    "contract_churn": _contract_churn,
    "next_order": _next_order,
    "value": _value,
    "engagement": _leaning("engagement"),
    "satisfaction": _leaning("satisfaction"),
    "price_sensitivity": _leaning("price_sensitivity"),
    "affinity": _affinity("affinity"),
    "brand_affinity": _affinity("brand_affinity"),
    "health": _health,
    "run_out": _run_out,
}


def _version(model: msgspec.Struct) -> str:
    """Twelve letters that change when any parameter does."""
    return digest16(msgspec.json.encode(model)).hex()[:12]


def _among(customer: Whole, some: Whole) -> NDArray[np.bool_]:
    """Which of the customers are in an ascending list."""
    place = np.minimum(np.searchsorted(some, customer), max(len(some) - 1, 0))
    return some[place] == customer if len(some) else np.zeros(len(customer), np.bool_)
