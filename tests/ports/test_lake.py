"""Do the lakes keep what the port promises?"""

from pathlib import Path

import pytest

from aftersale.adapters.lake import folder
from aftersale.adapters.lake.folder import FolderLake
from aftersale.adapters.lake.manifest import LAYOUT
from aftersale.features.rows import KINDS
from aftersale.features.tables import TABLES
from aftersale.kernel.errors import Operational, Refusal
from aftersale.kernel.ids import digest16
from aftersale.models.scores import Card
from aftersale.programme.lake import Lake
from aftersale.runtime.said import Said, table
from aftersale.testing.lake_suite import ZONE, LakeSuite, content, order, rows_of


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return FolderLake(tmp_path / "lake", memory_mb=200, threads=1)


class TestFolderLake(LakeSuite):
    """The suite of the port, over Parquet files read by DuckDB."""


def test_the_folders_are_the_tables() -> None:
    assert tuple(TABLES) == folder.NAMES


def test_what_the_history_holds_is_what_its_layout_says() -> None:
    """A history of before lacks what is new: with a new kind, column or score column raise
    `manifest.LAYOUT`, so that it is made again, and take the figure of this test anew."""
    card = Card("churn", "", 0, "", None, None, "off", "", 0.0)
    held = (KINDS, {name: str(schema) for name, schema in TABLES.items()})
    scores = str(table(Said(card), ()).schema)
    assert (LAYOUT, digest16(repr(held), scores).hex()[:12]) == (4, "3a7cd6cb6637")


def test_a_crash_between_files_leaves_nothing_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files without a manifest are nobody's; the same stretch is appended afterwards, once."""
    lake = FolderLake(tmp_path, threads=1)
    lake.begin(ZONE)

    def crash(*given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(folder, "write_manifest", crash)
        with pytest.raises(KeyboardInterrupt):
            lake.append(rows_of(order(1, 7), order(2, 8)), after=0, upto=2, mark="m")
    assert list(tmp_path.glob("orders/*.parquet"))
    assert content(lake)["orders"] == []
    lake.append(rows_of(order(1, 7)), after=0, upto=1, mark="m")
    lake.compact()
    assert len(content(lake)["orders"]) == 1
    assert len(list(tmp_path.glob("orders/*"))) == 1


def test_two_cannot_write_at_once(tmp_path: Path) -> None:
    one, other = FolderLake(tmp_path), FolderLake(tmp_path)
    with one.writing(), pytest.raises(Operational), other.writing():
        pass
    with other.writing():
        pass


def test_a_lake_that_cannot_be_read_is_refused_and_can_be_begun_again(tmp_path: Path) -> None:
    lake = FolderLake(tmp_path)
    with pytest.raises(Refusal, match="no history yet"):
        lake.tables()
    lake.begin(ZONE)
    (tmp_path / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(Refusal, match="cannot be read"):
        lake.extent()
    lake.begin(ZONE)
    assert lake.extent() is not None


def test_a_file_that_is_gone_is_told_as_passing(tmp_path: Path) -> None:
    lake = FolderLake(tmp_path, threads=1)
    lake.begin(ZONE)
    lake.append(rows_of(order(1, 7)), after=0, upto=1, mark="m")
    table = lake.tables()["orders"]
    next(tmp_path.glob("orders/*")).unlink()
    with pytest.raises(Operational, match="could not be read"):
        lake.run(table)


def test_large_files_are_left_alone(tmp_path: Path) -> None:
    lake = FolderLake(tmp_path, threads=1, most_rows=4)
    lake.begin(ZONE)
    for n in range(1, 6):
        lake.append(rows_of(order(n, n)), after=n - 1, upto=n, mark="m")
    lake.compact()
    assert len(list(tmp_path.glob("orders/*"))) == 2
    assert len(content(lake)["lines"]) == 10
