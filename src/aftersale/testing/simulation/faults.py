"""What can go wrong at the borders of a worker, and when does it, as one seed says?"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aftersale.delivery.channel import Outgoing, Result
from aftersale.delivery.ports import FAILED, QUEUED, SENT, UNKNOWN
from aftersale.delivery.reasons import (
    CONNECTION_LOST,
    LATER,
    NO_ANSWER,
    NO_RECIPIENT,
    UNREACHABLE,
)
from aftersale.kernel.draw import draw
from aftersale.kernel.errors import Operational
from aftersale.programme.ports import Store, Transaction
from aftersale.turn.shards import Lease


class Killed(BaseException):
    """The worker is gone at this instruction, as by kill -9."""


class Dice:
    """One draw after the other of one seed. `calm`: from now on nothing goes wrong."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._drawn = 0
        self.calm = False

    def number(self) -> float:
        """The next number in [0, 1)."""
        self._drawn += 1
        return draw("simulation", self._seed, self._drawn)

    def below(self, count: int) -> int:
        """A number from 0 to count - 1."""
        return int(self.number() * count)

    def strikes(self, share: float) -> bool:
        """Whether it happens this time; never when all is calm."""
        return self.number() < share and not self.calm


class FaultyStore:
    """A store whose connection breaks before, in and after transactions."""

    def __init__(self, store: Store, dice: Dice, *, share: float) -> None:
        self._store = store
        self._dice = dice
        self._share = share

    @contextlib.contextmanager
    def write(self) -> Iterator[Transaction]:
        """Alone, if all goes well."""
        with self._perhaps(self._store.write) as tx:
            yield tx

    @contextlib.contextmanager
    def work(self, lease: Lease | None = None) -> Iterator[Transaction]:
        """On the shards of the lease, if all goes well."""
        with self._perhaps(lambda: self._store.work(lease)) as tx:
            yield tx

    @contextlib.contextmanager
    def read(self) -> Iterator[Transaction]:
        """A view, if all goes well."""
        self._break("before")
        with self._store.read() as tx:
            yield tx

    def lease(self, holder: str, seconds: float) -> Lease:
        """Hold a fair share, if all goes well."""
        self._break("before")
        return self._store.lease(holder, seconds)

    def renew(self, lease: Lease, seconds: float) -> None:
        """Hold on, if all goes well."""
        self._break("before")
        self._store.renew(lease, seconds)

    def release(self, holder: str) -> None:
        """Give up everything."""
        self._store.release(holder)

    def backup(self, target: Path) -> dict[str, Any]:
        """As the store does."""
        return self._store.backup(target)

    def describe(self, *, rows: bool = True) -> dict[str, Any]:
        """As the store does."""
        return self._store.describe(rows=rows)

    def close(self) -> None:
        """As the store does."""
        self._store.close()

    @contextlib.contextmanager
    def _perhaps(
        self, begin: Callable[[], contextlib.AbstractContextManager[Transaction]]
    ) -> Iterator[Transaction]:
        self._break("before")
        with begin() as tx:
            yield tx
            self._break("before the commit of")
        self._break("after the commit of")

    def _break(self, moment: str) -> None:
        if not self._dice.strikes(self._share):
            return
        if self._dice.below(4) == 0:
            raise Killed
        raise Operational(f"the connection broke {moment} the transaction")


class ScriptedMail:
    """A mail server on many bad days; it knows what it took."""

    name = "scripted"
    where = "a mail server of the simulation"
    at_once = 20

    def __init__(self, dice: Dice, receipts: Callable[[Outgoing, str], None]) -> None:
        self._dice = dice
        self._receipts = receipts
        self.taken: list[str] = []
        """The key of every message that was taken, as often as it was."""

    def send(self, messages: Sequence[Outgoing]) -> list[Result]:
        """One result each; the whole server is out at times, and the worker may die on the way."""
        if self._dice.strikes(0.05):
            return [Result(QUEUED, reason=UNREACHABLE, tried=False, whole=True)] * len(messages)
        return [self._one(message) for message in messages]

    def hurry(self) -> None:
        """Nothing is under way between two calls."""

    def close(self) -> None:
        """Nothing is open."""

    def look_up(self, keys: Sequence[str]) -> Mapping[str, Result | None] | None:
        """A mail server cannot say."""
        return None

    def _one(self, message: Outgoing) -> Result:
        if self._dice.strikes(0.01):
            raise Killed  # before it was handed over
        fate = self._dice.number()
        if fate < 0.05 and not self._dice.calm:
            return Result(QUEUED, reason=f"{LATER}: 451")
        if fate < 0.08 and not self._dice.calm:
            return Result(QUEUED, reason=CONNECTION_LOST)
        if fate < 0.10 and not self._dice.calm:
            return Result(FAILED, reason=f"{NO_RECIPIENT}: 550 5.1.1")
        self.taken.append(message.message.key)
        self._tell(message)
        if self._dice.strikes(0.02):
            raise Killed  # after it was taken, before we wrote that down
        if fate < 0.15 and not self._dice.calm:
            return Result(UNKNOWN, reason=NO_ANSWER)
        return Result(SENT, provider_id=f"q{len(self.taken)}")

    def _tell(self, message: Outgoing) -> None:
        """Receipts: some at once, before we know ourselves that it was taken."""
        fate = self._dice.number()
        kinds = ((0.5, "delivered"), (0.7, "opened"), (0.75, "clicked"), (0.78, "bounced"))
        kind = next((kind for share, kind in kinds if fate < share), "")
        if kind:
            self._receipts(message, f"message.{kind}")
