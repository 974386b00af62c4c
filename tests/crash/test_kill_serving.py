"""Does a server that is killed in the middle of its work lose anything that it answered with 200?

Senders go on as clients do: what was not answered is sent again, to the server that was started
in place of the killed one.
"""

import contextlib
import http.client
import json
import os
import signal
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from aftersale.kernel.draw import draw
from kills import Tally, share
from served import Server

pytestmark = pytest.mark.crash

SENDERS = 6
SIZE = 40
"""Events of a batch."""


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    address = request.getfixturevalue("database") if request.param == "postgresql" else ""
    made = Server(tmp_path, address)
    made.start()
    yield made
    made.end(signal.SIGKILL)


class Sender(threading.Thread):
    """Sends batches one after the other until it is told to stop."""

    def __init__(self, server: Server, number: int) -> None:
        super().__init__()
        self._server = server
        self._number = number
        self.answered: list[str] = []
        self.sent: set[str] = set()
        self.stop = threading.Event()

    def run(self) -> None:
        batch = 0
        while not self.stop.is_set():
            ids = [f"{self._number}-{batch}-{n}" for n in range(SIZE)]
            self.sent.update(ids)
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._send(ids):
                    self.answered += ids
                    batch += 1
                    continue
            self.stop.wait(0.02)

    def _send(self, ids: list[str]) -> bool:
        target = urlsplit(self._server.url)
        items = [
            {
                "type": "track",
                "event": "Product Viewed",
                "userId": name.rpartition("-")[0],
                "messageId": name,
                "timestamp": "2026-01-01T00:00:00Z",
                "properties": {"product_id": "tea"},
            }
            for name in ids
        ]
        key = b64encode(f"{self._server.keys['ingest']}:".encode()).decode()
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=5)
        try:
            connection.request(
                "POST",
                "/v1/batch",
                json.dumps({"batch": items}),
                {"Authorization": f"Basic {key}"},
            )
            answer = connection.getresponse()
            told = json.loads(answer.read())
        finally:
            connection.close()
        return answer.status == 200 and told["accepted"] == SIZE


def test_what_was_answered_is_there_after_any_kill(
    server: Server, request: pytest.FixtureRequest, tally: Tally
) -> None:
    """Killed again and again at drawn moments: every event that was answered, and each once."""
    senders = [Sender(server, n) for n in range(SENDERS)]
    for sender in senders:
        sender.start()
    kills = share(0.1)
    wait = threading.Event().wait
    for n in range(kills):
        wait(0.15 + 0.5 * draw("kill", request.node.name, n, os.getpid()))
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
        tally.kills += 1
        server.start()
    wait(0.3)
    for sender in senders:
        sender.stop.set()
    for sender in senders:
        sender.join()
    kept = [entry.id for entry in server.entries()]
    tally.events = len(kept)
    answered = [name for sender in senders for name in sender.answered]
    assert len(answered) > SIZE * SENDERS
    assert set(answered) - set(kept) == set()
    assert len(kept) == len(set(kept))
    assert set(kept) <= {name for sender in senders for name in sender.sent}
