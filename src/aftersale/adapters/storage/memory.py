"""How does a store work that forgets everything when the process ends?

For tests, rehearsals and backtests. It refuses what the store on disk refuses, and what goes
in comes out as it would from there: tuples inside values become lists.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sized
from pathlib import Path
from typing import Any

import msgspec

from aftersale.adapters.clock import now
from aftersale.adapters.storage._memory_deeds import (
    MemoryDecisions,
    MemoryJournal,
    MemoryMailbox,
    MemoryOutbox,
    MemoryStates,
)
from aftersale.adapters.storage._memory_facts import (
    MemoryIdentities,
    MemoryLedger,
    MemoryPersonalData,
)
from aftersale.adapters.storage._memory_requests import MemoryRequests
from aftersale.adapters.storage._memory_shards import MemoryShards, check_lease, take
from aftersale.adapters.storage._memory_shelves import Shelves
from aftersale.kernel.errors import Operational, Refusal
from aftersale.kernel.instants import SECOND, Instant
from aftersale.programme.api_keys import ApiKey
from aftersale.programme.ports import Deployment
from aftersale.turn.shards import Lease


class _Deployments:
    """Every version of the programme that was ever in force."""

    def __init__(self, shelves: Shelves) -> None:
        self._s = shelves

    def add(self, deployment: Deployment) -> None:
        self._s.writing()
        if deployment.version in self._s.deployments:
            raise self._s.spoil(ValueError(f"version {deployment.version} is taken"))
        kept = msgspec.structs.replace(deployment, files=dict(deployment.files))
        self._s.put(self._s.deployments, deployment.version, kept)

    def get(self, version: int) -> Deployment | None:
        return self._s.deployments.get(version)

    def latest(self) -> Deployment | None:
        versions = self._s.deployments
        return versions[max(versions)] if versions else None

    def history(self) -> list[Deployment]:
        return [
            msgspec.structs.replace(self._s.deployments[version], files={})
            for version in sorted(self._s.deployments, reverse=True)
        ]


class _Meta:
    """Small named values of the store."""

    def __init__(self, shelves: Shelves) -> None:
        self._s = shelves

    def get(self, name: str, *, hold: bool = False) -> Any:
        data = self._s.meta.get(name)
        return None if data is None else msgspec.msgpack.decode(data)

    def set(self, name: str, value: Any) -> None:
        self._s.writing()
        self._s.put(self._s.meta, name, msgspec.msgpack.encode(value))


class _ApiKeys:
    """The keys of programs that talk to this installation."""

    def __init__(self, shelves: Shelves) -> None:
        self._s = shelves

    def add(self, key: ApiKey) -> None:
        self._s.writing()
        kept = self._s.api_keys
        if key.id in kept or key.digest in {one.digest for one in kept.values()}:
            raise self._s.spoil(ValueError(f"there is a key {key.id}"))
        self._s.put(kept, key.id, key)

    def all(self) -> list[ApiKey]:
        return sorted(self._s.api_keys.values(), key=lambda key: (key.created_at, key.id))

    def end(self, key: str, at: Instant) -> bool:
        self._s.writing()
        found = self._s.api_keys.get(key)
        if found is None:
            return False
        ends = at if found.ends_at is None else min(found.ends_at, at)
        self._s.put(self._s.api_keys, key, msgspec.structs.replace(found, ends_at=ends))
        return True


class MemoryTransaction:
    """The store's parts inside one transaction."""

    def __init__(self, shelves: Shelves, clock: Callable[[], Instant]) -> None:
        self.ledger = MemoryLedger(shelves)
        self.identities = MemoryIdentities(shelves)
        self.personal = MemoryPersonalData(shelves)
        self.states = MemoryStates(shelves)
        self.shards = MemoryShards(shelves, clock)
        self.journal = MemoryJournal(shelves)
        self.decisions = MemoryDecisions(shelves)
        self.outbox = MemoryOutbox(shelves)
        self.mailbox = MemoryMailbox(shelves)
        self.deployments = _Deployments(shelves)
        self.meta = _Meta(shelves)
        self.api_keys = _ApiKeys(shelves)
        self.requests = MemoryRequests(shelves)


