"""How do requests of providers lie in the database?"""

from collections.abc import Collection, Sequence

from aftersale.adapters.storage.postgres.connection import integers
from aftersale.adapters.storage.postgres.session import Session
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
_PAGE = 500


class PostgresRequests:
    """Requests of providers, raw."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def keep(self, rows: Sequence[NewRequest]) -> list[RequestNumber | None]:
        """Keep them in order; the number of each new one, None where it had come before."""
        write = self._session.appending()
        ((last,),) = self._session.rows("SELECT coalesce(max(number), 0) FROM requests")
        numbers: list[RequestNumber | None] = []
        for row in rows:
            again = write.execute(
                "UPDATE requests SET times = times + 1, last_at = greatest(last_at, %s)"
                " WHERE key = %s",
                (row.received_at, row.key),
            )
            if again.rowcount:
                numbers.append(None)
                continue
            last += 1
            write.execute(
                "INSERT INTO requests (number, key, provider, shop, received_at, last_at, times,"
                " state, passed, headers, body)"
                " VALUES (%s, %s, %s, %s, %s, %s, 1, %s, %s, %s, %s)",
                (
                    last,
                    row.key,
                    row.provider,
                    row.shop,
                    row.received_at,
                    row.received_at,
                    row.state,
                    packed(row.passed),
                    packed(row.headers),
                    row.body,
                ),
            )
            numbers.append(last)
        return numbers

    def concern(self, pairs: Sequence[tuple[RequestNumber, CustomerId]]) -> None:
        """Say whom requests are about; repeating it changes nothing."""
        self._session.writing().execute(
            "INSERT INTO request_customers (request, customer)"
            " SELECT * FROM unnest(%s::bigint[], %s::bigint[]) ON CONFLICT DO NOTHING",
            (integers(request for request, _ in pairs), integers(who for _, who in pairs)),
        )

    def settle(self, number: RequestNumber, state: str, passed: Sequence[Passed]) -> None:
        """Say what became of one."""
        self._session.writing().execute(
            "UPDATE requests SET state = %s, passed = %s WHERE number = %s",
            (state, packed(passed), number),
        )

    def get(self, number: RequestNumber) -> Request | None:
        """That request with its body; None where there is none."""
        rows = self._session.rows(f"SELECT {_ROW}, body FROM requests WHERE number = %s", (number,))
        return request_of(*rows[0]) if rows else None

    def newest(
        self, limit: int, *, states: Collection[str] = STATES, provider: str = ""
    ) -> list[Request]:
        """Without their bodies, the newest first."""
        rows = self._session.rows(
            f"SELECT {_ROW} FROM requests WHERE state = ANY(%s)"
            " AND (%s = '' OR provider = %s) ORDER BY number DESC LIMIT %s",
            (list(states), provider, provider, limit),
        )
        return [request_of(*row) for row in rows]

    def open(self, after: RequestNumber, limit: int) -> list[Request]:
        """Those refused or waiting that still have a body, with it, by number."""
        rows = self._session.rows(
            f"SELECT {_ROW}, body FROM requests WHERE number > %s AND state IN (%s, %s)"
            " AND body <> '' ORDER BY number LIMIT %s",
            (after, REFUSED, WAITING, limit),
        )
        return [request_of(*row) for row in rows]

    def counts(self) -> list[Count]:
        """By provider and state."""
        rows = self._session.rows(
            "SELECT provider, state, count(*), max(last_at) FROM requests"
            " GROUP BY provider, state ORDER BY provider, state"
        )
        return [Count(*row) for row in rows]

    def naming(self, customer: CustomerId) -> list[RequestNumber]:
        """Those with a body that an erasure of the customer would forget, ascending."""
        return naming(self._session, self._session.same_person(customer))

    def prune(self, before: Instant, others_before: Instant) -> int:
        """Delete those that are older than what is kept of their kind; how many."""
        write = self._session.writing()
        found = "last_at < CASE WHEN state = %s THEN %s ELSE %s END"
        values = (TRANSLATED, before, others_before)
        write.execute(
            "DELETE FROM request_customers WHERE request IN"
            f" (SELECT number FROM requests WHERE {found})",
            values,
        )
        return write.execute(f"DELETE FROM requests WHERE {found}", values).rowcount


def naming(session: Session, people: Sequence[CustomerId]) -> list[RequestNumber]:
    """Requests whose bodies name one of these ids of a person, ascending."""
    who = (integers(people),)
    refs = [
        Ref(*row)
        for row in session.rows(
            "SELECT kind, value FROM identities WHERE customer = ANY(%s::bigint[])", who
        )
    ]
    found = {
        number
        for (number,) in session.rows(
            "SELECT request FROM request_customers JOIN requests ON number = request"
            " AND body <> '' WHERE customer = ANY(%s::bigint[])",
            who,
        )
    }
    after = 0
    while nobodys := session.rows(
        "SELECT number, body FROM requests r WHERE number > %s AND body <> '' AND NOT EXISTS"
        " (SELECT FROM request_customers WHERE request = r.number) ORDER BY number LIMIT %s",
        (after, _PAGE),
    ):
        found.update(number for number, body in nobodys if names(body, refs))
        after = nobodys[-1][0]
    return sorted(found)


def forget(session: Session, people: Sequence[CustomerId]) -> int:
    """Empty the bodies that name one of these ids of a person; how many."""
    emptied = session.writing().execute(
        "UPDATE requests SET body = '', headers = '{}' WHERE number = ANY(%s::bigint[])",
        (integers(naming(session, people)),),
    )
    return emptied.rowcount
