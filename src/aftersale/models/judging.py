"""Does the forecast of purchases and spend earn its place?

The history is cut in the middle of the time that is known. What was known at the cut is fitted
and forecast, and compared with what customers did after it, beside two forecasts that need no
model: each goes on at its own past rate, and everybody buys like the shop's mean. A model that
does not come closer than both is switched off, with the reason.

Closer is measured by the squared error, for the forecasts are means and are added up: of all
forecasts the mean has the least squared error, the median the least absolute one (Gneiting 2011,
"Making and Evaluating Point Forecasts"). Most customers buy nothing, so the absolute error
favours a forecast that is too low. It is told beside.
"""

import msgspec
import numpy as np

from aftersale.models import buying, chances, spending
from aftersale.models.buying import Buying
from aftersale.models.chances import Bin
from aftersale.models.gammas import Numbers
from aftersale.models.sorting import Whole
from aftersale.models.spending import Spending
from aftersale.models.value import Buyers, Scoring, summarise

LEAST_DAYS = 60
"""Days after the cut below which nothing can be judged."""
SHORTEST_PAST = 30
"""Days of age that a customer's own rate is taken of at least."""
MOST_OFF = 2.0
"""Times that the forecast of all purchases may be too high or too low."""


class Guess(msgspec.Struct, frozen=True):
    """How one way of guessing did."""

    way: str
    """model, own (the customer's own past) or shop (the mean of all)."""
    mae: float
    """Mean absolute error a customer."""
    rmse: float
    """Root mean squared error; the model must have the least."""
    total: float
    """Everything guessed, over everything that happened; 1 is right."""


class Judgement(msgspec.Struct, frozen=True):
    """What came out. Ways in the order model, own, shop; none where nothing could be judged."""

    cut: int = 0
    """The last day that the forecast knew."""
    days: int = 0
    """Days forecast."""
    customers: int = 0
    currency: str = ""
    """Of the spend."""
    purchases: tuple[Guess, ...] = ()
    """Of the number of purchase days."""
    spend: tuple[Guess, ...] = ()
    """Of the mean spend a purchase day, of those who bought."""
    brier: float = 0.0
    """Mean squared error of the probability of a purchase, and below it that of the base rate."""
    brier_base: float = 0.0
    bins: tuple[Bin, ...] = ()
    """That probability and what happened, over tenths of customers."""
    calibration: float = 0.0
    """Their mean distance."""
    gains: tuple[float, ...] = ()
    """Share of all purchases after the cut among the first tenth by forecast, two tenths, ..."""
    within: float = 0.0
    """Share of customers whose spend lay within their bounds."""
    off: str = ""
    """Why there is no forecast of purchases; empty where it earns its place."""
    spend_off: str = ""
    """Why customers have no spend of their own, and the shop's mean is taken for all."""


