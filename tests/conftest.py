"""What do all tests share?"""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from aftersale.testing.postgres_server import NoServer, PostgresServer
from kills import TALLY, table

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


@pytest.fixture(scope="session")
def database_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of the tests' own, or the test is skipped with the reason."""
    try:
        server = PostgresServer()
        server.start()
    except NoServer as reason:
        pytest.skip(f"no PostgreSQL server: {reason}")
    yield server
    server.remove()


@pytest.fixture
def database(database_server: PostgresServer) -> Iterator[str]:
    """The address of an empty schema in a database of its own."""
    name = f"test_{secrets.token_hex(6)}"
    yield database_server.new_schema(name)
    database_server.drop_schema(name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """After kills: what they came to, a line for each scenario."""
    rows = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "teardown"
        for name, value in report.user_properties
        if name == TALLY
    ]
    if rows:
        terminalreporter.section("what the kills came to")
        for line in table(rows):
            terminalreporter.write_line(line)
