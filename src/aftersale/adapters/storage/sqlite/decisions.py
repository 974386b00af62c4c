"""How do turns and what they decided lie in the file?"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from aftersale.adapters.storage.sqlite.connection import marks
from aftersale.adapters.storage.sqlite.session import Session
from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import Duration, Instant
from aftersale.turn.decision import Decision
from aftersale.turn.ports import DecisionRow, TurnRecord

_PAGE = 2_000
_FOREVER = 2**63 - 1
_TURN = "turn, now, own, after_position, upto_position, rings, programme, engine, woken"
_DECISION = (
    "customer, seq, at, now, kind_word, journey_word, version, run, step_word, reason_word,"
    " data, cause"
)
_VALUES = msgspec.msgpack.Decoder(tuple[Any, ...])


class SqliteJournal:
    """The line of every turn."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._read = session.connection

    def following(self) -> int:
        """One more than the highest number."""
        ((turn,),) = self._read.execute("SELECT coalesce(max(turn), 0) + 1 FROM turns")
        return int(turn)

    def append(self, record: TurnRecord) -> None:
        """Add the line of a turn; ValueError where that turn has one."""
        r = record
        values = (
            r.turn, r.now, r.own, r.after, r.upto, r.rings, r.programme, r.engine, r.woken,
        )  # fmt: skip
        try:
            self._session.writing().execute(
                f"INSERT INTO turns ({_TURN}) VALUES ({marks(values)})", values
            )
        except sqlite3.IntegrityError as error:
            raise self._session.spoil(
                ValueError(f"turn {record.turn} is in the journal already")
            ) from error

    def read(self, after: int = 0) -> Iterator[TurnRecord]:
        """Lines after that turn, in order."""
        while rows := self._read.execute(
            f"SELECT {_TURN} FROM turns WHERE turn > ? ORDER BY turn LIMIT ?", (after, _PAGE)
        ).fetchall():
            yield from map(_turn, rows)
            after = rows[-1][0]

    def last(self) -> TurnRecord | None:
        """The newest line."""
        row = self._read.execute(f"SELECT {_TURN} FROM turns ORDER BY turn DESC LIMIT 1").fetchone()
        return None if row is None else _turn(row)


