"""What do all tests share?"""

from pathlib import Path

import pytest
from hypothesis import settings

# On a build machine hypothesis already starts from its "ci" profile, which repeats the same
# examples every time. Elsewhere it looks for new ones. A deadline only measures the machine.
settings.register_profile("aftersale", settings(), deadline=None, print_blob=True)
settings.load_profile("aftersale")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data that lies beside the repository, or skip the test."""
    if not SHARED_DATA.is_dir():
        pytest.skip("real data is not here: ../shared/data is absent")
    return SHARED_DATA
