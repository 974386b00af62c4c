"""What does the engine do from one moment to the next?

Live, the clock is the machine's: every round takes what arrived, then the alarms that are due,
then sends. Driven (`--until`), the clock is moved from one instant at which something is due to
the next, so months pass in seconds and every input is taken at its own instant.
"""

from collections.abc import Callable

import msgspec

from aftersale.events.vocabulary import CalibrationFitted, encode_body
from aftersale.kernel.errors import Refusal
from aftersale.kernel.ids import Position
from aftersale.kernel.instants import HOUR, Instant, format_instant
from aftersale.models.calibration import encode
from aftersale.models.fit import Fitting
from aftersale.programme.ports import Store, Transaction
from aftersale.runtime.intake import own_entry
from aftersale.runtime.sending import Sending
from aftersale.runtime.turns import Turns
from aftersale.runtime.worlds import Worlds
from aftersale.turn.shards import Lease
from aftersale.turn.state import decode

GRID = HOUR
"""With a driven clock messages go out at the latest this long after they were decided."""

_FITS = 0
"""Whoever works on this shard fits the thresholds of all."""


class Worked(msgspec.Struct):
    """What was done, in sums."""

    events: int = 0
    decisions: int = 0
    sends: int = 0
    dropped: int = 0
    turns: int = 0
    clock: Instant = 0


class Worker:
    """Carries one store on in time."""

    def __init__(
        self,
        store: Store,
        worlds: Worlds,
        turns: Turns,
        sending: Sending,
        *,
        progress: Callable[[Worked], None] = lambda worked: None,
    ) -> None:
        self._store = store
        self._worlds = worlds
        self._turns = turns
        self._sending = sending
        self._progress = progress
        self._fitted_at: Instant | None = None
        self._fitted_by: Position | None = None
        """Where the ledger ended when that was looked up."""

    def drive(self, until: Instant) -> Worked:
        """Move the clock to `until`, taking everything on the way at its own instant."""
        worked = Worked(clock=self._clock_before(until))
        with self._store.write() as tx:
            self._sending.refuse_driven(tx)
            tx.meta.set("driven", value=True)
        self._sending.recover(worked.clock)
        while True:
            self._drain(worked, own=True)
            if self.know_more(worked.clock):
                continue
            following = self._following(worked.clock)
            if following is None or following > until:
                break
            worked.clock = min(until, -(-following // GRID) * GRID)
        with self._store.write() as tx:
            tx.meta.set("clock", max(until, worked.clock))
        worked.clock = max(until, worked.clock)
        return worked

    def once(self, now: Instant, *, lease: Lease | None = None) -> Worked:
        """One live round at the machine's time; a clock that jumped back stands still.

        `lease`: whose customers are carried on, None: everybody.
        """
        with self._store.read() as tx:
            worked = Worked(clock=max(now, *(shard.now for shard in tx.shards.all())))
        self._drain(worked, own=False, lease=lease)
        if self.know_more(worked.clock, lease):
            self._drain(worked, own=False, lease=lease)
        return worked

    def recover(self, now: Instant) -> int:
        """Settle what a crash left behind."""
        return self._sending.recover(now)

    def _drain(self, worked: Worked, *, own: bool, lease: Lease | None = None) -> None:
        while True:
            turned = self._turns.turn(worked.clock, own=own, lease=lease)
            if turned is not None:
                worked.events += turned.events
                worked.decisions += turned.decisions
                worked.turns += 1
            while True:
                sent = self._sending.round(worked.clock, own=own)
                worked.sends += sent.sent
                worked.dropped += sent.dropped + sent.failed
                worked.clock += sent.lasted
                if sent.far or not (sent.claimed or sent.dropped or sent.failed):
                    break  # a far channel takes its time: events and alarms come in between
            self._progress(worked)
            if turned is None and not sent.far:
                return

    def _clock_before(self, until: Instant) -> Instant:
        """Where the driven clock stands: at the last turn, or at the end of the first history."""
        with self._store.read() as tx:
            last = tx.journal.last()
            stands = max(last.now if last else 0, tx.meta.get("clock") or 0)
            newest = tx.ledger.newest_at()
        if stands > until:
            raise Refusal(
                f"the clock of this store stands at {format_instant(stands)} already",
                why=f"it cannot be driven back to {format_instant(until)}",
                hint="name a later time",
            )
        return stands or min(until, newest if newest is not None else until)

    def _following(self, clock: Instant) -> Instant | None:
        """The next instant at which something is due; None where nothing is."""
        with self._store.read() as tx:
            found = [
                tx.states.next_alarm(),
                tx.ledger.oldest_after(min(shard.upto for shard in tx.shards.all())),
                self._calibrate_at(tx),
            ]
        ahead = [at for at in found if at is not None]
        return max(min(ahead), clock + 1) if ahead else None

    def _calibrate_at(self, tx: Transaction) -> Instant | None:
        """When the thresholds are to be fitted again; None before the first fit."""
        last = tx.ledger.last()
        if last != self._fitted_by:
            fits = tx.ledger.everybodys("calibration.fitted")
            self._fitted_at, self._fitted_by = (fits[-1].at if fits else None), last
        if self._fitted_at is None:
            return None
        version = self._worlds.newest(tx)
        policy = self._worlds.compiled(tx, version).programme.policy
        return self._fitted_at + policy.calibrate_every

    def know_more(self, now: Instant, lease: Lease | None = None) -> bool:
        """When all is read: fit thresholds if it is time, then wake everybody they concern."""
        mine = None if lease is None else lease.tokens
        with self._store.read() as tx:
            fits = mine is None or _FITS in mine
            name = self._fit_due(tx, now) if fits else ""
            tables = self._fitted(tx, name, now) if name else b""
            swept = [shard.number for shard in tx.shards.all() if shard.sweep]
            swept = [number for number in swept if mine is None or number in mine]
        if tables:
            self._calibrate(name, tables, now)
            return True
        if swept:
            with self._store.work(lease) as tx:
                tx.shards.sweep(swept, wanted=False)
                tx.states.wake_all(now, shards=None if tx.shards.count == len(swept) else swept)
            return True
        return False

    def _fit_due(self, tx: Transaction, now: Instant) -> str:
        """The name of the calibration that is due, empty where none is."""
        due = self._calibrate_at(tx)
        is_due = bool(tx.states.page(0, 1)) if due is None else due <= now
        return f"calibration:{now}" if is_due else ""

    def _calibrate(self, name: str, tables: bytes, now: Instant) -> None:
        """Tell everybody what was fitted, unless somebody else was faster."""
        payload = encode_body(CalibrationFitted(version=name, tables=msgspec.Raw(tables)))
        with self._store.write() as tx:
            if self._fit_due(tx, now):
                tx.ledger.append([own_entry("calibration.fitted", name, payload, now)])

    def _fitted(self, tx: Transaction, name: str, now: Instant) -> bytes:
        world = self._worlds.now(tx)
        fitting = Fitting(world.catalogue, now)
        after = 0
        while rows := tx.states.page(after, 5_000):
            for row in rows:
                fitting.add(decode(row.blob).profile)
            after = rows[-1].customer
        return encode(fitting.fitted(name))
