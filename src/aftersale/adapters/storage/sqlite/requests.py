"""How do requests of providers lie in the file?"""

from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import Any

from aftersale.adapters.storage.sqlite.connection import blob, chunks, marks
from aftersale.adapters.storage.sqlite.session import Session
from aftersale.events.event import Ref
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant
from aftersale.ledger.requests import (
    REFUSED,
    STATES,
    TRANSLATED,
    WAITING,
    Count,
    NewRequest,
    Request,
    RequestNumber,
    names,
    packed,
    request_of,
)
from aftersale.translation.happening import Passed

_ROW = "number, provider, shop, received_at, last_at, times, state, passed, headers"


class SqliteRequests:
    """Requests of providers, raw."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._read = session.connection

    def keep(self, rows: Sequence[NewRequest]) -> list[RequestNumber | None]:
        """Keep them in order; the number of each new one, None where it had come before."""
        write = self._session.appending()
        numbers: list[RequestNumber | None] = []
        for row in rows:
            again = write.execute(
                "UPDATE requests SET times = times + 1, last_at = max(last_at, ?) WHERE key = ?",
                (row.received_at, row.key),
            )
            if again.rowcount:
                numbers.append(None)
                continue
            added = write.execute(
                "INSERT INTO requests (key, provider, shop, received_at, last_at, times, state,"
                " passed, headers, body) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?)",
                (
                    blob(row.key),
                    row.provider,
                    row.shop,
                    row.received_at,
                    row.received_at,
                    row.state,
                    packed(row.passed),
                    packed(row.headers),
                    blob(row.body),
                ),
            )
            numbers.append(added.lastrowid)
        return numbers

    def concern(self, pairs: Sequence[tuple[RequestNumber, CustomerId]]) -> None:
        """Say whom requests are about; repeating it changes nothing."""
        self._session.writing().executemany(
            "INSERT OR IGNORE INTO request_customers (request, customer) VALUES (?, ?)", pairs
        )

    def settle(self, number: RequestNumber, state: str, passed: Sequence[Passed]) -> None:
        """Say what became of one."""
        self._session.writing().execute(
            "UPDATE requests SET state = ?, passed = ? WHERE number = ?",
            (state, packed(passed), number),
        )

    def get(self, number: RequestNumber) -> Request | None:
        """That request with its body; None where there is none."""
        row = self._read.execute(
            f"SELECT {_ROW}, body FROM requests WHERE number = ?", (number,)
        ).fetchone()
        return None if row is None else request_of(*row)

    def newest(
        self, limit: int, *, states: Collection[str] = STATES, provider: str = ""
    ) -> list[Request]:
        """Without their bodies, the newest first."""
        wanted = sorted(states)
        rows = self._read.execute(
            f"SELECT {_ROW} FROM requests WHERE state IN ({marks(wanted)})"
            " AND (? = '' OR provider = ?) ORDER BY number DESC LIMIT ?",
            (*wanted, provider, provider, limit),
        )
        return [request_of(*row) for row in rows.fetchall()]

    def open(self, after: RequestNumber, limit: int) -> list[Request]:
        """Those refused or waiting that still have a body, with it, by number."""
        rows = self._read.execute(
            f"SELECT {_ROW}, body FROM requests WHERE number > ? AND state IN (?, ?)"
            " AND body <> x'' ORDER BY number LIMIT ?",
            (after, REFUSED, WAITING, limit),
        )
        return [request_of(*row) for row in rows.fetchall()]

    def counts(self) -> list[Count]:
        """By provider and state."""
        rows = self._read.execute(
            "SELECT provider, state, count(*), max(last_at) FROM requests"
            " GROUP BY provider, state ORDER BY provider, state"
        )
        return [Count(*row) for row in rows.fetchall()]

    def naming(self, customer: CustomerId) -> list[RequestNumber]:
        """Those with a body that an erasure of the customer would forget, ascending."""
        return naming(self._session, self._session.same_person(customer))

    def prune(self, before: Instant, others_before: Instant) -> int:
        """Delete those that are older than what is kept of their kind; how many."""
        write = self._session.writing()
        found = "last_at < CASE WHEN state = ? THEN ? ELSE ? END"
        values = (TRANSLATED, before, others_before)
        write.execute(
            "DELETE FROM request_customers WHERE request IN"
            f" (SELECT number FROM requests WHERE {found})",
            values,
        )
        return write.execute(f"DELETE FROM requests WHERE {found}", values).rowcount


def naming(session: Session, people: Sequence[CustomerId]) -> list[RequestNumber]:
    """Requests whose bodies name one of these ids of a person, ascending."""
    read = session.connection
    refs = [Ref(*row) for row in _of(session, "SELECT kind, value FROM identities WHERE", people)]
    found = {
        number
        for (number,) in _of(
            session,
            "SELECT request FROM request_customers"
            " JOIN requests ON number = request AND body <> x'' WHERE",
            people,
        )
    }
    nobodys = read.execute(
        "SELECT number, body FROM requests WHERE body <> x''"
        " AND number NOT IN (SELECT request FROM request_customers)"
    )
    found.update(number for number, body in nobodys if names(body, refs))
    return sorted(found)


def forget(session: Session, people: Sequence[CustomerId]) -> int:
    """Empty the bodies that name one of these ids of a person; how many."""
    write = session.writing()
    numbers = naming(session, people)
    for some in chunks(numbers):
        write.execute(
            f"UPDATE requests SET body = x'', headers = '{{}}' WHERE number IN ({marks(some)})",
            some,
        )
    return len(numbers)


def _of(session: Session, query: str, people: Sequence[CustomerId]) -> Iterator[tuple[Any, ...]]:
    return chain.from_iterable(
        session.connection.execute(f"{query} customer IN ({marks(some)})", some)
        for some in chunks(people)
    )
