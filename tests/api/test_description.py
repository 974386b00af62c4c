"""Does the server answer as its description says, whatever is sent?"""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from aftersale.programme.api_keys import SECRET
from served import Server
from shops import track

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
CASES = int(os.environ.get("AFTERSALE_CASES", "25"))  # noqa: TID251  # of the tests alone
"""Of each address; more where it is asked for."""
EACH = settings(
    max_examples=CASES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """What `aftersale serve` runs, with a few events, a provider, and no limit of reading."""
    home = tmp_path_factory.mktemp("described") / "home"
    found = Server(home)
    (home / "webhooks.toml").write_text('stripe = "a secret"\n', "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFTERSALE_API_PER_SECOND", "0")
        found.start()
    batch = {"batch": [track(n) for n in range(5)]}
    key = (found.keys[SECRET], "")
    assert httpx.post(f"{found.url}/v1/batch", json=batch, auth=key).status_code == 200
    yield found
    found.end()


def as_told(operation: Any) -> Any:
    """What the description allows."""
    return operation.as_strategy(generation_mode=GenerationMode.POSITIVE)


def against(operation: Any) -> Any:
    """What it does not allow, where it forbids anything."""
    try:
        return operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    except schemathesis.errors.SchemathesisError:
        return st.nothing()


def test_no_answer_is_a_fault_and_none_is_undocumented(server: Server) -> None:
    """Every status, media type and answer is one that the description names."""
    key = {"authorization": f"Bearer {server.keys[SECRET]}"}
    told = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    operations = [found.ok() for found in told.get_all_operations()]
    assert len(operations) > 20
    statuses: Counter[int] = Counter()
    for operation in operations:

        @EACH
        @given(case=as_told(operation) | against(operation))
        def holds(case: Any) -> None:
            statuses[case.call_and_validate(headers=key, checks=CHECKS).status_code] += 1

        holds()
    print(sum(statuses.values()), "requests:", dict(sorted(statuses.items())))  # noqa: T201
    assert statuses[200] > len(operations)
    assert max(statuses) < 500
