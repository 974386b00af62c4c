"""How does the ledger flow into the lake, and how is a lake of another ledger noticed?

By position, in pages: every page is appended whole or not at all, so whoever is stopped goes on
where the lake says. A lake is made anew where it does not belong to the ledger any more (a backup
was put back), or where the shop's zone has changed, by which days are counted.
"""

from collections.abc import Callable

import msgspec

from aftersale.features.rows import Rows, lay_out, no_rows
from aftersale.features.tables import TABLES
from aftersale.kernel.ids import CustomerId, Position
from aftersale.programme.lake import Extent, Lake
from aftersale.programme.ports import Store, Transaction
from aftersale.runtime.collector import without_collector
from aftersale.runtime.marking import belongs, mark_of

PAGE = 10_000
"""Entries that are read at once."""
APPENDED = 100_000
"""Entries that are appended at once."""


class Flowed(msgspec.Struct, frozen=True):
    """What came into the lake, and what is in it now."""

    entries: int
    """That were read from the ledger."""
    added: dict[str, int]
    """Rows by table."""
    rebuilt: str
    """Why the lake was made anew; empty where it was not."""
    extent: Extent


def flow(
    store: Store,
    lake: Lake,
    zone: str,
    *,
    rebuild: bool = False,
    appended: int = APPENDED,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Flowed:
    """Bring the lake to where the ledger is now, and compact it.

    `appended`: how many entries are appended at once. Operational where another process flows.
    """
    with lake.writing():
        with store.read() as tx:
            reason = "it was asked for" if rebuild else _stranger(tx, lake, zone)
            last, erased = tx.ledger.last(), _erased(tx)
        extent = None if reason else lake.extent()
        if extent is None:
            lake.begin(zone)
        lake.forget(erased)
        upto = start = extent.upto if extent else 0
        added, entries = dict.fromkeys(TABLES, 0), 0
        while upto < last:
            after = upto
            with without_collector():
                with store.read() as tx:
                    rows, upto, number = _read(tx, zone, after, last, appended)
                    mark = mark_of(tx, upto)
                lake.append(rows, after=after, upto=upto, mark=mark)
            entries += number
            for table, some in rows.items():
                added[table] += len(some)
            progress(upto - start, last - start)
        _forget(store, lake)
    now = lake.extent()
    assert now is not None
    return Flowed(entries, added, reason, now)


def _read(
    tx: Transaction, zone: str, after: Position, last: Position, many: int
) -> tuple[Rows, Position, int]:
    """The rows of the next entries, where those end, and how many they are."""
    rows, number = no_rows(), 0
    while number < many:
        found = tx.ledger.read(after, min(PAGE, many - number), upto=last)
        if not found:
            break
        lay_out(found, zone, rows)
        after, number = found[-1].position, number + len(found)
    return rows, after, number


def forget_erased(store: Store, lake: Lake) -> None:
    """Drop what the lake holds of everybody who was erased; nothing where there is no lake."""
    if lake.extent() is not None:
        with lake.writing():
            _forget(store, lake)


def _forget(store: Store, lake: Lake) -> None:
    with store.read() as tx:
        lake.forget(_erased(tx))
    lake.compact()


def _erased(tx: Transaction) -> list[CustomerId]:
    return [customer for customer, _ in tx.personal.erasures()]


def _stranger(tx: Transaction, lake: Lake, zone: str) -> str:
    """Why the lake cannot go on; empty where it can, or where there is none."""
    extent = lake.extent()
    if extent is None:
        return ""
    if extent.zone != zone:
        return f"the shop's zone is {zone} now, it was {extent.zone}"
    if belongs(tx, extent):
        return ""
    return "it was made of another ledger, or before a backup was put back"
