"""How many kills does each scenario get, and what did it come to?"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from aftersale.testing.checker import Checked

KILLS = int(os.environ.get("AFTERSALE_KILLS", "20"))  # noqa: TID251 - of the tests, not of aftersale

TALLY = "tally"
"""The property of a test under which its tally is kept."""


def share(part: float) -> int:
    """How many of the kills a scenario with that part of them gets; at least one."""
    return max(round(KILLS * part), 1)


class Tally(msgspec.Struct):
    """What one scenario came to."""

    scenario: str
    runs: int = 1
    kills: int = 0
    breaks: int = 0
    """Restarts of the database, fillings of the disk."""
    events: int = 0
    decisions: int = 0
    messages: int = 0
    copies: int = 0
    promotions_twice: int = 0
    orders_twice: int = 0
    explained: int = 0
    violations: int = 0
    equal: bool | None = None
    """Whether all is as in the uninterrupted run; None where there is nothing to compare with."""

    def add(self, checked: Checked) -> None:
        """What log and store said of the messages."""
        self.messages += checked.messages
        self.copies += checked.copies
        self.promotions_twice += checked.promotions_twice
        self.orders_twice += checked.orders_twice
        self.explained += checked.orders_explained


_NUMBERS = [name for name in Tally.__struct_fields__ if name not in {"scenario", "equal"}]


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The tallies as lines, with one for all of them."""
    whole = {name: sum(row[name] for row in rows) for name in _NUMBERS}
    compared = [row["equal"] for row in rows if row["equal"] is not None]
    yield "  ".join([*(name.replace("_", " ") for name in _NUMBERS), "equal", "scenario"])
    for row in [*rows, {**whole, "equal": all(compared), "scenario": "all"}]:
        cells = [str(row[name]).rjust(len(name)) for name in _NUMBERS]
        equal = {True: "yes", False: "NO", None: ""}[row["equal"]]
        yield "  ".join([*cells, equal.rjust(5), row["scenario"]])
