"""Are BG/NBD and its rivals of CDNOW the published ones?

Fader, Hardie and Lee 2005, table 2, to the digits of an independent fit. Times are weeks with two
decimals, as in the data of the paper. For other customers than those of the paper the goal is the
optimum that SciPy finds with the likelihood written down anew; `lifetimes`, where it is
installed, finds the same to fewer digits.

Of MBG/NBD and Pareto/NBD the parameters are those that `lifetimes` 0.11.3 finds. Its optimum of
Pareto/NBD is not quite the highest point, so there the log-likelihood must be at least as high.
"""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from aftersale.models import buying, rivals
from aftersale.models.buying import Rows
from aftersale.models.gammas import Numbers
from aftersale.models.sorting import Whole
from aftersale.models.value import Buyers, summarise
from benchmarks.judge.rows import Figure
from benchmarks.judge.shops import Absent, Shop, date_of

_REFERENCE = {
    "r": 0.24259291,
    "alpha": 4.41353156,
    "a": 0.79288615,
    "b": 2.42575343,
    "ll": -9582.425560567,
}
_RIVALS = {
    "mbgnbd": {
        "r": 0.52483773, "alpha": 6.18298848, "a": 0.89135628, "b": 1.61400003,
        "ll": -9582.132684900,
    },
    "paretonbd": {
        "r": 0.55327842, "alpha": 10.57771997, "s": 0.60625417, "beta": 11.66846811,
        "ll": -9594.973930071,
    },
}  # fmt: skip
"""Log-likelihoods are those at the parameters, by the likelihood here."""
_RIVALS_NEAR = {"mbgnbd": 1e-6, "paretonbd": 1e-4}
_OF_PAPER = (2357, 2457)
"""Customers and repeat purchase days of the paper."""
_NEAR = 1e-6
"""Of parameters a share of them, of the log-likelihood itself."""
_HUNDREDTHS = 100.0


def figures(shop: Shop | Absent) -> list[Figure]:
    """The four parameters and the log-likelihood; of CDNOW alone."""
    if shop.name != "cdnow":
        return []
    names = {what: f"bgnbd.{shop.name}.{what}" for what in _REFERENCE}
    others = [f"{name}.{shop.name}.{what}" for name, goals in _RIVALS.items() for what in goals]
    if isinstance(shop, Absent):
        return [Figure(name, skipped=shop.reason) for name in (*names.values(), *others)]
    _, known = summarise(*shop.purchases, shop.cut)
    rows = buying.distinct(known.frequency, _weeks(known.recency), _weeks(known.age))
    model = buying.fit(rows, unit=_HUNDREDTHS)
    if not model.fitted:
        why = "; ".join(buying.FLAGS[flag] for flag in model.flags)
        return [Figure(name, skipped=why) for name in (*names.values(), *others)]
    ours = {"r": model.r, "alpha": model.alpha, "a": model.a, "b": model.b}
    ours["ll"] = model.log_likelihood
    paper = (len(known.frequency), int(known.frequency.sum())) == _OF_PAPER
    peer = independent(known, ours)
    goals = _REFERENCE if paper else peer
    return [
        Figure(
            name,
            ours[what],
            peer=peer.get(what),
            goal=goals.get(what),
            reached=_same(what, ours[what], goals[what]) if goals else None,
            better="equal",
            way="BG/NBD",
            rows=len(known.frequency),
            cut=date_of(shop.cut),
            note=f"to {_NEAR:g}, " + ("as published" if paper else "other customers than published")
            if what == "ll"
            else "",
        )
        for what, name in names.items()
    ] + _of_rivals(shop, rows, paper=paper)


