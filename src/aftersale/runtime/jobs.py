"""How does long work go on behind the pages, so that it can be watched, ended and found again?

A job is a line in the store, so its address survives a page that is loaded again and a server
that is started again. The work itself is done in a process of its own, one job at a time. Who
runs it writes down how far it is, about once a second, and reads there whether somebody asked
for its end. Where the server ends, its job waits for the next one; where the server was killed,
the next one sees that nobody works on it any more and begins it again.
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import msgspec

from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import MINUTE, SECOND, Duration, Instant
from aftersale.programme.ports import Store, Transaction
from aftersale.runtime.app import App
from aftersale.turn.shards import Lease

KEPT = 50
"""Jobs that are told of; what is not over yet is kept beside them."""
MOST_WAITING = 20
BEAT: Duration = SECOND
SILENT: Duration = MINUTE
"""Who runs a job and says nothing for so long is taken for dead."""
MOST_TRIES = 3
"""How often a job is begun whose server was killed each time."""
_JOBS = "jobs"
_LOOK = 0.2
"""Seconds between two looks at what the process says."""

State = Literal["waiting", "running", "done", "failed", "stopped"]


class Outcome(msgspec.Struct, frozen=True):
    """What a job came to, in words, and where to read on."""

    said: str
    address: str = ""
    figures: list[tuple[str, str]] = []
    """What, and how many."""
    again: dict[str, str] = {}
    """The fields of the job that makes sense now; empty where none does."""


class Job(msgspec.Struct, frozen=True):
    """One piece of long work."""

    id: str
    kind: str
    title: str
    fields: dict[str, str]
    """What was asked for."""
    asked_at: Instant
    """All instants are those of the machine's clock."""
    state: State = "waiting"
    tries: int = 0
    holder: str = ""
    """Who runs it: machine, process and a name that no other one has."""
    began_at: Instant = 0
    beat_at: Instant = 0
    ended_at: Instant = 0
    to_stop: bool = False
    phase: str = ""
    """What it is at, in words."""
    done: int = 0
    total: int = 0
    """Of the phase; 0 where it is not known."""
    phase_at: Instant = 0
    """When the phase began."""
    outcome: Outcome | None = None
    problem: str = ""
    hint: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.state in {"done", "failed", "stopped"}

    def left(self, now: Instant) -> Duration | None:
        """How long the phase will go on if it goes on like this; None where that is not known."""
        if self.over or not 0 < self.done <= self.total or now <= self.phase_at:
            return None
        return (now - self.phase_at) * (self.total - self.done) // self.done


Tell = Callable[[str, int, int], None]
"""Takes the phase in words, how much of it is done, and of how much (0: not known)."""
Work = Callable[[App, Mapping[str, str], Tell], Outcome]
"""What a kind of job does; a function of a module, so that another process finds it."""


class Told(msgspec.Struct, frozen=True):
    """How far the work is."""

    phase: str
    done: int
    total: int


class Failed(msgspec.Struct, frozen=True):
    """Why the work came to no end."""

    problem: str
    hint: str = ""


News = Told | Outcome | Failed


class Working(Protocol):
    """Work that was begun."""

    def news(self, seconds: float) -> News | None:
        """What it says next; None where it says nothing for so many seconds."""
        ...

    def end(self) -> None:
        """Let it go on no longer."""
        ...


Begin = Callable[[Work, Mapping[str, str]], Working]


def jobs(tx: Transaction) -> list[Job]:
    """The jobs of this store, the latest first."""
    return _kept(tx.meta.get(_JOBS))


def job_of(tx: Transaction, name: str) -> Job | None:
    """The job of that id."""
    return next((job for job in jobs(tx) if job.id == name), None)


def ask_for(store: Store, job: Job) -> None:
    """Let a job wait for its turn."""

    def add(kept: list[Job]) -> list[Job]:
        if sum(not one.over for one in kept) >= MOST_WAITING:
            raise Refusal("too many jobs wait already", hint="stop one of them first")
        return [job, *kept]

    _change(store, add)


def ask_to_stop(store: Store, name: str, now: Instant) -> Job | None:
    """Let a job go on no longer: at once where it waits, within seconds where it runs."""

    def stopped(job: Job) -> Job:
        if job.state == "waiting":
            return msgspec.structs.replace(job, state="stopped", ended_at=now)
        return job if job.over else msgspec.structs.replace(job, to_stop=True)

    return _alter(store, name, stopped)


def _kept(told: Any) -> list[Job]:
    return msgspec.convert(told or [], list[Job])


def _change(store: Store, change: Callable[[list[Job]], list[Job]]) -> None:
    with store.work(Lease()) as tx:
        kept = change(_kept(tx.meta.get(_JOBS, hold=True)))
        over = [job.id for job in kept if job.over][KEPT:]
        tx.meta.set(_JOBS, msgspec.to_builtins([job for job in kept if job.id not in over]))


