"""How much does this customer spend on a purchase day?

Gamma-Gamma (Fader and Hardie 2013, "The Gamma-Gamma Model of Monetary Value", note 025; Colombo
and Jiang 1999). What a customer spends on a day is gamma-distributed with shape p and a rate of
its own; the rates are gamma-distributed over customers with shape q and rate v. A customer's own
mean is drawn to that of all, the more so the fewer its purchases.

It assumes that how much is spent has nothing to do with how often; `correlation` says how far
that holds.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from aftersale.models.ascent import Shape, climb
from aftersale.models.gammas import Numbers, digamma, log_gamma, trigamma
from aftersale.models.sorting import Whole

ENOUGH_SPENDERS = 30
"""Customers with spending of their own, below which nothing is fitted."""

FLAGS = {
    "too-few-spenders": f"fewer than {ENOUGH_SPENDERS} customers bought again in this currency",
    "one-amount": "all customers seem to spend the same",
    "no-mean": "the spending of customers is so uneven that it has no mean",
    "at-the-edge": "a parameter ran to the edge of its range",
    "not-converged": "the fit did not settle",
    "no-errors": "the data do not tell the parameters apart, so their errors are not known",
}
"""What can be wrong with a fit; of the first and third there is no expected spend."""

_LEAST_SHAPE = 2.1
"""Of a customer's rate, where its spread is asked for: below 2 there is none."""

_MOST_ALIKE = 1e6
_NOTHING = 1e-3
"""Minor units up to which a mean spend is none."""


class Spending(msgspec.Struct, frozen=True):
    """A fitted Gamma-Gamma; without parameters (`p` is 0) where there was too little to fit."""

    p: float = 0.0
    q: float = 0.0
    v: float = 0.0
    log_likelihood: float = 0.0
    covariance: tuple[tuple[float, ...], ...] = ()
    """Of the logarithms of p, q and v, from the observed information; may be empty."""
    flags: tuple[str, ...] = ()
    spenders: int = 0
    correlation: float = 0.0
    """Between a customer's number of purchases and their mean (Pearson)."""
    steps: int = 0

    @property
    def fitted(self) -> bool:
        """Whether there is an expected spend."""
        return self.q > 1

    @property
    def mean(self) -> float:
        """The expected spend of a customer of whom nothing is known: p v / (q - 1)."""
        return self.p * self.v / (self.q - 1) if self.fitted else 0.0

    def moved(self, logs: Sequence[float]) -> "Spending":
        """The same model with the logarithms of its parameters moved, for the delta method."""
        p, q, v = (
            value * math.exp(by) for value, by in zip((self.p, self.q, self.v), logs, strict=True)
        )
        return msgspec.structs.replace(self, p=p, q=q, v=v)


def fit(count: Whole, mean: Numbers) -> Spending:
    """The model of greatest likelihood of customers with `count` days of that mean spend.

    Customers without a count, or who spent nothing, tell nothing and are left out.
    """
    telling = (count > 0) & (mean > _NOTHING)
    count, mean = count[telling], mean[telling]
    if len(count) < ENOUGH_SPENDERS:
        return Spending(flags=("too-few-spenders",), spenders=len(count))
    scale = float(mean.mean())
    peak = climb(_Likelihood(count, mean / scale).shape, np.array([1.0, 2.0, 1.0]))
    p, q, v = peak.at
    told = {
        "one-amount": peak.high[1] or peak.high[2],
        "no-mean": q <= 1,
        "at-the-edge": any(peak.low) or peak.high[0],
        "not-converged": not peak.converged,
        "no-errors": not peak.covariance,
    }
    spread = count.std() * mean.std()
    tied = float(((count - count.mean()) * (mean - mean.mean())).mean())
    return Spending(
        p=p,
        q=q,
        v=v * scale,
        log_likelihood=peak.log_likelihood - len(count) * math.log(scale),
        covariance=peak.covariance,
        flags=tuple(flag for flag, holds in told.items() if holds),
        spenders=len(count),
        correlation=tied / float(spread) if spread > 0 else 0.0,
        steps=peak.steps,
    )


