"""Who works on which shards, and how far has each come, by the database's clock and locks?"""

from collections.abc import Collection, Iterator

from aftersale.adapters.storage.postgres.connection import integers
from aftersale.adapters.storage.postgres.session import Session
from aftersale.kernel.ids import Position
from aftersale.kernel.instants import SECOND, Instant
from aftersale.turn.shards import Lease, LeaseLost, Shard, ShardNumber, fair

_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_SHARD = "number, upto, now, sweep"


def narrowed(shards: Collection[int] | None) -> tuple[str, tuple[str, ...]]:
    """A test of the column `customer`, and its values; empty where there is nothing to test."""
    if shards is None:
        return "", ()
    return "customer %% (SELECT count(*) FROM shards) = ANY(%s::integer[])", (integers(shards),)


class PostgresShards:
    """The shards inside one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._count = 0
        self._held: tuple[ShardNumber, ...] = ()

    @property
    def count(self) -> int:
        """How many there are."""
        if not self._count:
            ((self._count,),) = self._session.rows("SELECT count(*) FROM shards")
        return self._count

    def mine(self) -> tuple[ShardNumber, ...]:
        """Those whose rows this transaction has locked."""
        return self._held

    def all(self) -> list[Shard]:
        """Every shard, by number."""
        rows = self._session.rows(f"SELECT {_SHARD} FROM shards ORDER BY number")
        return [Shard(*row) for row in rows]

    def passed(self, shards: Collection[ShardNumber], upto: Position, now: Instant) -> None:
        """Note how far they have come, if they are still ours."""
        write = self._session.writing()
        self._check("FOR SHARE")
        write.execute(
            "UPDATE shards SET upto = %s, now = greatest(now, %s) WHERE number = ANY(%s::int[])",
            (upto, now, integers(shards)),
        )

    def sweep(self, shards: Collection[ShardNumber] | None, *, wanted: bool) -> None:
        """Ask for everybody in them to be woken, or note that it is done."""
        chosen = integers(range(self.count) if shards is None else shards)
        self._session.writing().execute(
            "UPDATE shards SET sweep = %s WHERE number = ANY(%s::int[])", (wanted, chosen)
        )

    def holders(self) -> dict[ShardNumber, str]:
        """Who holds each shard whose lease has not run out."""
        return dict(self._session.rows(f"SELECT shard, holder FROM leases WHERE until > {_NOW}"))

    def workers(self) -> list[str]:
        """Who was seen at work lately."""
        rows = self._session.rows(
            f"SELECT holder FROM workers WHERE until > {_NOW} ORDER BY holder"
        )
        return [holder for (holder,) in rows]

    def lock(self) -> None:
        """Let nobody else work on the shards of the lease until this transaction ends."""
        lease = self._session.lease
        if lease is not None and not lease.tokens:
            return
        self._check("")
        chosen = "true" if lease is None else "number = ANY(%s::int[])"
        rows = self._session.rows(
            f"SELECT number FROM shards WHERE {chosen} ORDER BY number FOR NO KEY UPDATE",
            () if lease is None else (integers(lease.tokens),),
        )
        self._held = tuple(number for (number,) in rows)

    def take(self, holder: str, seconds: float) -> Lease:
        """Renew, take and give up, as `Store.lease` says."""
        write = self._session.writing()
        span = int(seconds * SECOND)
        write.execute("SELECT FROM leases ORDER BY shard FOR UPDATE")
        write.execute(f"DELETE FROM workers WHERE until <= {_NOW}")
        self._seen(holder, span)
        kept, taken = fair(self.holders(), self.count, self.workers(), holder)
        write.execute(
            "UPDATE leases SET holder = '', until = 0"
            " WHERE holder = %s AND NOT shard = ANY(%s::int[])",
            (holder, integers((*kept, *taken))),
        )
        write.execute(
            "UPDATE leases SET holder = %s, token = token + (shard = ANY(%s::int[]))::int,"
            f" until = {_NOW} + %s WHERE shard = ANY(%s::int[])",
            (holder, integers(taken), span, integers((*kept, *taken))),
        )
        return Lease(holder, dict(self._tokens(holder)))

    def renew(self, lease: Lease, seconds: float) -> None:
        """Hold what is still held for longer."""
        span = int(seconds * SECOND)
        self._seen(lease.holder, span)
        self._session.writing().cursor().executemany(
            f"UPDATE leases SET until = {_NOW} + %s"
            " WHERE shard = %s AND holder = %s AND token = %s",
            [(span, shard, lease.holder, token) for shard, token in sorted(lease.tokens.items())],
        )

    def release(self, holder: str) -> None:
        """Give everything up."""
        write = self._session.writing()
        write.execute("DELETE FROM workers WHERE holder = %s", (holder,))
        write.execute("SELECT FROM leases ORDER BY shard FOR UPDATE")
        write.execute("UPDATE leases SET holder = '', until = 0 WHERE holder = %s", (holder,))

    def _check(self, lock: str) -> None:
        lease = self._session.lease
        if lease is None or not lease.tokens:
            return
        held = dict(self._tokens(lease.holder, lock))
        if any(held.get(number) != token for number, token in lease.tokens.items()):
            raise self._session.spoil(
                LeaseLost(f"some of the shards are no longer held by {lease.holder}")
            )

    def _tokens(self, holder: str, lock: str = "") -> Iterator[tuple[ShardNumber, int]]:
        rows = self._session.rows(
            f"SELECT shard, token FROM leases WHERE holder = %s ORDER BY shard {lock}", (holder,)
        )
        yield from rows

    def _seen(self, holder: str, span: int) -> None:
        self._session.writing().execute(
            f"INSERT INTO workers VALUES (%s, {_NOW} + %s)"
            " ON CONFLICT (holder) DO UPDATE SET until = excluded.until",
            (holder, span),
        )
