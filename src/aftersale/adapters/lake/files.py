"""How do rows get into Parquet files, whole or not at all?

The columns are those of `features/tables.py`. A file has its name only when all of it is on the
disk; what a crash leaves is called `.partial` or is not in the manifest.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from aftersale.adapters.disk import appear
from aftersale.features.tables import TABLES
from aftersale.kernel.ids import CustomerId

SCHEMAS: dict[str, pa.Schema] = {name: table.to_pyarrow() for name, table in TABLES.items()}
GROUP = 122_880
"""Rows of a row group: as many as DuckDB takes at once."""
_COMPRESSION = "zstd"


def arrow_table(name: str, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Rows of a table of the history as columns."""
    schema = SCHEMAS[name]
    if not rows:
        return schema.empty_table()
    columns = zip(*rows, strict=True)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def without(table: pa.Table, customers: Collection[CustomerId]) -> pa.Table:
    """The rows that are not of these customers; all, where the table has no customers."""
    if not customers or "customer" not in table.column_names:
        return table
    theirs = pc.is_in(table["customer"], value_set=pa.array(customers, pa.int64()))
    return table.filter(pc.invert(theirs))


def write(path: Path, table: pa.Table) -> int:
    """Write one file; its bytes."""
    return write_all(path, table.schema, iter([table]))[1]


def write_all(path: Path, schema: pa.Schema, tables: Iterator[pa.Table]) -> tuple[int, int]:
    """Write tables one after the other into one file; its rows and bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    rows = 0
    with partial.open("wb") as file:
        with parquet.ParquetWriter(file, schema, compression=_COMPRESSION) as writer:
            for table in _grouped(tables):
                writer.write_table(table, row_group_size=GROUP)
                rows += table.num_rows
        size = file.tell()
    appear(partial, path)
    return rows, size


def _grouped(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables that fill a row group, so that many small ones become few."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(one.num_rows for one in held) >= GROUP:
            whole = pa.concat_tables(held)
            full = whole.num_rows // GROUP * GROUP
            yield whole.slice(0, full)
            held = [whole.slice(full)]
    rest = [table for table in held if table.num_rows]
    if rest:
        yield pa.concat_tables(rest)


def rows_of(path: Path, customer: CustomerId) -> list[dict[str, Any]]:
    """The rows of one customer; none, where the file has no customers."""
    if "customer" not in parquet.read_schema(path).names:
        return []
    found: list[dict[str, Any]] = parquet.read_table(
        path, filters=[("customer", "=", customer)]
    ).to_pylist()
    return found


def read(path: Path) -> Iterator[pa.Table]:
    """What a file holds, a row group's worth at a time."""
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=GROUP):
            yield pa.Table.from_batches([batch])


def names_any(path: Path, customers: Collection[CustomerId]) -> bool:
    """Whether the file has a row of one of these customers."""
    wanted = pa.array(customers, pa.int64())
    with parquet.ParquetFile(path) as file:
        if "customer" not in file.schema_arrow.names:
            return False
        return any(
            pc.any(pc.is_in(batch["customer"], value_set=wanted)).as_py()
            for batch in file.iter_batches(batch_size=GROUP, columns=["customer"])
        )
