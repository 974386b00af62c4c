"""What do the tests of the addresses for programs share?"""

from collections.abc import Iterator
from typing import Any

import pytest

from aftersale.adapters.storage.memory import MemoryStore
from aftersale.api.intake import Bounds
from shops import Shop


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop(MemoryStore())
    yield made
    made.intake.close()


@pytest.fixture
def shop_with(request: pytest.FixtureRequest) -> Any:
    """Make an installation with other bounds."""

    def made(**bounds: Any) -> Shop:
        found = Shop(MemoryStore(), Bounds(**bounds))
        request.addfinalizer(found.intake.close)
        return found

    return made
