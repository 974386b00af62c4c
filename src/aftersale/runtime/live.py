"""How does a worker live beside others, and what does it do when something breaks?

A few threads share one lease. One decides, turn after turn; one sends, so that a slow mail server
holds up no decision; one says every so often that the worker lives; one sees that the store is
verified. What breaks is told and tried again: nothing is kept between two rounds that the store
does not know better. A bug in any of them ends the worker.
"""

import threading
from collections.abc import Callable

from aftersale.kernel.errors import Operational
from aftersale.programme.telemetry import (
    LEASE_LOST,
    OPERATIONAL,
    STALE_STATE,
    VERIFICATION,
    Telemetry,
)
from aftersale.runtime.app import App
from aftersale.runtime.telemetry import Silent
from aftersale.runtime.verifying import NotChecked, Verifying
from aftersale.runtime.worker import Worked
from aftersale.turn.ports import StaleState
from aftersale.turn.shards import Lease, LeaseLost

_AFTER_TROUBLE = 1.0
"""Seconds to wait at least before what broke is tried again."""
_VERIFIES = 0
"""Whoever works on this shard verifies the whole store."""


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
        verifying: Verifying | None = None,
    ) -> None:
        """`holder` names this worker among others; `ticks` counts seconds."""
        self.holder = holder
        self._store = app.store
        self._turns = app.turns
        self._sending = app.sending
        self._worker = app.worker
        self._now = app.system_now
        self._ticks = ticks
        self._seconds = lease_seconds
        self._poll = poll_seconds
        self._telemetry = telemetry or Silent()
        self._verifying = verifying
        self._lease = Lease(holder)
        self._settled = Lease(holder)
        """The shards of which nothing is claimed that this worker is not just sending."""
        self._lease_due = 0.0
        self._done = Worked()
        self._ended = threading.Event()
        """No further round; then, when the last one is over, no further beat."""
        self._over = threading.Event()
        self._broken: BaseException | None = None
        """What ended one of the other threads."""

    def run(self, wanted: threading.Event) -> Worked:
        """Work until the event is set: then end the running turn and round, and give up the lease.

        What was done, in sums.
        """
        beating, *others = [
            threading.Thread(target=self._loud, args=(work,), name=work.__name__, daemon=True)
            for work in (self._beat, self._send, self._verify)
        ]
        for thread in (beating, *others):
            thread.start()
        try:
            while not wanted.is_set() and self._broken is None:
                pause = self._trying(self._decide)
                if pause:
                    wanted.wait(pause)
        finally:
            self._ended.set()
            self._sending.hurry()
            for thread in others:
                thread.join()
            self._over.set()
            beating.join()
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
            lease = self._store.lease(self.holder, self._seconds)
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
        self._settled = Lease(self.holder)  # so it stays where anything of this breaks
        if taken:
            left = self._sending.recover(self._now(), lease=Lease(self.holder, taken))
            if left:
                self._telemetry.recovered(left)
        began = self._ticks()
        sent = self._sending.round(self._now(), lease=lease)
        self._settled = lease
        if sent.told:
            self._telemetry.settled(sent.told, self._ticks() - began)
        if not sent.claimed and not sent.dropped and not sent.failed:
            return self._poll
        self._done.sends += sent.sent
        self._done.dropped += sent.dropped + sent.failed
        return 0.0

    def _loud(self, work: Callable[[], None]) -> None:
        """Let what ends one of the threads end the worker: half a worker helps nobody."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised again by `run`
            self._broken = error

    def _beat(self) -> None:
        """Renew the lease while a turn or a round takes long, also the last ones."""
        while not self._over.wait(self._seconds / 3):
            try:
                self._store.renew(self._lease, self._seconds)
            except Operational as trouble:
                self._telemetry.trouble(OPERATIONAL, trouble.what)

    def _verify(self) -> None:
        """Verify whenever it is due, where that is this worker's share."""
        while self._verifying is not None and not self._ended.wait(self._poll):
            if _VERIFIES not in self._lease.tokens:
                continue
            try:
                found = self._verifying.step(self._ended)
            except NotChecked as reason:
                self._telemetry.trouble(VERIFICATION, str(reason))
            except Operational as trouble:
                self._telemetry.trouble(OPERATIONAL, trouble.what)
            else:
                if found is not None:
                    self._telemetry.verified(found.checks, found.seconds)

    def _trying(self, work: Callable[[], float]) -> float:
        """Do it; where it breaks, say so and pause before the next try."""
        try:
            return work()
        except LeaseLost as lost:
            self._telemetry.trouble(LEASE_LOST, str(lost))
            self._telemetry.held(())
            self._lease, self._lease_due = Lease(self.holder), 0.0
            return self._poll
        except StaleState as stale:
            self._telemetry.trouble(STALE_STATE, str(stale))
            return self._poll
        except Operational as trouble:
            self._telemetry.trouble(OPERATIONAL, trouble.what)
            self._lease_due = 0.0
            return max(self._poll, _AFTER_TROUBLE)

    def _give_up(self) -> None:
        try:
            self._store.release(self.holder)
        except Operational as trouble:
            self._telemetry.trouble(OPERATIONAL, trouble.what)
