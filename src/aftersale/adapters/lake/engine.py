"""Who computes what expressions ask for? DuckDB, within bounds, without the network.

It reads the files of the lake and nothing else on the machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pyarrow as pa
from ibis.expr.types import Expr, Table

from aftersale.kernel.errors import Operational


class DuckEngine:
    """One connection to DuckDB in memory; for one thread at a time."""

    def __init__(self, folder: Path | None, *, memory_mb: int, threads: int) -> None:
        self._held = 0
        options: dict[str, Any] = {
            "memory_limit": f"{memory_mb}MB",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        if threads:
            options["threads"] = threads
        if folder is not None:
            options["temp_directory"] = str(folder / ".spill")
        self.backend = ibis.duckdb.connect(**options)
        if folder is not None:
            allowed = str(folder).replace("'", "''")
            self.backend.con.execute(f"SET allowed_directories = ['{allowed}/']")
        self.backend.con.execute("SET enable_external_access = false")
        self.backend.con.execute("SET lock_configuration = true")

    def files(self, name: str, paths: list[Path]) -> Table:
        """The rows of these Parquet files as one table."""
        with _told():
            return self.backend.read_parquet([str(path) for path in paths], table_name=name)

    def run(self, expression: Expr) -> pa.Table:
        """What the expression comes to."""
        with _told():
            return self.backend.to_pyarrow(expression.as_table())

    @contextmanager
    def held(self, expression: Expr) -> Iterator[Table]:
        """What the expression comes to, as a table that is gone after the block."""
        self._held += 1
        name = f"held_{self._held}"
        with _told():
            table = self.backend.create_table(name, expression.as_table(), temp=True)
        try:
            yield table
        finally:
            self.backend.con.execute(f"DROP TABLE {name}")

    def columns(self, expression: Expr) -> dict[str, Any]:
        """The same as NumPy arrays by column."""
        found = self.run(expression)
        return {
            name: column.to_numpy()
            for name, column in zip(found.column_names, found.columns, strict=True)
        }


def except_for(table: Table, customers: list[int]) -> Table:
    """The rows that are not of these customers; all, where the table has no customers."""
    if not customers or "customer" not in table.columns:
        return table
    gone = ibis.memtable({"customer": customers}, schema=ibis.schema({"customer": "int64"}))
    return table.anti_join(gone, "customer")


@contextmanager
def _told() -> Iterator[None]:
    """What passes is told as such: a file that was compacted away, memory that was too little."""
    try:
        yield
    except duckdb.IOException as error:
        raise Operational(
            f"the history could not be read: {str(error).splitlines()[0]}",
            hint="try again; if it stays so, aftersale history --rebuild makes it again",
        ) from error
    except duckdb.OutOfMemoryException as error:
        raise Operational(
            "the history was too large for the memory it may use",
            hint="set AFTERSALE_LAKE_MEMORY_MB higher, or AFTERSALE_LAKE_THREADS lower",
        ) from error
