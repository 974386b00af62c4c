"""Is anything sent twice when a worker is killed in the middle of talking to a mail server?

The server is another process and goes on; its log is compared with the store at the end.
"""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import msgspec
import pytest

from aftersale import bootstrap
from aftersale.delivery.ports import CLAIMED, QUEUED, SENT, UNKNOWN, Send
from aftersale.events.event import read_event
from aftersale.kernel.draw import draw
from aftersale.kernel.ids import digest16
from aftersale.kernel.instants import DAY, HOUR, MINUTE, format_instant
from aftersale.runtime.intake import take_in
from aftersale.settings import Settings
from recordings import LIVE, programme

pytestmark = pytest.mark.crash

KILLS = int(os.environ.get("AFTERSALE_KILLS", "20"))  # noqa: TID251 - of the test, not of aftersale
PEOPLE = 400
NOON = LIVE + 12 * HOUR

SERVER = textwrap.dedent("""
    import json, sys
    from aftersale.testing.mail_server import Answer, ScriptedMailServer

    with ScriptedMailServer(end=lambda letter: Answer(wait=0.01)) as server:
        print(server.url, flush=True)
        sys.stdin.readline()
        print(json.dumps(server.copies), flush=True)
""")
WORKER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from aftersale.bootstrap import open_app
    from aftersale.settings import Settings

    home, url, now = sys.argv[1:]
    app = open_app(Settings(home=Path(home), smtp_url=url, smtp_connections=2))
    print("ready", flush=True)
    app.worker.recover(int(now))
    app.worker.once(int(now))
    app.sending.close()
    app.store.close()
""")


def _key(number: int) -> str:
    return f"refill:refill:{number}:coffee@1:remind:1:email"


def _ready(home: Path) -> None:
    """A live shop with a message decided for everybody: half promotions, half order facts."""
    programme(home)
    app, _ = bootstrap.init(Settings(home=home))
    app.worker.once(LIVE)
    rows = [
        {
            "id": f"consent-{n}",
            "source": "shop",
            "type": "consent.given",
            "at": format_instant(LIVE),
            "customer": {"id": f"c{n}", "email": f"c{n}@example.com"},
            "data": {"basis": "opt-in"},
        }
        for n in range(1, PEOPLE + 1)
    ]
    with app.store.write() as tx:
        tx.meta.set("mode", "live")
        tx.meta.set("expected_hour", {"refill": PEOPLE})
        take_in(tx, [read_event(row) for row in rows], received_at=LIVE + HOUR)
    app.worker.once(LIVE + HOUR)
    with app.store.write() as tx:
        found = tx.states.load(range(1, PEOPLE + 1))
        tx.outbox.put(
            [
                Send(
                    _key(n), n, n, "refill", 1, "coffee", "remind", "email",
                    "transactional" if n % 2 else "marketing", "refill-reminder", NOON,
                    NOON + 2 * DAY, found[n].version,
                )
                for n in found
            ]
        )  # fmt: skip
        assert len(found) == PEOPLE
    app.store.close()


def test_a_worker_killed_while_it_sends_repeats_no_promotion(tmp_path: Path) -> None:
    """kill -9 between claim, server and settling: every copy is accounted for in the store."""
    _ready(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        now, kills = NOON, 0
        for turn in range(KILLS + 1):
            worker = subprocess.Popen(
                [sys.executable, "-c", WORKER, str(tmp_path), url, str(now)],
                stdout=subprocess.PIPE,
                text=True,
            )
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
            if turn < KILLS:
                time.sleep(0.02 + draw("kill sending", turn) * 0.4)
                worker.kill()
            kills += worker.wait() == -signal.SIGKILL
            worker.stdout.close()
            now += 6 * MINUTE
        server.stdin.write("\n")
        server.stdin.flush()
        copies: dict[str, int] = msgspec.json.decode(server.stdout.readline())
    app = bootstrap.open_app(Settings(home=tmp_path))
    statuses: dict[str, int] = {}
    doubted = 0
    with app.store.read() as tx:
        for n in range(1, PEOPLE + 1):
            send = tx.outbox.get(_key(n))
            assert send is not None
            name = digest16("message-id", send.key).hex()
            arrived = copies.get(f"<{name}@shop.example>", 0)
            statuses[send.status] = statuses.get(send.status, 0) + 1
            doubted += send.repeats + (send.status == UNKNOWN)
            assert arrived <= 1 + send.repeats, send
            assert send.purpose == "transactional" or send.repeats == 0
            if send.status == SENT:
                assert arrived >= 1
    app.store.close()
    assert CLAIMED not in statuses
    assert statuses.get(QUEUED, 0) == 0
    assert kills > KILLS // 4
    assert doubted > 0
