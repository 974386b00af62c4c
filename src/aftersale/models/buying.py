"""How often will this customer buy again, and is it still there?

BG/NBD (Fader, Hardie and Lee 2005, "Counting Your Customers the Easy Way", Marketing Science
24(2)). While a customer is there it buys at a rate of its own, gamma-distributed over customers
with shape r and rate alpha; after each repeat purchase it leaves with a probability of its own,
beta-distributed with a and b. Of a customer only three numbers matter: how many repeat purchase
days (frequency), how many days from the first purchase to the last (recency), and to today (age).

Frequency is a whole number, so every quotient of gamma functions is a product and no special
function is needed. Expected purchases are summed from their distribution (`ahead`), which is the
paper's equation 10 without its hypergeometric function: every term is above 0, and nothing is
singular at a = 1.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from aftersale.models.ascent import Shape, climb
from aftersale.models.gammas import Numbers
from aftersale.models.sorting import Whole, places, tally

ENOUGH_REPEATERS = 30
"""Customers who bought again, below which nothing is fitted."""

FLAGS = {
    "too-few-buyers": f"fewer than {ENOUGH_REPEATERS} customers bought again",
    "no-dropout": "nobody seems to leave: the purchases look like those of customers who stay",
    "one-rate": "all customers seem to buy at the same rate",
    "one-dropout": "all customers seem to leave with the same probability",
    "at-the-edge": "a parameter ran to the edge of its range",
    "not-converged": "the fit did not settle",
    "no-errors": "the data do not tell the parameters apart, so their errors are not known",
}
"""What can be wrong with a fit. None of them is an error: the result stands, with its flag."""

_CHUNK = 1 << 13
"""Rows taken at once: they stay in the processor's cache, and products of so few are not spread
over threads, which would cost more than it gains."""
_TRIAL = 20_000
"""Rows from which the starting point of a large fit is found."""
_PAIRS = 1 << 12
_SMALLEST_TAIL = 1e-13
_MOST_TERMS = 50_000


class Rows(msgspec.Struct, frozen=True):
    """Distinct customers, and how many there are of each; times in whole days."""

    frequency: Whole
    recency: Whole
    age: Whole
    weight: Numbers


class Buying(msgspec.Struct, frozen=True):
    """A fitted BG/NBD; without parameters (`r` is 0) where there was too little to fit."""

    r: float = 0.0
    alpha: float = 0.0
    a: float = 0.0
    b: float = 0.0
    unit: float = 1.0
    """Days of the unit of time that `alpha` is in."""
    log_likelihood: float = 0.0
    """As in the paper, of times in `unit`."""
    covariance: tuple[tuple[float, ...], ...] = ()
    """Of the logarithms of r, alpha, a and b, from the observed information; may be empty."""
    flags: tuple[str, ...] = ()
    customers: int = 0
    repeaters: int = 0
    steps: int = 0

    @property
    def fitted(self) -> bool:
        """Whether there are parameters."""
        return self.r > 0

    @property
    def errors(self) -> tuple[float, ...]:
        """Standard errors of r, alpha, a and b; 0 for one at an edge, empty where unknown."""
        values = (self.r, self.alpha, self.a, self.b)
        return tuple(
            value * math.sqrt(self.covariance[n][n])
            for n, value in enumerate(values)
            if self.covariance
        )

    def moved(self, logs: Sequence[float]) -> "Buying":
        """The same model with the logarithms of its parameters moved, for the delta method."""
        r, alpha, a, b = (
            value * math.exp(by)
            for value, by in zip((self.r, self.alpha, self.a, self.b), logs, strict=True)
        )
        return msgspec.structs.replace(self, r=r, alpha=alpha, a=a, b=b)


def distinct(frequency: Whole, recency: Whole, age: Whole) -> Rows:
    """The distinct customers with their numbers."""
    span = int(age.max(initial=0)) + 1
    code = (frequency.astype(np.int64) * span + age) * span + recency
    codes, counts = tally(code)
    return _rows(codes, counts, span)


def collapse(frequency: Whole, recency: Whole, age: Whole) -> tuple[Rows, Whole]:
    """The distinct customers, and for each customer which of them it is."""
    span = int(age.max(initial=0)) + 1
    code = (frequency.astype(np.int64) * span + age) * span + recency
    codes, counts = tally(code)
    return _rows(codes, counts, span), places(code, codes)


def _rows(codes: Whole, counts: Whole, span: int) -> Rows:
    rest, recency = np.divmod(codes, span)
    frequency, age = np.divmod(rest, span)
    return Rows(frequency, recency, age, counts.astype(np.float64))


def fit(rows: Rows, *, unit: float = 1.0) -> Buying:
    """The model of greatest likelihood; never an exception, see FLAGS."""
    weight, frequency = rows.weight, rows.frequency
    customers, repeaters = round(weight.sum()), round(weight[frequency > 0].sum())
    if repeaters < ENOUGH_REPEATERS:
        return Buying(flags=("too-few-buyers",), customers=customers, repeaters=repeaters)
    scale = max(float(rows.age.max()), 1.0)
    start = np.array([1.0, 0.5, 1.0, 2.0])
    if len(weight) > 2 * _TRIAL:
        part = slice(None, None, len(weight) // _TRIAL)
        some = Rows(frequency[part], rows.recency[part], rows.age[part], weight[part])
        start = np.array(climb(Likelihood(some, scale).shape, start).at)
    peak = climb(Likelihood(rows, scale).shape, start)
    r, alpha, a, b = peak.at
    (r_high, alpha_high, a_high, b_high), (*_, a_low, _b) = peak.high, peak.low
    told = {
        "no-dropout": a_low or a / (a + b) < 1e-3,
        "one-rate": r_high or alpha_high,
        "one-dropout": a_high or (b_high and not a_low),
        "at-the-edge": any(peak.low[:2]) or peak.low[3],
        "not-converged": not peak.converged,
        "no-errors": not peak.covariance,
    }
    purchases = float(weight @ frequency)
    return Buying(
        r=r,
        alpha=alpha * scale / unit,
        a=a,
        b=b,
        unit=unit,
        log_likelihood=peak.log_likelihood - purchases * math.log(scale / unit),
        covariance=peak.covariance,
        flags=tuple(flag for flag, holds in told.items() if holds),
        customers=customers,
        repeaters=repeaters,
        steps=peak.steps,
    )


class Likelihood:
    """The log-likelihood of rows (the paper's equation 6), with what no parameter changes."""

    def __init__(self, rows: Rows, scale: float) -> None:
        weight, frequency, age = rows.weight, rows.frequency, rows.age
        again = frequency > 0
        self._scale = scale
        self._times = int(age.max()) + 1
        self._of_age = np.bincount(age, weight)
        """By age: customers, and below their repeat purchases."""
        self._bought = np.bincount(age, weight * frequency)
        by_frequency = np.bincount(frequency, weight)
        self._beyond = by_frequency[::-1].cumsum()[::-1][1:]
        """By j: customers with more than j repeat purchases."""
        self._rows = (frequency[again], rows.recency[again], age[again], weight[again])

    def shape(self, at: Numbers) -> Shape:
        """Value, gradient and second derivatives in (r, alpha, a, b), alpha in units of scale."""
        r, alpha = at[:2].tolist()
        slope, bend = np.zeros(4), np.zeros((4, 4))
        times = alpha + np.arange(self._times) / self._scale
        logs, inverses = np.log(times), 1 / times
        value = self._products(at, slope, bend)
        # What a customer that never left contributes: -(r + x) ln(alpha + T), summed by age.
        there, total = r * self._of_age + self._bought, self._of_age.sum()
        value += total * r * math.log(alpha) - there @ logs[: len(there)]
        of_age, inverse = self._of_age, inverses[: len(there)]
        slope[0] += total * math.log(alpha) - of_age @ logs[: len(there)]
        slope[1] += total * r / alpha - there @ inverse
        bend[1, 1] += there @ inverse**2 - total * r / alpha**2
        bend[0, 1] += total / alpha - of_age @ inverse
        value += self._left(at, (logs, inverses), slope, bend)
        bend[np.tril_indices(4, -1)] = bend.T[np.tril_indices(4, -1)]
        return float(value), slope, bend

    def _products(self, at: Numbers, slope: Numbers, bend: Numbers) -> float:
        """The quotients of gamma functions in r, b and a + b, as products over purchases."""
        r, _, a, b = at.tolist()
        beyond, j = self._beyond, np.arange(len(self._beyond))
        by_r, by_b, by_both = 1 / (r + j), 1 / (b + j), 1 / (a + b + j)
        slope[0] += beyond @ by_r
        slope[2] -= beyond @ by_both
        slope[3] += beyond @ (by_b - by_both)
        bend[0, 0] -= beyond @ by_r**2
        bend[2, 2] += beyond @ by_both**2
        bend[2, 3] += beyond @ by_both**2
        bend[3, 3] += beyond @ (by_both**2 - by_b**2)
        return float(beyond @ (np.log((r + j) * ((b + j) * by_both))))

    def _left(
        self, at: Numbers, tables: tuple[Numbers, Numbers], slope: Numbers, bend: Numbers
    ) -> float:
        """ln(1 + odds that it left after its last purchase), of those who bought again."""
        r, _, a, b = at.tolist()
        logs, inverses = tables
        by_frequency = b + np.arange(len(self._beyond))  # of 1, 2, ... repeat purchases
        log_away, value = math.log(a) - np.log(by_frequency), 0.0
        for begin in range(0, len(self._rows[0]), _CHUNK):
            part = slice(begin, begin + _CHUNK)
            often, last, old, weight = (column[part] for column in self._rows)
            inverse = inverses[old] - inverses[last]
            sums = inverses[old] + inverses[last]
            away = 1 / (b + often - 1)
            first = np.empty((4, len(often)))  # first derivatives of the odds' logarithm
            first[0] = logs[old] - logs[last]
            first[1] = (r + often) * inverse
            first[2] = 1 / a
            first[3] = -away
            odds = log_away[often - 1] + (r + often) * first[0]
            small = np.exp(-np.abs(odds))
            value += float(weight @ (np.maximum(odds, 0) + np.log(1 + small)))
            gone = np.where(odds > 0, 1.0, small) / (1 + small)
            weighed = weight * gone
            slope += first @ weighed
            bend += (first * (weighed * (1 - gone))) @ first.T
            bend[0, 1] += weighed @ inverse
            bend[1, 1] -= weighed @ (first[1] * sums)
            bend[2, 2] -= weighed.sum() / a**2
            bend[3, 3] += weighed @ away**2
        return value


def p_alive(model: Buying, frequency: Whole, recency: Whole, age: Whole) -> Numbers:
    """The probability that the customer has not left (Fader, Hardie and Lee 2008, note 021).

    Times in days. Exactly 1 for a customer who never bought again: the model lets nobody leave
    before the second purchase, so this is no score of who will come back.
    """
    started = model.alpha * model.unit
    often = model.r + frequency
    away = model.a / np.maximum(model.b + frequency - 1, 1e-300)
    with np.errstate(over="ignore"):
        odds = away * np.exp(often * np.log((started + age) / (started + recency)))
    found: Numbers = np.where(frequency > 0, 1 / (1 + odds), 1.0)
    return found


def p_buys(model: Buying, frequency: Whole, age: Whole, days: float) -> Numbers:
    """The probability that a customer who is still there buys within so many days.

    Its rate is gamma-distributed with r + x and alpha + T (the paper's appendix), and it cannot
    leave before it buys: 1 - ((alpha + T) / (alpha + T + t)) ** (r + x). Times P(alive) for one
    of whom it is not known.
    """
    until = model.alpha * model.unit + age
    found: Numbers = -np.expm1((model.r + frequency) * -np.log1p(days / until))
    return found


def ahead(
    model: Buying, frequency: Whole, age: Whole, days: Sequence[float]
) -> tuple[Numbers, Numbers]:
    """Mean and mean square of the purchases within each of `days`, of customers still there.

    Arrays of (horizons, customers); the mean times P(alive) is the paper's equation 10. Were
    there no leaving, the purchases N would be negative binomial with r + x and
    z = t / (alpha + T + t). The purchase after k others happens if N > k and the customer left
    after none of those k, which are independent: P(X > k) = P(N > k) (b+x)_k / (a+b+x)_k, with
    rising factorials. The mean is the sum of this over k, the mean square that of (2k + 1) times.
    """
    horizons = np.asarray(days, dtype=np.float64)[:, None]
    until = model.alpha * model.unit + age
    share = (horizons / (until + horizons)).ravel()
    often = np.tile(frequency.astype(np.float64), len(days))
    # Neighbours need about as many terms as each other.
    order = np.argsort((model.r + often) * share / (1 - share), kind="stable")
    mean, square = np.zeros_like(share), np.zeros_like(share)
    for begin in range(0, len(order), _PAIRS):
        some = order[begin : begin + _PAIRS]
        mean[some], square[some] = _moments(model, often[some], share[some])
    shape = (len(days), len(frequency))
    return mean.reshape(shape), square.reshape(shape)


def _moments(model: Buying, often: Numbers, share: Numbers) -> tuple[Numbers, Numbers]:
    shape = model.r + often
    logarithm = shape * np.log1p(-share)  # of P(N = k); the probability itself may underflow
    more, stays = -np.expm1(logarithm), np.ones_like(share)
    mean, square = more.copy(), more.copy()
    for k in range(1, _MOST_TERMS):
        logarithm = logarithm + np.log((shape + k - 1) / k * share)
        more = np.maximum(more - np.exp(logarithm), 0.0)
        stays = stays * ((model.b + often + k - 1) / (model.a + model.b + often + k - 1))
        term = more * stays
        mean += term
        square += (2 * k + 1) * term
        if float(more.max()) < _SMALLEST_TAIL:
            break
    return mean, square
