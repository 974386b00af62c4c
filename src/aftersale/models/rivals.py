"""Would another law of leaving explain the purchases better than that of BG/NBD?

Two are tried, with the same numbers of a customer and the same law of buying. In MBG/NBD a customer
may leave after its very first purchase too (Batislam, Denizel and Filiztekin 2007, "Empirical
validation and comparison of models for customer base analysis", International Journal of Research
in Marketing 24). In Pareto/NBD it may leave at any moment, at a rate of its own that is
gamma-distributed (Schmittlein, Morrison and Colombo 1987, "Counting your customers", Management
Science 33). All three have four parameters, so their likelihoods may be compared as they are.

They are looked at, not used: the forecast stays that of BG/NBD, and the card tells where another
law fits much better. Derivatives are central differences, which the four parameters allow.
"""

from collections.abc import Callable

import msgspec
import numpy as np

from aftersale.models.ascent import Shape, climb
from aftersale.models.buying import ENOUGH_REPEATERS, Buying, Rows
from aftersale.models.gammas import Numbers, log_gamma

MUCH = 0.01
"""Share of the log-likelihood by which another law must be better to be worth a word."""
ENOUGH = 1_500
"""Distinct customers that tell it: more would tell the same, later."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_SLOPE, _BEND = 1e-5, 1e-3
"""Steps of the differences, as shares of a parameter."""

_GAIN = 1e-12
"""Share of the log-likelihood that differences can still tell."""

_STEPS = 30

Likelihood = Callable[[Numbers], float]


class Rival(msgspec.Struct, frozen=True):
    """Another law, fitted."""

    name: str
    at: tuple[float, ...]
    """MBG/NBD: r, alpha, a, b; Pareto/NBD: r, alpha, s, beta; alpha and beta in the unit."""
    log_likelihood: float
    """Of times in the unit, as that of BG/NBD."""
    converged: bool


def rivals(rows: Rows, *, unit: float = 1.0) -> tuple[Rival, ...]:
    """Both, fitted to the same customers; none where too few of them bought again.

    `unit`: days of the unit of time that is told.
    """
    if rows.weight[rows.frequency > 0].sum() < ENOUGH_REPEATERS:
        return ()
    return (
        _fitted("MBG/NBD", _modified(rows, unit), (0.5, 5.0, 0.8, 1.5)),
        _fitted("Pareto/NBD", _pareto(rows, unit), (0.5, 10.0, 0.6, 10.0)),
    )


def some(rows: Rows, number: int = ENOUGH) -> Rows:
    """So many of the distinct customers, evenly spread; all where there are fewer."""
    part = slice(None, None, max(len(rows.weight) // number, 1))
    return Rows(rows.frequency[part], rows.recency[part], rows.age[part], rows.weight[part])


def better(model: Buying, others: tuple[Rival, ...]) -> tuple[str, float] | None:
    """The law that explains the same customers much better, and by which share; None: none."""
    if not others:
        return None
    best = max(others, key=lambda rival: rival.log_likelihood)
    gain = (best.log_likelihood - model.log_likelihood) / max(abs(model.log_likelihood), 1.0)
    return (best.name, gain) if model.fitted and gain > MUCH else None


def _fitted(name: str, likelihood: Likelihood, start: tuple[float, ...]) -> Rival:
    peak = climb(lambda at: _shape(likelihood, at), np.array(start), gain=_GAIN, most=_STEPS)
    return Rival(name, peak.at, peak.log_likelihood, peak.converged)


def _shape(likelihood: Likelihood, at: Numbers) -> Shape:
    """Value and central differences."""
    size, here = len(at), likelihood(at)
    unit = np.diag(at)

    def moved(*steps: Numbers) -> float:
        return likelihood(at + np.sum(steps, axis=0))

    slope = np.array([
        (moved(_SLOPE * unit[n]) - moved(-_SLOPE * unit[n])) / (2 * _SLOPE * at[n])
        for n in range(size)
    ])  # fmt: skip
    bend = np.zeros((size, size))
    for n in range(size):
        one = _BEND * unit[n]
        bend[n, n] = (moved(one) - 2 * here + moved(-one)) / (_BEND * at[n]) ** 2
        for m in range(n):
            other = _BEND * unit[m]
            apart = moved(one, other) - moved(one, -other) - moved(-one, other)
            bend[n, m] = (apart + moved(-one, -other)) / (4 * _BEND**2 * at[n] * at[m])
            bend[m, n] = bend[n, m]
    return here, slope, bend


def _modified(rows: Rows, unit: float) -> Likelihood:
    """Of MBG/NBD, ln L: still there after x + 1 chances to leave, or left at the last one."""
    often = rows.frequency.astype(np.float64)
    last, age, weight = rows.recency / unit, rows.age / unit, rows.weight

    def likelihood(at: Numbers) -> float:
        r, alpha, a, b = at.tolist()
        start = log_gamma(r + often) - log_gamma(at[:1]) + r * np.log(alpha)
        stay = np.log((b + often) / (a + b + often)) - (r + often) * np.log(alpha + age)
        left = np.log(a / (a + b + often)) - (r + often) * np.log(alpha + last)
        survived = log_gamma(b + often) - log_gamma(at[3:]) + log_gamma(np.array([a + b]))
        survived -= log_gamma(a + b + often)
        return float(weight @ (start + survived + np.logaddexp(stay, left)))

    return likelihood


def _pareto(rows: Rows, unit: float) -> Likelihood:
    """Of Pareto/NBD, ln L: still there, or left at a moment after the last purchase.

    The second is the integral of (alpha + y)^-(r + x) s beta^s (beta + y)^-(s + 1) over that time
    y, which is where the hypergeometric functions of the paper come from; here it is summed with
    Gauss and Legendre's weights over the logarithm of y plus the lesser of alpha and beta, in which
    it is nearly an exponential.
    """
    often = rows.frequency.astype(np.float64)
    last, age, weight = rows.recency / unit, rows.age / unit, rows.weight

    def likelihood(at: Numbers) -> float:
        r, alpha, s, beta = at.tolist()
        start = log_gamma(r + often) - log_gamma(at[:1]) + r * np.log(alpha)
        power = (r + often)[:, None]
        stay = -power[:, 0] * np.log(alpha + age) - s * np.log1p(age / beta)
        shift = min(alpha, beta)
        low, high = np.log(shift + last), np.log(shift + age)
        half = (high - low) / 2
        place = (high + low)[:, None] / 2 + half[:, None] * _NODES
        moment = np.exp(place) - shift
        inner = place - power * np.log(alpha + moment) - (s + 1) * np.log(beta + moment)
        most = inner.max(1)
        area = (np.exp(inner - most[:, None]) @ _WEIGHTS) * half
        with np.errstate(divide="ignore"):
            left = np.log(s) + s * np.log(beta) + most + np.log(area)
        return float(weight @ (start + np.logaddexp(stay, left)))

    return likelihood