def _alter(store: Store, name: str, change: Callable[[Job], Job]) -> Job | None:
    """The job as it is after the change; None where there is none."""
    found: list[Job] = []

    def altered(kept: list[Job]) -> list[Job]:
        changed = [change(job) if job.id == name else job for job in kept]
        found.extend(job for job in changed if job.id == name)
        return changed

    _change(store, altered)
    return found[0] if found else None


class Runner:
    """Runs the jobs of one store, one after the other. Threads may share it."""

    def __init__(
        self,
        store: Store,
        works: Mapping[str, Work],
        begin: Begin,
        clock: Callable[[], Instant],
        *,
        name: str,
    ) -> None:
        """`name`: no other runner has it."""
        self._store = store
        self._works = works
        self._begin = begin
        self._clock = clock
        self._holder = f"{socket.gethostname()}|{os.getpid()}|{name}"
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def wake(self) -> None:
        """Look whether there is a job to run; never waits, so it may be called with a store open.

        Where another thread looks at this very moment, the next call does.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            running = self._thread is not None and self._thread.is_alive()
            if not running and not self._ended.is_set():
                self._thread = threading.Thread(target=self._run_all, name="jobs", daemon=True)
                self._thread.start()
        finally:
            self._lock.release()

    def close(self) -> None:
        """End; the job that runs waits for the next runner."""
        self._ended.set()
        self.wait()

    def wait(self) -> None:
        """Until there is nothing more to run."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _run_all(self) -> None:
        while True:
            with self._lock:
                job = None if self._ended.is_set() else self._take()
                if job is None:
                    self._thread = None
                    return
            self._run(job)

    def _take(self) -> Job | None:
        """The next job, from now on ours; None where none waits or one is being run."""
        now, taken = self._clock(), list[Job]()

        def take(kept: list[Job]) -> list[Job]:
            changed = [self._given_up(job, now) for job in kept]
            waiting = [job for job in changed if job.state == "waiting"]
            if waiting and not any(job.state == "running" for job in changed):
                first = min(waiting, key=lambda job: job.asked_at)
                taken.append(
                    msgspec.structs.replace(
                        first,
                        state="running",
                        tries=first.tries + 1,
                        holder=self._holder,
                        began_at=now,
                        beat_at=now,
                        phase="",
                        done=0,
                        total=0,
                        phase_at=now,
                    )
                )
                changed = [taken[0] if job is first else job for job in changed]
            return changed

        _change(self._store, take)
        return taken[0] if taken else None

    def _given_up(self, job: Job, now: Instant) -> Job:
        """The job as it is to be seen where nobody works on it any more."""
        if job.state != "running" or not self._is_dead(job, now):
            return job
        if job.to_stop:
            return msgspec.structs.replace(job, state="stopped", ended_at=now)
        if job.tries < MOST_TRIES:
            return msgspec.structs.replace(job, state="waiting", holder="")
        return msgspec.structs.replace(
            job,
            state="failed",
            ended_at=now,
            problem=f"It was begun {job.tries} times, and each time its server was killed.",
            hint="Was there memory enough? The command line does the same work.",
        )

    def _is_dead(self, job: Job, now: Instant) -> bool:
        host, process, _ = job.holder.split("|")
        if now - job.beat_at > SILENT:
            return True
        mine = self._holder.split("|")
        if host != mine[0]:
            return False
        return job.holder != self._holder if process == mine[1] else not _lives(int(process))

    def _run(self, job: Job) -> None:
        if job.kind not in self._works:
            known = f"This version knows no work of the kind {job.kind}."
            self._end(job, state="failed", ended_at=self._clock(), problem=known)
            return
        working = self._begin(self._works[job.kind], job.fields)
        try:
            self._watch(job, working)
        finally:
            working.end()

    def _watch(self, job: Job, working: Working) -> None:
        beat, told = self._clock(), Told("", 0, 0)
        while True:
            news = working.news(_LOOK)
            now = self._clock()
            match news:
                case Told():
                    told = news
                case Outcome():
                    self._end(job, state="done", outcome=news, ended_at=now)
                    return
                case Failed():
                    told_why = {"problem": news.problem, "hint": news.hint}
                    self._end(job, state="failed", ended_at=now, **told_why)
                    return
                case None:
                    pass
            if self._ended.is_set():
                self._end(job, state="waiting", holder="", tries=job.tries - 1)
                return
            if now - beat >= BEAT:
                beat = now
                current = self._beat(job, told, now)
                if current is None or current.holder != self._holder:
                    return  # somebody else took it for dead
                if current.to_stop:
                    self._end(job, state="stopped", ended_at=now)
                    return

    def _beat(self, job: Job, told: Told, now: Instant) -> Job | None:
        def beat(current: Job) -> Job:
            if current.holder != self._holder:
                return current
            since = current.phase_at if current.phase == told.phase else now
            return msgspec.structs.replace(
                current,
                beat_at=now,
                phase=told.phase,
                done=told.done,
                total=told.total,
                phase_at=since,
            )

        return _alter(self._store, job.id, beat)

    def _end(self, job: Job, **changed: Any) -> None:
        def end(current: Job) -> Job:
            if current.holder != self._holder:
                return current
            return msgspec.structs.replace(current, **changed)

        _alter(self._store, job.id, end)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
