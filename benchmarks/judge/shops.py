"""Which pasts are judged, and at which day are they cut?

The files lie in a folder of real data and are read from there, whatever customers and days they
hold. Orders of the gift shop are read by the importer itself with its mapping, so that
cancellations and guests are what they are for a merchant: an invoice of returns is no order, and
an order without a customer belongs to nobody. Without any of the files the simulated shop is
judged.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from pyarrow import ArrowException, parquet

from aftersale.adapters.sources.mapping import read_mapping
from aftersale.adapters.sources.tables import OrderSource
from aftersale.events.event import Event
from aftersale.events.vocabulary import OrderCompleted
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY
from aftersale.ledger.importing import Admitted, Batch, ImportReport
from aftersale.models.churn import HORIZON, LEAST_PAST, Purchases
from aftersale.models.gammas import Numbers
from aftersale.models.sorting import Whole
from aftersale.runtime.importing import run_import
from aftersale.testing.shop.people import person
from aftersale.testing.shop.purchases import life

_MAPPINGS = Path(__file__).parents[2] / "examples" / "mappings"
GIFT_SHOP = Path("uci_online_retail", "online_retail.parquet")
CDNOW = Path("cdnow", "cdnow_sample.parquet")
_CUSTOMER = ("sample_customer_id", "master_customer_id", "customer_id")
"""Columns of CDNOW that tell customers apart; the first that is there and full is taken."""
SIMULATED = 3000
"""Customers of the simulated shop, over two years."""
_SEED = 20

Lines = tuple[Whole, Whole, Whole, Whole]
"""Customer, item, day and quantity of every line that was bought."""


class Shop(msgspec.Struct, frozen=True):
    """A past: what was bought, and the last day that a model may know."""

    name: str
    purchases: Purchases
    cut: int
    lines: Lines | None = None
    supply: Numbers | None = None
    """Days that one unit of item n lasts, by the catalogue; 0 where it does not say."""


class Absent(msgspec.Struct, frozen=True):
    """A shop that cannot be judged, and why."""

    name: str
    reason: str
    has_items: bool = False


def shops(folder: Path) -> list[Shop | Absent]:
    """The gift shop, cut 90 days before the end of the part that is here, and CDNOW, cut as in
    the literature; where a shop's days are others, 90 days before its own end.
    """
    return [
        _shop("retail", folder / GIFT_SHOP, "2011-06-11", _gift_shop),
        _shop("cdnow", folder / CDNOW, "1997-09-30", _cdnow),
    ]


def any_here(folder: Path) -> bool:
    """Whether the folder holds any of the files."""
    return any((folder / file).is_file() for file in (GIFT_SHOP, CDNOW))


def simulated(customers: int = SIMULATED) -> Shop:
    """Two years of the simulated shop, cut 90 days before their end."""
    first = _day_of("2023-01-01")
    start, end = first * DAY, (first + 730) * DAY
    orders: list[tuple[int, int, int]] = []
    lines: list[tuple[int, str, int, int]] = []
    lasts: dict[str, float] = {}
    for number in range(customers):
        for order in life(_SEED, person(_SEED, number, start, end), end).orders:
            orders.append((number, order.at // DAY, order.total))
            for line in order.lines:
                lines.append((number, line.product.id, order.at // DAY, line.quantity))
                lasts[line.product.id] = line.product.supply_days or 0.0
    customer, day, paid = zip(*orders, strict=True)
    who, item, when, quantity = zip(*lines, strict=True)
    products, items = np.unique(np.array(item), return_inverse=True)
    return Shop(
        "simulated",
        (np.array(customer, np.int64), np.array(day, np.int64), np.array(paid, np.float64)),
        first + 730 - 1 - HORIZON,
        (
            np.array(who, np.int64), items.astype(np.int64),
            np.array(when, np.int64), np.array(quantity, np.int64),
        ),
        np.array([lasts[product] for product in products.tolist()]),
    )  # fmt: skip


def date_of(day: int) -> str:
    """The date of a day."""
    return str(np.datetime64(day, "D"))


def _day_of(date: str) -> int:
    """Days from 1970-01-01."""
    return int(np.datetime64(date).astype(np.int64))


def _shop(
    name: str, path: Path, cut: str, read: Callable[[Path], tuple[Purchases, Lines | None]]
) -> Shop | Absent:
    def absent(reason: str) -> Absent:
        return Absent(name, reason, has_items=read is _gift_shop)

    told = f"{path.parent.name}/{path.name}"
    if not path.is_file():
        return absent(f"{told} is not here")
    try:
        purchases, lines = read(path)
    except (Refusal, ArrowException, KeyError, ValueError) as error:
        return absent(f"{told} cannot be read: {error}")
    day = purchases[1]
    if not day.size:
        return absent(f"{told} holds no orders of known customers")
    first, last, at = int(day.min()), int(day.max()), _day_of(cut)
    if not first + LEAST_PAST <= at <= last - HORIZON:
        at = last - HORIZON
    if at < first + LEAST_PAST:
        need = LEAST_PAST + HORIZON
        return absent(f"{told} holds {last - first + 1} days, more than {need} are needed")
    return Shop(name, purchases, at, lines)


def _cdnow(path: Path) -> tuple[Purchases, None]:
    table = parquet.read_table(path)
    names = [name for name in _CUSTOMER if name in table.column_names]
    name = next((name for name in names if not table[name].null_count), None)
    if name is None:
        raise ValueError(f"none of the columns {', '.join(_CUSTOMER)} is there and full")
    return (
        _numbered(table[name].to_pylist()),
        table["date"].to_numpy().astype("datetime64[D]").astype(np.int64),
        np.rint(table["dollar_value"].to_numpy() * 100),
    ), None


def _gift_shop(path: Path) -> tuple[Purchases, Lines]:
    events: list[Event] = []

    def admit(batch: Batch, before: ImportReport) -> Admitted:
        events.extend(batch.events)
        return Admitted(new=len(batch.events))

    source = OrderSource(path, read_mapping(_MAPPINGS / "uci_online_retail.toml", "orders"))
    run_import(source, admit=admit, progress=lambda done, total: None)
    orders: list[tuple[str, int, int]] = []
    lines: list[tuple[str, str, int, int]] = []
    for event in events:
        if not isinstance(event.body, OrderCompleted) or not event.refs:
            continue
        who, day = event.refs[0].value.rpartition("/")[2], event.at // DAY
        orders.append((who, day, event.body.total))
        lines += [(who, line.product, day, line.quantity) for line in event.body.lines]
    customer, day_of, paid = zip(*orders, strict=True) if orders else ((), (), ())
    buyer, item, when, quantity = zip(*lines, strict=True) if lines else ((), (), (), ())
    return (
        (_numbered(customer), np.array(day_of, np.int64), np.array(paid, np.float64)),
        (
            _numbered(buyer), _numbered(item),
            np.array(when, np.int64), np.array(quantity, np.int64),
        ),
    )  # fmt: skip


def _numbered(names: Any) -> Whole:
    """A number for each name, alike for alike, in the order of the names."""
    if not len(names):
        return np.zeros(0, np.int64)
    found: Whole = np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)
    return found
