"""Who will buy nothing for 90 days? Against the base rate, recency, a rule, BG/NBD and a forest.

The forest learns from the eight numbers that such models usually have, as of the same day. The
bar: no way that ranks customers is better by more than its own standard error, in any of the
three measures. A constant ranks nobody, and is as well calibrated as its shop is steady; its
calibration is shown and is no bar.
"""

import importlib

import numpy as np

from aftersale.models import churn
from aftersale.models.chances import Measured, measure
from aftersale.models.churn import HORIZON
from aftersale.models.gammas import Numbers
from aftersale.models.rhythms import rhythms
from benchmarks.judge.rows import Row
from benchmarks.judge.shops import Absent, Shop, shops

_EIGHT = (
    "since", "frequency", "age", "gap_mean", "gap_spread", "spend_mean", "spend_total", "count_90"
)  # fmt: skip
_BAR = "best, or within one standard error of the best"
_FOREST = "random forest of eight numbers"
_RANKS = 0.5
"""An area under the curve of this ranks nobody."""


def rows() -> list[Row]:
    """A row for each way on each shop."""
    return [row for shop in shops() for row in _of(shop)]


def _of(shop: Shop | Absent) -> list[Row]:
    if isinstance(shop, Absent):
        return [Row("churn", shop.name, "all", skipped=shop.reason)]
    chosen = churn.learn(shop.purchases, shop.cut).way
    found = list(churn.compare(shop.purchases, shop.cut).values())
    found += _forest(shop)
    ours = next((one for one in found if one.way == chosen), None)
    if ours is None:
        return [Row("churn", shop.name, "none", ours=True, bar=_BAR, reached=False)]
    reached = not _missed(ours, found)
    return [
        Row(
            "churn",
            shop.name,
            one.way,
            {
                "AUC": (one.auc, one.auc_error),
                "Brier": (one.brier, one.brier_error),
                "ECE": (one.ece, one.ece_error),
            },
            ours=one is ours,
            bar=_BAR if one is ours else "",
            reached=reached if one is ours else None,
            rows=one.rows,
        )
        for one in found
    ]


def _missed(ours: Measured, found: list[Measured]) -> list[str]:
    """The measures in which another way is better by more than its standard error."""
    missed: list[str] = []
    ranking = [one for one in found if one.auc > _RANKS]
    best = max(found, key=lambda one: one.auc)
    if ours.auc < best.auc - best.auc_error:
        missed.append("AUC")
    best = min(found, key=lambda one: one.brier)
    if ours.brier > best.brier + best.brier_error:
        missed.append("Brier")
    best = min(ranking, key=lambda one: one.ece)
    if ours.ece > best.ece + best.ece_error:
        missed.append("ECE")
    return missed


def _forest(shop: Shop) -> list[Measured]:
    """The named baseline; without scikit-learn there is none."""
    try:
        ensemble = importlib.import_module("sklearn.ensemble")
    except ImportError:
        return []
    forest = ensemble.RandomForestClassifier(500, min_samples_leaf=5, random_state=0)
    then, came = _eight(shop, shop.cut - HORIZON)
    now, later = _eight(shop, shop.cut)
    chance = forest.fit(then, came).predict_proba(now)[:, 1]
    return [measure(_FOREST, chance, later.astype(bool))]


def _eight(shop: Shop, cut: int) -> tuple[Numbers, Numbers]:
    """The eight numbers as of a day, 0 where not known, and who bought after it."""
    customer, day, _ = shop.purchases
    seen = rhythms(*shop.purchases, cut)
    later = customer[(day > cut) & (day <= cut + HORIZON)]
    values = seen.values[:, [seen.names.index(name) for name in _EIGHT]]
    return np.nan_to_num(values), np.isin(seen.customer, later).astype(np.float64)
