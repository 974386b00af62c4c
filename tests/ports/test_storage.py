"""Do the stores keep what the port promises?"""

import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from aftersale.adapters.storage.memory import MemoryStore
from aftersale.adapters.storage.postgres.store import PostgresStore
from aftersale.adapters.storage.sqlite.store import SqliteStore
from aftersale.programme.ports import Store
from aftersale.testing.postgres_server import PostgresServer
from aftersale.testing.storage_suite import StorageSuite
from databases import empty


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "store.db"
    SqliteStore(path, create=True).close()
    return path


@pytest.fixture(scope="session")
def kept_database(database_server: PostgresServer) -> Callable[[int], str]:
    """The address of a store with so many shards, made once; each test finds it empty."""

    @cache
    def made(shards: int) -> str:
        address = database_server.new_schema(f"kept_{shards}")
        PostgresStore(address, create=True, shards=shards).close()
        return address

    def emptied(shards: int) -> str:
        empty(made(shards))
        return made(shards)

    return emptied


@pytest.fixture(params=["memory", "memory-shards", "sqlite", "postgres", "postgres-one-shard"])
def store(request, tmp_path, empty_file) -> Iterator[Store]:
    made: Store
    if request.param.startswith("postgres"):
        shards = 1 if request.param == "postgres-one-shard" else 6
        made = PostgresStore(request.getfixturevalue("kept_database")(shards))
        yield made
        made.close()
        return
    if request.param.startswith("memory"):
        made = MemoryStore(shards=5 if request.param == "memory-shards" else 1)
    else:
        shutil.copy(empty_file, tmp_path / "store.db")
        made = SqliteStore(tmp_path / "store.db", synchronous="OFF")
    yield made
    made.close()


class TestStorage(StorageSuite):
    """The suite of the port, over every adapter."""
