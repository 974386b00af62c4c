"""What do all gates together say?

The order is the order of explanation: the first that does not allow gives the reason. Every gate
is asked, so that the record holds what each of them saw. A further gate never allows more.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from aftersale.gates.policy import Policy
from aftersale.gates.rules import (
    address,
    benefit,
    consent,
    empathy,
    fatigue,
    quiet_hours,
    relevance,
)
from aftersale.gates.standing import Intent, Standing
from aftersale.gates.verdict import Allow, Defer, Deny, Verdict
from aftersale.kernel.instants import Instant

GATES: tuple[ModuleType, ...] = (
    consent,
    address,
    benefit,
    relevance,
    empathy,
    fatigue,
    quiet_hours,
)
NAMES = tuple(gate.NAME for gate in GATES)

Trace = tuple[tuple[Any, ...], ...]
"""Per gate: (0, saw) allowed, (1, reason, until, saw) deferred, (2, reason, saw) denied."""


def judge(
    intent: Intent,
    customer: Standing,
    policy: Policy,
    now: Instant,
    gates: Sequence[ModuleType] = GATES,
) -> tuple[Verdict, Trace]:
    """The verdict of all: the first denial, else the latest deferral, else Allow; and the trace."""
    denied: Deny | None = None
    deferred: Defer | None = None
    trace: list[tuple[Any, ...]] = []
    for gate in gates:
        verdict: Verdict = gate.judge(intent, customer, policy, now)
        if type(verdict) is Allow:
            trace.append((0, verdict.saw))
            continue
        match verdict:
            case Allow(saw):
                trace.append((0, saw))
            case Defer(until, reason, saw):
                trace.append((1, reason, until, saw))
                if deferred is None or until > deferred.until:
                    deferred = verdict
            case Deny(reason, saw):
                trace.append((2, reason, saw))
                denied = denied or verdict
    return denied or deferred or Allow(), tuple(trace)
