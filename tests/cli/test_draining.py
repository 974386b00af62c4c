"""Does a worker that is asked to end leave nothing half done, and not let people wait?"""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aftersale import bootstrap
from aftersale.adapters import clock
from aftersale.delivery.ports import CLAIMED, QUEUED, SENT, Send
from aftersale.events.event import read_event
from aftersale.kernel.instants import DAY, format_instant
from aftersale.runtime.app import App
from aftersale.runtime.intake import take_in
from aftersale.settings import Settings
from aftersale.testing.mail_server import Answer, ScriptedMailServer

pytestmark = pytest.mark.slow

PEOPLE = 60
SOON = 20.0


@pytest.fixture(params=["file", "database"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Of a store of either kind."""
    address = request.getfixturevalue("database") if request.param == "database" else ""
    return Settings(home=tmp_path, database=address)


@pytest.fixture
def app(settings: Settings) -> Iterator[App]:
    """A live shop with an order fact decided for everybody."""
    app, _ = bootstrap.init(settings)
    now = clock.now()
    rows = [
        {
            "id": f"consent-{n}",
            "source": "shop",
            "type": "consent.given",
            "at": format_instant(now),
            "customer": {"id": f"c{n}", "email": f"c{n}@example.com"},
            "data": {"basis": "opt-in"},
        }
        for n in range(1, PEOPLE + 1)
    ]
    with app.store.write() as tx:
        take_in(tx, [read_event(row) for row in rows], received_at=now)
    app.worker.once(now)
    with app.store.write() as tx:
        tx.meta.set("mode", "live")
        tx.meta.set("expected_hour", {"refill": PEOPLE})
        found = tx.states.load(range(1, PEOPLE + 1))
        assert len(found) == PEOPLE
        tx.outbox.put(
            [
                Send(
                    key_of(n), n, n, "refill", 1, "coffee", "remind", "email", "transactional",
                    "refill-reminder", now, now + 2 * DAY, found[n].version,
                )
                for n in found
            ]
        )  # fmt: skip
    yield app
    app.store.close()


def key_of(number: int) -> str:
    return f"refill:refill:{number}:coffee@1:remind:1:email"


def worker(settings: Settings, server: ScriptedMailServer) -> subprocess.Popen[str]:
    given = {
        "HOME": str(settings.home),
        "DATABASE": settings.database,
        "SMTP_URL": server.url,
        "SMTP_CONNECTIONS": "2",
        "PUBLIC_URL": "https://care.shop.example",
        "LOG": "json",
        "VERIFY_HOURS": "0",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "aftersale", "worker"],
        env={f"AFTERSALE_{name}": value for name, value in given.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[float, str]:
    """Seconds until it has ended, and what it wrote to standard error."""
    began = time.monotonic()
    _, errors = process.communicate(timeout=SOON)
    return time.monotonic() - began, errors


def until_arrived(server: ScriptedMailServer, letters: int) -> None:
    deadline = time.monotonic() + SOON
    while sum(server.arrived.values()) < letters:
        assert time.monotonic() < deadline, "nothing was sent"
        time.sleep(0.02)


def test_a_worker_asked_to_end_gives_back_what_it_has_not_begun_with(
    app: App, settings: Settings
) -> None:
    """What was begun with gets its answer; all else waits as before; the lease is given up."""
    with ScriptedMailServer(end=lambda letter: Answer(wait=0.5)) as server:
        process = worker(settings, server)
        until_arrived(server, 3)
        process.send_signal(signal.SIGTERM)
        seconds, errors = ended(process)
        assert process.returncode == 0, errors
        assert seconds < 5
        assert '"what":"ended"' in errors.splitlines()[-1]
        assert "error" not in errors
        with app.store.read() as tx:
            assert tx.shards.workers() == []
            assert tx.shards.holders() == {}
            sends = [tx.outbox.get(key_of(n)) for n in range(1, PEOPLE + 1)]
        by_status: dict[str, int] = {}
        for send in sends:
            assert send is not None
            by_status[send.status] = by_status.get(send.status, 0) + 1
            assert (send.attempts, send.repeats) == (0, 0)
            assert send.status == SENT or send.reason in {"", "stopping"}
        assert set(by_status) == {SENT, QUEUED}
        assert by_status[SENT] == len(server.delivered) == sum(server.arrived.values())
        assert 3 <= by_status[SENT] < PEOPLE // 2
        server.end = lambda letter: Answer()
        process = worker(settings, server)
        until_arrived(server, PEOPLE)
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] < 5
        assert set(server.copies.values()) == {1}
        assert len(server.copies) == PEOPLE


def test_asked_twice_it_ends_at_once(app: App, settings: Settings) -> None:
    """What it was talking about stays claimed; the next worker settles that."""
    with ScriptedMailServer(end=lambda letter: Answer(wait=60)) as server:
        process = worker(settings, server)
        until_arrived(server, 1)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        seconds, errors = ended(process)
        assert seconds < 2
        assert (process.returncode, "Traceback" in errors) == (130, False)
        with app.store.read() as tx:
            assert tx.outbox.in_state(CLAIMED)
