"""What must a lake offer, in which the history lies as tables?

The ledger flows into it by position: what was appended once is never appended again, and what a
crash cut off is not there. It can always be made again from the ledger, so it is never backed up.
"""

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import Instant

if TYPE_CHECKING:  # the command line shall not load them only to look at a lake
    import pyarrow as pa
    from ibis.expr.types import Expr, Table

    from aftersale.features.rows import Rows


class Extent(msgspec.Struct, frozen=True):
    """How far a lake has come, and how large it is."""

    upto: Position
    """The ledger up to here is in the lake."""
    mark: str
    """Tells this ledger from another one, by the entry at `upto`."""
    zone: str
    """Whose calendar the days are of."""
    rows: dict[str, int]
    """By table, with those of erased customers that are not dropped yet."""
    files: int
    bytes: int
    erased: int
    """Customers whose rows nobody gets to see."""


class Lake(Protocol):
    """The history of one store as tables (features/tables.py), and the newest scores.

    One process may write at a time, others wait for it in vain: Operational. Whoever reads is
    not disturbed by whoever appends; by whoever compacts, it may be: then Operational too.
    """

    def extent(self) -> Extent | None:
        """How far it has come; None where there is none yet."""
        ...

    def writing(self) -> AbstractContextManager[None]:
        """Hold the lake for a stretch of writing, so that no other process comes between."""
        ...

    def begin(self, zone: str) -> None:
        """Make it empty, at position 0, without erasures and scores."""
        ...

    def append(self, rows: "Rows", *, after: Position, upto: Position, mark: str) -> bool:
        """Add the rows of the entries in (after, upto], all of them or none.

        False, and nothing is added, where the lake has come to `upto` already. ValueError where
        it has not come to exactly `after`.
        """
        ...

    def forget(self, customers: Collection[CustomerId]) -> None:
        """Let nobody see rows of these customers from now on; `compact` drops them."""
        ...

    def compact(self) -> None:
        """Put small files together, drop the rows of erased customers, delete what is left over.

        What is read afterwards is the same.
        """
        ...

    def tables(self) -> "dict[str, Table]":
        """Every table of the history, as this lake's engine reads it, without the erased.

        They show the lake as it is now, whatever is appended later.
        """
        ...

    def run(self, expression: "Expr") -> "pa.Table":
        """What the expression comes to. Its tables are those of this lake, or in memory."""
        ...

    def columns(self, expression: "Expr") -> dict[str, Any]:
        """The same as NumPy arrays by column."""
        ...

    def held(self, expression: "Expr") -> "AbstractContextManager[Table]":
        """What the expression comes to, as a table for the length of the block.

        For what several expressions read: it is computed once.
        """
        ...

    def put_scores(self, name: str, scores: "pa.Table", as_of: Instant) -> None:
        """Keep scores in the place of those of that name, unless they are older than those."""
        ...

    def scores(self, name: str) -> "tuple[Table, Instant] | None":
        """The newest scores of that name and as of when they are; None where there are none.

        Where they have a column `customer`, without the erased.
        """
        ...

    def scores_of(self, customer: CustomerId) -> dict[str, tuple[list[dict[str, Any]], Instant]]:
        """Name → the rows that the newest scores have of the customer, and as of when they are.

        Names of which there are none are left out, and so is whoever was erased. It takes no
        engine.
        """
        ...
