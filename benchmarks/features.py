"""How fast are gaps and fifths counted for everybody, beside pandas?

The same orders in memory for both, and the same answers. pandas is measured where it can be
imported, and is no requirement here.
"""

import importlib
from collections import Counter
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from aftersale.adapters.lake.engine import DuckEngine
from aftersale.customers.tiers import WINDOW
from aftersale.kernel.instants import DAY
from aftersale.models import fifths, waiting
from aftersale.models.lifecycle import Gaps, survivor_quantile
from aftersale.runtime.calibrating import segments_of
from benchmarks.figures import mebibytes, peak_memory, told
from benchmarks.scoring import purchases

_FIRST_DAY, _DAYS, _RUNS = 19_800, 730, 5
_UNTIL = (_FIRST_DAY + _DAYS) * DAY
_TIERS, _CATEGORIES = ("new", "loyal", "vip"), 12


def lifecycle_10m(customers: int) -> None:
    """P50 and P90 of the gaps by tier and category: ten million orders of a million customers.

    Orders in memory and the segment of each customer to quantiles with open gaps counted. The
    baseline is pandas as one writes it; pandas written with care (one sort for all, numbers for
    names, and only gaps joined) stands beside it.
    """
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
    bought = ibis.memtable(orders).select("customer", "at")

    def ours() -> Any:
        told = engine.columns(bought)
        found = Gaps()
        segments = segments_of(people)
        found.take(waiting.count(told["customer"], told["at"], segments, until=_UNTIL).rows())
        return _rhythms(found.closed, found.open)

    def theirs() -> Any:
        frame = orders.select(["customer", "at"]).to_pandas().sort_values(["customer", "at"])
        frame = frame.merge(people.to_pandas(), on="customer")
        own = frame.groupby("customer", sort=False)["at"]
        frame["days"], after = own.diff() // DAY, own.shift(-1)
        again = frame["days"].notna()
        closed = frame[again & (frame["at"] > _UNTIL - WINDOW)]
        waiting = frame[again & after.isna()].assign(days=lambda f: (_UNTIL - f["at"]) // DAY)
        key = ["tier", "category", "days"]
        return _rhythms(*(_counted(one.groupby(key).size()) for one in (closed, waiting)))

    def carefully() -> Any:
        pandas: Any = importlib.import_module("pandas")
        code = np.zeros(customers + 1, np.int64)
        names, code[1:] = np.unique(
            np.array([f"{_TIERS[n % 3]}/c{n % _CATEGORIES}" for n in range(customers)]),
            return_inverse=True,
        )
        frame = pandas.DataFrame({name: orders[name].to_numpy() for name in ("customer", "at")})
        frame = frame.sort_values(["customer", "at"], ignore_index=True)
        customer, at = frame["customer"].to_numpy(), frame["at"].to_numpy()
        again = np.append(False, customer[1:] == customer[:-1])
        last = np.append(customer[1:] != customer[:-1], True)
        closed = again & (at > _UNTIL - WINDOW)
        days = np.diff(at, prepend=at[0]) // DAY
        told = []
        for chosen, values in ((closed, days), (again & last, (_UNTIL - at) // DAY)):
            some = pandas.DataFrame({"key": code[customer[chosen]], "days": values[chosen]})
            sizes = some.groupby(["key", "days"]).size()
            told.append({(*names[k].split("/"), d): n for (k, d), n in sizes.items()})
        return _rhythms(*(_counted(one) for one in told))

    _compare("lifecycle-10m", orders.num_rows, ours, theirs, target=5.0, careful=carefully)


def _counted(sizes: Any) -> dict[str, Counter[int]]:
    found: dict[str, Counter[int]] = {}
    for (tier, category, days), number in sizes.items():
        found.setdefault(f"{tier}/{category}", Counter())[int(days)] = int(number)
    return found


def _rhythms(closed: dict[str, Counter[int]], waiting: dict[str, Counter[int]]) -> Any:
    """Segment, gaps, P50 and P90, by segment."""
    return sorted(
        (
            name,
            sum(counts.values()),
            survivor_quantile(counts, waiting.get(name, {}), 0.5),
            survivor_quantile(counts, waiting.get(name, {}), 0.9),
        )
        for name, counts in closed.items()
        if all(name.split("/"))
    )


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
    name: str,
    orders: int,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    *,
    target: float,
    careful: Callable[[], Any] | None = None,
) -> None:
    """The median of five runs each, one after the other."""
    try:
        importlib.import_module("pandas")
    except ImportError:
        theirs = ours
    mine, others, carefuls = [], [], []
    same = True
    for _ in range(_RUNS):
        begun = perf_counter()
        found = ours()
        mine.append(perf_counter() - begun)
        begun = perf_counter()
        same &= theirs() == found
        others.append(perf_counter() - begun)
        if careful is not None and theirs is not ours:
            begun = perf_counter()
            same &= careful() == found
            carefuls.append(perf_counter() - begun)
    told(
        name,
        orders / median(mine),
        "orders/s",
        baseline=orders / median(others) if theirs is not ours else None,
        target=target,
        orders=orders,
        seconds=median(mine),
        baseline_seconds=median(others) if theirs is not ours else None,
        careful_seconds=median(carefuls) if carefuls else None,
        careful_ratio=median(carefuls) / median(mine) if carefuls else None,
        same=same,
        peak_mib=mebibytes(peak_memory()),
    )
