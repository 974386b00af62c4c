"""What does whoever watches over a worker get to know?"""

import contextlib
from collections.abc import Callable, Collection
from typing import Protocol

from aftersale.runtime.sending import Sent
from aftersale.runtime.turns import Turned


class Telemetry(Protocol):
    """Told by a worker what it did and what went wrong. It may not fail and not wait."""

    def turned(self, turned: Turned, seconds: float) -> None:
        """A turn was committed."""
        ...

    def sent(self, sent: Sent, seconds: float) -> None:
        """A round of sending that had something to do has ended."""
        ...

    def held(self, shards: Collection[int]) -> None:
        """The worker now holds these shards."""
        ...

    def trouble(self, kind: str, what: str) -> None:
        """Something broke and is tried again: operational, lease-lost or stale-state."""
        ...

    def alive(self) -> None:
        """The loop that decides came round."""
        ...


class Silent:
    """Nobody watches."""

    def turned(self, turned: Turned, seconds: float) -> None:
        """Nothing."""

    def sent(self, sent: Sent, seconds: float) -> None:
        """Nothing."""

    def held(self, shards: Collection[int]) -> None:
        """Nothing."""

    def trouble(self, kind: str, what: str) -> None:
        """Nothing."""

    def alive(self) -> None:
        """Nothing."""


class Spoken(Silent):
    """Tells whoever started the worker what goes wrong, a line each."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def trouble(self, kind: str, what: str) -> None:
        """One line, where it can be written: a full disk is no reason to end."""
        with contextlib.suppress(OSError):
            self._say(f"{what}; trying again")
