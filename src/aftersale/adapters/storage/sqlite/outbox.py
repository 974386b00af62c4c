"""How do messages on their way, and those the mailbox caught, lie in the file?"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec

from aftersale.adapters.storage.sqlite.connection import marks
from aftersale.adapters.storage.sqlite.session import Session
from aftersale.delivery.life import OPEN, may_move
from aftersale.delivery.ports import SENT, UNKNOWN, Caught, Send
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant

_PAGE = 2_000
_SEND = (
    "key, customer, seq, journey, version, run, step, channel, purpose, template, decided_at,"
    " useful_until, state_version, shop, data, status, status_at, reason, provider_id, kind,"
    " attempts, not_before, repeats"
)
_VALUES_AT = 14
_HEADERS_AT = 7
_CAUGHT = "key, customer, at, recipient, subject, html, text, headers, channel"
_VALUES = msgspec.msgpack.Decoder(dict[str, Any])
_HEADERS = msgspec.msgpack.Decoder(dict[str, str])
_encode = msgspec.msgpack.encode


class SqliteOutbox:
    """Messages and tasks on their way, each under its deterministic key."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._read = session.connection

    def put(self, sends: Sequence[Send]) -> int:
        """Add rows; a key that is there stays as it is. How many were new."""
        rows = [
            (
                s.key, s.customer, s.seq, s.journey, s.version, s.run, s.step, s.channel,
                s.purpose, s.template, s.decided_at, s.useful_until, s.state_version, s.shop,
                _encode(s.values), s.status, s.status_at, s.reason, s.provider_id, s.kind,
                s.attempts, s.not_before, s.repeats,
            )
            for s in sends
        ]  # fmt: skip
        if not rows:
            return 0
        added = self._session.writing().executemany(
            f"INSERT INTO outbox ({_SEND}) VALUES ({marks(rows[0])}) ON CONFLICT (key) DO NOTHING",
            rows,
        )
        return added.rowcount

    def queued(
        self,
        until: Instant,
        limit: int,
        *,
        passing_by: Sequence[str] = (),
        shards: Collection[int] | None = None,
    ) -> list[Send]:
        """Messages that wait and are due at or before `until`, who is due longest first."""
        return self._sends(
            "INDEXED BY outbox_due"  # of itself it would walk over every open task
            " WHERE status = 'queued' AND kind = 'message'"
            " AND max(decided_at, not_before) <= ?"
            f" AND channel NOT IN ({marks(passing_by)})"
            " ORDER BY max(decided_at, not_before), number LIMIT ?",
            (until, *passing_by, limit),
        )

    def move(
        self,
        key: str,
        status: str,
        at: Instant,
        *,
        reason: str = "",
        provider_id: str = "",
        not_before: Instant = 0,
        tried: int = 0,
        repeated: int = 0,
    ) -> bool:
        """Carry a send on in its life; False (and nothing written) where it may not go there.

        The reason belongs to the status and is replaced; a provider's id that is known stays
        where none is given.
        """
        write = self._session.writing()
        row = write.execute("SELECT status FROM outbox WHERE key = ?", (key,)).fetchone()
        if row is None or not may_move(row[0], status):
            return False
        write.execute(
            "UPDATE outbox SET status = ?1, status_at = ?2, reason = ?3,"
            " provider_id = iif(?4 = '', provider_id, ?4), not_before = ?5,"
            " attempts = attempts + ?6, repeats = repeats + ?7 WHERE key = ?8",
            (status, at, reason, provider_id, not_before, tried, repeated, key),
        )
        return True

    def put_in_doubt(self, at: Instant, reason: str) -> int:
        """Make every send unknown that may have gone out without this store; how many."""
        done = self._session.writing().execute(
            "UPDATE outbox SET status = ?, status_at = ?, reason = ?, not_before = 0"
            f" WHERE status IN ({marks(OPEN)})",
            (UNKNOWN, at, reason, *OPEN),
        )
        return done.rowcount

    def get(self, key: str) -> Send | None:
        """One send."""
        found = self._sends("WHERE key = ?", (key,))
        return found[0] if found else None

    def in_state(
        self, status: str, *, limit: int = 1000, shards: Collection[int] | None = None
    ) -> list[Send]:
        """Sends of that status, oldest first."""
        return self._sends("WHERE status = ? ORDER BY decided_at, number LIMIT ?", (status, limit))

    def of(self, customer: CustomerId) -> list[Send]:
        """The person's sends under each of its ids, newest first."""
        people = self._session.same_person(customer)
        return self._sends(f"WHERE customer IN ({marks(people)}) ORDER BY number DESC", people)

    def newest(self, *, journey: str = "", limit: int = 100) -> list[Send]:
        """Newest first."""
        return self._sends(
            "WHERE ?1 = '' OR journey = ?1 ORDER BY number DESC LIMIT ?2", (journey, limit)
        )

    def counts(self) -> dict[tuple[str, str, str], int]:
        """How many per (journey, step, status)."""
        rows = self._read.execute(
            "SELECT journey, step, status, count(*) FROM outbox"
            " GROUP BY journey, step, status ORDER BY journey, step, status"
        )
        return {(journey, step, status): n for journey, step, status, n in rows.fetchall()}

    def by_status(self) -> dict[str, int]:
        """How many per status."""
        rows = self._read.execute(
            "SELECT status, count(*) FROM outbox INDEXED BY outbox_by_status"
            " GROUP BY status ORDER BY status"
        )
        return dict(rows.fetchall())

    def sent_since(self, since: Instant) -> dict[str, int]:
        """Messages per journey that went out (sent or unknown) with `status_at` >= since."""
        rows = self._read.execute(
            "SELECT journey, count(*) FROM outbox INDEXED BY outbox_gone_out"
            f" WHERE status IN ('{SENT}', '{UNKNOWN}') AND status_at >= ? AND kind = 'message'"
            " GROUP BY journey ORDER BY journey",
            (since,),
        )
        return dict(rows.fetchall())

    def all(self) -> Iterator[Send]:
        """Every row, by key: for the invariants."""
        after = ""
        while page := self._sends("WHERE key > ? ORDER BY key LIMIT ?", (after, _PAGE)):
            yield from page
            after = page[-1].key

    def _sends(self, rest: str, values: Sequence[Any]) -> list[Send]:
        rows = self._read.execute(f"SELECT {_SEND} FROM outbox {rest}", values)
        return [_send(list(row)) for row in rows.fetchall()]


