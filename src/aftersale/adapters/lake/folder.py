"""How does the lake lie in a folder?

One folder for each table with Parquet files, each named by the positions of the ledger that it
covers, and a manifest that names those which count. A change writes new files, then replaces the
manifest; a crash in between leaves files that nobody reads and that the next compaction deletes.
"""

import fcntl
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aftersale.adapters.lake.manifest import (
    Manifest,
    Part,
    Scores,
    read_manifest,
    write_manifest,
)
from aftersale.kernel.errors import Operational, Refusal
from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import Instant
from aftersale.programme.lake import Extent

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pyarrow as pa
    from ibis.expr.types import Expr, Table

    from aftersale.adapters.lake.engine import DuckEngine
    from aftersale.features.rows import Rows

# pyarrow, Ibis and DuckDB are loaded where they are used: to look at the extent takes none.

MOST_ROWS = 4_000_000
"""A file of more rows is not put together with others."""

_TRIES = 3

NAMES = ("orders", "lines", "undone", "signals", "scored", "merges")


class FolderLake:
    """A lake of Parquet files in a folder, read by DuckDB."""

    def __init__(
        self, folder: Path, *, memory_mb: int = 1_000, threads: int = 0, most_rows: int = MOST_ROWS
    ) -> None:
        self.folder = folder.absolute()
        self._memory_mb = memory_mb
        self._threads = threads
        self._most_rows = most_rows
        self._held = 0
        self._engine: DuckEngine | None = None
        self._shown: tuple[int, dict[str, Table]] | None = None

    def extent(self) -> Extent | None:
        """How far it has come; None where there is none yet."""
        found = read_manifest(self.folder)
        if found is None:
            return None
        parts = [part for some in found.parts.values() for part in some]
        return Extent(
            found.upto,
            found.mark,
            found.zone,
            {name: sum(part.rows for part in found.parts.get(name, ())) for name in NAMES},
            len(parts) + len(found.scores),
            sum(part.bytes for part in parts) + sum(s.bytes for s in found.scores.values()),
            len(found.erased),
        )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lake for a stretch of writing, so that no other process comes between."""
        if self._held:
            yield
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        file = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Operational(
                    "another process writes the history", hint="try again when it is done"
                ) from None
            self._held += 1
            try:
                yield
            finally:
                self._held -= 1
        finally:
            os.close(file)  # and with it the lock

    def begin(self, zone: str) -> None:
        """Make it empty, at position 0, without erasures and scores."""
        with self.writing():
            try:
                before = read_manifest(self.folder)
            except Refusal:  # what cannot be read is exactly what is replaced here
                before = None
            generation = before.generation if before else 0
            self._replace(Manifest(generation=generation + 1, zone=zone))

    def append(self, rows: "Rows", *, after: Position, upto: Position, mark: str) -> bool:
        """Add the rows of the entries in (after, upto], all of them or none."""
        from aftersale.adapters.lake.files import arrow_table, without, write

        with self.writing():
            before = self._manifest()
            if upto <= before.upto:
                return False
            if after != before.upto:
                raise ValueError(f"the lake has come to {before.upto}, not to {after}")
            parts = dict(before.parts)
            for name, some in rows.items():
                table = without(arrow_table(name, some), before.erased)
                if table.num_rows:
                    path = _path(name, after, upto, before.generation + 1)
                    size = write(self.folder / path, table)
                    part = Part(path, after, upto, table.num_rows, size)
                    parts[name] = [*parts.get(name, ()), part]
            write_manifest(self.folder, before.next(upto=upto, mark=mark, parts=parts))
            return True

    def forget(self, customers: Collection[CustomerId]) -> None:
        """Let nobody see rows of these customers from now on; `compact` drops them."""
        with self.writing():
            before = self._manifest()
            new = set(customers).difference(before.erased)
            if new:
                erased = sorted(new.union(before.erased))
                pending = sorted(new.union(before.pending))
                write_manifest(self.folder, before.next(erased=erased, pending=pending))

    def compact(self) -> None:
        """Put small files together, drop rows of the erased, delete what is left over."""
        with self.writing():
            before = self._manifest()
            generation = before.generation + 1
            parts = {
                name: [
                    part
                    for group in self._groups(some)
                    for part in self._united(name, group, before.pending, generation)
                ]
                for name, some in before.parts.items()
            }
            scores = {
                name: self._cleaned(name, some, before.pending, generation)
                for name, some in before.scores.items()
            }
            if (parts, scores, []) == (before.parts, before.scores, before.pending):
                self._sweep(before)
            else:
                self._replace(before.next(parts=parts, scores=scores, pending=[]))

    def tables(self) -> "dict[str, Table]":
        """Every table of the history, as DuckDB reads it, without the erased."""
        import ibis

        from aftersale.adapters.lake.engine import except_for
        from aftersale.adapters.lake.files import SCHEMAS
        from aftersale.features.tables import TABLES

        manifest = self._manifest()
        if self._shown is None or self._shown[0] != manifest.generation:
            engine, found = self._reader(), {}
            for name, schema in SCHEMAS.items():
                paths = [self.folder / part.path for part in manifest.parts.get(name, ())]
                if paths:
                    table = engine.files(f"{name}_{manifest.generation}", paths)
                else:
                    table = ibis.memtable(schema.empty_table(), schema=TABLES[name])
                found[name] = except_for(table, manifest.pending)
            self._shown = (manifest.generation, found)
        return dict(self._shown[1])

    def run(self, expression: "Expr") -> "pa.Table":
        """What the expression comes to."""
        return self._reader().run(expression)

    def columns(self, expression: "Expr") -> dict[str, Any]:
        """The same as NumPy arrays by column."""
        return self._reader().columns(expression)

    def held(self, expression: "Expr") -> "AbstractContextManager[Table]":
        """What the expression comes to, as a table for the length of the block."""
        return self._reader().held(expression)

    def put_scores(self, name: str, scores: "pa.Table", as_of: Instant) -> None:
        """Keep scores in the place of older ones of that name."""
        from aftersale.adapters.lake.files import without, write

        if not name.replace("-", "_").isidentifier():
            raise ValueError(f"{name!r} is no name for scores")
        with self.writing():
            before = self._manifest()
            old = before.scores.get(name)
            if old is not None and as_of < old.as_of:
                return
            kept = without(scores, before.erased)
            path = f"scores/{name}-{before.generation + 1}.parquet"
            new = Scores(path, as_of, kept.num_rows, write(self.folder / path, kept))
            self._replace(before.next(scores={**before.scores, name: new}))

    def scores(self, name: str) -> "tuple[Table, Instant] | None":
        """The newest scores of that name and as of when they are; None where there are none."""
        from aftersale.adapters.lake.engine import except_for

        manifest = self._manifest()
        found = manifest.scores.get(name)
        if found is None:
            return None
        word = f"scores_{name}_{manifest.generation}"
        table = self._reader().files(word, [self.folder / found.path])
        return except_for(table, manifest.pending), found.as_of

    def scores_of(self, customer: CustomerId) -> dict[str, tuple[list[dict[str, Any]], Instant]]:
        """Name → what the newest scores have of the customer, and as of when they are."""
        from aftersale.adapters.lake.files import rows_of

        for _ in range(_TRIES):
            manifest = read_manifest(self.folder)
            if manifest is None or customer in manifest.erased:
                return {}
            try:
                found = {
                    name: (rows_of(self.folder / some.path, customer), some.as_of)
                    for name, some in manifest.scores.items()
                }
            except FileNotFoundError:  # newer ones have just taken their place
                continue
            return {name: some for name, some in found.items() if some[0]}
        raise Operational("the scores are being replaced", hint="try again when that is done")

    def _manifest(self) -> Manifest:
        found = read_manifest(self.folder)
        if found is None:
            raise Refusal("there is no history yet", hint="aftersale history   makes it")
        return found

    def _reader(self) -> "DuckEngine":
        if self._engine is None:
            from aftersale.adapters.lake.engine import DuckEngine

            self._engine = DuckEngine(self.folder, memory_mb=self._memory_mb, threads=self._threads)
        return self._engine

    def _groups(self, parts: list[Part]) -> Iterator[list[Part]]:
        """Neighbours that are small enough to be one file."""
        group: list[Part] = []
        for part in parts:
            if group and sum(one.rows for one in group) + part.rows > self._most_rows:
                yield group
                group = []
            group.append(part)
        if group:
            yield group

    def _united(
        self, name: str, group: list[Part], pending: list[CustomerId], generation: int
    ) -> list[Part]:
        """One file in the place of several, without the erased; itself where nothing changes."""
        from aftersale.adapters.lake.files import SCHEMAS, names_any, read, without, write_all

        paths = [self.folder / part.path for part in group]
        if len(group) == 1 and not (pending and names_any(paths[0], pending)):
            return group
        after, upto = group[0].after, group[-1].upto
        path = _path(name, after, upto, generation)
        tables = (without(table, pending) for file in paths for table in read(file))
        rows, size = write_all(self.folder / path, SCHEMAS[name], tables)
        return [Part(path, after, upto, rows, size)] if rows else []

    def _cleaned(
        self, name: str, scores: Scores, pending: list[CustomerId], generation: int
    ) -> Scores:
        from aftersale.adapters.lake.files import names_any, read, without, write_all

        old = self.folder / scores.path
        if not (pending and names_any(old, pending)):
            return scores
        path = f"scores/{name}-{generation}.parquet"
        tables = [without(table, pending) for table in read(old)]
        rows, size = write_all(self.folder / path, tables[0].schema, iter(tables))
        return Scores(path, scores.as_of, rows, size)

    def _replace(self, manifest: Manifest) -> None:
        """Make it the lake, and delete the files that it does not name."""
        write_manifest(self.folder, manifest)
        self._sweep(manifest)

    def _sweep(self, manifest: Manifest) -> None:
        kept = manifest.files()
        for folder in (*NAMES, "scores"):
            for file in (self.folder / folder).glob("*"):
                if file.relative_to(self.folder).as_posix() not in kept:
                    file.unlink(missing_ok=True)


def _path(name: str, after: Position, upto: Position, generation: int) -> str:
    return f"{name}/{after:012d}-{upto:012d}-{generation}.parquet"
