"""How do turns and what they decided lie in the database?"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from psycopg.errors import UniqueViolation

from aftersale.adapters.storage.postgres.connection import copy, integers
from aftersale.adapters.storage.postgres.session import Session
from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import Duration, Instant
from aftersale.turn.decision import Decision
from aftersale.turn.ports import DecisionRow, TurnRecord

_PAGE = 2_000
_FOREVER = 2**63 - 1
_TURN = "turn, now, own, after_position, upto_position, rings, programme, engine, woken, shards"
_DECISION = "customer, seq, at, now, kind, journey, version, run, step, reason, data, cause"
_VALUES = msgspec.msgpack.Decoder(tuple[Any, ...])


class PostgresJournal:
    """The line of every turn."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def following(self) -> int:
        """A number above that of every turn whose outcome can be seen; some are left out."""
        self._session.writing()
        ((turn,),) = self._session.rows("SELECT nextval('turn_numbers')")
        return int(turn)

    def append(self, record: TurnRecord) -> None:
        """Add the line of a turn; ValueError where that turn has one."""
        r = record
        try:
            self._session.writing().execute(
                f"INSERT INTO turns ({_TURN}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    r.turn, r.now, r.own, r.after, r.upto, r.rings, r.programme, r.engine, r.woken,
                    r.shards,
                ),
            )  # fmt: skip
        except UniqueViolation as error:
            raise self._session.spoil(
                ValueError(f"turn {record.turn} is in the journal already")
            ) from error

    def read(self, after: int = 0) -> Iterator[TurnRecord]:
        """Lines after that turn, in order."""
        while rows := self._session.rows(
            f"SELECT {_TURN} FROM turns WHERE turn > %s ORDER BY turn LIMIT %s", (after, _PAGE)
        ):
            yield from (TurnRecord(*row) for row in rows)
            after = rows[-1][0]

    def last(self) -> TurnRecord | None:
        """The line with the highest number."""
        rows = self._session.rows(f"SELECT {_TURN} FROM turns ORDER BY turn DESC LIMIT 1")
        return TurnRecord(*rows[0]) if rows else None


class PostgresDecisions:
    """The record of what was decided."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def append(self, turn: int, decisions: Sequence[Decision]) -> None:
        """Add the decisions of a turn; ValueError where a (customer, seq) is taken."""
        write = self._session.writing()
        if not decisions:
            return
        encode = msgspec.msgpack.encode
        try:
            copy(
                write,
                "decisions",
                f"turn, {_DECISION}",
                (
                    (
                        turn, d.customer, d.seq, d.at, d.now, d.kind, d.journey, d.version, d.run,
                        d.step, d.reason, encode(d.values), d.cause,
                    )
                    for d in decisions
                ),
            )  # fmt: skip
        except UniqueViolation as error:
            raise self._session.spoil(
                ValueError("a decision of these has a number that is taken")
            ) from error

    def get(self, customer: CustomerId, seq: int) -> Decision | None:
        """One decision, under the id it was made for."""
        found = self._decisions("WHERE customer = %s AND seq = %s", (customer, seq))
        return found[0] if found else None

    def of(self, customer: CustomerId, *, limit: int = 1000) -> list[Decision]:
        """The person's newest decisions under each of its ids, newest first."""
        people = integers(self._session.same_person(customer))
        return self._decisions(
            "WHERE customer = ANY(%s::bigint[]) ORDER BY number DESC LIMIT %s", (people, limit)
        )

    def newest(self, *, journey: str = "", kind: str = "", limit: int = 100) -> list[Decision]:
        """The newest decisions of all, newest first, by journey and kind where given."""
        tests = {name: word for name, word in (("journey", journey), ("kind", kind)) if word}
        where = " AND ".join(f"{name} = %s" for name in tests)
        return self._decisions(
            f"{'WHERE ' + where if where else ''} ORDER BY number DESC LIMIT %s",
            (*tests.values(), limit),
        )

    def ordered(self) -> Iterator[Decision]:
        """All, by (customer, seq)."""
        customer, seq = -1, 0
        while found := self._decisions(
            "WHERE (customer, seq) > (%s, %s) ORDER BY customer, seq LIMIT %s",
            (customer, seq, _PAGE),
        ):
            yield from found
            customer, seq = found[-1].customer, found[-1].seq

    def counts(self, *, since: Instant = 0, until: Instant | None = None) -> list[DecisionRow]:
        """Decisions with `now` in [since, until) counted by journey, step, kind and reason."""
        rows = self._session.rows(
            "SELECT journey, step, kind, reason, count(*), count(DISTINCT customer)"
            " FROM decisions WHERE now >= %s AND now < %s"
            " GROUP BY journey, step, kind, reason ORDER BY journey, step, kind, reason",
            (since, _FOREVER if until is None else until),
        )
        return [DecisionRow(*row) for row in rows]

    def tally(
        self, bucket: Duration, *, after: int = 0, upto: int | None = None
    ) -> list[tuple[int, tuple[str, str, str, str], int]]:
        """The decisions of these numbers counted by bucket, journey, step, kind and reason."""
        rows = self._session.rows(
            "SELECT now / %s AS bucket, journey, step, kind, reason, count(*)"
            " FROM decisions WHERE number > %s AND number <= %s"
            " GROUP BY bucket, journey, step, kind, reason"
            " ORDER BY bucket, journey, step, kind, reason",
            (bucket, after, _FOREVER if upto is None else upto),
        )
        return [
            (at, (journey, step, kind, reason), count)
            for at, journey, step, kind, reason, count in rows
        ]

    def numbered(self, until: Instant) -> int:
        """The highest number of a decision with `now` before that, 0 where there is none."""
        rows = self._session.rows(
            "SELECT number FROM decisions WHERE now < %s ORDER BY number DESC LIMIT 1", (until,)
        )
        return next((int(number) for (number,) in rows), 0)

    def read_upto(self) -> Iterator[tuple[tuple[CustomerId, int], Position]]:
        """For every decision to send: (customer, seq) and the position its turn had read."""
        after = 0
        while rows := self._session.rows(
            "SELECT d.number, d.customer, d.seq, t.upto_position"
            " FROM decisions d JOIN turns t USING (turn)"
            " WHERE d.kind = 'send' AND d.number > %s ORDER BY d.number LIMIT %s",
            (after, _PAGE),
        ):
            yield from (((customer, seq), upto) for _, customer, seq, upto in rows)
            after = rows[-1][0]

    def total(self) -> int:
        """How many there are."""
        ((count,),) = self._session.rows("SELECT count(*) FROM decisions")
        return int(count)

    def _decisions(self, rest: str, values: Sequence[Any]) -> list[Decision]:
        rows = self._session.rows(f"SELECT {_DECISION} FROM decisions {rest}", values)
        decode = _VALUES.decode
        return [
            Decision(
                customer, seq, at, now, kind, journey, version, run, step, reason, decode(data),
                cause,
            )
            for (
                customer, seq, at, now, kind, journey, version, run, step, reason, data, cause,
            ) in rows
        ]  # fmt: skip