def _of_rivals(shop: Shop, rows: Rows, *, paper: bool) -> list[Figure]:
    """The same of the other laws of leaving; without goals for other customers."""
    found = []
    for rival, (name, goals) in zip(
        rivals.rivals(rows, unit=_HUNDREDTHS), _RIVALS.items(), strict=True
    ):
        for what, value in zip(goals, (*rival.at, rival.log_likelihood), strict=True):
            goal, near = goals[what], _RIVALS_NEAR[name]
            reached = value >= goal - _NEAR if what == "ll" else abs(value / goal - 1) <= near
            found.append(
                Figure(
                    f"{name}.{shop.name}.{what}",
                    value,
                    goal=goal if paper else None,
                    reached=reached if paper else None,
                    better="higher" if what == "ll" else "equal",
                    way=rival.name,
                    rows=round(float(rows.weight.sum())),
                    cut=date_of(shop.cut),
                    note=f"parameters to {near:g}" if what == "ll" and paper else "",
                )
            )
    return found


def _same(what: str, value: float, goal: float) -> bool:
    return abs(value - goal) <= _NEAR * (1.0 if what == "ll" else abs(goal))


def _weeks(days: Whole) -> Whole:
    """Hundredths of a week."""
    found: Whole = np.rint(np.round(days / 7, 2) * _HUNDREDTHS).astype(np.int64)
    return found


def independent(known: Buyers, start: dict[str, float]) -> dict[str, float]:
    """SciPy's optimum of the likelihood in weeks; empty without SciPy or where it finds none.

    It starts a third off, so that it has to find its own way.
    """
    try:
        special: Any = importlib.import_module("scipy.special")
        optimize: Any = importlib.import_module("scipy.optimize")
    except ImportError:
        return {}
    x = known.frequency.astype(np.float64)
    recency, age = _weeks(known.recency) / _HUNDREDTHS, _weeks(known.age) / _HUNDREDTHS
    value, slope = _likelihood(special, x, recency, age)
    names = ("r", "alpha", "a", "b")
    begin = np.log([start[name] for name in names]) + np.log(4 / 3)
    near = optimize.minimize(lambda at: -value(at), begin, jac=lambda at: -slope(at), method="BFGS")
    exact = optimize.root(slope, near.x, tol=1e-13)
    at = exact.x if np.abs(slope(exact.x)).max() < np.abs(slope(near.x)).max() else near.x
    if np.abs(slope(at)).max() > 1e-5:
        return {}
    found = dict(zip(names, np.exp(at).tolist(), strict=True))
    return found | {"ll": float(value(at))}


def _likelihood(
    special: Any, x: Numbers, recency: Numbers, age: Numbers
) -> tuple[Callable[[Numbers], float], Callable[[Numbers], Numbers]]:
    """The log-likelihood and its slope, both of the logarithms of r, alpha, a and b.

    Equation 6 of the paper: a customer is still there, or left after its latest purchase.
    """
    bought = x > 0

    def parts(at: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        r, alpha, a, b = np.exp(at)
        both = (
            special.gammaln(r + x) - special.gammaln(r) + r * at[1]
            + special.betaln(a, b + x) - special.betaln(a, b)
        )  # fmt: skip
        there = -(r + x) * np.log(alpha + age)
        left = at[2] - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + recency)
        return both, there, np.where(bought, left, -np.inf)

    def value(at: Numbers) -> float:
        both, there, left = parts(at)
        return float((both + np.logaddexp(there, left)).sum())

    def slope(at: Numbers) -> Numbers:
        r, alpha, a, b = np.exp(at)
        _, there, left = parts(at)
        gone = np.exp(left - np.logaddexp(there, left))
        digamma = special.digamma
        logs = (1 - gone) * np.log(alpha + age) + gone * np.log(alpha + recency)
        inverse = (1 - gone) / (alpha + age) + gone / (alpha + recency)
        together = digamma(a + b) - digamma(a + b + x)
        by_b = together + digamma(b + x) - digamma(b) - gone / (b + np.maximum(x, 1) - 1)
        found: Numbers = np.array([
            r * (digamma(r + x) - digamma(r) + at[1] - logs).sum(),
            alpha * (r / alpha - (r + x) * inverse).sum(),
            a * (together + gone / a).sum(),
            b * by_b.sum(),
        ])  # fmt: skip
        return found

    return value, slope
