"""Does long work go on as its page says: told, ended, found again after whoever ran it has gone?"""

import os
import socket
from collections.abc import Iterator, Mapping

import msgspec
import pytest

from aftersale.adapters.storage.memory import MemoryStore
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import SECOND
from aftersale.runtime.jobs import (
    KEPT,
    MOST_TRIES,
    MOST_WAITING,
    SILENT,
    Failed,
    Job,
    News,
    Outcome,
    Runner,
    Told,
    Work,
    ask_for,
    ask_to_stop,
    job_of,
    jobs,
)


class Ticking:
    """A clock that goes on by two seconds whenever somebody looks at it."""

    def __init__(self) -> None:
        self.now = 1_000 * SECOND

    def __call__(self) -> int:
        self.now += 2 * SECOND
        return self.now


class Script:
    """Work that says what it was told to say, then nothing."""

    def __init__(self, *news: News) -> None:
        self.begun = 0
        self.ended = 0
        self.on_silence = lambda: None
        self._news = news

    def __call__(self, work: Work, fields: Mapping[str, str]) -> "Script":
        self.begun += 1
        self._left: Iterator[News] = iter(self._news)
        return self

    def news(self, seconds: float) -> News | None:
        said = next(self._left, None)
        if said is None:
            self.on_silence()
        return said

    def end(self) -> None:
        self.ended += 1


@pytest.fixture
def store():
    made = MemoryStore()
    yield made
    made.close()


def runner_of(store, begin, *, name="one", clock=None):
    return Runner(store, {"count": lambda *_: Outcome("")}, begin, clock or Ticking(), name=name)


def asked(store, name="a", **fields):
    ask_for(store, Job(name, "count", name, {}, asked_at=fields.pop("asked_at", 1)))


def found(store, name="a") -> Job:
    with store.read() as tx:
        job = job_of(tx, name)
    assert job is not None
    return job


def put(store, *kept: Job) -> None:
    with store.write() as tx:
        tx.meta.set("jobs", msgspec.to_builtins(list(kept)))


def test_a_job_is_run_to_its_end_and_says_on_the_way_how_far_it_is(store):
    outcome = Outcome("3 counted.", "/there", [("Counted", "3")])
    script = Script(Told("counted", 1, 3), Told("counted", 2, 3), outcome)
    asked(store)
    seen = []
    clock = Ticking()

    def begin(work, fields):
        script(work, fields)
        plain = script.news

        def news(seconds):
            seen.append((found(store).state, found(store).done, found(store).total))
            return plain(seconds)

        script.news = news
        return script

    runner = runner_of(store, begin, clock=clock)
    runner.wake()
    runner.wait()
    job = found(store)
    assert seen == [("running", 0, 0), ("running", 1, 3), ("running", 2, 3)]
    assert (job.state, job.outcome, job.tries) == ("done", outcome, 1)
    assert job.began_at < job.ended_at <= clock.now
    assert script.ended == 1


def test_what_cannot_be_done_is_kept_with_its_reason_and_the_next_one_runs(store):
    asked(store, "a", asked_at=1)
    asked(store, "b", asked_at=2)
    script = Script(Failed("It is broken.", "Mend it."))
    runner = runner_of(store, script)
    runner.wake()
    runner.wait()
    assert [found(store, name).state for name in "ab"] == ["failed", "failed"]
    assert (found(store).problem, found(store).hint) == ("It is broken.", "Mend it.")
    assert script.begun == script.ended == 2


def test_a_job_that_waits_is_stopped_at_once_and_one_that_runs_at_its_next_look(store):
    asked(store, "a", asked_at=1)
    asked(store, "b", asked_at=2)
    ask_to_stop(store, "b", 5)
    assert found(store, "b").state == "stopped"
    script = Script()
    script.on_silence = lambda: ask_to_stop(store, "a", 7)
    runner = runner_of(store, script)
    runner.wake()
    runner.wait()
    assert (found(store).state, script.begun, script.ended) == ("stopped", 1, 1)
    assert ask_to_stop(store, "a", 9) == found(store)
    assert ask_to_stop(store, "nothing", 9) is None


