"""How do messages on their way, and those the mailbox caught, lie in the database?"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec

from aftersale.adapters.storage.postgres.connection import copy, integers
from aftersale.adapters.storage.postgres.session import Session
from aftersale.adapters.storage.postgres.shards import narrowed
from aftersale.delivery.life import OPEN, before
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


class PostgresOutbox:
    """Messages and tasks on their way, each under its deterministic key."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def put(self, sends: Sequence[Send]) -> int:
        """Add rows; a key that is there stays as it is. How many were new."""
        write = self._session.writing()
        if not sends:
            return 0
        copy(
            write,
            "fresh_sends",
            f"number, {_SEND}",
            (
                (
                    n, s.key, s.customer, s.seq, s.journey, s.version, s.run, s.step, s.channel,
                    s.purpose, s.template, s.decided_at, s.useful_until, s.state_version, s.shop,
                    _encode(s.values), s.status, s.status_at, s.reason, s.provider_id, s.kind,
                    s.attempts, s.not_before, s.repeats,
                )
                for n, s in enumerate(sends)
            ),
        )  # fmt: skip
        added = write.execute(
            "WITH fresh AS (DELETE FROM fresh_sends RETURNING *)"
            f" INSERT INTO outbox ({_SEND}) SELECT {_SEND} FROM fresh ORDER BY number"
            " ON CONFLICT (key) DO NOTHING"
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
        test, values = narrowed(shards)
        return self._sends(
            "WHERE status = 'queued' AND kind = 'message'"
            " AND greatest(decided_at, not_before) <= %s AND NOT channel = ANY(%s)"
            f" {'AND ' + test if test else ''}"
            " ORDER BY greatest(decided_at, not_before), number LIMIT %s",
            (until, list(passing_by), *values, limit),
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
        moved = self._session.writing().execute(
            "UPDATE outbox SET status = %s, status_at = %s, reason = %s,"
            " provider_id = coalesce(nullif(%s, ''), provider_id), not_before = %s,"
            " attempts = attempts + %s, repeats = repeats + %s"
            " WHERE key = %s AND status = ANY(%s)",
            (status, at, reason, provider_id, not_before, tried, repeated, key, before(status)),
        )
        return bool(moved.rowcount)

    def put_in_doubt(self, at: Instant, reason: str) -> int:
        """Make every send unknown that may have gone out without this store; how many."""
        done = self._session.writing().execute(
            "UPDATE outbox SET status = %s, status_at = %s, reason = %s, not_before = 0"
            " WHERE status = ANY(%s)",
            (UNKNOWN, at, reason, list(OPEN)),
        )
        return done.rowcount

    def get(self, key: str) -> Send | None:
        """One send."""
        found = self._sends("WHERE key = %s", (key,))
        return found[0] if found else None

    def in_state(
        self, status: str, *, limit: int = 1000, shards: Collection[int] | None = None
    ) -> list[Send]:
        """Sends of that status, oldest first."""
        test, values = narrowed(shards)
        return self._sends(
            f"WHERE status = %s {'AND ' + test if test else ''}"
            " ORDER BY decided_at, number LIMIT %s",
            (status, *values, limit),
        )

    def of(self, customer: CustomerId) -> list[Send]:
        """The person's sends under each of its ids, newest first."""
        people = integers(self._session.same_person(customer))
        return self._sends("WHERE customer = ANY(%s::bigint[]) ORDER BY number DESC", (people,))

    def newest(self, *, journey: str = "", limit: int = 100) -> list[Send]:
        """Newest first."""
        test, values = ("WHERE journey = %s", (journey,)) if journey else ("", ())
        return self._sends(f"{test} ORDER BY number DESC LIMIT %s", (*values, limit))

    def counts(self) -> dict[tuple[str, str, str], int]:
        """How many per (journey, step, status)."""
        rows = self._session.rows(
            "SELECT journey, step, status, count(*) FROM outbox"
            " GROUP BY journey, step, status ORDER BY journey, step, status"
        )
        return {(journey, step, status): n for journey, step, status, n in rows}

    def by_status(self) -> dict[str, int]:
        """How many per status."""
        return dict(
            self._session.rows(
                "SELECT status, count(*) FROM outbox GROUP BY status ORDER BY status"
            )
        )

    def sent_since(self, since: Instant) -> dict[str, int]:
        """Messages per journey that went out (sent or unknown) with `status_at` >= since."""
        rows = self._session.rows(
            "SELECT journey, count(*) FROM outbox"
            f" WHERE status IN ('{SENT}', '{UNKNOWN}') AND status_at >= %s AND kind = 'message'"
            " GROUP BY journey ORDER BY journey",
            (since,),
        )
        return dict(rows)

    def all(self) -> Iterator[Send]:
        """Every row, by key: for the invariants."""
        page = self._sends("ORDER BY key LIMIT %s", (_PAGE,))
        while page:
            yield from page
            page = self._sends("WHERE key > %s ORDER BY key LIMIT %s", (page[-1].key, _PAGE))

    def _sends(self, rest: str, values: Sequence[Any]) -> list[Send]:
        rows = self._session.rows(f"SELECT {_SEND} FROM outbox {rest}", values)
        return [_send(list(row)) for row in rows]


class PostgresMailbox:
    """The built-in catcher."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def catch(self, message: Caught) -> bool:
        """Keep the message; a key that is there stays as it is, and False."""
        m = message
        added = self._session.writing().execute(
            f"INSERT INTO mailbox ({_CAUGHT}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (key) DO NOTHING",
            (
                m.key, m.customer, m.at, m.to, m.subject, m.html, m.text, _encode(m.headers),
                m.channel,
            ),
        )  # fmt: skip
        return added.rowcount == 1

    def get(self, key: str) -> Caught | None:
        """One message."""
        found = self._caught("WHERE key = %s", (key,))
        return found[0] if found else None

    def newest(self, *, limit: int = 100, customer: CustomerId | None = None) -> list[Caught]:
        """Newest first; of a person under each of its ids."""
        if customer is None:
            return self._caught("ORDER BY number DESC LIMIT %s", (limit,))
        people = integers(self._session.same_person(customer))
        return self._caught(
            "WHERE customer = ANY(%s::bigint[]) ORDER BY number DESC LIMIT %s", (people, limit)
        )

    def total(self) -> int:
        """How many were caught."""
        ((count,),) = self._session.rows("SELECT count(*) FROM mailbox")
        return int(count)

    def _caught(self, rest: str, values: Sequence[Any]) -> list[Caught]:
        rows = self._session.rows(f"SELECT {_CAUGHT} FROM mailbox {rest}", values)
        return [_caught(list(row)) for row in rows]


def _send(cells: list[Any]) -> Send:
    cells[_VALUES_AT] = _VALUES.decode(cells[_VALUES_AT])
    return Send(*cells)


def _caught(cells: list[Any]) -> Caught:
    cells[_HEADERS_AT] = _HEADERS.decode(cells[_HEADERS_AT])
    return Caught(*cells)
