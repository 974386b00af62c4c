"""How fast does the ledger flow into the lake?

The same entries of a store in a file, once by `flow` and once by the obvious way: a dict for each
row, page by page, through `Table.from_pylist` into one Parquet file a page and table.
"""

from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from aftersale.adapters.lake.files import SCHEMAS
from aftersale.adapters.lake.folder import FolderLake
from aftersale.adapters.storage.sqlite.store import SqliteStore
from aftersale.events.event import Event, Ref
from aftersale.events.vocabulary import Line, OrderCompleted, ProductEvent
from aftersale.features.rows import lay_out, no_rows
from aftersale.kernel.instants import DAY, SECOND
from aftersale.programme.ports import Store
from aftersale.runtime.flowing import PAGE, flow
from aftersale.runtime.intake import take_in
from benchmarks.figures import Clock, mebibytes, peak_memory, told

_ZONE = "Europe/Berlin"
_SHARE = 10
"""Of so many events that are asked for, one is made: filling the store is the longest part."""
_ORDERS = 3
"""One event of so many is an order of two lines, the others are looks at a product."""


def lake_flow(events: int, folder: Path) -> None:
    """Entries a second from the store into the lake, beside rows as dicts."""
    events = max(events // _SHARE, 1)
    store = SqliteStore(folder / "flow.db", create=True, synchronous="OFF")
    _fill(store, events)
    ours, theirs = Clock(), Clock()
    lake = FolderLake(folder / "lake")
    with ours.running():
        done = flow(store, lake, _ZONE)
    assert done.entries == events
    peak = peak_memory()
    with theirs.running():
        _by_dicts(store, folder / "dicts")
    told(
        "lake-flow",
        events / ours.seconds,
        "entries/s",
        baseline=events / theirs.seconds,
        target=100_000,
        entries=events,
        rows=sum(done.added.values()),
        bytes=done.extent.bytes,
        seconds=ours.seconds,
        cpu_seconds=ours.cpu_seconds,
        baseline_seconds=theirs.seconds,
        baseline_cpu_seconds=theirs.cpu_seconds,
        peak_mib=mebibytes(peak),
    )
    store.close()


def _fill(store: Store, events: int) -> None:
    start = 20_000 * DAY
    for first in range(0, events, PAGE):
        batch = [_event(n, start) for n in range(first, min(first + PAGE, events))]
        with store.write() as tx:
            tx.meta.set("secret", "00" * 32)
            take_in(tx, batch, received_at=start + events * SECOND, history=True)


def _event(number: int, start: int) -> Event:
    refs, at = (Ref("customer", f"main/{number % 20_000}"),), start + number * SECOND
    product = f"p{number % 500}"
    if number % _ORDERS:
        body: ProductEvent | OrderCompleted = ProductEvent(product=product)
        return Event(f"e{number}", "shop", "product.viewed", at, "main", body, refs)
    lines = (Line(product, 1, 1_000), Line("tea", 2, 500))
    body = OrderCompleted(order=f"o{number}", currency="EUR", total=1_500, lines=lines)
    return Event(f"e{number}", "shop", "order.completed", at, "main", body, refs)


def _by_dicts(store: Store, folder: Path) -> None:
    after = 0
    while True:
        with store.read() as tx:
            found = tx.ledger.read(after, PAGE)
        if not found:
            return
        rows = no_rows()
        lay_out(found, _ZONE, rows)
        for name, some in rows.items():
            dicts = [dict(zip(SCHEMAS[name].names, row, strict=True)) for row in some]
            (folder / name).mkdir(parents=True, exist_ok=True)
            table = pa.Table.from_pylist(dicts, schema=SCHEMAS[name])
            parquet.write_table(table, folder / name / f"{after}.parquet", compression="zstd")
        after = found[-1].position
