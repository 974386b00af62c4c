"""How do many senders share one commit?

Each of them waits until what it sent is durable, and a commit with full synchronisation costs the
same for one event as for thousands. So one thread writes: it takes everything that waits, commits
it in one transaction and lets all of its senders know; meanwhile the next ones gather.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from aftersale.events.event import Event
from aftersale.kernel.errors import Operational
from aftersale.kernel.instants import Instant
from aftersale.runtime.app import App
from aftersale.runtime.intake import is_past, take_in
from aftersale.runtime.requests import Arrived, take_requests

MOST_AT_ONCE = 4_000
"""Events of one transaction, beyond which the next lot waits for the next one."""
MOST_WAITING = 40_000
"""Events that may wait; who comes then is told to come again."""


class Lot(msgspec.Struct, eq=False):
    """What one sender sent together: all of it is committed, or none."""

    events: Sequence[Event] = ()
    requests: Sequence[Arrived] = ()
    """Of providers, with the events that they tell."""
    prune: tuple[Instant, Instant] | None = None
    """Before when requests are no longer kept, those that were understood and all others; None:
    that is not looked at."""
    whose: Any = None
    """By what the sender is found when the lot is settled."""

    @property
    def size(self) -> int:
        """How much of a transaction it takes, in events."""
        told = sum(len(one.translated.events) for one in self.requests)
        return len(self.events) + len(self.requests) + told


Settled = list[tuple[Lot, Exception | None]]
"""Lots, each with None where it is durable, or with what went wrong."""


class Collector:
    """Admits events for many senders at once, in a thread of its own."""

    def __init__(self, app: App, tell: Callable[[Settled], None]) -> None:
        """`tell` is called in the collector's thread with lots that are settled."""
        self._app = app
        self._tell = tell
        self._lots: deque[Lot] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    def add(self, lot: Lot) -> None:
        """Let the lot be committed soon; Operational where too many wait already."""
        with self._changed:
            if self._closing:
                raise Operational("this server is ending", hint="send it again in a moment")
            if self._waiting > MOST_WAITING:
                raise Operational(
                    "more events wait than can be written", hint="send it again in a moment"
                )
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="aftersale-collector", daemon=True
                )
                self._thread.start()
            self._lots.append(lot)
            self._waiting += lot.size
            self._changed.notify()

    def close(self) -> None:
        """Commit what waits, then end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while lots := self._next():
            self._tell(self._committed(lots))

    def _next(self) -> list[Lot]:
        """What waits, in the order of its arrival; nothing when the collector is to end."""
        with self._changed:
            while not self._lots and not self._closing:
                self._changed.wait()
            lots: list[Lot] = []
            count = 0
            while self._lots and count < MOST_AT_ONCE:
                lot = self._lots.popleft()
                lots.append(lot)
                count += lot.size
            self._waiting -= count
            return lots

    def _committed(self, lots: list[Lot]) -> Settled:
        try:
            self._commit(lots)
        except Operational as error:
            return [(lot, error) for lot in lots]
        except Exception as error:  # noqa: BLE001 - told to the sender, who lets it be loud
            if len(lots) == 1:
                return [(lots[0], error)]
            # One of them breaks the transaction: the others may not suffer for it.
            return [settled for lot in lots for settled in self._committed([lot])]
        return [(lot, None) for lot in lots]

    def _commit(self, lots: list[Lot]) -> None:
        with self._app.store.write() as tx:
            events = [event for lot in lots for event in lot.events]
            requests = [request for lot in lots for request in lot.requests]
            now = self._app.now(tx)
            for lot in lots:
                if lot.prune is not None:
                    tx.requests.prune(*lot.prune)
            if requests:
                take_requests(tx, requests, events, now=now)
            else:
                take_in(tx, events, received_at=now, history=is_past(tx))
