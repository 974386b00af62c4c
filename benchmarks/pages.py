"""How long does the server take for a page, on the demo and on a store of a million customers?

Every page is asked for over the application itself, without a network: reading, rendering,
session and headers included. The large store is the simulated shop of 10,000 customers, each of
whom is copied: all have their own number, events, state, decisions, messages and names.
"""

import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aftersale.adapters.folder import starter_files
from aftersale.bootstrap import init, open_app, store_path
from aftersale.events.event import read_event
from aftersale.kernel.instants import DAY, parse_instant
from aftersale.runtime.app import App
from aftersale.runtime.intake import take_in
from aftersale.settings import Settings
from aftersale.testing.shop import simulate
from aftersale.web.census import count
from aftersale.web.pages import MENU
from aftersale.web.sign_in import COOKIE, SignIn, session_cookie
from aftersale.web.site import create_site
from benchmarks.figures import Clock, mebibytes, peak_memory, told

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the client says that it would like another httpx
    from starlette.testclient import TestClient

_END = parse_instant("2026-07-01T00:00:00Z")
_LIVE_FROM = _END - 15 * DAY
_MADE = 10_000
"""Customers of the shop that is copied."""
_LOOKS = {"product.viewed", "product.added_to_cart", "tracking.viewed", "message.sent",
          "message.opened", "message.clicked"}  # fmt: skip
_ONE_LOOK_OF = 25
"""So many are left out for each that is kept, so that a customer has about ten events."""
_TIMES = 15


def pages_demo(events: int, folder: Path) -> None:
    """Every page of `aftersale demo`."""
    home = folder / "demo"
    command = [sys.executable, "-m", "aftersale", "demo", "--home", str(home), "--no-serve"]
    subprocess.run(command, check=True, capture_output=True)
    app = open_app(Settings(home=home))
    _measure("pages-demo", app, target=200.0)
    app.store.close()


