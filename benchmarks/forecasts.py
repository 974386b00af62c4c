"""How fast is it told when a customer buys again, and when an item runs out?

Customers are those of `benchmarks.scoring`, from a fixed seed. Beside the median regression of the
next order stands scikit-learn's on the same rows and columns, without a penalty; beside run-out
what one writes in pandas by hand, the median gap of each customer and item.
"""

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from aftersale.models import logistic, medians, next_purchase, run_out
from aftersale.models.gammas import Numbers
from aftersale.models.repeats import gaps_of
from aftersale.models.sorting import Whole
from benchmarks.figures import Clock, mebibytes, middle, peak_memory, told
from benchmarks.scoring import DAYS, purchases

_RUNS = 5
_ROWS, _COLUMNS = 20_000, 20
"""Of the regressions: the other one takes minutes for what ours learns from."""
_ITEMS = 200


def next_order(customers: int, folder: Path) -> None:
    """Seconds from purchases in order to everybody's days, what is learnt included."""
    draw = np.random.default_rng(5)
    who, day = purchases(draw, customers)
    bought = who, day, np.full(len(who), 10.0)
    learning, telling, ours = ([Clock() for _ in range(_RUNS)] for _ in range(3))
    for run in range(_RUNS):
        with learning[run].running():
            model = next_purchase.learn(bought, DAYS)
        with telling[run].running():
            days = next_purchase.tell(model, bought)
    values = draw.normal(size=(_ROWS, _COLUMNS))
    told_days = values @ draw.normal(size=_COLUMNS) / 5 + draw.gumbel(size=_ROWS)
    for clock in ours:
        with clock.running():
            shaped, line = medians.fit(values, told_days, 1.0)
    further: dict[str, Any] = {"no_baseline": "scikit-learn cannot be imported here"}
    theirs = _scikit_learn(logistic.columns(shaped, values), told_days)
    if theirs:
        clock, other = theirs
        further = {
            "regression_baseline_seconds": clock.seconds,
            "regression_ratio": clock.seconds / middle(ours).seconds,
            "regression_apart": float(np.abs(np.array(line) - other).max()),
        }
    learnt, said = middle(learning), middle(telling)
    told(
        "next-order-1m",
        learnt.seconds + said.seconds,
        "s",
        customers=len(days.customer),
        orders=len(who),
        way=model.way,
        learn_seconds=learnt.seconds,
        tell_seconds=said.seconds,
        regression_seconds=middle(ours).seconds,
        peak_mib=mebibytes(peak_memory()),
        **further,
    )


def _scikit_learn(table: Numbers, days: Numbers) -> tuple[Clock, Numbers] | None:
    try:
        linear = importlib.import_module("sklearn.linear_model")
    except ImportError:
        return None
    clock = Clock()
    with clock.running():
        found = linear.QuantileRegressor(quantile=0.5, alpha=0).fit(table, days)
    return clock, np.concatenate([[found.intercept_], found.coef_])


def run_outs(customers: int, folder: Path) -> None:
    """Seconds from lines to the days that each item lasts each customer who bought it again."""
    draw = np.random.default_rng(5)
    who, day = purchases(draw, customers)
    item = (who * 7 + draw.integers(0, 3, len(who))) % _ITEMS
    quantity = draw.integers(1, 4, len(who))
    ours = [Clock() for _ in range(_RUNS)]
    for clock in ours:
        with clock.running():
            found = run_out.forecast(gaps_of(who, item, day, quantity, DAYS))
    theirs = _pandas(who, item, day)
    again = found.gaps > 0
    told(
        "run-out-1m",
        int(again.sum()) / middle(ours).seconds,
        "pairs/s",
        baseline=int(again.sum()) / middle(theirs).seconds if theirs else None,
        customers=customers,
        lines=len(who),
        pairs=len(found.customer),
        seconds=middle(ours).seconds,
        peak_mib=mebibytes(peak_memory()),
    )


def _pandas(who: Whole, item: Whole, day: Whole) -> list[Clock]:
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        return []
    clocks = [Clock() for _ in range(_RUNS)]
    for clock in clocks:
        with clock.running():
            lines = pandas.DataFrame({"customer": who, "item": item, "day": day})
            lines = lines.drop_duplicates().sort_values(["customer", "item", "day"])
            gap = lines.groupby(["customer", "item"])["day"].diff()
            gap.groupby([lines["customer"], lines["item"]]).median().fillna(gap.median())
    return clocks
