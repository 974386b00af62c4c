"""How does the store stand, in numbers that monitoring may ask for every few seconds?"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from aftersale.delivery.life import LIFE
from aftersale.kernel.errors import AftersaleError
from aftersale.kernel.instants import Duration
from aftersale.programme.ports import Transaction
from aftersale.programme.telemetry import Vitals
from aftersale.runtime.app import App
from aftersale.runtime.doctor import oldest_unread, unread
from aftersale.runtime.sending import mode_of, troubles_of
from aftersale.runtime.verifying import latest_check

SHARE = 50
"""What was read is kept for this many times what it cost: at most a fiftieth of the time."""

AT_LEAST = 5.0
"""Seconds for which it is kept at least."""

T = TypeVar("T")


class Latest(Generic[T]):
    """A value that is made anew when it is asked for and older than it may be."""

    def __init__(
        self, make: Callable[[], T], ticks: Callable[[], float], *, seconds: float
    ) -> None:
        """`seconds`: how long a value is kept at least."""
        self._make = make
        self._ticks = ticks
        self._seconds = seconds
        self._lock = threading.Lock()
        self._kept: tuple[float, T] | None = None

    def __call__(self) -> T:
        """The value."""
        with self._lock:
            began = self._ticks()
            if self._kept is not None and began < self._kept[0]:
                return self._kept[1]
            made = self._make()
            ended = self._ticks()
            self._kept = (ended + max(self._seconds, SHARE * (ended - began)), made)
            return made


def latest_vitals(app: App, ticks: Callable[[], float]) -> Latest[Vitals | None]:
    """How the store stands, as far as that may be asked for at any time."""
    return Latest(lambda: vitals(app), ticks, seconds=AT_LEAST)


def vitals(app: App) -> Vitals | None:
    """How the store stands; None where it cannot be read."""
    try:
        with app.store.read() as tx:
            return vitals_of(app, tx)
    except AftersaleError:
        return None


def vitals_of(app: App, tx: Transaction) -> Vitals:
    """How the store stands in this view of it."""
    now = app.now(tx)
    deployed = tx.deployments.latest()
    oldest = oldest_unread(tx)
    alarms = tx.states.due(now, 1)
    due = tx.outbox.queued(now, 1)
    outbox = {**dict.fromkeys(LIFE, 0), **tx.outbox.by_status()}
    checked = latest_check(tx)
    return Vitals(
        now=now,
        mode=mode_of(tx),
        programme=deployed.version if deployed else 0,
        unread=unread(tx),
        oldest_unread=_age(now, oldest),
        overdue=_age(now, alarms[0][1] if alarms else None),
        outbox=outbox,
        oldest_due=_age(now, max(due[0].decided_at, due[0].not_before) if due else None),
        resting=tuple(sorted(troubles_of(tx))),
        tripped=len(tx.meta.get("tripped") or {}),
        verified_at=checked.at if checked else None,
        violations=dict(checked.checks) if checked else {},
    )


def _age(now: int, since: int | None) -> Duration:
    return max(now - since, 0) if since is not None else 0
