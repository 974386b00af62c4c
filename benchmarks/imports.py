"""How fast do a merchant's files become ledger and states?

The real import: read, checked and grouped, admitted batch by batch, then turns until everything
is read. Each file is imported into three new stores, one after the other: the middle run counts.
The data lies beside the repository; without it there is nothing to measure.
"""

import os
from pathlib import Path
from typing import Any

from aftersale.adapters.sources.files import connect
from aftersale.adapters.sources.mapping import Mapping, read_mapping
from aftersale.adapters.sources.tables import OrderSource
from aftersale.bootstrap import init
from aftersale.runtime.app import admit_batch
from aftersale.runtime.importing import run_import
from aftersale.settings import Settings
from benchmarks.figures import Clock, mebibytes, peak_memory, shared_data, skipped, told

RUNS = 3
_MAPPINGS = Path(__file__).parents[1] / "examples" / "mappings"


def import_uci(folder: Path) -> None:
    """Lines of invoices."""
    _measure(
        "import-uci",
        folder,
        Path("uci_online_retail", "online_retail.parquet"),
        unit="lines/s",
        target=100_000,
    )


def import_olist(folder: Path) -> None:
    """Orders with their lines, parcels and reviews."""
    _measure(
        "import-olist",
        folder,
        Path("olist", "exceptions_sample", "orders.parquet"),
        unit="orders/s",
        target=10_000,
    )


def _measure(name: str, folder: Path, file: Path, *, unit: str, target: float) -> None:
    data = Path(os.environ.get("AFTERSALE_DATA") or shared_data())
    if not (data / file).exists():
        skipped(name, f"real data is not here: {file} is absent")
        return
    mapping = read_mapping(_MAPPINGS / f"{file.parts[0]}.toml", "orders")
    # Loads the driver and what it hands rows over with, which a rate should not contain.
    connect().execute("select 1").fetchnumpy()
    runs = [_import(folder / f"{name}-{n}", data / file, mapping) for n in range(RUNS)]
    first, run = runs[0], sorted(runs, key=lambda run: run["seconds"])[RUNS // 2]
    counted = "orders" if unit == "orders/s" else "rows"
    told(
        name,
        run[counted] / run["seconds"],
        unit,
        target=target,
        first=first[counted] / first["seconds"],
        **run,
        peak_mib=mebibytes(peak_memory()),
        durability="SQLite WAL, synchronous FULL, one commit a batch of 10,000",
    )


def _import(home: Path, file: Path, mapping: Mapping) -> dict[str, Any]:
    """One import into a new store and the turns after it, with what they took."""
    app, _ = init(Settings(home=home, batch=10_000))
    reading, turning = Clock(), Clock()
    with reading.running():
        source = OrderSource(file, mapping)
        report = run_import(
            source,
            admit=admit_batch(app, home.name, history=True),
            progress=lambda done, total: None,
        )
    decisions = turns = 0
    with turning.running():
        now = app.system_now()
        while (turned := app.turns.turn(now, own=False)) is not None:
            decisions += turned.decisions
            turns += 1
    with app.store.read() as tx:
        states = tx.states.count()
        events = tx.ledger.last()
    app.store.close()
    return {
        "rows": report.rows,
        "used": report.used,
        "rejected": report.rejected,
        "ignored": report.ignored,
        "orders": _orders(source),
        "events": events,
        "states": states,
        "turns": turns,
        "decisions": decisions,
        "import_seconds": reading.seconds,
        "turn_seconds": turning.seconds,
        "seconds": reading.seconds + turning.seconds,
        "cpu_seconds": reading.cpu_seconds + turning.cpu_seconds,
    }


def _orders(source: OrderSource) -> int:
    return sum(
        event.type == "order.completed" for batch in source.batches() for event in batch.events
    )
