"""How is a job done in a process of its own, and how does that end with whoever asked for it?

The process leads a group, so that it ends with all that it started; and it watches whoever
started it, so that nothing works on after a server that was killed.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, wait

from aftersale.kernel.errors import Operational, Refusal
from aftersale.runtime.app import App
from aftersale.runtime.child import Child, stay_behind
from aftersale.runtime.jobs import Failed, News, Told, Work

PATIENCE = 3.0
"""Seconds in which it may end by itself."""
OFTEN = 0.1
"""Seconds between two words on how far it is."""


class Elsewhere:
    """Work in a process of its own."""

    def __init__(
        self, anew: Callable[[], App], work: Work, fields: Mapping[str, str], *, nice: int = 10
    ) -> None:
        """`anew` and `work` must be importable by the process."""
        # No daemon, for a backtest starts processes itself.
        self._child = Child(_work_here, anew, work, dict(fields), nice, name="job", daemon=False)

    def news(self, seconds: float) -> News | None:
        """What it says next."""
        try:
            said: News | None = self._child.said(seconds)
        except EOFError:
            return Failed(
                "Its process ended before it was done.",
                "Was there memory enough? The command line does the same work and says more.",
            )
        return said

    def end(self) -> None:
        """Ask it to end, then end it with all that it started."""
        process = self._child.process
        if process.is_alive() and process.pid is not None:
            process.terminate()
            process.join(PATIENCE)
            if process.is_alive():
                _end_group(process.pid)
        self._child.end()


def _work_here(
    anew: Callable[[], App], work: Work, fields: dict[str, str], nice: int, answer: Connection
) -> None:
    stay_behind(nice)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.setsid()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    told_at = 0.0

    def tell(phase: str, done: int, total: int) -> None:
        nonlocal told_at
        if (now := time.monotonic()) - told_at >= OFTEN or done == total:
            told_at = now
            answer.send(Told(phase, done, total))

    try:
        app = anew()
        try:
            answer.send(work(app, fields, tell))
        finally:
            app.store.close()
    except Refusal as refused:
        where = f"{refused.where}: " if refused.where else ""
        why = f" {refused.why}" if refused.why else ""
        answer.send(Failed(f"{where}{refused.what}.{why}", refused.hint))
    except Operational as error:
        answer.send(Failed(error.what, error.hint or "Try again in a moment."))
    except Exception as error:  # noqa: BLE001 - told by whoever asked
        told = f"{type(error).__name__}: {error}".partition("\n")[0]
        answer.send(Failed(f"A mistake in aftersale itself: {told}", "Please report it."))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        _end_group(os.getpid())


def _end_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
