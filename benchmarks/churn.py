"""How fast is churn learnt and told?

Ten purchases a customer, simulated by BG/NBD from a fixed seed. Beside it stands scikit-learn's
logistic regression on the same rows and columns, with the same penalty; it gets the columns
centred, scaled and without gaps, while the time of ours holds that work too.
"""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftersale.models import churn, logistic
from aftersale.models.gammas import Numbers
from aftersale.models.rhythms import rhythms
from benchmarks.figures import Clock, mebibytes, middle, peak_memory, told
from benchmarks.value import UNTIL, purchases

_TRUTH = {"r": 1.0, "alpha": 31.0, "a": 0.3, "b": 6.0}
_RUNS = 3


def churn_all(people: int, folder: Path) -> None:
    """Seconds from purchases in order to everybody's numbers, what is learnt, and chances."""
    customer, day, amount = purchases(people, seed=3, truth=_TRUTH)
    order = np.lexsort((day, customer))
    bought = (customer[order], day[order], amount[order])
    del customer, day, amount, order
    numbers, learning, scoring, regression = ([Clock() for _ in range(_RUNS)] for _ in range(4))
    cut = UNTIL - churn.HORIZON
    for run in range(_RUNS):
        with numbers[run].running():
            seen = rhythms(*bought, cut)
        with learning[run].running():
            model = churn.learn(bought, UNTIL)
        with scoring[run].running():
            scores = churn.score(model, bought)
    later = bought[0][(bought[1] > cut) & (bought[1] <= UNTIL)]
    came = np.isin(seen.customer, later)
    for clock in regression:
        with clock.running():
            ours = logistic.fit(seen.values, came)
    others = _scikit_learn(logistic.columns(ours, seen.values), came)
    each = [middle(clocks) for clocks in (numbers, learning, scoring, regression)]
    further: dict[str, Any] = {"no_baseline": "scikit-learn cannot be imported here"}
    if others:
        theirs = middle(others)
        further = {
            "regression_baseline_seconds": theirs.seconds,
            "regression_ratio": theirs.seconds / each[3].seconds,
            "regression_cpu_ratio": theirs.cpu_seconds / each[3].cpu_seconds,
        }
    told(
        "churn-1m",
        each[1].seconds + each[2].seconds,
        "s",
        target=15,
        customers=len(scores.customer),
        orders=len(bought[0]),
        way=model.way,
        learn_seconds=each[1].seconds,
        score_seconds=each[2].seconds,
        numbers_seconds=each[0].seconds,
        regression_seconds=each[3].seconds,
        cpu_seconds=each[1].cpu_seconds + each[2].cpu_seconds,
        peak_mib=mebibytes(peak_memory()),
        **further,
    )


def _scikit_learn(table: Numbers, came: NDArray[np.bool_]) -> list[Clock]:
    try:
        linear = importlib.import_module("sklearn.linear_model")
    except ImportError:
        return []
    clocks = [Clock() for _ in range(_RUNS)]
    for clock in clocks:
        with clock.running():
            linear.LogisticRegression(C=1 / logistic.PENALTY, max_iter=1_000).fit(table, came)
    return clocks