def pages_1m(customers: int, folder: Path) -> None:
    """Every page of a store with a million customers and ten million events."""
    home = folder / "pages"
    made, counted = Clock(), Clock()
    with made.running():
        app = _shop(home, min(_MADE, customers))
        app.store.close()
        events = _copied(store_path(home), max(customers // _MADE, 1))
    app = open_app(Settings(home=home))
    with counted.running():
        census = count(app.store, app.system_now)
    _measure(
        "pages-1m",
        app,
        target=500.0,
        customers=census.customers,
        events=events,
        made_seconds=made.seconds,
        count_seconds=counted.seconds,
    )
    app.store.close()


def _measure(name: str, app: App, *, target: float, **further: Any) -> None:
    """Print the slowest page's p95 in milliseconds, and each page's."""
    with app.store.read() as tx:
        secret = bytes.fromhex(tx.meta.get("secret"))
    site = create_site(app, secret=secret, sign_in=SignIn(app.store))
    client = TestClient(site, base_url="http://127.0.0.1:8765", follow_redirects=False)
    client.cookies.set(COOKIE, session_cookie(secret, app.system_now()))
    first: dict[str, float] = {}
    slow: dict[str, float] = {}
    for path in _addresses(app):
        took = []
        for _ in range(_TIMES + 1):
            began = time.perf_counter()
            answer = client.get(path)
            took.append(1_000 * (time.perf_counter() - began))
            assert answer.status_code == 200, (path, answer.status_code)
        first[path] = took[0]
        slow[path] = sorted(took[1:])[round(0.95 * _TIMES) - 1]
    worst = sorted(slow, key=lambda path: -slow[path])
    told(
        name,
        slow[worst[0]],
        "ms",
        target=target,
        pages=len(slow),
        median_of_pages=sorted(slow.values())[len(slow) // 2],
        slowest={path: slow[path] for path in worst[:8]},
        first_slowest=dict(sorted(first.items(), key=lambda pair: -pair[1])[:5]),
        over=[path for path in worst if slow[path] > target],
        peak_mib=mebibytes(peak_memory()),
        **further,
    )


def _addresses(app: App) -> Iterator[str]:
    """Every page, those of one thing for somebody who has much of it."""
    with app.store.read() as tx:
        mail = tx.mailbox.newest(limit=1)[0]
        held = tx.decisions.newest(kind="hold", limit=1)[0]
        address = tx.personal.of_many([mail.customer])[mail.customer]["email"]
        journeys = list(app.worlds.now(tx).programme.journeys)
    yield from (address for _, entries in MENU for _, address, _ in entries)
    yield "/overview.json"
    yield "/?range=365&compare=year&plot=revenue"
    yield "/?range=all"
    yield f"/customers/{mail.customer}"
    yield f"/customers/{held.customer}"
    yield "/customers?where=" + quote("orders.count > 3")
    yield "/customers?where=" + quote("orders.count > 300")
    yield "/segments/regular"
    yield "/segments/new?where=" + quote("orders.count > 3 and lifecycle.stage = 'at_risk'")
    yield "/decisions?kind=hold"
    yield "/decisions?journey=win-back&kind=send"
    yield f"/decisions/{held.customer}-{held.seq}"
    yield from (f"/journeys/{name}" for name in journeys)
    yield f"/journeys/education?customer={mail.customer}"
    yield "/templates/win-back"
    yield "/templates/win-back/preview"
    yield f"/mailbox/message?key={quote(mail.key, safe='')}"
    yield f"/mailbox?customer={mail.customer}"
    yield "/versions/1"
    yield "/mode"
    yield "/doubts"
    yield "/data/upload"
    yield "/search?q=refill"
    yield f"/search?q={quote(str(address))}"
    yield "/search?q=nobody@example.org"


def _shop(home: Path, customers: int) -> App:
    """The simulated shop after two weeks of journeys."""
    app, _ = init(Settings(home=home))
    shop = simulate(seed=5, customers=customers, start=_END - 500 * DAY, end=_END)
    app.deploy(starter_files() | {"products.csv": shop.products_csv()}, note="benchmark")
    arrived = [
        (at, read_event(raw, source="shop"))
        for n, (at, raw) in enumerate(shop.events())
        if raw["type"] not in _LOOKS or not n % _ONE_LOOK_OF
    ]
    past = [event for at, event in arrived if at < _LIVE_FROM]
    for begin in range(0, len(past), 5_000):
        with app.store.write() as tx:
            take_in(tx, past[begin : begin + 5_000], received_at=_LIVE_FROM, history=True)
    app.worker.drive(_LIVE_FROM)
    later = [pair for pair in arrived if pair[0] >= _LIVE_FROM]
    with app.store.write() as tx:
        take_in(tx, [event for _, event in later], received_at=[at for at, _ in later])
    app.worker.drive(_END)
    return app


def _copied(path: Path, times: int) -> int:
    """Let there be so many of every customer; how many events there are then."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous=OFF")
        db.execute("PRAGMA cache_size=-3000000")
        db.execute("PRAGMA journal_mode=OFF")
        ((people,),) = db.execute("SELECT max(id) FROM customers")
        ((last,),) = db.execute("SELECT max(position) FROM events")
        most = {name: db.execute(f"SELECT max(number) FROM {name}").fetchone()[0] or 0
                for name in ("decisions", "outbox", "mailbox")}  # fmt: skip
        moved = {"position": last, "customer": people, "absorbed": people, "survivor": people}
        db.execute("BEGIN")
        for table in ("customers", "pointers", "events", "seen", "identities", "personal",
                      "states", "decisions", "outbox", "mailbox"):  # fmt: skip
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            terms = []
            for column in columns:
                match table, column:
                    case "customers", "id":
                        terms.append(f"id + :n * {people}")
                    case "seen", "key":
                        terms.append("CAST(printf('%016d', :n) AS BLOB) || key")
                    case "identities", "value":
                        terms.append("'n' || :n || '.' || value")
                    case (("outbox" | "mailbox"), "key"):
                        terms.append("key || ':' || :n")
                    case _, "number":
                        terms.append(f"number + :n * {most[table]}")
                    case _, "cause":
                        terms.append(f"cause + :n * {last}")
                    case _, ("position" | "customer" | "absorbed" | "survivor"):
                        terms.append(f"{column} + :n * {moved[column]}")
                    case _:
                        terms.append(column)
            mine = {
                "customers": f"id <= {people}",
                "seen": f"position <= {last}",
                "pointers": f"absorbed <= {people}",
            }.get(table, f"customer <= {people}")
            if table in {"events", "personal"}:
                mine += " AND customer > 0"
            for n in range(1, times):
                db.execute(
                    f"INSERT INTO {table} ({', '.join(columns)}) "
                    f"SELECT {', '.join(terms)} FROM {table} WHERE {mine}",
                    {"n": n},
                )
        db.execute("UPDATE counters SET value = (SELECT count(*) FROM states) "
                   "WHERE name = 'states'")  # fmt: skip
        db.execute("UPDATE shards SET upto = (SELECT max(position) FROM events)")
        db.execute("UPDATE turns SET upto_position = (SELECT max(position) FROM events) "
                   "WHERE turn = (SELECT max(turn) FROM turns)")  # fmt: skip
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode=WAL")
        ((events,),) = db.execute("SELECT count(*) FROM events")
    return int(events)
