"""Does the ledger flow into the lake once, whole, and without anybody's name?"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aftersale.adapters.lake.folder import FolderLake
from aftersale.adapters.storage.memory import MemoryStore
from aftersale.adapters.storage.sqlite.store import SqliteStore
from aftersale.events.event import read_event
from aftersale.features.moments import as_of, become
from aftersale.features.rows import lay_out, no_rows
from aftersale.kernel.instants import DAY, parse_instant
from aftersale.programme.ports import Store
from aftersale.runtime.erasing import erase
from aftersale.runtime.flowing import flow, forget_erased
from aftersale.runtime.intake import take_in
from aftersale.runtime.past import past
from aftersale.runtime.restoring import after_a_restore
from aftersale.testing.lake_suite import content
from aftersale.testing.shop import simulate

BEGIN, END = parse_instant("2026-01-01T00:00:00Z"), parse_instant("2026-03-01T00:00:00Z")
ZONE = "Europe/Berlin"
SECRET = "Xylophonia"


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path: Path) -> Store:
    made: Store
    if request.param == "memory":
        made = MemoryStore()
    else:
        made = SqliteStore(tmp_path / "store.db", create=True, synchronous="OFF")
    fill(made)
    return made


def fill(store: Store) -> None:
    with store.write() as tx:
        tx.meta.set("secret", "00" * 32)
        shop = simulate(seed=3, customers=30, start=BEGIN, end=END)
        events = [read_event(raw) for _, raw in shop.events()]
        take_in(tx, events, received_at=END, history=True)


def lake_in(folder: Path) -> FolderLake:
    return FolderLake(folder, memory_mb=200, threads=1)


def test_every_entry_flows_once_and_a_second_run_adds_nothing(store: Store, tmp_path: Path) -> None:
    lake = lake_in(tmp_path / "lake")
    done = flow(store, lake, ZONE)
    with store.read() as tx:
        entries = tx.ledger.read(0, 1_000_000)
    rows = no_rows()
    lay_out(entries, ZONE, rows)
    assert done.entries == len(entries) == done.extent.upto
    assert done.added == done.extent.rows == {name: len(some) for name, some in rows.items()}
    assert min(done.added[name] for name in ("orders", "lines", "undone", "signals")) > 0
    for name, found in content(lake).items():
        told = [tuple(row.values()) for row in found]
        assert sorted(told, key=str) == sorted(rows[name], key=str)
    before = sorted((f, f.stat().st_mtime_ns) for f in (tmp_path / "lake").rglob("*.parquet"))
    again = flow(store, lake_in(tmp_path / "lake"), ZONE)
    assert (again.entries, again.rebuilt, again.extent) == (0, "", done.extent)
    after = sorted((f, f.stat().st_mtime_ns) for f in (tmp_path / "lake").rglob("*.parquet"))
    assert after == before


@pytest.fixture(scope="module")
def filled() -> Store:
    made = MemoryStore()
    fill(made)
    return made


@pytest.mark.slow
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(appended=st.integers(20, 500))
def test_any_cutting_of_the_ledger_gives_the_same_tables(filled, tmp_path_factory, appended):
    whole, cut = (lake_in(tmp_path_factory.mktemp("lake")) for _ in range(2))
    flow(filled, whole, ZONE)
    flow(filled, cut, ZONE, appended=appended)
    assert content(cut) == content(whole)


def test_nothing_that_happened_later_is_seen_as_of_an_instant(filled, tmp_path: Path) -> None:
    """Nor, where asked for, what the store learnt later."""
    lake = lake_in(tmp_path)
    flow(filled, lake, ZONE)
    for cut in (BEGIN, BEGIN + 20 * DAY, END):
        for table in past(lake, cut).values():
            assert max(lake.columns(table)["at"].tolist(), default=0) <= cut
        orders = lake.tables()["orders"]
        assert lake.run(as_of(orders, cut, learnt=END - 1)).num_rows == 0
    assert lake.run(past(lake, END)["orders"]).num_rows == len(content(lake)["orders"])


def test_pointers_are_followed_to_their_end() -> None:
    assert become([(5, 4), (4, 2), (9, 8)]) == {5: 2, 4: 2, 9: 8}


def event(number: int, **more):
    return read_event(
        {
            "id": f"e{number}",
            "source": "shop",
            "type": "order.completed",
            "at": BEGIN + number,
            "shop": "main",
            "customer": {"id": f"c{number}", "email": f"{SECRET}{number}@example.com",
                         "name": SECRET, "phone": "+49 170 1234567"},
            "data": {"order": f"o{number}", "total": 100, "note": f"for {SECRET}",
                     "address": {"street": f"{SECRET} 5"}, "lines": [{"product": "tea"}]},
            **more,
        }
    )  # fmt: skip


def test_no_file_of_the_lake_holds_what_names_a_person(tmp_path: Path) -> None:
    """Names, addresses and free text are in no column, whatever the sender called them."""
    store = MemoryStore()
    with store.write() as tx:
        tx.meta.set("secret", "00" * 32)
        names = {"id": "c1", "email": f"{SECRET}@example.com"}
        told = [
            event(1),
            event(2, type="review.submitted", data={"review": "r", "text": SECRET, "rating": 5}),
            event(3, type="support.ticket_created", data={"ticket": "t", "message": SECRET}),
            event(4, type="customer.updated", data={"name": SECRET}, customer=names),
            event(5, type="loyalty.joined", data={"friend": SECRET}),
            event(6, type="return.initiated", data={"record": "r", "comment": SECRET}),
        ]
        take_in(tx, told, received_at=END)
    lake = lake_in(tmp_path)
    done = flow(store, lake, ZONE)
    assert sum(done.added.values()) == 5
    everything = str(content(lake)).lower()
    files = b"".join(f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()).lower()
    for word in (SECRET.lower(), "1234567", "example.com"):
        assert word not in everything
        assert word.encode() not in files


def test_whoever_was_erased_leaves_the_lake(store: Store, tmp_path: Path) -> None:
    """At once where the lake is told, and never comes back, also when it is made anew."""
    lake = lake_in(tmp_path / "lake")
    flow(store, lake, ZONE)
    someone = content(lake)["orders"][0]["customer"]
    with store.write() as tx:
        erase(tx, someone, END)
    forget_erased(store, lake)
    for _ in range(2):
        held = [row["customer"] for rows in content(lake).values() for row in rows]
        assert held
        assert someone not in held
        flow(store, lake, ZONE, rebuild=True)


def test_a_lake_of_another_past_is_made_anew(store: Store, tmp_path: Path) -> None:
    """After a restore, for another ledger, and for another zone."""
    lake = lake_in(tmp_path / "lake")
    flow(store, lake, ZONE)
    with store.write() as tx:
        after_a_restore(tx, END)
    assert "backup" in flow(store, lake, ZONE).rebuilt
    assert flow(store, lake, ZONE).rebuilt == ""
    assert "zone" in flow(store, lake, "UTC").rebuilt
    other = MemoryStore()
    with other.write() as tx:
        take_in(tx, [event(1)], received_at=END)
    done = flow(other, lake, "UTC")
    assert "another ledger" in done.rebuilt
    assert (done.extent.upto, done.extent.rows["orders"]) == (1, 1)
