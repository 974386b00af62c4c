"""What if it is not the workers that break, but what they stand on?

The database is restarted under them, the clock jumps, the disk is full. Nothing may be lost or
done twice, and when the trouble is over everything goes on as if it had never been.
"""

import contextlib
import itertools
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from aftersale import bootstrap
from aftersale.kernel.draw import draw
from aftersale.kernel.instants import HOUR
from aftersale.runtime.app import App
from aftersale.settings import Settings
from aftersale.testing.postgres_server import NoServer, PostgresServer
from kills import Tally, share
from living import (
    Crew,
    Step,
    examine,
    is_at_rest,
    live_through,
    prepared,
    steps,
    tell,
    uninterrupted,
    wait_until,
)
from recordings import LIVE, events

pytestmark = pytest.mark.crash

Ready = tuple[Settings, dict[str, str]]


@contextlib.contextmanager
def own_server(within: Path | None = None) -> Iterator[PostgresServer]:
    try:
        server = PostgresServer(within=within)
    except NoServer as reason:
        pytest.skip(f"no PostgreSQL server: {reason}")
    try:
        server.start()
        yield server
    finally:
        server.remove()


def test_two_workers_whose_database_is_restarted_under_them(ready: Ready, tally: Tally) -> None:
    """Its abrupt end takes what was not committed; both go on when it is back."""
    settings, files = ready
    times = share(0.04)
    past, rows = events(100, seed=9)
    plan = steps(rows, max(2 * times, 12), every=24 * HOUR)
    whole = uninterrupted(files, past, plan)
    with own_server() as server, contextlib.ExitStack() as stack:
        settings = msgspec.structs.replace(settings, database=server.new_database("shop"))
        prepared(settings, past)
        app = bootstrap.open_app(settings)
        stack.callback(app.store.close)
        crew = Crew(settings, settings.home)
        crew.clock.set(LIVE)

        def disturb(number: int) -> None:
            server.stop(abruptly=True)
            time.sleep(draw("away", number) * 0.3)
            server.start()

        with crew:
            live_through(app, crew, plan, "restart", disturb=disturb, times=times)
        assert "cannot be reached or broke off" in crew.said()
        outcome = examine(app, tally)
    tally.breaks = times
    tally.equal = outcome.digest == whole.digest
    assert (outcome.digest, outcome.keys) == (whole.digest, whole.keys)


@pytest.mark.parametrize("store", ["postgresql", "sqlite"])
def test_two_workers_whose_clock_jumps_back_and_forth(
    store: str, ready: Ready, request: pytest.FixtureRequest, tally: Tally
) -> None:
    """A clock that jumps back stands still until it has caught up; nothing is done twice.

    How long it stands is a matter of each shard, so only the decisions of a store of one shard
    can be compared with those of an undisturbed run; replay compares those of the other.
    """
    settings, files = ready
    if store == "postgresql":
        address = request.getfixturevalue("database")
        settings = msgspec.structs.replace(settings, database=address)
    times = share(0.04)
    past, rows = events(100, seed=9)
    straight = steps(rows, max(2 * times, 16), every=18 * HOUR)
    plan = [
        Step(step.now + round(draw("jump", n) * 60 - 40) * HOUR * (n % 3 == 1), step.events)
        for n, step in enumerate(straight)
    ]
    assert any(later.now < earlier.now for earlier, later in itertools.pairwise(plan))
    whole = uninterrupted(files, past, plan)
    prepared(settings, past)
    with contextlib.ExitStack() as stack:
        app = bootstrap.open_app(settings)
        stack.callback(app.store.close)
        crew = Crew(settings, settings.home)
        crew.clock.set(LIVE)

        def disturb(number: int) -> None:
            crew.kill_drawn("jump", store, number)

        with crew:
            live_through(app, crew, plan, ("jump", store), disturb=disturb, times=times)
        outcome = examine(app, tally)
    tally.kills = crew.kills
    assert outcome.last == whole.last
    if store == "sqlite":
        tally.equal = outcome.digest == whole.digest
        assert (outcome.digest, outcome.keys) == (whole.digest, whole.keys)


class Disk:
    """A disk that can be full: a small one of its own, or where that may not be made a limit."""

    def __init__(self, size: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="aftersale-disk-"))
        self.folder.chmod(0o755)  # a database server runs as another user
        self._filler = self.folder / "filler"
        options = ["-t", "tmpfs", "-o", f"size={size},mode=0777", "aftersale", str(self.folder)]
        self.is_real = (
            shutil.which("mount") is not None
            and not subprocess.run(["mount", *options], capture_output=True, check=False).returncode
        )

    def fill(self, crew: Crew) -> None:
        """Not a byte is left, or for the workers no file grows any further."""
        if not self.is_real:
            for process in crew.processes():
                resource.prlimit(process, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
            return
        with contextlib.suppress(OSError), self._filler.open("ab", buffering=0) as filler:
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while filler.write(bytes(size)) == size:
                        pass

    def free(self, crew: Crew) -> None:
        if self.is_real:
            self._filler.unlink()
            return
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        for process in crew.processes():
            resource.prlimit(process, resource.RLIMIT_FSIZE, unlimited)

    def remove(self) -> None:
        if self.is_real:
            subprocess.run(["umount", str(self.folder)], check=True)
        shutil.rmtree(self.folder)


@pytest.fixture
def disk() -> Iterator[Disk]:
    made = Disk("400M")
    yield made
    made.remove()


@pytest.mark.parametrize("store", ["postgresql", "sqlite"])
def test_two_workers_whose_disk_is_full(
    store: str, ready: Ready, tmp_path: Path, disk: Disk, tally: Tally
) -> None:
    """Nothing of a change that found no room is kept; when there is room it is made again."""
    settings, files = ready
    times = share(0.04)
    past, rows = events(100, seed=9)
    plan = steps(rows, max(2 * times, 8), every=36 * HOUR)
    whole = uninterrupted(files, past, plan)
    with contextlib.ExitStack() as stack:
        server = None
        if store == "postgresql":
            if not disk.is_real:
                pytest.skip("a disk of its own for the database needs the right to mount one")
            server = stack.enter_context(own_server(within=disk.folder))
            settings = msgspec.structs.replace(settings, database=server.new_database("shop"))
        else:
            home = disk.folder / "home"
            shutil.copytree(settings.home, home)
            settings = msgspec.structs.replace(settings, home=home)
        prepared(settings, past)
        app = bootstrap.open_app(settings)
        stack.callback(app.store.close)
        crew = Crew(settings, tmp_path)
        crew.clock.set(LIVE)
        with crew:
            for n, step in enumerate(plan):
                full = n * times // len(plan) < (n + 1) * times // len(plan)
                _live_one(app, crew, step, disk if full else None, server)
        assert "no room to grow" in crew.said() or not disk.is_real
        outcome = examine(app, tally)
    tally.breaks = times
    tally.equal = outcome.digest == whole.digest
    assert (outcome.digest, outcome.keys) == (whole.digest, whole.keys)


def _live_one(
    app: App, crew: Crew, step: Step, disk: Disk | None, server: PostgresServer | None
) -> None:
    """One step, for a while without room on the disk where one is given."""
    with crew.clock.held(alone=True):
        tell(app, step.events, step.now)
        if disk is not None:
            disk.fill(crew)
        crew.clock.set(step.now)
    if disk is not None:
        time.sleep(0.3 + draw("full", step.now) * 0.5)
        disk.free(crew)
        if server is not None and not server.is_running:  # it ends where its log finds no room
            server.stop()
            server.start()
    wait_until(lambda: is_at_rest(app, step.now), crew)
