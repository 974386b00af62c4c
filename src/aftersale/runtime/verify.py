"""Do the sentences that must always hold, hold in this store?"""

from types import ModuleType

import msgspec

from aftersale.programme.ports import Transaction
from aftersale.runtime.invariants import (
    acted_once,
    consented,
    gates_held,
    numbered,
    quiet_kept,
    sends_decided,
    within_caps,
)
from aftersale.runtime.invariants.finding import Violation
from aftersale.runtime.worlds import Worlds

RULES: tuple[ModuleType, ...] = (
    acted_once,
    sends_decided,
    numbered,
    gates_held,
    consented,
    within_caps,
    quiet_kept,
)


class Verified(msgspec.Struct, frozen=True):
    """What was checked and what was found."""

    checks: dict[str, int]
    """Rule → violations."""
    violations: tuple[Violation, ...]


def verify(tx: Transaction, worlds: Worlds, *, most: int = 100) -> Verified:
    """Check every rule; at most `most` violations of each are listed."""
    counts: dict[str, int] = {}
    found: list[Violation] = []
    for rule in RULES:
        counts[rule.NAME] = 0
        for violation in rule.check(tx, worlds):
            counts[rule.NAME] += 1
            if counts[rule.NAME] <= most:
                found.append(violation)
    return Verified(counts, tuple(found))
