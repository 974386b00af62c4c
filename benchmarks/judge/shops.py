"""Which real pasts are judged, and at which day are they cut?

The files lie beside the repository and are read from there. Orders of the gift shop are read by
the importer itself with its mapping, so that cancellations and guests are what they are for a
merchant: an invoice of returns is no order, and an order without a customer belongs to nobody.
"""

from functools import cache
from pathlib import Path

import msgspec
import numpy as np
from pyarrow import parquet

from aftersale.adapters.sources.mapping import read_mapping
from aftersale.adapters.sources.tables import OrderSource
from aftersale.events.event import Event
from aftersale.events.vocabulary import OrderCompleted
from aftersale.kernel.instants import DAY
from aftersale.ledger.importing import Admitted, Batch, ImportReport
from aftersale.models.churn import Purchases
from aftersale.runtime.importing import run_import
from benchmarks.figures import shared_data

_MAPPINGS = Path(__file__).parents[2] / "examples" / "mappings"
GIFT_SHOP = Path("uci_online_retail", "online_retail.parquet")
CDNOW = Path("cdnow", "cdnow_sample.parquet")


class Shop(msgspec.Struct, frozen=True):
    """A real past: what was bought, and the last day that a model may know."""

    name: str
    purchases: Purchases
    cut: int


class Absent(msgspec.Struct, frozen=True):
    """A shop whose data is not here."""

    name: str
    reason: str


def shops() -> list[Shop | Absent]:
    """The gift shop, cut 90 days before its end, and CDNOW, cut as in the literature."""
    return [
        _shop("gift shop", GIFT_SHOP, "2011-06-11"),
        _shop("CDNOW", CDNOW, "1997-09-30"),
    ]


def absent(file: Path) -> str:
    """Why a file cannot be read; empty if it can."""
    return "" if (shared_data() / file).exists() else f"real data is not here: {file} is absent"


def day_of(date: str) -> int:
    """Days from 1970-01-01."""
    return int(np.datetime64(date).astype(np.int64))


def _shop(name: str, file: Path, cut: str) -> Shop | Absent:
    reason = absent(file)
    if reason:
        return Absent(name, reason)
    read = {GIFT_SHOP: _gift_shop, CDNOW: _cdnow}[file]
    return Shop(name, read(shared_data() / file), day_of(cut))


@cache
def _cdnow(path: Path) -> Purchases:
    table = parquet.read_table(path)
    return (
        table["sample_customer_id"].to_numpy().astype(np.int64),
        table["date"].to_numpy().astype("datetime64[D]").astype(np.int64),
        np.rint(table["dollar_value"].to_numpy() * 100),
    )


@cache
def _gift_shop(path: Path) -> Purchases:
    events: list[Event] = []

    def admit(batch: Batch, before: ImportReport) -> Admitted:
        events.extend(batch.events)
        return Admitted(new=len(batch.events))

    source = OrderSource(path, read_mapping(_MAPPINGS / "uci_online_retail.toml", "orders"))
    run_import(source, admit=admit, progress=lambda done, total: None)
    orders = [
        (event.refs[0].value.rpartition("/")[2], event.at // DAY, event.body.total)
        for event in events
        if isinstance(event.body, OrderCompleted) and event.refs
    ]
    customer, day, amount = zip(*orders, strict=True)
    return (
        np.array(customer).astype(np.int64),
        np.array(day, np.int64),
        np.array(amount, np.float64),
    )
