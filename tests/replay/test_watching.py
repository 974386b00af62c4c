"""Does a worker tell those who watch it what it does, whether it is well, and nothing personal?"""

import http.client
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from aftersale import bootstrap
from aftersale.adapters.telemetry.endpoint import Endpoint
from aftersale.adapters.telemetry.log import Log
from aftersale.adapters.telemetry.prometheus import WorkerMetrics
from aftersale.bootstrap import Watched, watched
from aftersale.delivery.telling import told_of
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY
from aftersale.programme.telemetry import TROUBLES, Vitals
from aftersale.runtime.app import App
from aftersale.runtime.doctor import examine
from aftersale.runtime.telemetry import Silent, Together
from aftersale.runtime.verifying import latest_check
from aftersale.settings import Settings
from aftersale.testing.postgres_server import NoServer, PostgresServer
from aftersale.testing.storage_examples import new_send
from recordings import events, take_arrivals, take_history

SOON = 20.0
"""Seconds within which everything here is done many times over."""


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def values(page: str) -> dict[tuple[str, ...], float]:
    """What a page of metrics says: name and labels, by the names of the labels → value."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families(page)
        for sample in family.samples
    }


class AtWork:
    """A watched worker in a thread, with its endpoint."""

    def __init__(self, app: App, settings: Settings) -> None:
        self.app = app
        self.wanted = threading.Event()
        self.lines: list[str] = []
        self.fault: BaseException | None = None
        self.watched: Watched = watched(app, settings, self.wanted, self.lines.append)
        self.endpoint = Endpoint("127.0.0.1", 0, self.watched.answers)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.watched.live.run(self.wanted)
        except BaseException as fault:  # noqa: BLE001 - looked at by the test
            self.fault = fault

    def ask(self, path: str, method: str = "GET") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.endpoint.port, timeout=SOON)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def probe(self, path: str) -> tuple[int, str]:
        status, body = self.ask(path)
        assert body.count("\n") == 1
        answer = json.loads(body)
        assert answer["ok"] == (status == 200) == (answer["reason"] == "")
        return status, answer["reason"]

    def metrics(self) -> dict[tuple[str, ...], float]:
        return values(self.ask("/metrics")[1])

    def stop(self) -> None:
        self.wanted.set()
        self.thread.join()
        self.endpoint.close()


@contextmanager
def at_work(app: App, settings: Settings) -> Iterator[AtWork]:
    worker = AtWork(app, settings)
    try:
        yield worker
    finally:
        worker.stop()


def quick(home: Path, **more: Any) -> Settings:
    given = {"lease_seconds": 0.6, "poll_seconds": 0.02, "verify_hours": 0.0, "log": "json", **more}
    return Settings(home=home, **given)


@pytest.fixture
def shop(tmp_path: Path, files: dict[str, str]) -> Iterator[App]:
    """An installation in a file, with a past."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    app, _ = bootstrap.init(Settings(home=tmp_path))
    take_history(app, events(25, seed=3)[0])
    app.worker.once(app.system_now())
    yield app
    app.store.close()


def is_idle(app: App) -> bool:
    with app.store.read() as tx:
        read = all(shard.upto == tx.ledger.last() for shard in tx.shards.all())
        return read and not tx.outbox.queued(app.system_now(), 1)


# --- what is told -------------------------------------------------------------------------------


