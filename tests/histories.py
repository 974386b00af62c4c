"""How does a list of entries look as the tables of the history, in a database in memory?"""

from collections.abc import Iterable
from typing import Any

import ibis

from aftersale.adapters.lake.files import arrow_table
from aftersale.events.event import Entry
from aftersale.features.rows import lay_out, no_rows


def history_of(entries: Iterable[Entry], zone: str = "UTC") -> dict[str, Any]:
    """Name → Ibis table."""
    rows = no_rows()
    lay_out(entries, zone, rows)
    connection = ibis.duckdb.connect()
    for name, found in rows.items():
        connection.con.register(name, arrow_table(name, found))
    return {name: connection.table(name) for name in rows}
