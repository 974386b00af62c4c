"""How does a test get an empty store in a database without making every table anew?"""

import psycopg

_KEPT = {"aftersale_schema", "newest", "shards", "leases"}
"""Tables whose rows belong to a store that nobody has worked with yet."""


def empty(address: str) -> None:
    """Put the store at the address back to how it was made.

    A few rows are deleted more quickly than their tables are truncated.
    """
    with psycopg.connect(address, autocommit=True) as connection:
        found = connection.execute(
            "SELECT relname, relkind FROM pg_class"
            " WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'S')"
        ).fetchall()
        statements = [
            *(f"DELETE FROM {name}" for name, kind in found if kind == "r" and name not in _KEPT),
            *(f"SELECT setval('{name}', 1, false)" for name, kind in found if kind == "S"),
            "UPDATE newest SET at = NULL",
            "UPDATE shards SET upto = 0, now = 0, sweep = false",
            "UPDATE leases SET holder = '', token = 0, until = 0",
        ]
        connection.execute("; ".join(statements).encode())
