"""What was decided, and what did the decision see?

A decision is stored as codes and values; words are computed from it when somebody asks.
"""

from typing import Any

import msgspec

from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import Instant


class Decision(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One thing that was decided about one customer."""

    customer: CustomerId
    seq: int
    """Per customer, from 1, without gaps; (customer, seq) names the decision: `42-7`."""
    at: Instant
    """The instant that caused it: of the event, or for which the alarm was set."""
    now: Instant
    """When it was decided."""
    kind: str
    """See `KINDS`."""
    journey: str = ""
    version: int = 0
    run: str = ""
    step: str = ""
    reason: str = ""
    """A code of the closed lists in `gates/verdict.py` and `turn/words.py`."""
    values: tuple[Any, ...] = ()
    """What it saw; the meaning follows from the kind (docs/reference/decisions.md)."""
    cause: Position = 0
    """Position of the event that caused it, 0 where an alarm did."""


KINDS = {
    "start": "a run of a journey began",
    "refuse": "a run was not begun although its trigger came",
    "send": "a message goes out",
    "hold": "a message was held back for good",
    "defer": "a message waits for a later instant",
    "would-send": "a message would have been sent; the customer is in the holdout",
    "task": "a task for a person was made",
    "branch": "a way through a branch was chosen",
    "wait": "the date of a wait moved, or the run moved to a new version",
    "goal": "a run reached its goal",
    "exit": "a run ended before its last step",
    "late": "a send would not have happened had we known in time",
}


def decision_name(customer: CustomerId, seq: int) -> str:
    """The name of a decision that people use: `42-7`."""
    return f"{customer}-{seq}"
