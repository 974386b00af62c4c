"""What do the tests of pages share: a small shop that has lived for a while."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.applications import Starlette

from aftersale.adapters.folder import starter_files
from aftersale.adapters.storage.memory import MemoryStore
from aftersale.adapters.storage.postgres.store import PostgresStore
from aftersale.bootstrap import build
from aftersale.events.event import read_event
from aftersale.kernel.instants import DAY, parse_instant
from aftersale.programme.ports import Store
from aftersale.runtime.app import App
from aftersale.runtime.intake import take_in
from aftersale.settings import Settings
from aftersale.testing.shop import simulate
from aftersale.web.sign_in import SignIn, session_cookie
from aftersale.web.site import create_site

SECRET = bytes(range(32))
END = parse_instant("2026-07-01T00:00:00Z")
LIVE_FROM = END - 40 * DAY

HOSTILE = {
    "markup": '<script>alert(1)</script><img src=x onerror="alert(2)">',
    "long": "W" * 200,
    "emoji": "👩‍👩‍👧‍👦 Zoë",
    "right-to-left": "\u202eمحمد بن علي",
    "template": "{{ 7 * 7 }} {% raw %}",
}


@dataclass(frozen=True)
class Lived:
    """An installation with its pages."""

    app: App
    site: Starlette
    cookie: str
    secret: bytes
    awkward: dict[str, str]
    """Part of an e-mail address → the awkward name of its owner."""


def settled(store: Store, customers: int = 40) -> Lived:
    """The simulated shop after its last forty days of journeys, with awkward people in it."""
    with store.write() as tx:
        tx.meta.set("secret", SECRET.hex())
        tx.meta.set("mode", "rehearse")
        tx.meta.set("demo", value=True)
    app = build(store, Settings(home=Path(__file__).parent))
    shop = simulate(seed=11, customers=customers, start=END - 500 * DAY, end=END)
    app.deploy(starter_files() | {"products.csv": shop.products_csv()}, note="test")
    arrived = [(at, read_event(raw, source="demo")) for at, raw in shop.events()]
    past = [event for at, event in arrived if at < LIVE_FROM]
    later = [(at, event) for at, event in arrived if at >= LIVE_FROM]
    with store.write() as tx:
        take_in(tx, past, received_at=LIVE_FROM, history=True)
    app.worker.drive(LIVE_FROM)
    awkward = [
        read_event(
            {
                "id": f"awkward-{kind}",
                "source": name,
                "type": "order.completed",
                "at": END - DAY,
                "customer": {"email": f"{kind}@example.com", "name": name},
                "data": {"order": f"{kind}/{name[:20]}", "currency": "EUR", "total": 1200},
            }
        )
        for kind, name in HOSTILE.items()
    ]
    later += [(END - DAY, event) for event in awkward]
    later.sort(key=lambda pair: pair[0])
    with store.write() as tx:
        take_in(tx, [event for _, event in later], received_at=[at for at, _ in later])
    app.worker.drive(END)
    site = create_site(app, secret=SECRET, sign_in=SignIn(store))
    return Lived(app, site, session_cookie(SECRET, app.system_now()), SECRET, HOSTILE)


@pytest.fixture(scope="session")
def lived() -> Iterator[Lived]:
    """The shop, made once; tests that change it only add."""
    made = settled(MemoryStore())
    yield made
    made.app.store.close()


@pytest.fixture
def lived_little() -> Iterator[Lived]:
    """A small one of its own, for tests that change its programme."""
    made = settled(MemoryStore(), 3)
    yield made
    made.app.store.close()


@pytest.fixture
def lived_in_database(database: str) -> Iterator[Lived]:
    """A smaller one on PostgreSQL."""
    made = settled(PostgresStore(database, create=True, shards=3), 8)
    yield made
    made.app.store.close()
