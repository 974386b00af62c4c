"""What would a competent team write first, and what does that cost?

One transaction an event: keep it unless it is known, load the customer's profile, go through the
same seven rules in plain Python, write the profile back, put delayed jobs into a table. A second
loop takes the jobs that are due, asks the tables whether each may still go, and writes the send.
Prepared statements, the right indexes, the same durability; nothing is slowed down.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import psycopg

from aftersale.events.event import Event
from aftersale.events.vocabulary import (
    OrderCancelled,
    OrderCompleted,
    OrderDelivered,
    OrderShipped,
    ReturnInitiated,
    ReviewSubmitted,
    Ticket,
    encode_body,
)
from aftersale.kernel.instants import DAY, HOUR, MINUTE, Instant
from benchmarks.events import supply

_SCHEMA = """
CREATE TABLE events (
  source TEXT, id TEXT, type TEXT, at INTEGER, received_at INTEGER, customer TEXT, payload BLOB,
  PRIMARY KEY (source, id)
) WITHOUT ROWID;
CREATE TABLE profiles (customer TEXT PRIMARY KEY, profile TEXT) WITHOUT ROWID;
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY, key TEXT UNIQUE, due INTEGER, kind TEXT, customer TEXT, subject TEXT,
  set_at INTEGER
);
CREATE INDEX jobs_due ON jobs (due);
CREATE TABLE sends (
  key TEXT PRIMARY KEY, customer TEXT, kind TEXT, purpose TEXT, at INTEGER, body TEXT
) WITHOUT ROWID;
CREATE INDEX sends_of ON sends (customer, at);
"""
_HOURS_AHEAD = {"DE": 1, "FR": 1, "GB": 0}
_BULK = 2_000
_JOBS = 100
_WINBACK = 90 * DAY
Profile = dict[str, Any]


class Database(Protocol):
    """What the textbook's way needs of a database; values stand at question marks."""

    def execute(self, query: str, values: Sequence[Any] = ()) -> Any:
        """Run a statement; its cursor."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


def sqlite(path: Path | str) -> sqlite3.Connection:
    """An empty database in a file."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA cache_size=-131072")
    db.execute("PRAGMA wal_autocheckpoint=20000")
    db.executescript(_SCHEMA)
    return db


class Postgres:
    """The same tables on a server, with prepared statements."""

    def __init__(self, address: str) -> None:
        self._connection = psycopg.connect(address, autocommit=True, prepare_threshold=1)
        schema = _SCHEMA.replace(" WITHOUT ROWID", "").replace(
            "INTEGER PRIMARY KEY", "bigserial PRIMARY KEY"
        )
        schema = schema.replace("INTEGER", "bigint").replace("BLOB", "bytea")
        self._connection.execute(schema.encode())

    def fill(self, other: sqlite3.Connection) -> None:
        """Take over what lies in a file."""
        for table in ("events", "profiles", "jobs", "sends"):
            rows = other.execute(f"SELECT * FROM {table}")
            with self._connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as to:
                for row in rows:
                    to.write_row(row)
        self._connection.execute("SELECT setval('jobs_id_seq', (SELECT max(id) FROM jobs))")
        self._connection.execute("VACUUM ANALYZE")

    def execute(self, query: str, values: Sequence[Any] = ()) -> Any:
        """Run a statement; its cursor."""
        if query == "BEGIN IMMEDIATE":
            query = "BEGIN"
        return self._connection.execute(query.replace("?", "%s"), values or None)

    def close(self) -> None:
        """Close it."""
        self._connection.close()


