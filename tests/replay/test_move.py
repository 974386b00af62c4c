"""Is a store that was moved into a database the same store?"""

import shutil
from pathlib import Path
from typing import Any

import pytest

from aftersale import bootstrap
from aftersale.adapters.storage.move import move
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY
from aftersale.runtime.app import App
from aftersale.runtime.digest import digest
from aftersale.runtime.replay import replay
from aftersale.runtime.verify import verify
from aftersale.settings import Settings, at_home
from recordings import LIVE, events, programme, take_arrivals, take_history


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A shop in a file that has lived for ten days, with arrivals for ten more."""
    folder = tmp_path / "shop"
    programme(folder)
    app, _ = bootstrap.init(Settings(home=folder))
    past, rows = events(40, seed=5)
    take_history(app, past)
    app.worker.drive(LIVE)
    take_arrivals(app, [row for row in rows if row[0] < LIVE + 20 * DAY])
    app.worker.drive(LIVE + 10 * DAY)
    app.store.close()
    return folder


def _seen(app: App) -> dict[str, Any]:
    """What a person could compare."""
    with app.store.read() as tx:
        people = range(1, tx.identities.last() + 1)
        return {
            "decisions": digest(tx.decisions.ordered()),
            "newest": tx.decisions.newest(limit=50),
            "entries": tx.ledger.read(0, 10**6),
            "keys": tx.ledger.seen([]),
            "refs": [tx.identities.refs_of(customer) for customer in people],
            "personal": tx.personal.of_many(list(people)),
            "states": tx.states.page(0, 10**6),
            "sends": list(tx.outbox.all()),
            "mail": tx.mailbox.newest(limit=10**6),
            "deployments": [tx.deployments.get(d.version) for d in tx.deployments.history()],
            "mode": tx.meta.get("mode"),
        }


@pytest.mark.slow
def test_a_moved_store_is_the_same_store_and_goes_on_the_same(
    home: Path, tmp_path: Path, database: str
) -> None:
    shutil.copytree(home, tmp_path / "left")
    old, new, counts = bootstrap.moved(
        Settings(home=home, shards=6), database, progress=lambda done, total: None
    )
    assert all(before == after for before, after in counts.values())
    assert counts["decisions"][1] > 50
    with old.store.read() as tx:
        assert tx.meta.get("mode") == "stopped"
    old.store.close()
    stayed = bootstrap.open_app(Settings(home=tmp_path / "left"))
    assert _seen(new) == _seen(stayed)
    for app in (stayed, new):
        app.worker.drive(LIVE + 20 * DAY)
    assert _seen(new) == _seen(stayed)
    with new.store.read() as tx:
        assert tx.shards.count == 6
        found = replay(tx, new.worlds)
        assert (found.different, found.states_different) == (0, 0)
        assert verify(tx, new.worlds).violations == ()
    for app in (stayed, new):
        app.store.close()


def test_nothing_is_moved_over_a_store(home: Path, database: str) -> None:
    there = bootstrap.open_store(at_home(Settings(), database), create=True)
    with pytest.raises(Refusal, match="holds a store already"):
        bootstrap.moved(Settings(home=home), database, progress=lambda done, total: None)
    there.close()
    app = bootstrap.open_app(Settings(home=home))
    with app.store.read() as tx:
        assert tx.meta.get("mode") == "rehearse"
    app.store.close()


def test_a_move_that_breaks_off_leaves_an_empty_database(home: Path, database: str) -> None:
    def broken(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move(bootstrap.store_path(home), database, shards=4, progress=broken)
    with pytest.raises(Refusal, match="there is no store"):
        bootstrap.open_store(at_home(Settings(), database))


def test_a_store_with_a_worker_is_not_moved(home: Path, database: str) -> None:
    app = bootstrap.open_app(Settings(home=home))
    app.store.lease("ada", 60)
    with pytest.raises(Refusal, match="a worker is at work"):
        bootstrap.moved(Settings(home=home), database, progress=lambda done, total: None)
    app.store.close()
