"""How does a worker tell what it does, a line each?

As JSON for programs or as words for people; both say the same. No line holds an address, a
subject or a key of a message: a send is told by its decision and the name in its Message-ID.
"""

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from aftersale.delivery.ports import FAILED, QUEUED, UNKNOWN
from aftersale.delivery.telling import Settled
from aftersale.kernel.instants import Instant, format_instant
from aftersale.turn.ports import Turned

LEVELS = ("debug", "info", "warning", "error")
_LEVEL_OF = {QUEUED: "debug", FAILED: "warning", UNKNOWN: "warning"}


class Log:
    """A Telemetry that writes lines."""

    def __init__(
        self,
        write: Callable[[str], None],
        now: Callable[[], Instant],
        *,
        worker: str,
        json: bool,
        level: str = "info",
    ) -> None:
        """`write` takes one line without its end; lines below `level` are not written."""
        self._write = write
        self._now = now
        self._worker = worker
        self._json = json
        self._least = LEVELS.index(level)

    def say(self, level: str, what: str, **about: Any) -> None:
        """One line. Where nobody reads any more it is lost, and the work goes on."""
        if LEVELS.index(level) < self._least:
            return
        head = {"at": format_instant(self._now()), "level": level, "what": what}
        with contextlib.suppress(OSError, ValueError):
            self._write(
                msgspec.json.encode({**head, "worker": self._worker, **about}).decode()
                if self._json
                else " ".join([*head.values(), *(f"{k}={_shown(v)}" for k, v in about.items())])
            )

    def turned(self, turned: Turned, seconds: float) -> None:
        """What the turn did."""
        self.say(
            "info",
            "turn",
            turn=turned.turn,
            events=turned.events,
            customers=turned.customers,
            decisions=turned.decisions,
            sends=turned.sends,
            upto=turned.upto,
            seconds=round(seconds, 6),
        )

    def settled(self, sends: Sequence[Settled], seconds: float) -> None:
        """What became of each send, then of how many."""
        counts: dict[str, int] = {}
        for send in sends:
            counts[send.status] = counts.get(send.status, 0) + 1
            self.say(
                _LEVEL_OF.get(send.status, "info"),
                "send",
                decision=send.decision,
                message=send.message,
                journey=send.journey,
                channel=send.channel,
                status=send.status,
                reason=send.reason,
            )
        self.say("info", "round", **counts, seconds=round(seconds, 6))

    def recovered(self, sends: int) -> None:
        """How many."""
        self.say("warning", "recovered", sends=sends)

    def held(self, shards: Collection[int]) -> None:
        """Which."""
        self.say("info", "shards", held=sorted(shards))

    def trouble(self, kind: str, what: str) -> None:
        """What broke."""
        self.say("warning", "trouble", kind=kind, reason=what)

    def alive(self) -> None:
        """Nothing: it is several times a second."""

    def verified(self, violations: Mapping[str, int], seconds: float) -> None:
        """What was found."""
        wrong = {rule: count for rule, count in violations.items() if count}
        self.say(
            "error" if wrong else "info",
            "verified",
            rules=len(violations),
            violations=wrong,
            seconds=round(seconds, 6),
        )


def _shown(value: Any) -> str:
    """A value in a line of words: in quotes where a reader could not tell its end."""
    text = (
        str(value) if isinstance(value, str | int | float) else msgspec.json.encode(value).decode()
    )
    return text if text and not set(text) & set(' "=\n') else msgspec.json.encode(text).decode()
