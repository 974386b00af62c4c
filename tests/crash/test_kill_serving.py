"""Does a server that is killed in the middle of its work lose anything that it answered with 200?

Senders go on as clients do: what was not answered is sent again, to the server that was started
in place of the killed one.
"""

import contextlib
import hmac
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

from aftersale.events.vocabulary import OrderCompleted
from aftersale.kernel.draw import draw
from kills import Tally, share
from served import Server

pytestmark = pytest.mark.crash

SENDERS = 6
SIZE = 40
"""Events of a batch."""


SECRET = "a secret"


@pytest.fixture(params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    address = request.getfixturevalue("database") if request.param == "postgresql" else ""
    secrets = tmp_path / "secrets.toml"
    secrets.write_text(f'"shopify/main" = "{SECRET}"\n', "utf-8")
    monkeypatch.setenv("AFTERSALE_WEBHOOK_SECRETS", str(secrets))
    made = Server(tmp_path, address)
    made.start()
    yield made
    made.end(signal.SIGKILL)


class Sender(threading.Thread):
    """Sends one request after the other until it is told to stop."""

    def __init__(self, server: Server, number: int) -> None:
        super().__init__()
        self._server = server
        self._number = number
        self.answered: list[str] = []
        self.sent: set[str] = set()
        self.stop = threading.Event()

    def run(self) -> None:
        turn = 0
        while not self.stop.is_set():
            names = self.names(turn)
            self.sent.update(names)
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._send(*self.request(names)):
                    self.answered += names
                    turn += 1
                    continue
            self.stop.wait(0.02)

    def names(self, turn: int) -> list[str]:
        """What the request of that turn tells of."""
        raise NotImplementedError

    def request(self, names: list[str]) -> tuple[str, bytes, dict[str, str]]:
        """Its path, body and headers."""
        raise NotImplementedError

    def _send(self, path: str, body: bytes, headers: dict[str, str]) -> bool:
        target = urlsplit(self._server.url)
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=5)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            told = json.loads(answer.read())
        finally:
            connection.close()
        return answer.status == 200 and not told.get("rejected")


class Batches(Sender):
    """A tracking client; the name of an event is its id."""

    def names(self, turn: int) -> list[str]:
        return [f"{self._number}-{turn}-{n}" for n in range(SIZE)]

    def request(self, names: list[str]) -> tuple[str, bytes, dict[str, str]]:
        items = [
            {
                "type": "track",
                "event": "Product Viewed",
                "userId": name.rpartition("-")[0],
                "messageId": name,
                "timestamp": "2026-01-01T00:00:00Z",
                "properties": {"product_id": "tea"},
            }
            for name in names
        ]
        key = b64encode(f"{self._server.keys['ingest']}:".encode()).decode()
        body = json.dumps({"batch": items}).encode()
        return "/v1/batch", body, {"Authorization": f"Basic {key}"}

    @staticmethod
    def kept(server: Server) -> list[str]:
        """The names of all events in the store."""
        return [entry.id for entry in server.entries()]


class Orders(Sender):
    """A shop's webhooks; the name of an order is its number."""

    def names(self, turn: int) -> list[str]:
        return [str(1_000_000 * (self._number + 1) + turn)]

    def request(self, names: list[str]) -> tuple[str, bytes, dict[str, str]]:
        (name,) = names
        at = "2026-01-01T00:00:00Z"
        line = {"id": 1, "product_id": 7, "quantity": 1, "price": "19.90"}
        order = {"id": int(name), "name": f"#{name}", "created_at": at, "updated_at": at}
        order |= {"currency": "EUR", "total_price": "19.90", "line_items": [line]}
        body = json.dumps({**order, "customer": {"id": self._number + 1}}).encode()
        headers = {
            "X-Shopify-Topic": "orders/create",
            "X-Shopify-Webhook-Id": f"w{name}",
            "X-Shopify-Hmac-Sha256": b64encode(
                hmac.digest(SECRET.encode(), body, "sha256")
            ).decode(),
        }
        return "/webhooks/shopify/main", body, headers

    @staticmethod
    def kept(server: Server) -> list[str]:
        """The numbers of all orders in the store."""
        bodies = [entry.body for entry in server.entries()]
        return [body.order for body in bodies if isinstance(body, OrderCompleted)]


@pytest.mark.parametrize("kind", [Batches, Orders])
def test_what_was_answered_is_there_after_any_kill(
    server: Server,
    request: pytest.FixtureRequest,
    tally: Tally,
    kind: type[Batches] | type[Orders],
) -> None:
    """Killed again and again at drawn moments: every event that was answered, and each once."""
    senders = [kind(server, n) for n in range(SENDERS)]
    for sender in senders:
        sender.start()
    kills = share(0.05)
    wait = threading.Event().wait
    for n in range(kills):
        wait(0.15 + 0.5 * draw("kill", request.node.name, n, os.getpid()))
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
        tally.kills += 1
        server.start()
    before = len(senders[-1].answered)
    for _ in range(600):
        if len(senders[-1].answered) > before:
            break
        wait(0.05)
    for sender in senders:
        sender.stop.set()
    for sender in senders:
        sender.join()
    kept = kind.kept(server)
    tally.events = len(kept)
    answered = [name for sender in senders for name in sender.answered]
    assert len(senders[-1].answered) > before
    assert set(answered) - set(kept) == set()
    assert len(kept) == len(set(kept))
    assert set(kept) <= {name for sender in senders for name in sender.sent}
