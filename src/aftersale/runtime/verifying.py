"""How is a store verified again and again while it is at work, and what was found last?

The check reads everything there is, so it runs in a process of its own: beside it in one
interpreter every question to the database would wait for its turn. What it found is kept in the
store, where `doctor`, the pages and monitoring read it.
"""

import threading
from collections.abc import Callable
from multiprocessing.connection import Connection

import msgspec

from aftersale.kernel.instants import HOUR, Duration, Instant
from aftersale.programme.ports import Store, Transaction
from aftersale.runtime.child import Child, stay_behind
from aftersale.runtime.invariants.finding import Violation
from aftersale.runtime.verify import verify
from aftersale.runtime.worlds import Worlds
from aftersale.turn.shards import Lease

EXAMPLES = 5
"""Violations of each rule that are kept."""
AGAIN: Duration = HOUR
"""After a check that came to no end, for instance for want of memory."""

_CHECKED = "verified"
_LOOK = 0.2
"""Seconds between two looks whether the process has ended or is wanted no more."""


class Checked(msgspec.Struct, frozen=True):
    """What a verification found."""

    at: Instant
    """When it began, on the machine's clock."""
    seconds: float
    checks: dict[str, int]
    """Rule → violations."""
    examples: tuple[Violation, ...] = ()

    @property
    def broken(self) -> dict[str, int]:
        """The rules that do not hold."""
        return {rule: count for rule, count in self.checks.items() if count}


def check(store: Store, now: Callable[[], Instant], *, most: int = EXAMPLES) -> Checked:
    """Verify the store as it is now, in one view of it; `most` examples of each rule."""
    began = now()
    with store.read() as tx:
        found = verify(tx, Worlds(), most=most)
    return Checked(began, (now() - began) / 1_000_000, found.checks, found.violations)


def latest_check(tx: Transaction) -> Checked | None:
    """What the last verification found; None before the first."""
    kept = tx.meta.get(_CHECKED)
    return None if kept is None else msgspec.convert(kept, Checked)


def keep(store: Store, checked: Checked) -> None:
    """Let everybody know what was found, with a few examples of each rule."""
    of_rule: dict[str, list[Violation]] = {}
    for violation in checked.examples:
        of_rule.setdefault(violation.rule, []).append(violation)
    few = tuple(violation for found in of_rule.values() for violation in found[:EXAMPLES])
    checked = msgspec.structs.replace(checked, examples=few)
    with store.work(Lease()) as tx:
        tx.meta.set(_CHECKED, msgspec.to_builtins(checked))


class NotChecked(Exception):
    """The check came to no end; the text says why."""


Checking = Callable[[threading.Event], Checked | None]
"""Verifies until it is done or the event is set: then None. NotChecked where it cannot."""


def elsewhere(reopen: Callable[[], Store], now: Callable[[], Instant]) -> Checking:
    """Verify in a process of its own, of low priority. Both must be importable by it."""

    def checking(ended: threading.Event) -> Checked | None:
        child = Child(_check_here, reopen, now, name="verification")
        said: Checked | str | None = None
        try:
            while said is None:
                said = child.said(_LOOK)
                if said is None and ended.is_set():
                    return None
        except EOFError:
            said = "its process ended before it was done; was there memory enough?"
        finally:
            child.end()
        if isinstance(said, str):
            raise NotChecked(said)
        return said

    return checking


def _check_here(
    reopen: Callable[[], Store], now: Callable[[], Instant], answer: Connection
) -> None:
    stay_behind()
    try:
        store = reopen()
        try:
            answer.send(check(store, now))
        finally:
            store.close()
    except Exception as error:  # noqa: BLE001 - told by the worker that asked
        answer.send(f"{type(error).__name__}: {error}".partition("\n")[0])


class Verifying:
    """Verifies one store whenever it is due."""

    def __init__(
        self, store: Store, checking: Checking, now: Callable[[], Instant], *, every: Duration
    ) -> None:
        """`every`: how old the last check may become."""
        self._store = store
        self._checking = checking
        self._now = now
        self._every = every
        self._not_before: Instant = 0

    def step(self, ended: threading.Event) -> Checked | None:
        """Verify if it is due; what was found, None where it was not due or not wanted any more.

        NotChecked where it came to no end: then it is tried again an hour later.
        """
        now = self._now()
        if now < self._not_before:
            return None
        with self._store.read() as tx:
            last = latest_check(tx)
        if last is not None and last.at <= now < last.at + self._every:
            self._not_before = last.at + self._every
            return None
        self._not_before = now + AGAIN
        checked = self._checking(ended)
        if checked is not None:
            keep(self._store, checked)
            self._not_before = 0
        return checked
