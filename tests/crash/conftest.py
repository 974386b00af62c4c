"""What do the scenarios share?"""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from aftersale.settings import Settings
from kills import TALLY, Tally
from recordings import programme


@pytest.fixture
def tally(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Iterator[Tally]:
    """To be filled in by a scenario; it is printed at the end of all of them."""
    kept = Tally(request.node.name.removeprefix("test_").replace("_", " "))
    yield kept
    record_property(TALLY, msgspec.to_builtins(kept))


@pytest.fixture
def ready(tmp_path: Path) -> tuple[Settings, dict[str, str]]:
    """Settings of a home with the starter programme, and its files; there is no store yet."""
    folder = tmp_path / "home"
    folder.mkdir()
    files = programme(folder)
    return Settings(home=folder, batch=100), files