class MemoryStore:
    """A store in this process; one block at a time, readers included."""

    def __init__(
        self,
        *,
        wait: float = 10.0,
        shards: int = 1,
        clock: Callable[[], Instant] = now,
    ) -> None:
        """`wait` is how many seconds a block waits for the one before it; `clock` is of leases."""
        self._wait = wait
        self._clock = clock
        self._shelves = Shelves(shards)
        self._transaction = MemoryTransaction(self._shelves, clock)
        self._turn = threading.RLock()
        self._local = threading.local()

    @contextlib.contextmanager
    def write(self) -> Iterator[MemoryTransaction]:
        """A transaction that may write; kept at the end of the block, undone on an error."""
        with self._written(alone=True, lease=Lease()) as transaction:
            yield transaction

    @contextlib.contextmanager
    def work(self, lease: Lease | None = None) -> Iterator[MemoryTransaction]:
        """A transaction that works on the shards of the lease, None: on all."""
        with self._written(alone=False, lease=lease) as transaction:
            check_lease(self._shelves)
            yield transaction

    def lease(self, holder: str, seconds: float) -> Lease:
        """Hold a fair share of the shards for so many seconds."""
        with self._alone():
            shards = self._transaction.shards
            return take(self._shelves, shards, holder, seconds, self._clock())

    def renew(self, lease: Lease, seconds: float) -> None:
        """Hold for so many seconds more what is still held of the lease."""
        with self._alone():
            until = self._clock() + int(seconds * SECOND)
            self._shelves.workers[lease.holder] = until
            for number, token in lease.tokens.items():
                if self._shelves.leases[number][:2] == (lease.holder, token):
                    self._shelves.leases[number] = (lease.holder, token, until)

    def release(self, holder: str) -> None:
        """Give up everything: this worker ends."""
        with self._alone():
            self._shelves.workers.pop(holder, None)
            for number, (owner, token, _) in list(self._shelves.leases.items()):
                if owner == holder:
                    self._shelves.leases[number] = ("", token, 0)

    @contextlib.contextmanager
    def read(self) -> Iterator[MemoryTransaction]:
        """A view; writers of other threads wait until the block ends."""
        with self._alone():
            yield self._transaction

    def backup(self, target: Path) -> dict[str, Any]:
        """Refused: there is no file to copy."""
        raise Refusal(
            "the backup was not made",
            where=str(target),
            why="this store lives in memory only",
            hint="make a store on disk with `aftersale init`",
        )

    def describe(self, *, rows: bool = True) -> dict[str, Any]:
        """How many of everything there are."""
        shelves = self._shelves
        with self._alone():
            every: dict[str, Sized] = {
                "events": shelves.entries,
                "conflicts": shelves.conflicts,
                "customers": shelves.customers,
                "pointers": shelves.pointers,
                "identities": shelves.refs,
                "personal": [row for told in shelves.personal.values() for row in told],
                "erasures": shelves.erasures,
                "suppressions": shelves.suppressions,
                "states": shelves.states,
                "turns": shelves.turns,
                "decisions": shelves.decisions,
                "outbox": shelves.sends,
                "mailbox": shelves.caught,
                "deployments": shelves.deployments,
                "meta": shelves.meta,
                "api_keys": shelves.api_keys,
                "requests": shelves.requests,
                "request_customers": shelves.request_customers,
            }
            counted = {name: len(shelf) for name, shelf in every.items() if rows}
        return {"kind": "memory", "path": "", "schema": 0, "bytes": 0, "rows": counted}

    def close(self) -> None:
        """Nothing is held open."""

    @contextlib.contextmanager
    def _written(self, *, alone: bool, lease: Lease | None) -> Iterator[MemoryTransaction]:
        with self._alone():
            self._local.writing = True
            self._shelves.begin(writable=True, alone=alone, lease=lease)
            try:
                yield self._transaction
                self._shelves.commit()
            except BaseException:
                self._shelves.roll_back()
                raise
            finally:
                self._shelves.begin(writable=False)
                self._local.writing = False

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if getattr(self._local, "writing", False):
            raise RuntimeError("no transaction may begin inside one that writes")
        if not self._turn.acquire(timeout=self._wait):
            raise Operational(
                "the store is in use by another thread",
                hint="try again; the other one has not finished its change",
            )
        try:
            yield
        finally:
            self._turn.release()
