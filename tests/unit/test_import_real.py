"""What two real shops' files come to, to the row."""

from collections import Counter
from pathlib import Path

import pytest

from aftersale.adapters.sources.mapping import read_mapping
from aftersale.adapters.sources.tables import OrderSource
from aftersale.events.event import Event
from aftersale.events.vocabulary import OrderCompleted, RefundIssued
from aftersale.ledger.importing import Admitted, Batch, ImportReport
from aftersale.runtime.importing import run_import

pytestmark = pytest.mark.real_data
MAPPINGS = Path(__file__).parents[2] / "examples" / "mappings"


def imported(path: Path, mapping: str) -> tuple[list[Event], ImportReport]:
    events: list[Event] = []

    def admit(batch: Batch, before: ImportReport) -> Admitted:
        events.extend(batch.events)
        return Admitted(new=len(batch.events))

    source = OrderSource(path, read_mapping(MAPPINGS / mapping, "orders"))
    report = run_import(source, admit=admit, progress=lambda done, total: None)
    assert report.done == report.rows == source.total_rows
    assert [e.at for e in events] == sorted(e.at for e in events)
    assert len({e.id for e in events}) == len(events)
    return events, report


def test_invoice_lines_of_a_gift_shop(shared_data: Path) -> None:
    path = shared_data / "uci_online_retail" / "online_retail.parquet"
    events, report = imported(path, "uci_online_retail.toml")
    assert (report.rows, report.used, report.rejected) == (270_951, 266_713, 0)
    assert report.ignored_by_reason == {
        "bad debt": 3,
        "equals an earlier row": 1_974,
        "fee or service, no product": 437,
        "no price": 878,
        "stock adjustment": 946,
    }
    assert Counter(e.type for e in events) == {
        "order.completed": 9_917,
        "return.initiated": 1_809,
        "refund.issued": 1_809,
    }
    assert report.products == 3_646
    orders = [e for e in events if isinstance(e.body, OrderCompleted)]
    assert sum(not e.refs for e in orders) == 1_081
    assert len({e.refs[0] for e in events if e.refs}) == 2_565
    assert sum(e.body.total for e in orders) == 519_006_236
    assert sum(e.body.amount for e in events if isinstance(e.body, RefundIssued)) == 19_566_836


def test_orders_of_a_market_place_with_their_lives(shared_data: Path) -> None:
    path = shared_data / "olist" / "exceptions_sample" / "orders.parquet"
    events, report = imported(path, "olist.toml")
    # 8,135 orders, 8,365 items and 8,225 reviews; the other files are look-ups.
    assert (report.rows, report.used, report.rejected) == (24_725, 24_725, 0)
    assert report.ignored_by_reason == {}
    assert Counter(e.type for e in events) == {
        "order.completed": 8_135,
        "order.shipped": 6_353,
        "order.delivered": 5_170,
        "order.cancelled": 1_234,
        "review.submitted": 8_225,
    }
    assert report.products == 5_460
    orders = [e for e in events if isinstance(e.body, OrderCompleted)]
    assert sum(not e.body.lines for e in orders) == 775
    assert sum(len(e.body.lines) for e in orders) == 8_365
    assert sum(e.body.total for e in orders) == 126_555_274
    assert len({e.refs[0] for e in events}) == 8_016
