"""When may this message go, so that neither the channel nor a domain gets too many?

Two accounts are kept. The *plan* gives every message its place once, so that a long queue for one
domain is spread over the time it needs. The *gate* is passed in the moment of sending and is what
guarantees the rate, also where what was planned comes late and all at once.
"""

import threading
from collections.abc import Callable

from aftersale.delivery.pace import Pace, after, earliest
from aftersale.kernel.instants import SECOND, Instant

HORIZON = SECOND
"""A message that would have to wait for longer is put off instead."""
_CHANNEL = ""
_KEPT = 100_000


class Turnstile:
    """Serves several threads."""

    def __init__(
        self, channel: Pace | None, domain: Pace | None, clock: Callable[[], Instant]
    ) -> None:
        self._channel = channel
        self._domain = domain
        self._clock = clock
        self._plan: dict[str, Instant] = {}
        self._gate: dict[str, Instant] = {}
        self._places: dict[str, Instant] = {}
        self._lock = threading.Lock()

    def place(self, key: str, domain: str) -> tuple[Instant, bool]:
        """(its place in time, whether that is near enough); else it comes again at that instant."""
        paces = self._paces(domain)
        with self._lock:
            now = self._clock()
            if not paces or self._places.pop(key, None) is not None:
                return now, True
            at = self._take(self._plan, paces, now)
            return (at, True) if at <= now + HORIZON else (self._put_off(key, at, now), False)

    def enter(self, key: str, domain: str) -> tuple[Instant, bool]:
        """(when it may go, whether to wait for that); else it comes again at that instant."""
        paces = self._paces(domain)
        with self._lock:
            now = self._clock()
            at = _earliest(self._gate, paces, now)
            if at <= now + HORIZON:
                return self._take(self._gate, paces, now), True
            return self._put_off(key, at, now), False

    def _paces(self, domain: str) -> list[tuple[str, Pace]]:
        both = (_CHANNEL, self._channel), (domain, self._domain)
        return [(name, pace) for name, pace in both if pace is not None]

    def _take(
        self, accounts: dict[str, Instant], paces: list[tuple[str, Pace]], now: Instant
    ) -> Instant:
        at = _earliest(accounts, paces, now)
        for name, pace in paces:
            accounts[name] = after(accounts.get(name, 0), at, pace)
        if len(accounts) > _KEPT:  # a full bucket is as good as none
            for name in [name for name, full_at in accounts.items() if full_at <= now]:
                del accounts[name]
        return at

    def _put_off(self, key: str, at: Instant, now: Instant) -> Instant:
        if len(self._places) > _KEPT:  # of messages that were dropped meanwhile
            self._places = {k: place for k, place in self._places.items() if place > now}
        self._places[key] = at
        return at


def _earliest(accounts: dict[str, Instant], paces: list[tuple[str, Pace]], now: Instant) -> Instant:
    return max((earliest(accounts.get(name, 0), now, pace) for name, pace in paces), default=now)
