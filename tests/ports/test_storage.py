"""Do the stores keep what the port promises?"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from aftersale.adapters.storage.memory import MemoryStore
from aftersale.adapters.storage.postgres.store import PostgresStore
from aftersale.adapters.storage.sqlite.store import SqliteStore
from aftersale.programme.ports import Store
from aftersale.testing.storage_suite import StorageSuite


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "store.db"
    SqliteStore(path, create=True).close()
    return path


@pytest.fixture(params=["memory", "memory-shards", "sqlite", "postgres", "postgres-one-shard"])
def store(request, tmp_path, empty_file) -> Iterator[Store]:
    made: Store
    if request.param.startswith("postgres"):
        address = request.getfixturevalue("database")
        shards = 1 if request.param == "postgres-one-shard" else 6
        made = PostgresStore(address, create=True, shards=shards)
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
