"""How does a list of entries look as the tables of the history, in a database in memory?"""

from collections.abc import Iterable
from typing import Any

import ibis
import pyarrow as pa

from aftersale.events.event import Entry
from aftersale.features.rows import lay_out, no_rows
from aftersale.features.tables import TABLES


def history_of(entries: Iterable[Entry], zone: str = "UTC") -> dict[str, Any]:
    """Name → Ibis table."""
    rows = no_rows()
    lay_out(entries, zone, rows)
    connection = ibis.duckdb.connect()
    for name, found in rows.items():
        schema = TABLES[name].to_pyarrow()
        told = [dict(zip(schema.names, row, strict=True)) for row in found]
        connection.con.register(name, pa.Table.from_pylist(told, schema=schema))
    return {name: connection.table(name) for name in rows}
