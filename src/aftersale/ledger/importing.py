"""What does a source of past events hand over, and how is it counted?

The law of every import: rows read = rows used + rows rejected + rows ignored, over the whole
input. A source emits the same batches each time it is read, so a mark says how far it got.
"""

from collections.abc import Iterator
from typing import Protocol

import msgspec

from aftersale.events.event import Event
from aftersale.events.vocabulary import ProductFacts


class Reject(msgspec.Struct, frozen=True, gc=False):
    """A row that could not be read."""

    row: int
    """Place in its file, counted from 1 without the line of headings."""
    reason: str
    text: str
    """The row as it was."""
    file: str = ""
    """Name of the file, where it is not the main one."""


class Batch(msgspec.Struct, frozen=True):
    """Events of some rows, ready to be admitted in one transaction."""

    events: list[Event]
    upto: int
    """Everything of the source up to this mark is in this batch or an earlier one."""
    total_rows: int
    rows_used: int = 0
    rows_ignored: dict[str, int] = {}
    """Reason → rows."""
    rejects: list[Reject] = []
    products: list[ProductFacts] = []


class Source(Protocol):
    """Something that can be imported."""

    @property
    def total_rows(self) -> int:
        """Rows of the whole input."""
        ...

    def fingerprint(self) -> str:
        """The same for the same input and mapping; another one where either changed."""
        ...

    def batches(self, after: int = 0) -> Iterator[Batch]:
        """The batches behind the mark, in order; 0 is the beginning."""
        ...

    def rejects(self) -> Iterator[Reject]:
        """Every rejected row of the input, in order, whatever was imported before."""
        ...


class Admitted(msgspec.Struct, frozen=True, gc=False):
    """What became of the events of one batch."""

    new: int = 0
    duplicates: int = 0
    conflicts: int = 0


class ImportReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an import has done up to its mark; with it a later run goes on."""

    upto: int = 0
    rows: int = 0
    used: int = 0
    rejected: int = 0
    ignored_by_reason: dict[str, int] = {}
    events: int = 0
    products: int = 0
    new: int = 0
    duplicates: int = 0
    conflicts: int = 0

    @property
    def ignored(self) -> int:
        """Rows ignored for any reason."""
        return sum(self.ignored_by_reason.values())

    @property
    def done(self) -> int:
        """Rows whose fate is known."""
        return self.used + self.rejected + self.ignored

    def after(self, batch: Batch, admitted: Admitted) -> "ImportReport":
        """The report once the batch is committed."""
        ignored = dict(self.ignored_by_reason)
        for reason, rows in batch.rows_ignored.items():
            ignored[reason] = ignored.get(reason, 0) + rows
        return ImportReport(
            upto=batch.upto,
            rows=batch.total_rows,
            used=self.used + batch.rows_used,
            rejected=self.rejected + len(batch.rejects),
            ignored_by_reason=ignored,
            events=self.events + len(batch.events),
            products=self.products + len(batch.products),
            new=self.new + admitted.new,
            duplicates=self.duplicates + admitted.duplicates,
            conflicts=self.conflicts + admitted.conflicts,
        )