class SqliteMailbox:
    """The built-in catcher."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._read = session.connection

    def catch(self, message: Caught) -> bool:
        """Keep the message; a key that is there stays as it is, and False."""
        m = message
        values = (
            m.key, m.customer, m.at, m.to, m.subject, m.html, m.text, _encode(m.headers),
            m.channel,
        )  # fmt: skip
        added = self._session.writing().execute(
            f"INSERT INTO mailbox ({_CAUGHT}) VALUES ({marks(values)})"
            " ON CONFLICT (key) DO NOTHING",
            values,
        )
        return added.rowcount == 1

    def get(self, key: str) -> Caught | None:
        """One message."""
        found = self._caught("WHERE key = ?", (key,))
        return found[0] if found else None

    def newest(self, *, limit: int = 100, customer: CustomerId | None = None) -> list[Caught]:
        """Newest first; of a person under each of its ids."""
        if customer is None:
            return self._caught("ORDER BY number DESC LIMIT ?", (limit,))
        people = self._session.same_person(customer)
        return self._caught(
            f"WHERE customer IN ({marks(people)}) ORDER BY number DESC LIMIT ?",
            (*people, limit),
        )

    def total(self) -> int:
        """How many were caught."""
        ((count,),) = self._read.execute("SELECT count(*) FROM mailbox")
        return int(count)

    def _caught(self, rest: str, values: Sequence[Any]) -> list[Caught]:
        rows = self._read.execute(f"SELECT {_CAUGHT} FROM mailbox {rest}", values)
        return [_caught(list(row)) for row in rows.fetchall()]


def _send(cells: list[Any]) -> Send:
    cells[_VALUES_AT] = _VALUES.decode(cells[_VALUES_AT])
    return Send(*cells)


def _caught(cells: list[Any]) -> Caught:
    cells[_HEADERS_AT] = _HEADERS.decode(cells[_HEADERS_AT])
    return Caught(*cells)
