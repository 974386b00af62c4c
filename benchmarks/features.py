"""How fast are gaps and fifths counted for everybody, beside pandas?

The same orders in memory for both, and the same answers. pandas is measured where it can be
imported, and is no requirement here.
"""

import importlib
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from aftersale.adapters.lake.engine import DuckEngine
from aftersale.customers.tiers import WINDOW
from aftersale.features import gaps
from aftersale.kernel.instants import DAY
from aftersale.models import fifths
from benchmarks.figures import mebibytes, peak_memory, told
from benchmarks.scoring import purchases

_FIRST_DAY, _DAYS, _RUNS = 19_800, 730, 5
_UNTIL = (_FIRST_DAY + _DAYS) * DAY
_TIERS, _CATEGORIES = ("new", "loyal", "vip"), 12


def lifecycle_10m(customers: int) -> None:
    """Gap histograms by tier and category: ten million orders of a million customers."""
    orders = _orders(customers)
    engine = DuckEngine(None, memory_mb=4_000, threads=2)
    who = np.arange(1, customers + 1)
    people = pa.table(
        {
            "customer": who,
            "tier": pa.array([_TIERS[n % 3] for n in range(customers)]),
            "category": pa.array([f"c{n % _CATEGORIES}" for n in range(customers)]),
        }
    )
    expression = gaps.histogram(ibis.memtable(orders), ibis.memtable(people), _UNTIL)

    def ours() -> Any:
        found = engine.run(expression)
        return sorted(tuple(row.values()) for row in found.to_pylist())

    def theirs() -> Any:
        pandas: Any = importlib.import_module("pandas")
        frame = orders.select(["customer", "at"]).to_pandas().sort_values(["customer", "at"])
        frame = frame.merge(people.to_pandas(), on="customer")
        own = frame.groupby("customer", sort=False)["at"]
        frame["days"], after = own.diff() // DAY, own.shift(-1)
        again = frame["days"].notna()
        closed = frame[again & (frame["at"] > _UNTIL - WINDOW)]
        waiting = frame[again & after.isna()].assign(days=lambda f: (_UNTIL - f["at"]) // DAY)
        key = ["tier", "category", "days"]
        counts = pandas.DataFrame(
            {"closed": closed.groupby(key).size(), "waiting": waiting.groupby(key).size()}
        ).fillna(0)
        return sorted(
            (tier, category, int(days), int(one), int(other))
            for (tier, category, days), one, other in counts.itertuples()
        )

    _compare("lifecycle-10m", orders.num_rows, ours, theirs, target=5.0)


def rfm_10m(customers: int) -> None:
    """Recency, frequency and monetary fifths from ten million orders."""
    orders = _orders(customers)
    engine = DuckEngine(None, memory_mb=4_000, threads=2)
    table = ibis.memtable(orders)
    sums = table.group_by("customer").agg(
        orders=table.count(), last=table["at"].max(), revenue=table.amount.sum()
    )

    def ours() -> Any:
        found = engine.columns(sums)
        days = ((_UNTIL - found["last"]) // DAY).astype(np.float64)
        number = found["orders"].astype(np.float64)
        revenue = found["revenue"].astype(np.float64)
        scores = fifths.score(days, number, revenue, fifths.fit(days, number, revenue))
        order = np.argsort(found["customer"])
        return [column[order].tolist() for column in (scores.recency, scores.frequency,
                                                      scores.monetary)]  # fmt: skip

    def theirs() -> Any:
        frame = orders.to_pandas().groupby("customer").agg(
            orders=("at", "size"), last=("at", "max"), revenue=("amount", "sum")
        )  # fmt: skip
        days = (_UNTIL - frame["last"]) // DAY

        def cuts(values: Any) -> list[float]:
            ordered = values.sort_values().to_numpy()
            return [ordered[int(share * len(ordered))] for share in (0.2, 0.4, 0.6, 0.8)]

        recency = 1 + np.searchsorted(cuts(-days), -days, "right")
        return [
            recency.tolist(),
            (1 + np.searchsorted(cuts(frame["orders"]), frame["orders"], "right")).tolist(),
            (1 + np.searchsorted(cuts(frame["revenue"]), frame["revenue"], "right")).tolist(),
        ]

    _compare("rfm-10m", orders.num_rows, ours, theirs, target=1.5)


def _orders(customers: int) -> pa.Table:
    draw = np.random.default_rng(6)
    who, day = purchases(draw, customers)
    at = (_FIRST_DAY + day) * DAY + draw.integers(0, DAY, len(who))
    amount = draw.integers(500, 20_000, len(who))
    mixed = draw.permutation(len(who))
    return pa.table({"customer": who[mixed] + 1, "at": at[mixed], "amount": amount[mixed]})


def _compare(
    name: str, orders: int, ours: Callable[[], Any], theirs: Callable[[], Any], *, target: float
) -> None:
    """The median of five runs each, one after the other."""
    try:
        importlib.import_module("pandas")
    except ImportError:
        theirs = ours
    mine, others = [], []
    same = True
    for _ in range(_RUNS):
        begun = perf_counter()
        found = ours()
        mine.append(perf_counter() - begun)
        begun = perf_counter()
        same &= theirs() == found
        others.append(perf_counter() - begun)
    told(
        name,
        orders / median(mine),
        "orders/s",
        baseline=orders / median(others) if theirs is not ours else None,
        target=target,
        orders=orders,
        seconds=median(mine),
        baseline_seconds=median(others) if theirs is not ours else None,
        same=same,
        peak_mib=mebibytes(peak_memory()),
    )
