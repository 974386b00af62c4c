"""How do versions of the programme and the store's own named values lie in the file?"""

import sqlite3
from typing import Any

import msgspec

from aftersale.adapters.storage.sqlite.session import Session
from aftersale.programme.ports import Deployment

_FILES = msgspec.msgpack.Decoder(dict[str, str])


class SqliteDeployments:
    """Every version of the programme that was ever in force."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._read = session.connection

    def add(self, deployment: Deployment) -> None:
        """Keep a version; ValueError where its number is taken."""
        try:
            self._session.writing().execute(
                "INSERT INTO deployments (version, digest, deployed_at, files, note)"
                " VALUES (?, ?, ?, ?, ?)",
                (
                    deployment.version,
                    deployment.digest,
                    deployment.deployed_at,
                    msgspec.msgpack.encode(deployment.files),
                    deployment.note,
                ),
            )
        except sqlite3.IntegrityError as error:
            raise self._session.spoil(
                ValueError(f"version {deployment.version} is taken")
            ) from error

    def get(self, version: int) -> Deployment | None:
        """One version, complete."""
        return self._one("WHERE version = ?", (version,))

    def latest(self) -> Deployment | None:
        """The highest version, complete."""
        return self._one("ORDER BY version DESC LIMIT 1", ())

    def history(self) -> list[Deployment]:
        """Newest first, without the files."""
        rows = self._read.execute(
            "SELECT version, digest, deployed_at, note FROM deployments ORDER BY version DESC"
        )
        return [
            Deployment(version, digest, deployed_at, {}, note)
            for version, digest, deployed_at, note in rows.fetchall()
        ]

    def _one(self, rest: str, values: tuple[int, ...]) -> Deployment | None:
        row = self._read.execute(
            f"SELECT version, digest, deployed_at, files, note FROM deployments {rest}", values
        ).fetchone()
        if row is None:
            return None
        version, digest, deployed_at, files, note = row
        return Deployment(version, digest, deployed_at, _FILES.decode(files), note)


class SqliteMeta:
    """Small named values of the store."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, name: str, *, hold: bool = False) -> Any:
        """The value, None where there is none; whoever writes holds everything."""
        row = self._session.connection.execute(
            "SELECT value FROM meta WHERE name = ?", (name,)
        ).fetchone()
        return None if row is None else msgspec.msgpack.decode(row[0])

    def set(self, name: str, value: Any) -> None:
        """Keep the value under that name, instead of an earlier one."""
        self._session.writing().execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            (name, msgspec.msgpack.encode(value)),
        )
