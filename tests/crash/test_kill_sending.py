"""Is anything sent twice when a worker is killed in the middle of talking to a mail server?

The server is another process and goes on; its log is compared with the store at the end.
"""

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import msgspec
import pytest

from aftersale import bootstrap
from aftersale.delivery.ports import CLAIMED, QUEUED, Send
from aftersale.events.event import read_event
from aftersale.kernel.draw import draw
from aftersale.kernel.instants import DAY, HOUR, MINUTE, format_instant
from aftersale.runtime.intake import take_in
from aftersale.settings import Settings
from aftersale.testing.checker import by_key, check_copies
from kills import Tally, share
from recordings import LIVE, programme

pytestmark = pytest.mark.crash

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


def test_a_worker_killed_while_it_sends_repeats_no_promotion(tmp_path: Path, tally: Tally) -> None:
    """kill -9 between claim, server and settling: every copy is accounted for in the store."""
    _ready(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        now, kills = NOON, share(0.09)
        for turn in range(kills + 2):  # the last one sends what the one before it put off
            worker = subprocess.Popen(
                [sys.executable, "-c", WORKER, str(tmp_path), url, str(now)],
                stdout=subprocess.PIPE,
                text=True,
            )
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
            if turn < kills:
                time.sleep(0.02 + draw("kill sending", turn) * 0.4)
                worker.kill()
            tally.kills += worker.wait() == -signal.SIGKILL
            worker.stdout.close()
            now += 6 * MINUTE
        server.stdin.write("\n")
        server.stdin.flush()
        copies: dict[str, int] = msgspec.json.decode(server.stdout.readline())
    app = bootstrap.open_app(Settings(home=tmp_path))
    with app.store.read() as tx:
        sends = list(tx.outbox.all())
        tally.events, tally.decisions = tx.ledger.last(), tx.decisions.total()
    app.store.close()
    checked = check_copies(sends, by_key(sends, copies))
    tally.add(checked)
    tally.violations = len(checked.wrong)
    assert checked.wrong == ()
    assert checked.messages == PEOPLE
    assert checked.promotions_twice == 0
    assert checked.orders_twice == checked.orders_explained
    assert CLAIMED not in checked.statuses
    assert QUEUED not in checked.statuses
    assert tally.kills > kills // 4
    assert checked.doubted > 0 or kills < 10