def test_what_a_worker_does_can_be_read_in_its_log_and_its_metrics(shop: App) -> None:
    """Both say as much as the store does, and neither names a person."""
    now = shop.system_now()
    rows = [(now, event) for _, event in events(25, seed=3)[1][:150]]
    with at_work(shop, quick(shop.home)) as worker:
        until(lambda: any('"shards"' in line for line in worker.lines))
        take_arrivals(shop, [(now, msgspec.structs.replace(e, at=now)) for _, e in rows])
        until(lambda: is_idle(shop) and any('"round"' in line for line in worker.lines))
    page = worker.watched.answers["/metrics"]().body.decode()
    told = values(page)
    lines = [json.loads(line) for line in worker.lines]
    assert all({"at", "level", "what", "worker"} <= set(line) for line in lines)
    assert {line["worker"] for line in lines} == {worker.watched.live.holder}
    turns = [line for line in lines if line["what"] == "turn"]
    sends = [line for line in lines if line["what"] == "send"]
    assert len(turns) == told["aftersale_turn_seconds_count",]
    assert sum(turn["events"] for turn in turns) == told["aftersale_turn_events_total",]
    assert sum(turn["decisions"] for turn in turns) == told["aftersale_turn_decisions_total",]
    by_status: dict[tuple[str, str], int] = {}
    for send in sends:
        pair = send["journey"], send["status"]
        by_status[pair] = by_status.get(pair, 0) + 1
    counted = {key[1:]: n for key, n in told.items() if key[0] == "aftersale_sends_total"}
    assert counted == by_status
    with shop.store.read() as tx:
        caught = {mail.headers["Message-ID"][1:33]: mail for mail in tx.mailbox.newest(limit=9_999)}
        went = [send for send in sends if send["status"] == "sent"]
        assert went
        for send in went:
            customer, seq = map(int, send["decision"].split("-"))
            assert caught[send["message"]].customer == customer
            decision = tx.decisions.get(customer, seq)
            assert decision is not None
            assert decision.journey == send["journey"]
        said = "\n".join(worker.lines) + page
        for mail in caught.values():
            assert mail.to not in said
            assert mail.subject not in said
    assert "@" not in said


def test_of_a_send_only_the_codes_of_its_reason_are_told() -> None:
    send = new_send("refill:refill:7:main/10042@1:remind:1:email", 7, seq=3)
    for reason, told in (
        ("refused: 554 5.7.1", "refused: 554 5.7.1"),
        ("quiet-hours", "quiet-hours"),
        ("template: the address 'ada@example.com' is wrong", "template"),
        ("", ""),
    ):
        settled = told_of(send, "dropped", reason)
        assert (settled.decision, settled.reason) == ("7-3", told)
        assert "10042" not in str(settled)


def test_a_line_of_words_says_the_same_as_a_line_of_json() -> None:
    lines: list[str] = []
    for json_wanted in (True, False):
        log = Log(lines.append, lambda: DAY, worker="w", json=json_wanted, level="info")
        log.trouble("operational", 'the "store" is away')
        log.held([2, 1])
        log.settled([told_of(new_send("k", 7, seq=3), "queued", "later")], 0.25)
    assert [json.loads(line)["what"] for line in lines[:3]] == ["trouble", "shards", "round"]
    assert lines[3:] == [
        '1970-01-02T00:00:00Z warning trouble kind=operational reason="the \\"store\\" is away"',
        "1970-01-02T00:00:00Z info shards held=[1,2]",
        "1970-01-02T00:00:00Z info round queued=1 seconds=0.25",
    ]


def test_a_log_that_nobody_reads_any_more_stops_no_work() -> None:
    def broken(line: str) -> None:
        raise BrokenPipeError

    Log(broken, lambda: 0, worker="w", json=False).held([1])


def test_labels_are_of_closed_lists_and_journeys_only() -> None:
    vitals = Vitals(
        0, "live", 1, 0, 0, 0, {"sent": 2}, 0, ("email",), 0, 5, {"acted-once": 1}
    )  # fmt: skip
    metrics = WorkerMetrics(lambda: vitals, lambda: 0)
    for telemetry in (metrics, Together(metrics, Silent())):
        telemetry.trouble("of a kind that nobody knows", "ada@example.com is away")
        telemetry.settled([told_of(new_send("k", 7, seq=3), "sent", "smtp")], 1.0)
    labels = {
        (sample.name, name): value
        for family in metrics.registry.collect()
        for sample in family.samples
        for name, value in sample.labels.items()
        if name != "le"
    }
    assert {name for _, name in labels} == {
        "status", "journey", "kind", "mode", "channel", "rule", "version",
    }  # fmt: skip
    kinds = {
        s.labels["kind"]
        for f in metrics.registry.collect()
        for s in f.samples
        if "kind" in s.labels
    }
    assert kinds == {*TROUBLES, "other"}
    assert b"example" not in metrics.page()


