"""How does what happened become events as their senders tell them?"""

from collections.abc import Mapping
from typing import Any

import msgspec

from aftersale.kernel.instants import DAY, HOUR, MINUTE, SECOND, Instant, format_instant
from aftersale.testing.shop.catalogue import SHOP
from aftersale.testing.shop.stream import Stream

_LATE, _TWICE = 0.004, 0.003
_DELAYS = {"shop": 3, "web": 20, "helpdesk": 60, "newsletter": 900}
"""Seconds within which a source tells; the carrier sends a file every half hour instead."""


class Happening(msgspec.Struct, frozen=True, gc=False):
    """One event on its way: when it happened, when it arrives, and what it says."""

    arrived_at: Instant
    at: Instant
    source: str
    type: str
    id: str
    who: Mapping[str, str]
    data: Mapping[str, Any]

    def raw(self) -> dict[str, Any]:
        """The inbound JSON object."""
        told: dict[str, Any] = {
            "id": self.id,
            "source": self.source,
            "shop": SHOP,
            "type": self.type,
            "at": format_instant(self.at),
        }
        if self.who:
            told["customer"] = dict(self.who)
        told["data"] = dict(self.data)
        return told


class Diary:
    """Collects what one customer causes in the simulated time, from its start to its end."""

    def __init__(
        self, stream: Stream, span: tuple[Instant, Instant], kept: list[Happening]
    ) -> None:
        self._stream = stream
        self._start, self._end = span
        self._kept = kept

    def note(
        self,
        source: str,
        kind: str,
        at: Instant,
        event_id: str,
        who: Mapping[str, str],
        data: Mapping[str, Any],
    ) -> None:
        """Keep it if it arrives before the end; a few arrive late and a few arrive twice."""
        if not self._start <= at < self._end:
            return
        at = at // SECOND * SECOND
        if source == "carrier":
            arrived = (at // (30 * MINUTE) + 1) * 30 * MINUTE
        else:
            arrived = at + self._stream.between(0, _DELAYS[source] * 1000) * 1000
        oddity = self._stream.real()
        if oddity < _LATE:
            arrived += HOUR + int(1.5 * DAY * self._stream.exponential())
        if arrived >= self._end:
            return
        told = Happening(arrived, at, source, kind, event_id, who, data)
        self._kept.append(told)
        if oddity > 1 - _TWICE:
            again = arrived + self._stream.between(1, 7200) * SECOND
            if again < self._end:
                self._kept.append(msgspec.structs.replace(told, arrived_at=again))