def test_a_runner_that_ends_leaves_its_job_to_the_next_one(store):
    asked(store)
    first = Script()
    runner = runner_of(store, first)
    first.on_silence = runner._ended.set
    runner.wake()
    runner.wait()
    runner.close()
    job = found(store)
    assert (job.state, job.tries, job.holder, first.ended) == ("waiting", 0, "", 1)
    other = runner_of(store, Script(Outcome("done")), name="two")
    other.wake()
    other.wait()
    assert found(store).state == "done"
    runner.wake()  # one that has ended takes nothing more


@pytest.mark.parametrize(
    ("holder", "silent", "is_dead"),
    [
        (f"{socket.gethostname()}|{os.getpid()}|before", 0, True),
        (f"{socket.gethostname()}|999999999|x", 0, True),
        (f"{socket.gethostname()}|1|x", 0, False),
        ("another|1|x", 0, False),
        ("another|1|x", SILENT + 10 * SECOND, True),
    ],
    ids=["a server of before", "a process that is gone", "one that lives", "elsewhere", "silent"],
)
def test_a_job_is_begun_again_where_nobody_works_on_it_any_more(store, holder, silent, is_dead):
    """Its process is gone, or it has been silent for a minute; before that nobody takes it."""
    clock = Ticking()
    lost = Job("a", "count", "a", {}, 1, "running", 1, holder, beat_at=clock.now - silent)
    put(store, lost)
    runner = runner_of(store, Script(Outcome("done")), clock=clock)
    runner.wake()
    runner.wait()
    assert (found(store).state, found(store).tries) == (("done", 2) if is_dead else ("running", 1))


def test_a_job_that_kills_every_server_is_given_up(store):
    put(store, Job("a", "count", "a", {}, 1, "running", MOST_TRIES, "here|1|x"))
    runner = runner_of(store, Script(Outcome("done")), clock=Ticking())
    runner.wake()
    runner.wait()
    assert found(store).state == "failed"
    assert "3 times" in found(store).problem


def test_who_was_taken_for_dead_says_nothing_more(store):
    asked(store)
    script = Script()

    def taken():
        put(store, msgspec.structs.replace(found(store), holder="other|1|x", done=7))

    script.on_silence = taken
    runner = runner_of(store, script)
    runner.wake()
    runner.wait()
    assert (found(store).state, found(store).holder, found(store).done) == (
        "running", "other|1|x", 7,
    )  # fmt: skip
    assert script.ended == 1


def test_a_kind_of_a_newer_version_fails_and_holds_nothing_up(store):
    put(store, Job("a", "dance", "a", {}, 1), Job("b", "count", "b", {}, 2))
    runner = runner_of(store, Script(Outcome("done")))
    runner.wake()
    runner.wait()
    assert (found(store).state, found(store, "b").state) == ("failed", "done")


def test_the_list_is_bounded_and_forgets_only_what_is_over(store):
    put(store, *(Job(f"{n}", "count", "", {}, n, "done") for n in range(2 * KEPT)))
    for n in range(MOST_WAITING):
        asked(store, f"new{n}")
    with pytest.raises(Refusal, match="too many"):
        asked(store, "one more")
    with store.read() as tx:
        kept = jobs(tx)
    assert len(kept) == KEPT + MOST_WAITING
    assert sum(job.state == "waiting" for job in kept) == MOST_WAITING


@pytest.mark.parametrize(
    ("done", "total", "now", "left"),
    [(25, 100, 20, 30), (0, 100, 20, None), (5, 0, 20, None), (100, 100, 20, 0), (1, 2, 10, None)],
)
def test_what_is_left_is_reckoned_from_what_was_done(done, total, now, left):
    job = Job("a", "count", "a", {}, 1, "running", done=done, total=total, phase_at=10)
    assert job.left(now) == left
