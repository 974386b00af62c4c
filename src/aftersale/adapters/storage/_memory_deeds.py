"""How does the store in memory keep states, decisions and what goes out?"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import msgspec

from aftersale.adapters.storage._memory_shards import narrowed
from aftersale.adapters.storage._memory_shelves import Shelves, newest
from aftersale.delivery.life import OPEN, may_move
from aftersale.delivery.ports import QUEUED, SENT, UNKNOWN, Caught, Send
from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import Duration, Instant
from aftersale.turn.decision import Decision
from aftersale.turn.ports import DecisionRow, StaleState, StateRow, TurnRecord
from aftersale.turn.shards import ShardNumber

Name = TypeVar("Name", str, tuple[str, str, str])


class MemoryStates:
    """One row a customer."""

    def __init__(self, shelves: Shelves) -> None:
        self._s = shelves

    def load(self, customers: Sequence[CustomerId]) -> dict[CustomerId, StateRow]:
        states = self._s.states
        return {customer: states[customer] for customer in customers if customer in states}

    def save(self, rows: Sequence[StateRow]) -> None:
        self._s.writing()
        if len({row.customer for row in rows}) < len(rows):
            raise self._s.spoil(StaleState("a customer is to be saved twice at once"))
        for row in rows:
            before = self._s.states.get(row.customer)
            if row.version != (0 if before is None else before.version):
                raise self._s.spoil(StaleState("a state moved since it was loaded"))
            self._s.set_state(row.customer, msgspec.structs.replace(row, version=row.version + 1))

    def remove(self, customer: CustomerId) -> None:
        self._s.writing()
        self._s.set_state(customer, None)

    def due(
        self, until: Instant, limit: int, *, shards: Collection[ShardNumber] | None = None
    ) -> list[tuple[CustomerId, Instant]]:
        mine, alarms = narrowed(self._s, shards), self._s.alarms
        due = (alarms[n] for n in range(bisect_left(alarms, (until + 1,))))
        return list(islice(((customer, at) for at, customer in due if mine(customer)), limit))

    def wake_all(self, at: Instant, *, shards: Collection[ShardNumber] | None = None) -> int:
        self._s.writing()
        mine = narrowed(self._s, shards)
        for customer, row in list(self._s.states.items()):
            if mine(customer) and (row.wakes_at is None or row.wakes_at > at):
                self._s.set_state(customer, msgspec.structs.replace(row, wakes_at=at))
        return sum(map(mine, self._s.states))

    def next_alarm(self) -> Instant | None:
        return self._s.alarms[0][0] if self._s.alarms else None

    def page(self, after: CustomerId, limit: int) -> list[StateRow]:
        ids = sorted(customer for customer in self._s.states if customer > after)
        return [self._s.states[customer] for customer in ids[:limit]]

    def count(self) -> int:
        return len(self._s.states)


class MemoryJournal:
    """The line of every turn."""

    def __init__(self, shelves: Shelves) -> None:
        self._s = shelves

    def following(self) -> int:
        return max(self._s.turns, default=0) + 1

    def append(self, record: TurnRecord) -> None:
        self._s.writing()
        if record.turn in self._s.turns:
            raise self._s.spoil(ValueError(f"turn {record.turn} is in the journal already"))
        self._s.put(self._s.turns, record.turn, record)

    def read(self, after: int = 0) -> Iterator[TurnRecord]:
        for turn in sorted(turn for turn in self._s.turns if turn > after):
            yield self._s.turns[turn]

    def last(self) -> TurnRecord | None:
        return self._s.turns[max(self._s.turns)] if self._s.turns else None


class MemoryDecisions:
    """The record of what was decided."""

    def __init__(self, shelves: Shelves) -> None:
        self._s = shelves

    def append(self, turn: int, decisions: Sequence[Decision]) -> None:
        self._s.writing()
        for decision in decisions:
            name = (decision.customer, decision.seq)
            if name in self._s.decisions:
                raise self._s.spoil(ValueError("a decision of these has a number that is taken"))
            if decision.values:
                values = tuple(_stored(decision.values))
                decision = msgspec.structs.replace(decision, values=values)  # noqa: PLW2901
            self._s.put(self._s.decisions, name, decision)
            self._s.put(self._s.decided_in, name, turn)

    def get(self, customer: CustomerId, seq: int) -> Decision | None:
        return self._s.decisions.get((customer, seq))

    def of(self, customer: CustomerId, *, limit: int = 1000) -> list[Decision]:
        people = set(self._s.same_person(customer))
        return newest((d for d in self._s.decisions.values() if d.customer in people), limit)

    def newest(self, *, journey: str = "", kind: str = "", limit: int = 100) -> list[Decision]:
        return newest(
            (
                d
                for d in self._s.decisions.values()
                if journey in {"", d.journey} and kind in {"", d.kind}
            ),
            limit,
        )

    def ordered(self) -> Iterator[Decision]:
        for name in sorted(self._s.decisions):
            yield self._s.decisions[name]

    def counts(self, *, since: Instant = 0, until: Instant | None = None) -> list[DecisionRow]:
        found: dict[tuple[str, str, str, str], list[CustomerId]] = {}
        for d in self._s.decisions.values():
            if since <= d.now and (until is None or d.now < until):
                found.setdefault((d.journey, d.step, d.kind, d.reason), []).append(d.customer)
        return [
            DecisionRow(*names, len(people), len(set(people)))
            for names, people in sorted(found.items())
        ]

    def tally(
        self, bucket: Duration, *, after: int = 0, upto: int | None = None
    ) -> list[tuple[int, tuple[str, str, str, str], int]]:
        counted = Counter(
            (d.now // bucket, (d.journey, d.step, d.kind, d.reason))
            for n, d in enumerate(self._s.decisions.values(), start=1)
            if after < n and (upto is None or n <= upto)
        )
        return [(at, key, count) for (at, key), count in counted.items()]

    def numbered(self, until: Instant) -> int:
        every = enumerate(self._s.decisions.values(), start=1)
        return max((n for n, d in every if d.now < until), default=0)

    def read_upto(self) -> Iterator[tuple[tuple[CustomerId, int], Position]]:
        upto = {record.turn: record.upto for record in self._s.turns.values()}
        for name, turn in self._s.decided_in.items():
            if self._s.decisions[name].kind == "send" and turn in upto:
                yield name, upto[turn]

    def total(self) -> int:
        return len(self._s.decisions)


class MemoryOutbox:
    """Messages and tasks on their way, each under its deterministic key."""

    def __init__(self, shelves: Shelves) -> None:
        self._s = shelves

    def put(self, sends: Sequence[Send]) -> int:
        self._s.writing()
        before = len(self._s.sends)
        for send in sends:
            if send.key not in self._s.sends:
                values = _stored(send.values)
                kept = msgspec.structs.replace(send, values=values)
                self._s.put(self._s.sends, send.key, kept)
                self._s.put(self._s.send_numbers, send.key, len(self._s.sends))
                self._wait(kept)
        return len(self._s.sends) - before

    def queued(
        self,
        until: Instant,
        limit: int,
        *,
        passing_by: Sequence[str] = (),
        shards: Collection[int] | None = None,
    ) -> list[Send]:
        mine = narrowed(self._s, shards)
        waiting = ((self._s.sends[key], number) for key, number in self._s.waiting.items())
        found = [
            (due, number, send)
            for send, number in waiting
            if (due := max(send.decided_at, send.not_before)) <= until
            and send.channel not in passing_by
            and mine(send.customer)
        ]
        return [send for _, _, send in sorted(found, key=lambda row: row[:2])[:limit]]

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
        self._s.writing()
        send = self._s.sends.get(key)
        if send is None or not may_move(send.status, status):
            return False
        moved = msgspec.structs.replace(
            send,
            status=status,
            status_at=at,
            reason=reason,
            provider_id=provider_id or send.provider_id,
            not_before=not_before,
            attempts=send.attempts + tried,
            repeats=send.repeats + repeated,
        )
        self._s.put(self._s.sends, key, moved)
        self._wait(moved)
        return True

    def put_in_doubt(self, at: Instant, reason: str) -> int:
        keys = [key for key, send in self._s.sends.items() if send.status in OPEN]
        return sum(self.move(key, UNKNOWN, at, reason=reason) for key in keys)

    def get(self, key: str) -> Send | None:
        return self._s.sends.get(key)

    def in_state(
        self, status: str, *, limit: int = 1000, shards: Collection[int] | None = None
    ) -> list[Send]:
        mine = narrowed(self._s, shards)
        found = [s for s in self._s.sends.values() if s.status == status and mine(s.customer)]
        return sorted(found, key=lambda send: send.decided_at)[:limit]

    def of(self, customer: CustomerId) -> list[Send]:
        people = set(self._s.same_person(customer))
        return [s for s in reversed(self._s.sends.values()) if s.customer in people]

    def newest(self, *, journey: str = "", limit: int = 100) -> list[Send]:
        return newest((s for s in self._s.sends.values() if journey in {"", s.journey}), limit)

    def counts(self) -> dict[tuple[str, str, str], int]:
        return _tally((s.journey, s.step, s.status) for s in self._s.sends.values())

    def by_status(self) -> dict[str, int]:
        return _tally(s.status for s in self._s.sends.values())

    def sent_since(self, since: Instant) -> dict[str, int]:
        return _tally(
            s.journey
            for s in self._s.sends.values()
            if s.status in {SENT, UNKNOWN} and s.status_at >= since and s.kind == "message"
        )

    def all(self) -> Iterator[Send]:
        for key in sorted(self._s.sends):
            yield self._s.sends[key]

    def _wait(self, send: Send) -> None:
        if send.status == QUEUED and send.kind == "message":
            self._s.put(self._s.waiting, send.key, self._s.send_numbers[send.key])
        else:
            self._s.drop(self._s.waiting, send.key)


class MemoryMailbox:
    """The built-in catcher."""

    def __init__(self, shelves: Shelves) -> None:
        self._s = shelves

    def catch(self, message: Caught) -> bool:
        self._s.writing()
        if message.key in self._s.caught:
            return False
        kept = msgspec.structs.replace(message, headers=dict(message.headers))
        self._s.put(self._s.caught, message.key, (self._s.next_number("caught"), kept))
        return True

    def get(self, key: str) -> Caught | None:
        found = self._s.caught.get(key)
        return None if found is None else found[1]

    def newest(self, *, limit: int = 100, customer: CustomerId | None = None) -> list[Caught]:
        people = None if customer is None else set(self._s.same_person(customer))
        ordered = sorted(self._s.caught.values(), key=lambda numbered: numbered[0])
        return newest((c for _, c in ordered if people is None or c.customer in people), limit)

    def total(self) -> int:
        return len(self._s.caught)


def _tally(names: Iterable[Name]) -> dict[Name, int]:
    counted: dict[Name, int] = {}
    for name in names:
        counted[name] = counted.get(name, 0) + 1
    return dict(sorted(counted.items()))


def _stored(value: Any) -> Any:
    """The value as it would come back from a file."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value)) if value else value
