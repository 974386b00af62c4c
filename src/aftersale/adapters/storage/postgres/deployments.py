"""How do versions of the programme and the store's own named values lie in the database?"""

from typing import Any

import msgspec
from psycopg.errors import UniqueViolation

from aftersale.adapters.storage.postgres.session import Session
from aftersale.programme.ports import Deployment

_FILES = msgspec.msgpack.Decoder(dict[str, str])
_NOTHING = msgspec.msgpack.encode(None)


class PostgresDeployments:
    """Every version of the programme that was ever in force."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, deployment: Deployment) -> None:
        """Keep a version; ValueError where its number is taken."""
        try:
            self._session.writing().execute(
                "INSERT INTO deployments (version, digest, deployed_at, files, note)"
                " VALUES (%s, %s, %s, %s, %s)",
                (
                    deployment.version,
                    deployment.digest,
                    deployment.deployed_at,
                    msgspec.msgpack.encode(deployment.files),
                    deployment.note,
                ),
            )
        except UniqueViolation as error:
            raise self._session.spoil(
                ValueError(f"version {deployment.version} is taken")
            ) from error

    def get(self, version: int) -> Deployment | None:
        """One version, complete."""
        return self._one("WHERE version = %s", (version,))

    def latest(self) -> Deployment | None:
        """The highest version, complete."""
        return self._one("ORDER BY version DESC LIMIT 1", ())

    def history(self) -> list[Deployment]:
        """Newest first, without the files."""
        rows = self._session.rows(
            "SELECT version, digest, deployed_at, note FROM deployments ORDER BY version DESC"
        )
        return [
            Deployment(version, digest, deployed_at, {}, note)
            for version, digest, deployed_at, note in rows
        ]

    def _one(self, rest: str, values: tuple[int, ...]) -> Deployment | None:
        rows = self._session.rows(
            f"SELECT version, digest, deployed_at, files, note FROM deployments {rest}", values
        )
        if not rows:
            return None
        version, digest, deployed_at, files, note = rows[0]
        return Deployment(version, digest, deployed_at, _FILES.decode(files), note)


class PostgresMeta:
    """Small named values of the store."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, name: str, *, hold: bool = False) -> Any:
        """The value, None where there is none; held, others who hold it wait for us."""
        if hold:
            self._session.writing().execute(
                "INSERT INTO meta VALUES (%s, %s) ON CONFLICT DO NOTHING", (name, _NOTHING)
            )
        rows = self._session.rows(
            f"SELECT value FROM meta WHERE name = %s{' FOR UPDATE' if hold else ''}", (name,)
        )
        return msgspec.msgpack.decode(rows[0][0]) if rows else None

    def set(self, name: str, value: Any) -> None:
        """Keep the value under that name, instead of an earlier one."""
        self._session.writing().execute(
            "INSERT INTO meta VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value ="
            " excluded.value",
            (name, msgspec.msgpack.encode(value)),
        )
