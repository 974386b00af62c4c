"""Do several workers that live at the same time share the work and survive each other?"""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from aftersale import bootstrap
from aftersale.adapters.storage.postgres.store import PostgresStore
from aftersale.delivery.ports import CLAIMED
from aftersale.runtime.app import App
from aftersale.runtime.live import Live
from aftersale.runtime.replay import replay
from aftersale.runtime.verify import verify
from aftersale.runtime.worker import Worked
from aftersale.settings import Settings
from aftersale.testing.storage_examples import new_send
from aftersale.turn.shards import Lease
from aftersale.turn.together import absorbed_by
from recordings import events, guests_revealed, take_arrivals, take_history

SOON = 20.0
"""Seconds within which everything here is done many times over."""


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


class Started:
    """A worker in a thread, with an installation of its own on the same database."""

    def __init__(self, address: str, name: str) -> None:
        self.app = opened(address)
        self.wanted = threading.Event()
        self.done = Worked()
        live = Live(
            self.app,
            holder=name,
            ticks=time.monotonic,
            lease_seconds=0.6,
            poll_seconds=0.02,
        )
        self.thread = threading.Thread(target=lambda: setattr(self, "done", live.run(self.wanted)))
        self.thread.start()

    def stop(self) -> Worked:
        self.wanted.set()
        self.thread.join()
        self.app.store.close()
        return self.done


def opened(address: str, *, create: bool = False) -> App:
    store = PostgresStore(address, create=create, shards=6)
    return bootstrap.build(store, Settings(batch=50), reopen=lambda: store)


def is_idle(app: App) -> bool:
    """Everything is read, thresholds are fitted, and everybody was told of them."""
    with app.store.read() as tx:
        if not tx.ledger.everybodys("calibration.fitted"):
            return False
        read = all(shard.upto == tx.ledger.last() for shard in tx.shards.all())
        return read and not any(shard.sweep for shard in tx.shards.all())


@pytest.fixture
def shop(database: str, files: dict[str, str]) -> Iterator[App]:
    app = opened(database, create=True)
    with app.store.write() as tx:
        tx.meta.set("secret", "5e" * 32)
    app.deploy(files)
    yield app
    app.store.close()


@pytest.mark.slow
def test_two_workers_share_the_shards_and_everything_is_decided_once(
    shop: App, database: str, files: dict[str, str]
) -> None:
    past, rows = events(60, seed=3)
    rows = sorted([*rows, *guests_revealed(past)], key=lambda row: row[0])
    take_history(shop, past)
    workers = [Started(database, name) for name in ("ada", "ben")]

    def shared_out() -> bool:
        with shop.store.read() as tx:
            held = list(tx.shards.holders().values())
        return sorted(map(held.count, ("ada", "ben"))) == [3, 3]

    until(shared_out)
    for n in range(0, len(rows), 40):
        take_arrivals(shop, rows[n : n + 40])
    until(lambda: is_idle(shop))
    done = [worker.stop() for worker in workers]
    assert all(one.events > 0 for one in done)
    with shop.store.read() as tx:
        assert tx.shards.holders() == {}
        assert verify(tx, shop.worlds).violations == ()
        entries = tx.ledger.last()
        merges = [e for e in tx.ledger.read(0, entries) if e.type == "customer.merged"]
        assert len([e for e in merges if (e.customer - absorbed_by(e)) % 6]) > 20
        assert replay(tx, shop.worlds).different == 0
        living = {tx.identities.living(n) for n in range(1, tx.identities.last() + 1)}
        assert {row.customer for row in tx.states.page(0, 10**6)} == living
        assert sum(one.events for one in done) >= entries - 5


@pytest.mark.slow
def test_what_a_silent_worker_held_is_taken_over_within_its_lease(shop: App, database: str) -> None:
    past, rows = events(20, seed=3)
    take_history(shop, past)
    assert len(shop.store.lease("gone", 0.6).tokens) == 6
    began = time.monotonic()
    worker = Started(database, "ada")
    take_arrivals(shop, rows[:200])
    until(lambda: is_idle(shop))
    assert time.monotonic() - began < SOON
    with shop.store.read() as tx:
        assert set(tx.shards.holders().values()) == {"ada"}
    worker.stop()


def test_a_mistake_of_ours_while_sending_ends_the_worker_loudly(shop: App) -> None:
    def broken(now: int, **given: object) -> None:
        raise ZeroDivisionError

    live = Live(shop, holder="ada", ticks=time.monotonic, poll_seconds=0.02)
    live._sending = type(
        "Broken", (), {"recover": staticmethod(broken), "hurry": lambda self: None}
    )()
    with pytest.raises(ZeroDivisionError):
        live.run(threading.Event())
    with shop.store.read() as tx:
        assert tx.shards.workers() == []


@pytest.mark.slow
def test_a_worker_whose_connection_is_cut_goes_on(shop: App, database: str) -> None:
    past, rows = events(40, seed=3)
    take_history(shop, past)
    worker = Started(database, "ada")
    for n in range(0, 400, 20):
        take_arrivals(shop, rows[n : n + 20])
        with shop.store.read() as tx:
            connection = tx.ledger._session.connection
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND application_name = 'aftersale'"
            )
    until(lambda: is_idle(shop))
    worker.stop()
    with shop.store.read() as tx:
        assert tx.ledger.last() > 400
        assert verify(tx, shop.worlds).violations == ()


@pytest.mark.slow
def test_a_stolen_lease_stops_a_worker_from_writing_and_it_finds_its_way_back(
    shop: App, database: str
) -> None:
    past, rows = events(20, seed=3)
    take_history(shop, past)
    worker = Started(database, "ada")
    until(lambda: is_idle(shop))
    with shop.store.read() as tx:
        before = {shard.number: shard.upto for shard in tx.shards.all()}
    with shop.store.work() as tx:
        tx.shards._session.connection.execute(
            "UPDATE leases SET holder = 'thief', token = token + 1"
        )
    take_arrivals(shop, rows[:100])
    with shop.store.read() as tx:
        assert {shard.number: shard.upto for shard in tx.shards.all()} == before
    until(lambda: is_idle(shop))
    worker.stop()
    with shop.store.read() as tx:
        assert verify(tx, shop.worlds).violations == ()


@pytest.mark.slow
def test_what_a_dead_worker_left_claimed_is_settled_by_who_takes_its_shards(
    shop: App, database: str
) -> None:
    """Also by one who holds other shards already: of theirs nothing changes hands."""
    past, _ = events(20, seed=3)
    take_history(shop, past)
    ada = Started(database, "ada")
    until(lambda: is_idle(shop))

    def shared_out() -> bool:
        return len(shop.store.lease("ben", 0.6).tokens) == 3

    until(shared_out)
    with shop.store.work(Lease()) as tx:
        bens = [n for n, holder in tx.shards.holders().items() if holder == "ben"]
        people = [row.customer for row in tx.states.page(0, 100) if row.customer % 6 in bens]
        left = [new_send(f"k{n}", n, decided_at=tx.shards.all()[0].now) for n in people]
        tx.outbox.put(left)
        for send in left:
            tx.outbox.move(send.key, CLAIMED, send.decided_at, reason="mailbox")

    def is_settled() -> bool:
        with shop.store.read() as tx:
            return not tx.outbox.in_state(CLAIMED)

    until(is_settled)
    ada.stop()
    assert left