# --- whether it is well -------------------------------------------------------------------------


@pytest.mark.slow
def test_a_worker_is_well_and_ready_and_one_that_stands_by_is_too(shop: App) -> None:
    with at_work(shop, quick(shop.home)) as first:
        until(lambda: first.probe("/readyz") == (200, ""))
        second = AtWork(bootstrap.open_app(quick(shop.home)), quick(shop.home))
        until(lambda: second.probe("/readyz") == (200, ""))
        held = [w.metrics()["aftersale_shards_held",] for w in (first, second)]
        assert held == [1, 0]
        assert second.probe("/healthz") == (200, "")
        with shop.store.write() as tx:
            tx.meta.set("mode", "stopped")
        assert second.ask("/readyz", "HEAD") == (200, "")
        assert second.ask("/elsewhere")[0] == 404
        second.wanted.set()
        second.thread.join()
        time.sleep(1.1)  # an answer about the store is kept for a second
        assert second.probe("/readyz") == (503, "the worker is ending")
        assert second.probe("/healthz") == (200, "")
        second.stop()
        second.app.store.close()


@pytest.mark.slow
def test_a_worker_whose_loop_hangs_is_not_well_until_it_goes_on(shop: App) -> None:
    settings = quick(shop.home, stuck_seconds=0.3)
    other = sqlite3.connect(shop.home / bootstrap.STORE, isolation_level=None)
    with at_work(shop, settings) as worker:
        until(lambda: worker.probe("/readyz") == (200, ""))
        other.execute("BEGIN IMMEDIATE")
        until(lambda: worker.probe("/healthz")[0] == 503)
        assert "has not come round for" in worker.probe("/healthz")[1]
        other.execute("ROLLBACK")
        until(lambda: worker.probe("/healthz") == (200, ""))
    other.close()
    assert worker.fault is None


@pytest.mark.slow
def test_a_store_of_an_older_schema_makes_a_worker_unready_and_ends_it(shop: App) -> None:
    """A worker never writes into a schema that it was not made for."""
    with at_work(shop, quick(shop.home)) as worker:
        until(lambda: worker.probe("/readyz") == (200, ""))
        other = sqlite3.connect(shop.home / bootstrap.STORE, isolation_level=None)
        ((newest,),) = other.execute("PRAGMA user_version")
        other.execute("PRAGMA user_version = 1")
        worker.thread.join(SOON)
        assert isinstance(worker.fault, Refusal)
        until(lambda: worker.probe("/readyz")[0] == 503)
        assert worker.probe("/readyz")[1] == "the store was written by an older aftersale"
        assert values(bootstrap.metrics_of(shop)().decode())["aftersale_store_up",] == 0
        other.execute(f"PRAGMA user_version = {newest}")
        other.close()


@pytest.mark.slow
def test_an_older_worker_on_a_database_ends_when_a_newer_one_migrates_it(
    database: str, files: dict[str, str]
) -> None:
    settings = quick(Path(), database=database)
    store = bootstrap.open_store(settings, create=True)
    app = bootstrap.build(store, settings)
    app.deploy(files)
    with at_work(app, settings) as worker:
        until(lambda: worker.probe("/readyz") == (200, ""))
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("INSERT INTO aftersale_schema (version) VALUES (999)")
        worker.thread.join(SOON)
        assert isinstance(worker.fault, Refusal)
        assert "newer aftersale" in worker.fault.what
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("DELETE FROM aftersale_schema WHERE version = 999")
    app.store.close()


