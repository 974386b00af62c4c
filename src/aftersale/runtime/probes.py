"""Is this process alive, and can it do its work?

Whoever asks may be anybody, so the reasons name no address. Neither asks what a person decided:
an installation whose mode is `stopped` is well.
"""

import threading
from collections.abc import Callable

import msgspec

from aftersale.kernel.errors import Operational, Refusal
from aftersale.runtime.app import App
from aftersale.runtime.telemetry import Silent

KEPT_SECONDS = 1.0
"""How long an answer about the store is kept."""


class Probe(msgspec.Struct, frozen=True):
    """The answer to a probe."""

    ok: bool
    reason: str = ""

    @property
    def status(self) -> int:
        """As HTTP says it."""
        return 200 if self.ok else 503


WELL = Probe(ok=True)


class Pulse(Silent):
    """Watches whether the loop of a worker comes round."""

    def __init__(self, ticks: Callable[[], float], *, stuck_seconds: float) -> None:
        """`stuck_seconds`: longer than any turn takes."""
        self._ticks = ticks
        self._most = stuck_seconds
        self._last = ticks()

    def alive(self) -> None:
        """It came round."""
        self._last = self._ticks()

    def probe(self) -> Probe:
        """Whether it came round lately."""
        since = self._ticks() - self._last
        if since <= self._most:
            return WELL
        return Probe(ok=False, reason=f"the loop that decides has not come round for {since:.0f} s")


def ready(app: App) -> Probe:
    """Whether the store can be read, has the right schema, and a programme is in force."""
    return _asked(app, holder="")


def worker_ready(app: App, holder: str, wanted: threading.Event) -> Probe:
    """The same, and whether this worker holds shards or stands by for them.

    `wanted` is set when it shall end: it takes nothing new then.
    """
    return (
        Probe(ok=False, reason="the worker is ending") if wanted.is_set() else _asked(app, holder)
    )


def _asked(app: App, holder: str) -> Probe:
    try:
        with app.store.read() as tx:
            app.worlds.newest(tx)
            if holder and holder not in tx.shards.workers():
                return Probe(ok=False, reason="the worker is not known to the store")
    except Operational:
        return Probe(ok=False, reason="the store cannot be read")
    except Refusal as refusal:
        return Probe(ok=False, reason=refusal.what)
    return WELL
