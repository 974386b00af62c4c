"""How do several watch over one worker, or nobody?"""

from collections.abc import Collection, Mapping, Sequence

from aftersale.delivery.telling import Settled
from aftersale.programme.telemetry import Telemetry
from aftersale.turn.ports import Turned


class Silent:
    """Nobody watches."""

    def turned(self, turned: Turned, seconds: float) -> None:
        """Nothing."""

    def settled(self, sends: Sequence[Settled], seconds: float) -> None:
        """Nothing."""

    def recovered(self, sends: int) -> None:
        """Nothing."""

    def held(self, shards: Collection[int]) -> None:
        """Nothing."""

    def trouble(self, kind: str, what: str) -> None:
        """Nothing."""

    def alive(self) -> None:
        """Nothing."""

    def verified(self, violations: Mapping[str, int], seconds: float) -> None:
        """Nothing."""


class Together:
    """All of them are told, one after the other."""

    def __init__(self, *watching: Telemetry) -> None:
        self._watching = watching

    def turned(self, turned: Turned, seconds: float) -> None:
        """To each."""
        for one in self._watching:
            one.turned(turned, seconds)

    def settled(self, sends: Sequence[Settled], seconds: float) -> None:
        """To each."""
        for one in self._watching:
            one.settled(sends, seconds)

    def recovered(self, sends: int) -> None:
        """To each."""
        for one in self._watching:
            one.recovered(sends)

    def held(self, shards: Collection[int]) -> None:
        """To each."""
        for one in self._watching:
            one.held(shards)

    def trouble(self, kind: str, what: str) -> None:
        """To each."""
        for one in self._watching:
            one.trouble(kind, what)

    def alive(self) -> None:
        """To each."""
        for one in self._watching:
            one.alive()

    def verified(self, violations: Mapping[str, int], seconds: float) -> None:
        """To each."""
        for one in self._watching:
            one.verified(violations, seconds)
