"""How does a worker live beside others, and what does it do when something breaks?

Three threads share one lease. One decides, turn after turn; one sends, so that a slow mail server
holds up no decision; one says every so often that the worker lives. What breaks is told and tried
again: nothing is kept between two rounds that the store does not know better.
"""

import threading
from collections.abc import Callable

from aftersale.kernel.errors import Operational
from aftersale.runtime.app import App
from aftersale.runtime.telemetry import Silent, Telemetry
from aftersale.runtime.worker import Worked
from aftersale.turn.ports import StaleState
from aftersale.turn.shards import Lease, LeaseLost

_AFTER_TROUBLE = 1.0
"""Seconds to wait at least before what broke is tried again."""


class Live:
    """One worker by the machine's clock, until somebody wants no more."""

    def __init__(
        self,
        app: App,
        *,
        holder: str,
        ticks: Callable[[], float],
        lease_seconds: float = 5.0,
        poll_seconds: float = 0.25,
        telemetry: Telemetry | None = None,
    ) -> None:
        """`holder` names this worker among others; `ticks` counts seconds."""
        self._store = app.store
        self._turns = app.turns
        self._sending = app.sending
        self._worker = app.worker
        self._now = app.system_now
        self._holder = holder
        self._ticks = ticks
        self._seconds = lease_seconds
        self._poll = poll_seconds
        self._telemetry = telemetry or Silent()
        self._lease = Lease(holder)
        self._settled = Lease(holder)
        """The shards of which nothing is claimed that this worker is not just sending."""
        self._lease_due = 0.0
        self._done = Worked()
        self._ended = threading.Event()
        self._broken: BaseException | None = None
        """What ended one of the other threads."""

    def run(self, wanted: threading.Event) -> Worked:
        """Work until the event is set: then end the running turn and round, and give up the lease.

        What was done, in sums.
        """
        others = [
            threading.Thread(target=self._loud, args=(work,), name=work.__name__, daemon=True)
            for work in (self._beat, self._send)
        ]
        for thread in others:
            thread.start()
        try:
            while not wanted.is_set() and self._broken is None:
                pause = self._trying(self._decide)
                if pause:
                    wanted.wait(pause)
        finally:
            self._ended.set()
            for thread in others:
                thread.join()
            self._give_up()
        if self._broken is not None:
            raise self._broken
        return self._done

    def _decide(self) -> float:
        """One turn, or else what else is to be done when all is read; seconds to pause."""
        self._telemetry.alive()
        lease = self._held()
        if not lease.tokens:
            return self._poll
        now, began = self._now(), self._ticks()
        turned = self._turns.turn(now, own=False, lease=lease)
        if turned is None:
            return 0.0 if self._worker.know_more(now, lease) else self._poll
        self._done.events += turned.events
        self._done.decisions += turned.decisions
        self._done.turns += 1
        self._done.clock = now
        self._telemetry.turned(turned, self._ticks() - began)
        return 0.0

    def _held(self) -> Lease:
        """The lease, asked for again when a third of its time has passed."""
        if self._ticks() >= self._lease_due:
            lease = self._store.lease(self._holder, self._seconds)
            if lease.tokens.keys() != self._lease.tokens.keys():
                self._telemetry.held(lease.tokens)
            self._lease = lease
            self._lease_due = self._ticks() + self._seconds / 3
        return self._lease

    def _send(self) -> None:
        """Rounds of sending until the worker ends."""
        while not self._ended.is_set():
            pause = self._trying(self._deliver)
            if pause:
                self._ended.wait(pause)

    def _deliver(self) -> float:
        """One round; what somebody before us, or a round that broke, left claimed is settled first.

        Seconds to pause.
        """
        lease, settled = self._lease, self._settled
        if not lease.tokens:
            return self._poll
        taken = {n: t for n, t in lease.tokens.items() if settled.tokens.get(n) != t}
        self._settled = Lease(self._holder)  # so it stays where anything of this breaks
        if taken:
            self._sending.recover(self._now(), lease=Lease(self._holder, taken))
        began = self._ticks()
        sent = self._sending.round(self._now(), lease=lease)
        self._settled = lease
        if not sent.claimed and not sent.dropped and not sent.failed:
            return self._poll
        self._done.sends += sent.sent
        self._done.dropped += sent.dropped + sent.failed
        self._telemetry.sent(sent, self._ticks() - began)
        return 0.0

    def _loud(self, work: Callable[[], None]) -> None:
        """Let what ends one of the threads end the worker: half a worker helps nobody."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised again by `run`
            self._broken = error

    def _beat(self) -> None:
        """Renew the lease while a turn or a round takes long."""
        while not self._ended.wait(self._seconds / 3):
            try:
                self._store.renew(self._lease, self._seconds)
            except Operational as trouble:
                self._telemetry.trouble("operational", trouble.what)

    def _trying(self, work: Callable[[], float]) -> float:
        """Do it; where it breaks, say so and pause before the next try."""
        try:
            return work()
        except LeaseLost as lost:
            self._telemetry.trouble("lease-lost", str(lost))
            self._lease, self._lease_due = Lease(self._holder), 0.0
            return self._poll
        except StaleState as stale:
            self._telemetry.trouble("stale-state", str(stale))
            return self._poll
        except Operational as trouble:
            self._telemetry.trouble("operational", trouble.what)
            self._lease_due = 0.0
            return max(self._poll, _AFTER_TROUBLE)

    def _give_up(self) -> None:
        try:
            self._store.release(self._holder)
        except Operational as trouble:
            self._telemetry.trouble("operational", trouble.what)
