"""Does a fact count once, whichever source tells it first or again?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aftersale.adapters.sources.mapping import read_mapping
from aftersale.adapters.sources.tables import OrderSource
from aftersale.customers.purchases import purchases
from aftersale.events.event import Entry, read_event
from aftersale.events.vocabulary import OrderCompleted
from aftersale.kernel.instants import DAY, format_instant, parse_instant
from aftersale.runtime.app import App, admit_batch
from aftersale.runtime.importing import run_import
from aftersale.runtime.intake import take_in
from aftersale.turn.state import decode
from recordings import app_in_memory

EXAMPLES = Path(__file__).parents[2] / "examples" / "mappings"


def _bought(app: App) -> dict[int, tuple[int, dict[str, int], int]]:
    found = {}
    with app.store.read() as tx:
        for row in tx.states.page(0, 1_000_000):
            bought = purchases(decode(row.blob).profile)
            found[row.customer] = (bought.count, bought.revenue, bought.last_at)
    return found


def _sent_again(entries: list[Entry], refs: dict[int, str]) -> Iterator[dict[str, Any]]:
    """The orders of the ledger as a shop would send them, under ids of its own."""
    for entry in entries:
        if isinstance(entry.body, OrderCompleted) and entry.customer:
            body = entry.body
            yield {
                "id": f"webhook-{entry.position}",
                "source": "webshop",
                "type": "order.completed",
                "at": format_instant(entry.at),
                "shop": entry.shop,
                "customer": {"id": refs[entry.customer].rpartition("/")[2]},
                "data": {
                    "order": body.order,
                    "currency": body.currency,
                    "total": body.total,
                    "lines": [
                        {"product": x.product, "quantity": x.quantity, "amount": x.amount}
                        for x in body.lines
                    ],
                },
            }


@pytest.mark.slow
def test_orders_imported_and_sent_again_change_nothing(
    shared_data: Path, files: dict[str, str]
) -> None:
    """A year of a real shop, imported and told again: no total, count or message changes."""
    app = app_in_memory(files)
    mapping = read_mapping(EXAMPLES / "uci_online_retail.toml", "orders")
    source = OrderSource(shared_data / "uci_online_retail" / "online_retail.parquet", mapping)
    run_import(
        source, admit=admit_batch(app, "uci", history=True), progress=lambda done, total: None
    )
    last_day = parse_instant("2011-09-10T00:00:00Z")
    worked = app.worker.drive(last_day)
    assert worked.sends == 0
    before = _bought(app)
    with app.store.read() as tx:
        entries = tx.ledger.read(0, 100_000)
        refs = {
            customer: next(r.value for r in tx.identities.refs_of(customer) if r.kind == "customer")
            for customer in before
        }
        decided = tx.decisions.total()
        people = tx.identities.last()
    again = [read_event(raw) for raw in _sent_again(entries, refs)]
    assert len(again) > 8_000
    with app.store.write() as tx:
        taken = take_in(tx, again, received_at=last_day)
    assert (taken.new, taken.customers, taken.merges) == (len(again), 0, 0)
    app.worker.drive(last_day + 1)
    assert _bought(app) == before
    with app.store.read() as tx:
        assert tx.identities.last() == people
        assert tx.decisions.total() == decided
        assert tx.outbox.counts() == {}
    assert app.worker.drive(last_day + DAY // 2).sends == 0


@pytest.mark.parametrize("times", [1, 3])
def test_an_event_told_again_under_its_own_id_is_a_duplicate(
    files: dict[str, str], times: int
) -> None:
    """One event id acts once, however often it comes; other content is kept as a conflict."""
    app = app_in_memory(files)
    raw = {
        "id": "o-1", "source": "shop", "type": "order.completed", "at": "2026-03-01T09:00:00Z",
        "customer": {"id": "c1"}, "data": {"order": "1", "currency": "EUR", "total": 500},
    }  # fmt: skip
    now = parse_instant("2026-03-01T09:00:05Z")
    for _ in range(times):
        with app.store.write() as tx:
            take_in(tx, [read_event(raw), read_event(raw)], received_at=now)
    with app.store.write() as tx:
        other = {**raw, "data": {**raw["data"], "total": 999}}
        found = take_in(tx, [read_event(other)], received_at=now)
    assert (found.new, found.conflicts) == (0, 1)
    with app.store.read() as tx:
        assert tx.ledger.last() == 1
        assert [conflict.id for conflict in tx.ledger.conflicts()] == ["o-1"]
