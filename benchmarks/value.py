"""How fast are customers valued, and how well?

Customers are simulated by the model itself (rates gamma-distributed with shape 0.6 and rate 60
days, leaving beta-distributed with 0.8 and 2.5, first purchase 30 to 730 days ago), from a fixed
seed. The baseline is `lifetimes`, where it happens to be importable: it is no requirement here.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from pyarrow import parquet

from aftersale.models import buying, spending
from aftersale.models.gammas import Numbers
from aftersale.models.judging import judge
from aftersale.models.sorting import Whole
from aftersale.models.value import Scoring, summarise
from benchmarks.figures import Clock, mebibytes, middle, peak_memory, shared_data, skipped, told

_TRUTH = {"r": 0.6, "alpha": 60.0, "a": 0.8, "b": 2.5}
UNTIL = 730
_TENFOLD = 10
_RUNS = 3


def value_fit(people: int, folder: Path) -> None:
    """Seconds to fit BG/NBD to customers whose frequency, recency and age are known."""
    _, buyers = summarise(*purchases(people, seed=1), UNTIL)
    often, last, age = buyers.frequency, buyers.recency, buyers.age
    ours: list[Clock] = []
    for _ in range(_RUNS):
        ours.append(Clock())
        with ours[-1].running():
            rows = buying.distinct(often, last, age)
            model = buying.fit(rows)
    median = middle(ours)
    further: dict[str, Any] = {
        "customers": people,
        "distinct": len(rows.weight),
        "fitted": {"r": model.r, "alpha": model.alpha, "a": model.a, "b": model.b},
        "truth": _TRUTH,
        "flags": list(model.flags),
        "seconds": median.seconds,
        "cpu_seconds": median.cpu_seconds,
        "all_seconds": [round(clock.seconds, 3) for clock in ours],
    }
    other = _lifetimes(often, last, age)
    if other is None:
        further["no_baseline"] = "the package lifetimes cannot be imported here"
        told("value-fit-1m", people / median.seconds, "customers/s", target=10, **further)
        return
    clock, found = other
    values = (model.r, model.alpha, model.a, model.b)
    apart = max(abs(ours / theirs - 1) for ours, theirs in zip(values, found, strict=True))
    told(
        "value-fit-1m",
        people / median.seconds,
        "customers/s",
        baseline=people / clock.seconds,
        target=10,
        **further,
        baseline_seconds=clock.seconds,
        baseline_cpu_seconds=clock.cpu_seconds,
        cpu_ratio=clock.cpu_seconds / median.cpu_seconds,
        largest_relative_difference=apart,
    )


def _lifetimes(often: Whole, last: Whole, age: Whole) -> tuple[Clock, list[float]] | None:
    try:
        fitter = importlib.import_module("lifetimes").BetaGeoFitter()
    except ImportError:
        return None
    clock = Clock()
    with clock.running():
        fitter.fit(often, last, age)
    return clock, [float(fitter.params_[name]) for name in ("r", "alpha", "a", "b")]


def value_all(people: int, folder: Path) -> None:
    """Ten times as many customers: summary from purchases, both fits, everybody's value."""
    people *= _TENFOLD
    customer, day, amount = purchases(people, seed=2)
    before = peak_memory()
    summary, fits, scores = Clock(), Clock(), Clock()
    with summary.running():
        _, buyers = summarise(customer, day, amount, UNTIL)
    orders = len(customer)
    del customer, day, amount
    with fits.running():
        rows = buying.distinct(buyers.frequency, buyers.recency, buyers.age)
        model = buying.fit(rows)
        spend = spending.fit(buyers.paid_days, buyers.paid_mean)
    with scores.running():
        worth = Scoring(buyers).worth(model, spend, discount=0.1)
    seconds = summary.seconds + fits.seconds + scores.seconds
    told(
        "value-10m",
        seconds,
        "s",
        target=60,
        customers=people,
        orders=orders,
        summary_seconds=summary.seconds,
        fit_seconds=fits.seconds,
        score_seconds=scores.seconds,
        cpu_seconds=summary.cpu_seconds + fits.cpu_seconds + scores.cpu_seconds,
        peak_mib=mebibytes(peak_memory()),
        peak_of_simulation_mib=mebibytes(before),
        mean_value=float(worth.value.mean()),
        flags=[*model.flags, *spend.flags],
    )


def value_cdnow(people: int, folder: Path) -> None:
    """How well the second half of a real shop's history is forecast from the first."""
    path = shared_data() / "cdnow" / "cdnow_sample.parquet"
    if not path.exists():
        skipped("value-cdnow", f"real data is not here: {path.name} is absent")
        return
    table = parquet.read_table(path)
    day = table["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    cents = np.rint(table["dollar_value"].to_numpy() * 100)
    customer = table["sample_customer_id"].to_numpy().astype(np.int64)
    found = judge(customer, day, cents, int(np.datetime64("1998-06-30").astype(np.int64)))
    model, *others = found.purchases
    told(
        "value-cdnow",
        model.rmse,
        "purchase days, root mean squared error",
        baseline=min(guess.rmse for guess in others),
        purchases=[msgspec.to_builtins(guess) for guess in found.purchases],
        spend_cents=[msgspec.to_builtins(guess) for guess in found.spend],
        brier=found.brier,
        brier_of_base_rate=found.brier_base,
        calibration_error=found.calibration,
        within_bounds=found.within,
        customers=found.customers,
        days=found.days,
        off=found.off or found.spend_off,
    )


def purchases(
    people: int, *, seed: int, truth: Mapping[str, float] = _TRUTH
) -> tuple[Whole, Whole, Numbers]:
    """Customer, day and amount of every purchase, in a drawn order of customers' steps."""
    dice = np.random.default_rng(seed)
    rate = dice.gamma(truth["r"], 1 / truth["alpha"], people)
    leaves = dice.beta(truth["a"], truth["b"], people)
    own = 6.25 / dice.gamma(3.74, 1 / 1544.0, people)
    at = UNTIL - dice.integers(30, UNTIL, people).astype(np.float64)
    there = np.arange(people, dtype=np.int64)
    found: list[tuple[Whole, Whole, Numbers]] = []
    while there.size:
        spent = own[there] * dice.gamma(6.25, 1 / 6.25, len(there))
        found.append((there, at[there].astype(np.int64), np.rint(spent)))
        if len(found) > 1:  # nobody leaves after the first purchase
            there = there[dice.random(len(there)) >= leaves[there]]
        at[there] += dice.exponential(1 / rate[there])
        there = there[at[there] <= UNTIL]
    customer, day, amount = (np.concatenate(column) for column in zip(*found, strict=True))
    return customer, day, amount
