"""How do keys of programs lie in the file?"""

import sqlite3

from aftersale.adapters.storage.sqlite.session import Session
from aftersale.kernel.instants import Instant
from aftersale.programme.api_keys import ApiKey


class SqliteApiKeys:
    """The keys of programs that talk to this installation."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, key: ApiKey) -> None:
        """Keep a new key; ValueError where its id or digest is there."""
        try:
            self._session.writing().execute(
                "INSERT INTO api_keys (id, name, kind, scopes, shop, digest, created_at, ends_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    key.id,
                    key.name,
                    key.kind,
                    " ".join(key.scopes),
                    key.shop,
                    key.digest,
                    key.created_at,
                    key.ends_at,
                ),
            )
        except sqlite3.IntegrityError as error:
            raise self._session.spoil(ValueError(f"there is a key {key.id}")) from error

    def all(self) -> list[ApiKey]:
        """Every key, the oldest first."""
        rows = self._session.connection.execute(
            "SELECT id, name, kind, scopes, shop, digest, created_at, ends_at FROM api_keys"
            " ORDER BY created_at, id"
        )
        return [
            ApiKey(name, words, kind, tuple(scopes.split()), shop, digest, created_at, ends_at)
            for name, words, kind, scopes, shop, digest, created_at, ends_at in rows.fetchall()
        ]

    def end(self, key: str, at: Instant) -> bool:
        """Let the key end at the instant, if it does not end earlier; False where there is none."""
        changed = self._session.writing().execute(
            "UPDATE api_keys SET ends_at = min(coalesce(ends_at, ?1), ?1) WHERE id = ?2", (at, key)
        )
        return changed.rowcount > 0
