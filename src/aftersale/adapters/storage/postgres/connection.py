"""How does a connection to the database behave, and what do its faults mean to people?"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import conninfo, errors, sql

from aftersale.kernel.errors import AftersaleError, Operational, Refusal

OLDEST = 130000
"""The oldest server that the tests have run on is 15; what is used exists since 13."""

_FROZEN = "60s"
"""After which a worker that hangs in the middle of a turn loses its connection."""

_BUSY = (
    errors.LockNotAvailable,
    errors.DeadlockDetected,
    errors.SerializationFailure,
)
_ROOM = (errors.DiskFull, errors.OutOfMemory, errors.ProgramLimitExceeded)
_HINTS: dict[type[psycopg.Error], tuple[str, str]] = {
    errors.InvalidPassword: (
        "the database refuses the password",
        "see user and password in AFTERSALE_DATABASE",
    ),
    errors.InvalidAuthorizationSpecification: (
        "the database refuses the user",
        "see the user in AFTERSALE_DATABASE, and who may connect in pg_hba.conf",
    ),
    errors.InvalidCatalogName: (
        "there is no such database",
        "make it with `createdb`, or name one that exists",
    ),
    errors.InvalidSchemaName: (
        "there is no such schema in the database",
        "make it with CREATE SCHEMA, or leave search_path out of the address",
    ),
    errors.InsufficientPrivilege: (
        "the database does not let this user do that",
        "let the user own the database, or give it every right on the schema",
    ),
    errors.ReadOnlySqlTransaction: (
        "the database can only be read",
        "name the primary server, not a standby",
    ),
}


def shown(address: str) -> str:
    """The address without its password, for people."""
    try:
        parts = conninfo.conninfo_to_dict(address)
    except psycopg.ProgrammingError:
        return "postgresql://…"
    user = f"{parts['user']}@" if parts.get("user") else ""
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"postgresql://{user}{parts.get('host') or ''}{port}/{parts.get('dbname') or ''}"


def explained(error: psycopg.Error, where: str) -> AftersaleError | None:
    """What a fault of the database means to the user; None where it can only be a bug of ours."""
    text = str(error).strip().partition("\n")[0]
    for kind, (what, hint) in _HINTS.items():
        if isinstance(error, kind):
            return Refusal(what, where=where, why=text, hint=hint)
    if isinstance(error, _BUSY):
        return Operational(
            f"the store {where} is in use by another process ({text})",
            hint="wait until that one is done, or stop it; then try again",
        )
    if isinstance(error, _ROOM):
        return Operational(
            f"the store {where} has no room to grow ({text})",
            hint="nothing of this change was kept; make room, then try again",
        )
    if isinstance(error, psycopg.OperationalError):
        told = _at_connecting(text)
        if told is not None:
            return Refusal(told[0], where=where, why=text, hint=told[1])
        return Operational(
            f"the database {where} cannot be reached or broke off ({text})",
            hint="see that the server runs and the address is right; then try again",
        )
    if isinstance(error, psycopg.ProgrammingError) and not error.sqlstate:
        return Refusal(
            "the address of the database cannot be read",
            where=where,
            why=text,
            hint="write it as postgresql://user:password@host:5432/database",
            code=2,
        )
    return None


def _at_connecting(text: str) -> tuple[str, str] | None:
    """What the server says before there is a session has no code, only words."""
    for words, kind in (
        ("password authentication failed", errors.InvalidPassword),
        ("no password supplied", errors.InvalidPassword),
        ("no pg_hba.conf entry", errors.InvalidAuthorizationSpecification),
        ("Peer authentication failed", errors.InvalidAuthorizationSpecification),
        ('" does not exist', errors.InvalidCatalogName),
    ):
        if words in text:
            return _HINTS[errors.InvalidAuthorizationSpecification if "role" in text else kind]
    return None


@contextlib.contextmanager
def faults(where: str) -> Iterator[None]:
    """Turn the database's faults inside the block into refusals or operational errors."""
    try:
        yield
    except psycopg.Error as error:
        told = explained(error, where)
        if told is None:
            raise
        raise told from error


def connect(address: str, *, wait: float, writable: bool = True) -> psycopg.Connection[Any]:
    """An open connection; `wait` is in seconds, for the server and for a lock of others."""
    connection = psycopg.connect(
        address,
        autocommit=True,  # we say BEGIN ourselves
        connect_timeout=max(int(wait), 2),
        application_name="aftersale",
        prepare_threshold=2,
    )
    try:
        _be_new_enough(connection.info.server_version, address)
        settings = {
            "lock_timeout": f"{int(wait * 1000)}ms",
            "idle_in_transaction_session_timeout": _FROZEN,
            "jit": "off",
            "client_min_messages": "warning",
        }
        if writable:
            # What a turn looks up are a few thousand rows of large tables by their keys. Without
            # counts of the temporary tables the planner would rather read everything.
            settings |= dict.fromkeys(
                ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"), "off"
            )
        connection.execute(
            sql.SQL("; ").join(
                sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
                for name, value in settings.items()
            )
        )
    except BaseException:
        connection.close()
        raise
    return connection


def _be_new_enough(version: int, address: str) -> None:
    if version < OLDEST:
        raise Refusal(
            f"the database server is too old: version {version // 10000}",
            where=shown(address),
            hint=f"use PostgreSQL {OLDEST // 10000} or newer",
        )


def copy(
    connection: psycopg.Connection[Any],
    table: str,
    columns: str,
    rows: Iterable[Sequence[Any]],
) -> None:
    """Write rows with COPY."""
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as to:
        for row in rows:
            to.write_row(row)


def integers(values: Iterable[int]) -> str:
    """A list of numbers as PostgreSQL writes an array; many times faster than adapting a list."""
    return "{" + ",".join(map(str, values)) + "}"


def binaries(values: Iterable[bytes]) -> str:
    """A list of byte strings as PostgreSQL writes an array."""
    return "{" + ",".join(['"\\\\x' + value.hex() + '"' for value in values]) + "}"
