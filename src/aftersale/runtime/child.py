"""How does a process of its own work for this one, and how is it heard and ended?

It is spawned and not forked, for this process has threads, and connections that are not the
child's; so its function and what that is given must be importable.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any


def begin(
    target: Callable[..., None], *given: object, name: str, daemon: bool = True
) -> BaseProcess:
    """Let a process of its own do this. `daemon`: it ends with this one and has no children."""
    process = multiprocessing.get_context("spawn").Process(
        target=target, args=given, name=name, daemon=daemon
    )
    process.start()
    return process


def stay_behind(nice: int = 10) -> None:
    """Called by the child first: whoever began it decides when it ends, and goes before it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(nice)


class Child:
    """A process of its own that says something; what it says through is its last argument."""

    def __init__(
        self, target: Callable[..., None], *given: object, name: str, daemon: bool = True
    ) -> None:
        self._ours, theirs = multiprocessing.Pipe(duplex=False)
        self.process = begin(target, *given, theirs, name=name, daemon=daemon)
        theirs.close()

    def said(self, seconds: float) -> Any:
        """What it says next; None where it says nothing for so many seconds.

        EOFError where it has ended and said nothing more.
        """
        return self._ours.recv() if self._ours.poll(seconds) else None

    def end(self) -> None:
        """Ask it to end, and wait until it has."""
        self.process.terminate()
        self.process.join()
        self._ours.close()