def judge(customer: Whole, day: Whole, amount: Numbers, until: int) -> Judgement:
    """The judgement of purchases (as `summarise` takes them) up to the day `until`."""
    if not day.size:
        return Judgement(off="nobody bought yet", spend_off="nobody bought yet")
    cut = int((day.min() + until) // 2)
    days = until - cut
    if days < LEAST_DAYS:
        why = f"{2 * days} days of history are too short to be cut in two; {2 * LEAST_DAYS} are"
        why += " needed"
        return Judgement(cut, days, off=why, spend_off=why)
    known, buyers = summarise(customer, day, amount, cut)
    later = (day > cut) & (day <= until)
    who, after = summarise(customer[later], day[later], amount[later], until)
    place = np.searchsorted(known, who)
    mine = place < len(known)
    mine[mine] = known[place[mine]] == who[mine]
    after, place = after.some(mine), place[mine]
    bought, paid_days, paid = np.zeros(len(known)), np.zeros(len(known)), np.zeros(len(known))
    bought[place] = after.frequency + 1.0
    paid_days[place] = after.paid_days
    paid[place] = after.paid_mean * after.paid_days
    rows = buying.distinct(buyers.frequency, buyers.recency, buyers.age)
    model = buying.fit(rows)
    if not model.fitted:
        why = buying.FLAGS[model.flags[0]]
        return Judgement(cut, days, len(known), off=why, spend_off=why)
    spend = spending.fit(buyers.paid_days, buyers.paid_mean)
    return _judged(
        Judgement(cut, days, len(known)), (buyers, model, spend), bought, paid, paid_days
    )


def _judged(
    begun: Judgement,
    known: tuple[Buyers, Buying, Spending],
    bought: Numbers,
    paid: Numbers,
    paid_days: Numbers,
) -> Judgement:
    buyers, model, spend = known
    days, scoring = float(begun.days), Scoring(buyers)
    rates = buyers.frequency / np.maximum(buyers.age, SHORTEST_PAST)
    shop = buyers.frequency.sum() / max(buyers.age.sum(), 1)
    guesses = {
        "model": scoring.purchases(model, days),
        "own": rates * days,
        "shop": np.full(len(bought), shop * days),
    }
    purchases = tuple(_guess(way, guess, bought) for way, guess in guesses.items())
    chance, came = scoring.buys(model, days), bought > 0
    rate, bins = float(came.mean()), chances.bins(chance, came)
    spends, spend_off, within = _judge_spend(scoring, model, spend, days, (paid, paid_days))
    return msgspec.structs.replace(
        begun,
        purchases=purchases,
        spend=spends,
        brier=float(((chance - came) ** 2).mean()),
        brier_base=rate * (1 - rate),
        bins=bins,
        calibration=chances.calibration_error(bins)[0],
        gains=chances.gains(guesses["model"], bought),
        within=within,
        off=_off(purchases, "purchases"),
        spend_off=spend_off,
    )


def _judge_spend(
    scoring: Scoring,
    model: Buying,
    spend: Spending,
    days: float,
    after: tuple[Numbers, Numbers],
) -> tuple[tuple[Guess, ...], str, float]:
    if not spend.fitted:
        return (), spending.FLAGS[spend.flags[0]], 0.0
    buyers, (paid, paid_days) = scoring.buyers, after
    again = (paid_days > 0) & (buyers.paid_days > 0)
    if again.sum() < spending.ENOUGH_SPENDERS:
        return (), spending.FLAGS["too-few-spenders"], 0.0
    some, actual = buyers.some(again), paid[again] / paid_days[again]
    mean = float(buyers.paid_days @ buyers.paid_mean) / max(int(buyers.paid_days.sum()), 1)
    guesses = {
        "model": spending.expected_spend(spend, some.paid_days, some.paid_mean),
        "own": some.paid_mean,
        "shop": np.full(len(actual), mean),
    }
    told = tuple(_guess(way, guess, actual) for way, guess in guesses.items())
    worth = scoring.worth(model, spend, discount=0.0, days=days)
    asked = buyers.paid_days > 0
    low, high = worth.bounds()
    within = (low <= paid) & (paid <= high)
    return told, _off(told, "spend"), float(within[asked].mean())


def _guess(way: str, guess: Numbers, actual: Numbers) -> Guess:
    error = guess - actual
    total = float(guess.sum()) / max(float(actual.sum()), 1e-300)
    return Guess(way, float(np.abs(error).mean()), float(np.sqrt((error**2).mean())), total)


def _off(guesses: tuple[Guess, ...], what: str) -> str:
    model, *others = guesses
    words = {"own": "each customer's own past", "shop": "the shop's mean"}
    for other in others:
        if not model.rmse < other.rmse:
            return (
                f"{words[other.way]} forecasts {what} as well: root mean squared error "
                f"{other.rmse:.4g}, the model's {model.rmse:.4g}"
            )
    if not 1 / MOST_OFF <= model.total <= MOST_OFF:
        return f"all {what} together were forecast {model.total:.2f} times as high as they were"
    return ""