class SqliteDecisions:
    """The record of what was decided."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._read = session.connection

    def append(self, turn: int, decisions: Sequence[Decision]) -> None:
        """Add the decisions of a turn; ValueError where a (customer, seq) is taken."""
        number = self._session.words.number
        encode = msgspec.msgpack.encode
        write = self._session.writing()
        rows = [
            (
                turn, d.customer, d.seq, d.at, d.now, number(d.kind), number(d.journey),
                d.version, d.run, number(d.step), number(d.reason), encode(d.values), d.cause,
            )
            for d in decisions
        ]  # fmt: skip
        try:
            write.executemany(
                f"INSERT INTO decisions (turn, {_DECISION})"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
        except sqlite3.IntegrityError as error:
            raise self._session.spoil(
                ValueError("a decision of these has a number that is taken")
            ) from error

    def get(self, customer: CustomerId, seq: int) -> Decision | None:
        """One decision, under the id it was made for."""
        row = self._read.execute(
            f"SELECT {_DECISION} FROM decisions WHERE customer = ? AND seq = ?", (customer, seq)
        ).fetchone()
        return None if row is None else self._decision(row)

    def of(self, customer: CustomerId, *, limit: int = 1000) -> list[Decision]:
        """The person's newest decisions under each of its ids, newest first."""
        people = self._session.same_person(customer)
        rows = self._read.execute(
            f"SELECT {_DECISION} FROM decisions WHERE customer IN ({marks(people)})"
            " ORDER BY number DESC LIMIT ?",
            (*people, limit),
        )
        return [self._decision(row) for row in rows.fetchall()]

    def newest(self, *, journey: str = "", kind: str = "", limit: int = 100) -> list[Decision]:
        """The newest decisions of all, newest first, by journey and kind where given."""
        known = self._session.words.known
        wanted = {"journey_word": journey, "kind_word": kind}
        tests = {column: known(word) for column, word in wanted.items() if word}
        where = " AND ".join(f"{column} = ?" for column in tests)
        rows = self._read.execute(
            f"SELECT {_DECISION} FROM decisions {'WHERE ' + where if where else ''}"
            " ORDER BY number DESC LIMIT ?",
            (*tests.values(), limit),
        )
        return [self._decision(row) for row in rows.fetchall()]

    def ordered(self) -> Iterator[Decision]:
        """All, by (customer, seq)."""
        customer, seq = -1, 0
        while rows := self._read.execute(
            f"SELECT {_DECISION} FROM decisions WHERE (customer, seq) > (?, ?)"
            " ORDER BY customer, seq LIMIT ?",
            (customer, seq, _PAGE),
        ).fetchall():
            yield from map(self._decision, rows)
            customer, seq = rows[-1][:2]

    def counts(self, *, since: Instant = 0, until: Instant | None = None) -> list[DecisionRow]:
        """Decisions with `now` in [since, until) counted by journey, step, kind and reason."""
        word = self._session.words.word
        rows = self._read.execute(
            "SELECT journey_word, step_word, kind_word, reason_word, count(*),"
            " count(DISTINCT customer) FROM decisions WHERE now >= ? AND now < ?"
            " GROUP BY journey_word, step_word, kind_word, reason_word",
            (since, _FOREVER if until is None else until),
        )
        counted = [
            DecisionRow(word(journey), word(step), word(kind), word(reason), count, people)
            for journey, step, kind, reason, count, people in rows.fetchall()
        ]
        return sorted(counted, key=lambda row: (row.journey, row.step, row.kind, row.reason))

    def tally(
        self, bucket: Duration, *, after: int = 0, upto: int | None = None
    ) -> list[tuple[int, tuple[str, str, str, str], int]]:
        """The decisions of these numbers counted by bucket, journey, step, kind and reason."""
        word = self._session.words.word
        rows = self._read.execute(
            "SELECT now / ?1, journey_word, step_word, kind_word, reason_word, count(*)"
            " FROM decisions WHERE number > ?2 AND number <= ?3"
            " GROUP BY now / ?1, journey_word, step_word, kind_word, reason_word",
            (bucket, after, _FOREVER if upto is None else upto),
        )
        return [
            (at, (word(journey), word(step), word(kind), word(reason)), count)
            for at, journey, step, kind, reason, count in rows.fetchall()
        ]

    def numbered(self, until: Instant) -> int:
        """The highest number of a decision with `now` before that, 0 where there is none."""
        found = self._read.execute(
            "SELECT number FROM decisions WHERE now < ? ORDER BY number DESC LIMIT 1", (until,)
        ).fetchall()
        return int(found[0][0]) if found else 0

    def read_upto(self) -> Iterator[tuple[tuple[CustomerId, int], Position]]:
        """For every decision to send: (customer, seq) and the position its turn had read."""
        kind, after = self._session.words.known("send"), 0
        while rows := self._read.execute(
            "SELECT d.number, d.customer, d.seq, t.upto_position"
            " FROM decisions d JOIN turns t USING (turn)"
            " WHERE d.kind_word = ? AND d.number > ? ORDER BY d.number LIMIT ?",
            (kind, after, _PAGE),
        ).fetchall():
            yield from (((customer, seq), upto) for _, customer, seq, upto in rows)
            after = rows[-1][0]

    def total(self) -> int:
        """How many there are: they are numbered from 1 and never deleted."""
        ((number,),) = self._read.execute("SELECT coalesce(max(number), 0) FROM decisions")
        return int(number)

    def _decision(self, row: Any) -> Decision:
        customer, seq, at, now, kind, journey, version, run, step, reason, data, cause = row
        word = self._session.words.word
        return Decision(
            customer, seq, at, now, word(kind), word(journey), version, run, word(step),
            word(reason), _VALUES.decode(data), cause,
        )  # fmt: skip


def _turn(row: Any) -> TurnRecord:
    turn, now, own, *rest = row
    return TurnRecord(turn, now, bool(own), *rest)
