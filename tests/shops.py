"""How does a test get an installation that takes events in over HTTP?"""

import gzip
import warnings
from typing import Any

import msgspec
from starlette.responses import PlainTextResponse

from aftersale.api.front import Front
from aftersale.api.intake import Bounds, Intake
from aftersale.api.webhooks import Webhooks
from aftersale.bootstrap import build
from aftersale.events.event import Entry
from aftersale.kernel.instants import SECOND, parse_instant
from aftersale.programme.api_keys import INGEST, SECRET, make_key
from aftersale.programme.ports import Store
from aftersale.settings import Settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the client says that it would like another httpx
    from starlette.testclient import TestClient

NOW = parse_instant("2026-11-01T12:00:00Z")
AT = "2026-11-01T11:00:00Z"


class Shop:
    """An installation whose clock stands still unless it is moved, and its addresses."""

    def __init__(self, store: Store, bounds: Bounds = Bounds()) -> None:  # noqa: B008
        self.now = NOW
        self.app = msgspec.structs.replace(build(store, Settings()), system_now=lambda: self.now)
        self.store = store
        self.intake = Intake(self.app, lambda: self.now / SECOND, bounds)
        self.secrets: dict[str, tuple[str, ...]] = {}
        """Address below /webhooks/ → its secrets."""
        self.certificates: dict[str, bytes] = {}
        webhooks = Webhooks(
            self.intake,
            lambda provider, shop: self.secrets.get(f"{provider}/{shop}".rstrip("/"), ()),
            lambda url: self.certificates.get(url, b""),
        )
        self.front = Front(PlainTextResponse("a page"), self.intake, webhooks)
        self.client = TestClient(self.front, base_url="http://shop.example")
        self.key = self.add_key(INGEST)
        self.secret = self.add_key(SECRET)
        self.reading = self.add_key(SECRET, scopes=["read"])

    def add_key(self, kind: str, **parts: Any) -> str:
        """A new key."""
        with self.store.write() as tx:
            n = len(tx.api_keys.all())
            text, kept = make_key(
                bytes([n + 1] * 20), kind=kind, name=f"key {n}", shop="main", now=n, **parts
            )
            tx.api_keys.add(kept)
        return text

    def post(self, path: str, body: Any, key: str | None = None, **headers: str) -> Any:
        """Send something, with the ingestion key unless another is named ('': none)."""
        key = self.key if key is None else key
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        if headers.get("content_encoding") == "gzip" and not isinstance(body, bytes):
            data = gzip.compress(data)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, content=data, headers=named, auth=(key, "") if key else None)

    def entries(self) -> list[Entry]:
        """What is in the ledger."""
        with self.store.read() as tx:
            return tx.ledger.read(0, 10_000)

    def personal(self, entry: Entry) -> dict[str, Any]:
        """What an entry tells that names people."""
        with self.store.read() as tx:
            return tx.personal.of_events([entry.position])[entry.position]


def track(n: int = 1, **parts: Any) -> dict[str, Any]:
    """A call that is told apart by its number."""
    item = {
        "type": "track",
        "event": "Product Viewed",
        "userId": f"c{n}",
        "messageId": f"m-{n}",
        "timestamp": AT,
        "properties": {"product_id": "coffee"},
    }
    return {**item, **parts}
