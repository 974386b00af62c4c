"""Who works on the one shard that a file is, and how far has it come?"""

from collections.abc import Collection, Iterator

from aftersale.adapters.storage.sqlite.session import Session
from aftersale.kernel.ids import Position
from aftersale.kernel.instants import SECOND, Instant
from aftersale.turn.shards import Lease, LeaseLost, Shard, ShardNumber, fair

_NOW = "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"
"""Microseconds since 1970 by the clock of whoever has the file open: one machine."""


class SqliteShards:
    """The one shard inside one transaction."""

    count = 1

    def __init__(self, session: Session) -> None:
        self._session = session
        self._read = session.connection

    def mine(self) -> tuple[ShardNumber, ...]:
        """The shard, where this transaction works on it."""
        lease = self._session.lease
        return (0,) if lease is None else tuple(sorted(lease.tokens))

    def all(self) -> list[Shard]:
        """The shard."""
        rows = self._read.execute("SELECT number, upto, now, sweep FROM shards ORDER BY number")
        return [Shard(number, upto, now, bool(sweep)) for number, upto, now, sweep in rows]

    def passed(self, shards: Collection[ShardNumber], upto: Position, now: Instant) -> None:
        """Note how far it has come. Nobody can have taken it since the block began."""
        self._session.writing().execute(
            "UPDATE shards SET upto = ?, now = max(now, ?)", (upto, now)
        )

    def sweep(self, shards: Collection[ShardNumber] | None, *, wanted: bool) -> None:
        """Ask for everybody to be woken, or note that it is done."""
        self._session.writing().execute("UPDATE shards SET sweep = ?", (wanted,))

    def holders(self) -> dict[ShardNumber, str]:
        """Who holds it, where the lease has not run out."""
        rows = self._read.execute(f"SELECT shard, holder FROM leases WHERE until > {_NOW}")
        return dict(rows.fetchall())

    def workers(self) -> list[str]:
        """Who was seen at work lately."""
        rows = self._read.execute(
            f"SELECT holder FROM workers WHERE until > {_NOW} ORDER BY holder"
        )
        return [holder for (holder,) in rows]

    def check(self) -> None:
        """LeaseLost where the lease of this transaction was given up or taken by another."""
        lease = self._session.lease
        if lease is None or not lease.tokens:
            return
        if dict(self._tokens(lease.holder)) != lease.tokens:
            raise LeaseLost(f"the store is no longer held by {lease.holder}")

    def take(self, holder: str, seconds: float) -> Lease:
        """Renew, take and give up, as `Store.lease` says."""
        write = self._session.writing()
        span = int(seconds * SECOND)
        write.execute(f"DELETE FROM workers WHERE until <= {_NOW}")
        write.execute(f"INSERT OR REPLACE INTO workers VALUES (?, {_NOW} + ?)", (holder, span))
        kept, taken = fair(self.holders(), self.count, self.workers(), holder)
        write.execute("UPDATE leases SET holder = '', until = 0 WHERE holder = ?", (holder,))
        for number in (*kept, *taken):
            write.execute(
                f"UPDATE leases SET holder = ?, token = token + ?, until = {_NOW} + ?"
                " WHERE shard = ?",
                (holder, number in taken, span, number),
            )
        return Lease(holder, dict(self._tokens(holder)))

    def renew(self, lease: Lease, seconds: float) -> None:
        """Hold what is still held for longer."""
        write = self._session.writing()
        span = int(seconds * SECOND)
        write.execute(
            f"INSERT OR REPLACE INTO workers VALUES (?, {_NOW} + ?)", (lease.holder, span)
        )
        write.executemany(
            f"UPDATE leases SET until = {_NOW} + ? WHERE shard = ? AND holder = ? AND token = ?",
            [(span, number, lease.holder, token) for number, token in lease.tokens.items()],
        )

    def release(self, holder: str) -> None:
        """Give everything up."""
        write = self._session.writing()
        write.execute("DELETE FROM workers WHERE holder = ?", (holder,))
        write.execute("UPDATE leases SET holder = '', until = 0 WHERE holder = ?", (holder,))

    def _tokens(self, holder: str) -> Iterator[tuple[ShardNumber, int]]:
        yield from self._read.execute("SELECT shard, token FROM leases WHERE holder = ?", (holder,))