class Textbook:
    """The shop's events, profiles, delayed jobs and sends in one database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting = 0
        self._polled: Instant = 0
        self.jobs_done = 0

    def take(self, event: Event) -> None:
        """One event in its transaction, then every job that is due in one of its own."""
        self._db.execute("BEGIN IMMEDIATE")
        self._event(event)
        self._db.execute("COMMIT")
        self._poll(event.at, bulk=False)

    def in_bulk(self, event: Event) -> None:
        """The same in transactions of many, to fill the tables before anything is measured."""
        if self._waiting == 0:
            self._db.execute("BEGIN IMMEDIATE")
        self._event(event)
        self._poll(event.at, bulk=True)
        self._waiting += 1
        if self._waiting == _BULK:
            self.commit()

    def commit(self) -> None:
        """End what was taken in bulk."""
        if self._waiting:
            self._db.execute("COMMIT")
            self._waiting = 0

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _event(self, event: Event) -> None:
        db = self._db
        customer = event.refs[0].value
        kept = db.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                event.source,
                event.id,
                event.type,
                event.at,
                event.at,
                customer,
                encode_body(event.body),
            ),
        )
        if kept.rowcount == 0:
            return
        profile = self._load(customer)
        profile["seen_at"] = event.at
        rule = _RULES.get(event.type)
        if rule is not None:
            rule(self, customer, profile, event)
        if event.personal:
            profile["person"] = event.personal
        db.execute(
            "INSERT INTO profiles VALUES (?, ?)"
            " ON CONFLICT (customer) DO UPDATE SET profile = excluded.profile",
            (customer, json.dumps(profile, separators=(",", ":"))),
        )

    def _load(self, customer: str) -> Profile:
        row = self._db.execute(
            "SELECT profile FROM profiles WHERE customer = ?", (customer,)
        ).fetchone()
        if row is None:
            return {"orders": {}, "tickets": {}, "viewed": {}, "consent": False}
        found: Profile = json.loads(row[0])
        return found

    def _later(self, kind: str, customer: str, subject: str, due: Instant, at: Instant) -> None:
        """A delayed job; a newer one about the same thing takes its place."""
        self._db.execute(
            "INSERT INTO jobs (key, due, kind, customer, subject, set_at)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key)"
            " DO UPDATE SET due = excluded.due, set_at = excluded.set_at",
            (f"{kind}:{customer}:{subject}", due, kind, customer, subject, at),
        )

    def _send(
        self, kind: str, customer: str, subject: str, at: Instant, purpose: str, body: Any
    ) -> None:
        self._db.execute(
            "INSERT INTO sends VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (f"{kind}:{customer}:{subject}:{at // DAY}", customer, kind, purpose, at, body),
        )

    def completed(self, customer: str, profile: Profile, event: Event) -> None:
        body = event.body
        assert isinstance(body, OrderCompleted)
        lines = [[line.product, line.quantity, line.amount] for line in body.lines]
        profile["country"], profile["zone"] = body.country, body.zone
        profile["orders"][body.order] = {
            "at": event.at, "total": body.total, "lines": lines, "gift": body.gift,
        }  # fmt: skip
        self._send(
            "confirmation", customer, body.order, event.at, "transactional", json.dumps(lines)
        )
        for line in body.lines:
            if line.product.startswith("c"):
                days = supply(int(line.product[1:])) * line.quantity
                due = event.at + days * DAY - min(10 * DAY, days * DAY // 6)
                self._later("refill", customer, line.product, due, event.at)
            elif line.product.startswith("s"):
                self._later("education", customer, line.product, event.at + 7 * DAY, event.at)
        self._later("win-back", customer, "", event.at + _WINBACK, event.at)

    def shipped(self, customer: str, profile: Profile, event: Event) -> None:
        body = event.body
        assert isinstance(body, OrderShipped)
        order = profile["orders"].setdefault(body.order, {"at": 0, "lines": []})
        order["shipped"], order["promised"] = event.at, body.promised_at
        self._send("shipment", customer, body.order, event.at, "transactional", body.carrier)

    def delivered(self, customer: str, profile: Profile, event: Event) -> None:
        body = event.body
        assert isinstance(body, OrderDelivered)
        order = profile["orders"].setdefault(body.order, {"at": 0, "lines": []})
        order["delivered"] = event.at
        self._send("delivered", customer, body.order, event.at, "transactional", "")
        if order.get("gift"):
            return
        self._later("review", customer, body.order, event.at + 2 * DAY, event.at)
        taught = profile.setdefault("taught", [])
        for product, _, _ in order["lines"]:
            if product not in taught and not product.startswith("s"):
                taught.append(product)
                self._later("education", customer, product, event.at + 7 * DAY, event.at)

    def cancelled(self, customer: str, profile: Profile, event: Event) -> None:
        body = event.body
        assert isinstance(body, OrderCancelled)
        profile["orders"].setdefault(body.order, {"at": 0, "lines": []})["cancelled"] = event.at

    def returned(self, customer: str, profile: Profile, event: Event) -> None:
        body = event.body
        assert isinstance(body, ReturnInitiated)
        order = profile["orders"].setdefault(body.order, {"at": 0, "lines": []})
        order["returned"] = [line.product for line in body.lines]

    def reviewed(self, customer: str, profile: Profile, event: Event) -> None:
        body = event.body
        assert isinstance(body, ReviewSubmitted)
        profile.setdefault("reviews", {})[body.order] = [body.product, body.rating, event.at]

    def ticket(self, customer: str, profile: Profile, event: Event) -> None:
        body = event.body
        assert isinstance(body, Ticket)
        if event.type == "support.ticket_created":
            profile["tickets"][body.ticket] = event.at
        else:
            profile["tickets"].pop(body.ticket, None)

    def consented(self, customer: str, profile: Profile, event: Event) -> None:
        profile["consent"] = event.type == "consent.given"

    def looked(self, customer: str, profile: Profile, event: Event) -> None:
        product = getattr(event.body, "product", "")
        viewed = profile["viewed"]
        viewed[product] = event.at
        if len(viewed) > 30:
            del viewed[min(viewed, key=viewed.__getitem__)]

    def opened(self, customer: str, profile: Profile, event: Event) -> None:
        profile["reacted_at"] = event.at

    def _poll(self, now: Instant, *, bulk: bool) -> None:
        """Once a minute of the shop's time: the jobs that are due, each in its transaction."""
        if now < self._polled + MINUTE:
            return
        self._polled = now
        while True:
            rows = self._db.execute(
                "SELECT id, due, kind, customer, subject, set_at FROM jobs WHERE due <= ?"
                " ORDER BY due LIMIT ?",
                (now, _JOBS),
            ).fetchall()
            for row in rows:
                if not bulk:
                    self._db.execute("BEGIN IMMEDIATE")
                self._job(now, *row)
                if not bulk:
                    self._db.execute("COMMIT")
            if len(rows) < _JOBS:
                return

    def _job(
        self,
        now: Instant,
        job: int,
        due: Instant,
        kind: str,
        customer: str,
        subject: str,
        set_at: Instant,
    ) -> None:
        self.jobs_done += 1
        profile = self._load(customer)
        if not self._suppressed(kind, customer, profile, subject, set_at, now):
            wait = self._wait(customer, profile, now)
            if wait and now + wait < due + 14 * DAY:
                self._db.execute("UPDATE jobs SET due = ? WHERE id = ?", (now + wait, job))
                return
            if not wait:
                body = json.dumps({"subject": subject, "to": profile.get("person")})
                self._send(kind, customer, subject, now, "marketing", body)
        self._db.execute("DELETE FROM jobs WHERE id = ?", (job,))

    def _suppressed(
        self,
        kind: str,
        customer: str,
        profile: Profile,
        subject: str,
        set_at: Instant,
        now: Instant,
    ) -> bool:
        """Whether the message makes no sense, or may not go, any more."""
        if not profile["consent"] or _held_out(kind, customer):
            return True
        if any(opened > now - 14 * DAY for opened in profile["tickets"].values()):
            return True
        reviews = profile.get("reviews", {})
        if any(rating <= 2 and at > now - 14 * DAY for _, rating, at in reviews.values()):
            return True
        orders = profile["orders"]
        if kind == "review":
            order = orders.get(subject, {})
            return subject in reviews or "cancelled" in order or "returned" in order
        if kind == "refill":
            return any(
                order["at"] > set_at and any(line[0] == subject for line in order["lines"])
                for order in orders.values()
            )
        if kind == "win-back":
            return any(order["at"] > set_at for order in orders.values())
        return any(subject in order.get("returned", ()) for order in orders.values())

    def _wait(self, customer: str, profile: Profile, now: Instant) -> int:
        """How long the caps and the night keep a message back."""
        day, week = self._db.execute(
            "SELECT count(*) FILTER (WHERE at > ?), count(*) FROM sends"
            " WHERE customer = ? AND purpose = 'marketing' AND at > ?",
            (now - DAY, customer, now - 7 * DAY),
        ).fetchone()
        if (day or 0) >= 1 or week >= 3:
            return DAY
        hour = (now // HOUR + _HOURS_AHEAD.get(profile.get("country", ""), 0)) % 24
        if 8 <= hour < 21:
            return 0
        return (32 - hour) % 24 * HOUR


def _held_out(kind: str, customer: str) -> bool:
    digest = hashlib.blake2b(f"{kind}:{customer}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") < 0.05 * 2**32


_RULES: dict[str, Callable[[Textbook, str, Profile, Event], None]] = {
    "order.completed": Textbook.completed,
    "order.shipped": Textbook.shipped,
    "order.delivered": Textbook.delivered,
    "order.cancelled": Textbook.cancelled,
    "return.initiated": Textbook.returned,
    "review.submitted": Textbook.reviewed,
    "support.ticket_created": Textbook.ticket,
    "support.ticket_resolved": Textbook.ticket,
    "consent.given": Textbook.consented,
    "consent.withdrawn": Textbook.consented,
    "product.viewed": Textbook.looked,
    "product.added_to_cart": Textbook.looked,
    "message.opened": Textbook.opened,
    "message.clicked": Textbook.opened,
}
