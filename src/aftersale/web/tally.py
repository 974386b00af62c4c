"""How often was what decided on each day, without counting all of it again for every page?

Decisions are numbered and never change, so those that were counted once stay counted. What is
counted ends an hour ago: by then every transaction that took a lower number has ended. What is
newer is counted for each page. A count of everybody keeps the tally, so that a server that begins
need not start from nothing.
"""

import threading
from collections import Counter
from collections.abc import Iterable
from typing import Any

from aftersale.kernel.instants import HOUR, MINUTE, Instant
from aftersale.kernel.zones import day_number
from aftersale.programme.ports import Transaction
from aftersale.turn.ports import DecisionRow
from aftersale.web.figures import Decided
from aftersale.web.period import Period

BUCKET = 15 * MINUTE
"""Every zone's day begins with one."""
SETTLED = HOUR
_KEPT = "decided"

Key = tuple[str, str, str, str]
"""Journey, step, kind, reason."""


class Tally:
    """Decisions by day up to a number. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._upto = -1
        self._zone = ""
        self._days: dict[int, Counter[Key]] = {}

    def decided(self, tx: Transaction, period: Period, now: Instant) -> Decided:
        """What was decided in the period, by the day of the decision."""
        zone = period.zone
        with self._lock:
            self._advance(tx, zone, now)
            days = {day: self._days.get(day, Counter()) for day in _days_of(period)}
            fresh = tx.decisions.tally(BUCKET, after=self._upto)
            found = {day: count.copy() for day, count in days.items()}
        for day, key, count in _by_day(fresh, zone):
            if day in found:
                found[day][key] += count
        return Decided(
            _rows(found, period.first, period.last),
            _rows(found, period.last, period.last) if period.unfinished else [],
            _rows(found, *period.before) if period.before else None,
        )

    def counted(self, tx: Transaction, zone: str, now: Instant) -> dict[str, Any]:
        """Everything up to now, to be kept (`keep_tally`) for servers that begin later."""
        with self._lock:
            self._advance(tx, zone, now)
            rows = [
                [day, *key, count]
                for day, counts in sorted(self._days.items())
                for key, count in sorted(counts.items())
            ]
            return {"upto": self._upto, "zone": zone, "rows": rows}

    def _advance(self, tx: Transaction, zone: str, now: Instant) -> None:
        if self._upto < 0 or self._zone != zone:
            self._begin(tx, zone)
        settled = tx.decisions.numbered(now - SETTLED)
        if settled > self._upto:
            counted = tx.decisions.tally(BUCKET, after=self._upto, upto=settled)
            for day, key, count in _by_day(counted, zone):
                self._days.setdefault(day, Counter())[key] += count
            self._upto = settled

    def _begin(self, tx: Transaction, zone: str) -> None:
        self._upto, self._zone, self._days = 0, zone, {}
        kept = tx.meta.get(_KEPT)
        if kept is not None and kept["zone"] == zone:
            self._upto = kept["upto"]
            for day, journey, step, kind, reason, count in kept["rows"]:
                self._days.setdefault(day, Counter())[journey, step, kind, reason] = count


def keep_tally(tx: Transaction, counted: dict[str, Any]) -> None:
    """Let the store hold what was counted."""
    tx.meta.set(_KEPT, counted)


def _days_of(period: Period) -> set[int]:
    days = set(range(period.first, period.last + 1))
    if period.before:
        days |= set(range(period.before[0], period.before[1] + 1))
    return days


def _by_day(rows: Iterable[tuple[int, Key, int]], zone: str) -> Iterable[tuple[int, Key, int]]:
    return ((day_number(bucket * BUCKET, zone), key, count) for bucket, key, count in rows)


def _rows(days: dict[int, Counter[Key]], first: int, last: int) -> list[DecisionRow]:
    found: Counter[Key] = Counter()
    for day in range(first, last + 1):
        found.update(days.get(day, Counter()))
    return [DecisionRow(*key, count, 0) for key, count in sorted(found.items())]