def test_without_a_programme_a_worker_is_not_ready(tmp_path: Path) -> None:
    settings = quick(tmp_path)
    app = bootstrap.build(bootstrap.open_store(settings, create=True), settings)
    with at_work(app, settings) as worker:
        assert worker.probe("/readyz") == (503, "no programme is deployed")
        assert worker.probe("/healthz") == (200, "")
    app.store.close()


@pytest.mark.slow
def test_a_database_that_is_away_makes_a_worker_unready_but_not_unwell(
    files: dict[str, str],
) -> None:
    try:
        server = PostgresServer()
        server.start()
    except NoServer as reason:
        pytest.skip(f"no PostgreSQL server: {reason}")
    try:
        settings = quick(Path(), database=server.new_schema("away"), lock_seconds=2.0)
        app = bootstrap.build(bootstrap.open_store(settings, create=True), settings)
        app.deploy(files)
        with at_work(app, settings) as worker:
            until(lambda: worker.probe("/readyz") == (200, ""))
            server.stop(abruptly=True)
            until(lambda: worker.probe("/readyz") == (503, "the store cannot be read"))
            until(lambda: worker.metrics()["aftersale_store_up",] == 0)
            assert worker.metrics()["aftersale_troubles_total", "operational"] > 0
            assert worker.probe("/healthz") == (200, "")
            server.start()
            until(lambda: worker.probe("/readyz") == (200, ""))
            until(lambda: worker.metrics().get(("aftersale_store_up",)) == 1)
        assert worker.fault is None
        app.store.close()
    finally:
        server.remove()


def test_a_port_that_is_taken_is_refused_with_the_setting_to_change(shop: App) -> None:
    first = Endpoint("127.0.0.1", 0, {})
    with pytest.raises(Refusal) as refusal:
        Endpoint("127.0.0.1", first.port, {})
    assert refusal.value.where == "AFTERSALE_METRICS_PORT"
    first.close()


# --- verification -------------------------------------------------------------------------------


def _broken(app: App) -> None:
    """A task of which no decision knows."""
    with app.store.write() as tx:
        tx.outbox.put([new_send("no-decision", 1, seq=9_999, channel="task", kind="task")])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "database"])
def test_a_worker_verifies_its_store_and_everybody_can_see_what_was_found(
    kind: str, shop: App, files: dict[str, str], request: pytest.FixtureRequest
) -> None:
    """In a process of its own, while turns go on; a broken rule is seen in doctor and metrics."""
    app, settings = shop, quick(shop.home, verify_hours=24.0)
    if kind == "database":
        settings = quick(shop.home, verify_hours=24.0, database=request.getfixturevalue("database"))
        app = bootstrap.build(bootstrap.open_store(settings, create=True), settings)
        app.deploy(files)
        with app.store.write() as tx:
            tx.identities.create(1, 1)
    _broken(app)
    with at_work(app, settings) as worker:
        until(lambda: any('"verified"' in line for line in worker.lines))
        found = json.loads(next(line for line in worker.lines if '"verified"' in line))
    told = values(bootstrap.metrics_of(app)().decode())
    assert (found["level"], found["violations"]) == ("error", {"sends-decided": 1})
    assert told["aftersale_invariant_violations", "sends-decided"] == 1
    assert told["aftersale_invariant_violations", "acted-once"] == 0
    with app.store.read() as tx:
        checked = latest_check(tx)
        assert checked is not None
        assert checked.broken == {"sends-decided": 1}
        assert checked.at == round(told["aftersale_verified_timestamp_seconds",] * 1_000_000)
    problems = [finding.problem for finding in examine(app).problems]
    assert "broken: sends-decided (1)" in problems
    app.store.close()


def test_a_worker_that_cannot_say_what_is_wrong_goes_on() -> None:
    """Where the disk is full, the file that it speaks into is full as well."""

    def write(line: str) -> None:
        raise OSError(28, "No space left on device")

    log = Log(write, lambda: 0, worker="ada", json=True)
    log.trouble("operational", "the disk is full")
