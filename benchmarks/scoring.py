"""How long does it take to score everybody, from the lake to stored scores?

Customers who buy each at its own rate, gamma-distributed, evenly but for chance, and leave at
random: about ten orders each over two years, one line an order of two hundred items. The lake is
written beforehand.
"""

import gc
from pathlib import Path

import numpy as np
import pyarrow as pa

from aftersale.adapters.lake.files import SCHEMAS, write_all
from aftersale.adapters.lake.folder import FolderLake
from aftersale.adapters.lake.manifest import Manifest, Part, write_manifest
from aftersale.catalogue.product import Catalogue, Product
from aftersale.kernel.instants import DAY
from aftersale.runtime.estimating import estimate
from aftersale.runtime.facts import facts
from aftersale.runtime.said import table
from benchmarks.figures import Clock, mebibytes, peak_memory, told

_ZONE = "Europe/Berlin"
_FIRST_DAY, DAYS = 19_800, 730
_ITEMS = 200
_CATALOGUE = Catalogue({
    f"p{n}": Product(f"p{n}", category=f"c{n // 50}/s{n // 10}", brand=f"b{n % 20}")
    for n in range(_ITEMS)
})  # fmt: skip
"""Twenty categories in four, and twenty brands."""
_MOST_GIBIBYTES = 6


def score_1m(customers: int, folder: Path) -> None:
    """A million customers with ten million orders."""
    _measure("score-1m", customers, folder, target=90.0)


def score_5m(customers: int, folder: Path) -> None:
    """Five times as many: at most linear."""
    _measure("score-5m", 5 * customers, folder, target=450.0)


def _measure(name: str, customers: int, folder: Path, *, target: float) -> None:
    until = (_FIRST_DAY + DAYS) * DAY
    orders = _fill(folder / name, customers)
    gc.collect()
    reading, thinking, keeping = Clock(), Clock(), Clock()
    lake = FolderLake(folder / name)
    with reading.running():
        known = facts(lake, until, _ZONE, _CATALOGUE)
    with thinking.running():
        said = estimate(known)
    with keeping.running():
        for one in said:
            lake.put_scores(one.card.name, table(one, known.items), until)
    seconds = reading.seconds + thinking.seconds + keeping.seconds
    told(
        name,
        seconds,
        "s",
        target=target,
        customers=customers,
        orders=orders,
        read_seconds=reading.seconds,
        kept_seconds=keeping.seconds,
        models={one.card.name: round(one.card.seconds, 1) for one in said},
        rows={one.card.name: one.card.rows for one in said},
        off={one.card.name: one.card.why for one in said if one.card.verdict == "off"},
        peak_mib=mebibytes(peak_memory()),
        most_mib=_MOST_GIBIBYTES * 1024,
    )


def _fill(folder: Path, customers: int) -> int:
    """Write the lake; how many orders it has."""
    draw = np.random.default_rng(5)  # a fixed seed
    parts: dict[str, list[Part]] = {name: [] for name in SCHEMAS}
    position = 0
    some = 100_000
    for begin in range(0, customers, some):
        number = min(some, customers - begin)
        who, day = purchases(draw, number)
        who += begin + 1
        rows = len(who)
        at = (_FIRST_DAY + day) * DAY + draw.integers(0, DAY, rows)
        positions = np.arange(position + 1, position + rows + 1)
        total = np.maximum(draw.gamma(3, 1_000, rows), 100).astype(np.int64)
        head = {
            "position": positions, "customer": who, "at": at, "received_at": at,
            "day": (_FIRST_DAY + day).astype(np.int32),
            "order": pa.array(positions).cast(pa.string()),
        }  # fmt: skip
        orders = {
            **head, "shop": _all("main", rows), "currency": _all("EUR", rows), "total": total,
            "discount": np.zeros(rows, np.int64), "codes": np.zeros(rows, np.int32),
            "lines": np.ones(rows, np.int32), "gift": np.zeros(rows, bool),
        }  # fmt: skip
        items = pa.array([f"p{n}" for n in range(_ITEMS)])
        lines = {
            **head, "place": np.zeros(rows, np.int32),
            "product": items.take(pa.array((who * 7 + draw.integers(0, 3, rows)) % _ITEMS)),
            "quantity": np.ones(rows, np.int64), "amount": total,
        }  # fmt: skip
        for name, columns in (("orders", orders), ("lines", lines)):
            path = f"{name}/{begin}.parquet"
            made = pa.table(columns).select(SCHEMAS[name].names).cast(SCHEMAS[name])
            _, size = write_all(folder / path, SCHEMAS[name], iter([made]))
            parts[name].append(Part(path, position, position + rows, rows, size))
        position += rows
    write_manifest(folder, Manifest(upto=position, zone=_ZONE, parts=parts))
    return position


def purchases(draw: "np.random.Generator", customers: int) -> tuple[np.ndarray, np.ndarray]:
    """Customer and day (from 0) of each order, in time's order within a customer."""
    joined = draw.integers(0, DAYS - 30, customers)
    rate = draw.gamma(0.8, 0.045, customers)
    life = draw.exponential(400, customers)
    span = np.minimum(DAYS - joined, life + 1)
    number = 1 + draw.poisson(rate * span)
    who = np.repeat(np.arange(customers), number)
    nth = np.arange(len(who)) - np.repeat(np.cumsum(number) - number, number)
    day = joined[who] + ((nth + draw.random(len(who))) / number[who] * span[who]).astype(np.int64)
    order = np.lexsort((day, who))
    return who[order], np.minimum(day[order], DAYS - 1)


def _all(word: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(rows, np.int32)), pa.array([word])
    ).cast(pa.string())