def either(count: Whole, mean: Numbers, flat_for: str) -> tuple[Spending, str]:
    """The model of these customers, and why it is that of customers who are all alike.

    `flat_for` is such a reason that is known already; empty where there is none.
    """
    found = fit(count, mean)
    why = flat_for or ("" if found.fitted else FLAGS[found.flags[0]])
    return (flat(count, mean) if why else found), why


def flat(count: Whole, mean: Numbers) -> Spending:
    """The model of customers who are all alike: everybody is expected to spend the shop's mean.

    A Gamma-Gamma whose rates do not differ (q at 1e9), with mean and variance of a purchase day
    by the method of moments; without parameters where nobody spent anything.
    """
    telling = (count > 0) & (mean > _NOTHING)
    count, mean = count[telling], mean[telling]
    days = int(count.sum())
    if not days:
        return Spending(flags=("too-few-spenders",))
    level = float(count @ mean) / days
    variance = float(count @ (mean - level) ** 2) / len(count)
    p = min(level**2 / variance, _MOST_ALIKE) if variance > 0 else _MOST_ALIKE
    of_v = 1 / (p * days)
    covariance = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, of_v))
    q = 1e9
    return Spending(p, q, level * (q - 1) / p, covariance=covariance, spenders=len(count))


class _Likelihood:
    """The log-likelihood of the note's equation 1a; gamma functions once a distinct count."""

    def __init__(self, count: Whole, mean: Numbers) -> None:
        self._counts, self._which, ties = np.unique(count, return_inverse=True, return_counts=True)
        self._ties = ties.astype(np.float64)
        self._count, self._total = count.astype(np.float64), count * mean
        self._logs = np.log(self._total)
        self._fixed = -float(np.log(mean).sum())
        self._by_logs = float(self._count @ self._logs)

    def shape(self, at: Numbers) -> Shape:
        p, q, v = at.tolist()
        x, ties, n = self._counts, self._ties, len(self._count)
        both, own, alone = p * x + q, p * x, np.array([q])
        above = v + self._total
        log_above, inverse = np.log(above), 1 / above
        log_v, times = math.log(v), self._count @ log_above
        value = ties @ (log_gamma(both) - log_gamma(own)) - n * log_gamma(alone)[0]
        value += n * q * log_v + p * self._by_logs + self._fixed
        value -= p * times + q * log_above.sum()
        first, second = digamma(both), trigamma(both)
        slope = np.array(
            [
                (ties * x) @ (first - digamma(own)) + self._by_logs - times,
                ties @ first - n * digamma(alone)[0] + n * log_v - log_above.sum(),
                n * q / v - p * (self._count @ inverse) - q * inverse.sum(),
            ]
        )
        pp = (ties * x * x) @ (second - trigamma(own))
        pq = (ties * x) @ second
        qq = ties @ second - n * trigamma(alone)[0]
        pv = -(self._count @ inverse)
        qv = n / v - inverse.sum()
        vv = (p * self._count + q) @ inverse**2 - n * q / v**2
        return float(value), slope, np.array([[pp, pq, pv], [pq, qq, qv], [pv, qv, vv]])


def expected_spend(model: Spending, count: Whole, mean: Numbers) -> Numbers:
    """Expected spend a purchase day (the note's equation 5): p (v + x m) / (p x + q - 1)."""
    found: Numbers = model.p * (model.v + count * mean) / (model.p * count + model.q - 1)
    return found


def spread(model: Spending, count: Whole, mean: Numbers) -> tuple[Numbers, Numbers]:
    """Expected square of the customer's own mean spend, and expected variance around it.

    The customer's rate is gamma-distributed with p x + q and v + x m (the note's equation 4), so
    with s = p x + q the mean of 1 / rate^2 is (v + x m)^2 / ((s - 1)(s - 2)). Where s is below
    2.1 that is infinite or nearly so, and 2.1 is taken.
    """
    shape = np.maximum(model.p * count + model.q, _LEAST_SHAPE)
    inverse = (model.v + count * mean) ** 2 / ((shape - 1) * (shape - 2))
    return model.p**2 * inverse, model.p * inverse
