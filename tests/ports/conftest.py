"""What do the suites of the ports need?"""

import pytest

# The suites are shipped with the package; without this their failures would not show values.
pytest.register_assert_rewrite(
    "aftersale.testing.lake_suite",
    "aftersale.testing.storage_suite",
    "aftersale.testing.storage_key_suite",
    "aftersale.testing.storage_request_suite",
    "aftersale.testing.storage_shard_suite",
    "aftersale.testing.storage_turn_suite",
)
