"""How many events a second does the server take in over HTTP, durable before it answers?

`aftersale serve` as anybody runs it, one process, on SQLite with full synchronisation; whoever
sends has the other processor. Every answer is looked at: one that is no 2xx ends the measurement.
"""

import base64
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from aftersale.bootstrap import init, open_app
from aftersale.kernel.instants import SECOND, format_instant
from aftersale.programme.api_keys import INGEST, RANDOM_BYTES, make_key
from aftersale.programme.ports import Store
from aftersale.settings import Settings
from benchmarks.figures import told
from benchmarks.live import DURABILITY
from benchmarks.sender import Sent, on_processor, request, send

_OF_A_BATCH = 100
_ON_BATCHES, _ON_SINGLES = 8, 64
"""Connections."""
_SECRET = "a secret of a benchmark"  # of nobody
_LOOKED_AT = 0.02
"""Seconds between two looks at how far the worker is."""


class Installation:
    """A new installation in a folder, with a key that may send."""

    def __init__(self, home: Path) -> None:
        self.home = home
        app, _ = init(Settings(home=home))
        key, kept = make_key(bytes(RANDOM_BYTES), kind=INGEST, name="", shop="", now=0)
        with app.store.write() as tx:
            tx.api_keys.add(kept)
        self.now = app.system_now()
        app.store.close()
        (home / "webhooks.toml").write_text(f'"shopify/main" = "{_SECRET}"\n', "utf-8")
        self.key = ("authorization", f"Basic {base64.b64encode(f'{key}:'.encode()).decode()}")

    @contextmanager
    def served(self) -> Iterator[int]:
        """The port of a server on the first processor."""
        command = [sys.executable, "-m", "aftersale", "--home", str(self.home)]
        with on_processor(0):
            process = subprocess.Popen(
                [*command, "serve", "--port", "0", "--json"],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        assert process.stdout is not None
        try:
            yield int(json.loads(process.stdout.readline())["data"]["url"].rpartition(":")[2])
        finally:
            _end(process)

    @contextmanager
    def working(self) -> Iterator[None]:
        """A worker that decides."""
        command = [sys.executable, "-m", "aftersale", "--home", str(self.home), "worker"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            _end(process)

    def store(self) -> Store:
        """To be closed."""
        return open_app(Settings(home=self.home)).store


def _end(process: "subprocess.Popen[Any]") -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(30)


def http_batch(events: int, folder: Path) -> None:
    """Batches of a hundred calls of a tracking client."""
    made = Installation(folder / "http-batch")
    calls = _calls(min(events, 200_000), made.now)
    bodies = [
        json.dumps({"batch": calls[n : n + _OF_A_BATCH]}).encode()
        for n in range(0, len(calls), _OF_A_BATCH)
    ]
    with made.served() as port:
        sent = _sent(port, [request("/v1/batch", body, [made.key]) for body in bodies], _ON_BATCHES)
    _all_there(made, len(calls))
    plain = _plainly(folder / "plain-batch", calls[: max(len(calls) // 40, 1)])
    told(
        "http-batch",
        len(calls) / sent.seconds,
        "events/s",
        baseline=len(plain.waits) / plain.seconds,
        target=20_000,
        events=len(calls),
        batch=_OF_A_BATCH,
        connections=_ON_BATCHES,
        p99_ms=1_000 * sent.within(0.99),
        bytes_an_event=sum(map(len, bodies)) / len(calls),
        baseline_p99_ms=1_000 * plain.within(0.99),
        durability=DURABILITY,
    )


def http_single(events: int, folder: Path) -> None:
    """One call a request."""
    made = Installation(folder / "http-single")
    calls = _calls(min(events // 10, 50_000), made.now)
    requests = [
        request(f"/v1/{call['type']}", json.dumps(call).encode(), [made.key]) for call in calls
    ]
    with made.served() as port:
        sent = _sent(port, requests, _ON_SINGLES)
    _all_there(made, len(calls))
    plain = _plainly(folder / "plain-single", calls[: max(len(calls) // 10, 1)])
    told(
        "http-single",
        len(calls) / sent.seconds,
        "events/s",
        baseline=len(plain.waits) / plain.seconds,
        target=5_000,
        events=len(calls),
        connections=_ON_SINGLES,
        p99_ms=1_000 * sent.within(0.99),
        baseline_p99_ms=1_000 * plain.within(0.99),
        durability=DURABILITY,
    )


def webhooks_in(events: int, folder: Path, *, rate: float = 100.0) -> None:
    """Signed orders of a shop, a hundred a second; how long each waits for its answer."""
    made = Installation(folder / "webhooks-in")
    number = max(min(events // 500, 2_000), 50)
    requests = [_order_of_shopify(n, made.now) for n in range(number)]
    with made.served() as port:
        sent = _sent(port, requests, 16, rate)
    told(
        "webhooks-in",
        1_000 * sent.within(0.99),
        "ms (p99)",
        target=500,
        p50_ms=1_000 * sent.within(0.5),
        requests=number,
        asked_per_second=rate,
        answered_per_second=number / sent.seconds,
        bytes_a_request=sum(map(len, requests)) / number,
        durability=DURABILITY,
    )


def intake_to_decision(events: int, folder: Path, *, rate: float = 500.0) -> None:
    """From the sending of an event until a turn has decided about it, with server and worker."""
    made = Installation(folder / "intake-to-decision")
    calls = _calls(max(min(events // 50, 15_000), 500), made.now)
    requests = [
        request(f"/v1/{call['type']}", json.dumps(call).encode(), [made.key]) for call in calls
    ]
    watch = _Watch(made)
    with made.served() as port, made.working():
        watch.start()
        sent = _sent(port, requests, _ON_SINGLES, rate)
        watch.end()
    places = _places(made)
    waits = sorted(
        watch.when(places[call["messageId"]]) - at
        for call, at in zip(calls, sent.sent_at, strict=True)
    )
    of = {share: waits[int(share * (len(waits) - 1))] for share in (0.5, 0.95, 0.99)}
    told(
        "intake-to-decision",
        of[0.95],
        "seconds (p95)",
        target=5.0,
        p50=of[0.5],
        p95=of[0.95],
        p99=of[0.99],
        events=len(calls),
        asked_per_second=rate,
        taken_per_second=len(calls) / sent.seconds,
        answered_p99_ms=1_000 * sent.within(0.99),
        durability=DURABILITY,
    )


class _Watch(threading.Thread):
    """Looks again and again up to which event all customers have been turned."""

    def __init__(self, made: Installation) -> None:
        super().__init__(daemon=True)
        self._made = made
        self._seen: list[tuple[int, float]] = []
        self._last = threading.Event()

    def run(self) -> None:
        """Look until all is read once the sending has ended."""
        store = self._made.store()
        while True:
            with store.read() as tx:
                upto, last = min(shard.upto for shard in tx.shards.all()), tx.ledger.last()
            self._seen.append((upto, time.time()))
            if self._last.is_set() and upto == last:
                break
            time.sleep(_LOOKED_AT)
        store.close()

    def end(self) -> None:
        """The sending has ended; wait until all is read."""
        self._last.set()
        self.join(60)

    def when(self, position: int) -> float:
        """When the event was first seen to be turned."""
        place = bisect_left(self._seen, (position, 0.0))
        return self._seen[place][1] if place < len(self._seen) else float("inf")


def _places(made: Installation) -> dict[str, int]:
    """The position of each event by the id that its sender gave it."""
    store = made.store()
    with store.read() as tx:
        found = {entry.id: entry.position for entry in tx.ledger.read(0, 10_000_000)}
    store.close()
    return found


def _all_there(made: Installation, number: int) -> None:
    store = made.store()
    kept = store.describe()["rows"]["events"]
    store.close()
    if kept < number:
        raise SystemExit(f"{number} events were answered 2xx, and {kept} are kept")


def _sent(port: int, requests: list[bytes], connections: int, rate: float = 0.0) -> Sent:
    sent = send(port, requests, connections, rate)
    if sent.refused:
        raise SystemExit(f"{sent.refused} of {len(requests)} requests were refused")
    return sent


def _plainly(folder: Path, calls: Sequence[dict[str, Any]]) -> Sent:
    """The same events at the endpoint that inserts a row a request."""
    folder.mkdir()
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.plain_server", str(folder / "rows.db"), str(port)]
    with on_processor(0):
        process = subprocess.Popen(command)
    try:
        _until_it_listens(port)
        requests = [
            request("/v1/track", json.dumps({"event": "", "properties": {}, **call}).encode())
            for call in calls
        ]
        return _sent(port, requests, _ON_SINGLES)
    finally:
        _end(process)


def _until_it_listens(port: int) -> None:
    for _ in range(200):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("the plain server did not start")


def _calls(number: int, now: int) -> list[dict[str, Any]]:
    """What a shop's client tells: of ten calls an order, a person and eight looks at products."""
    calls: list[dict[str, Any]] = []
    for n in range(number):
        who, at = n // 10, format_instant(now - (number - n) * SECOND // 100)
        call: dict[str, Any] = {
            "messageId": f"m-{os.getpid()}-{n}",
            "userId": f"u{who}",
            "anonymousId": f"a{who}",
            "timestamp": at,
            "sentAt": at,
            "context": {
                "ip": "192.0.2.7",
                "locale": "de-DE",
                "userAgent": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/150.0",
                "page": {"path": f"/p/{n % 300}", "url": f"https://shop.example/p/{n % 300}"},
            },
        }
        match n % 10:
            case 0:
                call |= {
                    "type": "identify",
                    "traits": {"email": f"u{who}@mail.example", "firstName": "Ada"},
                }
            case 9:
                product = {"product_id": f"p{n % 300}", "quantity": 1, "price": 19.9}
                call |= {
                    "type": "track",
                    "event": "Order Completed",
                    "properties": {
                        "order_id": f"o{n}",
                        "total": 19.9,
                        "currency": "EUR",
                        "products": [product],
                    },
                }
            case _:
                call |= {
                    "type": "track",
                    "event": "Product Viewed",
                    "properties": {"product_id": f"p{n % 300}", "price": 19.9, "currency": "EUR"},
                }
        calls.append(call)
    return calls


def _order_of_shopify(n: int, now: int) -> bytes:
    at = format_instant(now)
    line = {"id": n, "product_id": n % 300, "quantity": 1, "price": "19.90", "title": "A thing"}
    body = json.dumps({
        "id": 1_000_000 + n, "name": f"#{n}", "created_at": at, "updated_at": at,
        "currency": "EUR", "total_price": "99.50", "email": f"u{n}@mail.example",
        "financial_status": "paid", "line_items": [line] * 5, "note_attributes": [],
        "customer": {"id": n, "email": f"u{n}@mail.example", "first_name": "Ada"},
        "shipping_address": {"city": "Berlin", "country_code": "DE", "zip": "10115"},
    }).encode()  # fmt: skip
    signature = base64.b64encode(hmac.digest(_SECRET.encode(), body, sha256)).decode()
    headers = [
        ("x-shopify-topic", "orders/create"),
        ("x-shopify-webhook-id", f"w{n}"),
        ("x-shopify-hmac-sha256", signature),
    ]
    return request("/webhooks/shopify/main", body, headers)
