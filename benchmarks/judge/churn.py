"""Who will buy nothing for 90 days? Against recency, a rule, BG/NBD and a forest.

The forest learns from the eight numbers that such models usually have, as of 90 days before. The
goal: the best of the others less its standard error. The base rate is a simple way too, but a
constant ranks nobody and is as well calibrated as its shop is steady; its calibration is shown
and is no bar.
"""

import importlib

import numpy as np

from aftersale.models import churn
from aftersale.models.chances import Measured, measure
from aftersale.models.churn import HORIZON
from aftersale.models.gammas import Numbers
from aftersale.models.rhythms import rhythms
from benchmarks.judge.rows import Figure, best, reaches
from benchmarks.judge.shops import Absent, Shop, date_of

_EIGHT = (
    "since", "frequency", "age", "gap_mean", "gap_spread", "spend_mean", "spend_total", "count_90"
)  # fmt: skip
_FOREST = "forest"
_PEERS = ("closed-form", _FOREST)
_CONSTANT = "base-rate"
_MEASURES = {"auc": "higher", "brier": "lower", "ece": "lower"}


def figures(shop: Shop | Absent) -> list[Figure]:
    """Area under the curve, Brier score and calibration error of one shop."""
    names = {measured: f"churn.{shop.name}.{measured}" for measured in _MEASURES}
    if isinstance(shop, Absent):
        return [Figure(name, skipped=shop.reason) for name in names.values()]
    model = churn.learn(shop.purchases, shop.cut)
    ways = churn.compare(shop.purchases, shop.cut)
    if model.way not in ways:
        why = "; ".join(churn.FLAGS[flag] for flag in model.flags)
        return [Figure(name, skipped=why) for name in names.values()]
    ways |= _forest(shop)
    return [_figure(name, measured, model.way, ways, shop) for measured, name in names.items()]


def _figure(name: str, measured: str, way: str, ways: dict[str, Measured], shop: Shop) -> Figure:
    better = _MEASURES[measured]
    told = {one: _of(measured, ways[one]) for one in ways}
    rivals = [one for one in told if one != way and not (one == _CONSTANT and measured == "ece")]
    strongest = rivals[0]
    for one in rivals[1:]:
        if told[one][0] != told[strongest][0] and reaches(told[one][0], told[strongest][0], better):
            strongest = one
    at, error = told[strongest]
    goal = at - error if better == "higher" else at + error
    ours, our_error = told[way]
    return Figure(
        name,
        ours,
        best({one: told[one][0] for one in rivals if one not in (*_PEERS, "learned")}, better),
        best({one: told[one][0] for one in _PEERS if one in told}, better),
        goal,
        reaches(ours, goal, better),
        better,
        way,
        our_error,
        ways[way].rows,
        date_of(shop.cut),
        {one: value for one, (value, _) in told.items() if one != way},
    )


def _of(measured: str, one: Measured) -> tuple[float, float]:
    return {
        "auc": (one.auc, one.auc_error),
        "brier": (one.brier, one.brier_error),
        "ece": (one.ece, one.ece_error),
    }[measured]


def _forest(shop: Shop) -> dict[str, Measured]:
    """The named peer; without scikit-learn, or without a horizon to learn from, there is none."""
    try:
        ensemble = importlib.import_module("sklearn.ensemble")
    except ImportError:
        return {}
    then, came = _eight(shop, shop.cut - HORIZON)
    if len(np.unique(came)) < 2:
        return {}
    forest = ensemble.RandomForestClassifier(500, min_samples_leaf=5, random_state=0)
    now, later = _eight(shop, shop.cut)
    chance = forest.fit(then, came).predict_proba(now)[:, 1]
    return {_FOREST: measure(_FOREST, chance, later.astype(bool))}


def _eight(shop: Shop, cut: int) -> tuple[Numbers, Numbers]:
    """The eight numbers as of a day, 0 where not known, and who bought after it."""
    customer, day, _ = shop.purchases
    seen = rhythms(*shop.purchases, cut)
    later = customer[(day > cut) & (day <= cut + HORIZON)]
    values = seen.values[:, [seen.names.index(name) for name in _EIGHT]]
    return np.nan_to_num(values), np.isin(seen.customer, later).astype(np.float64)
