"""Do the promises hold for months of a shop in which everything breaks, again and again?

Several workers share a store in memory that has several shards. Nothing sleeps and nothing runs at
the same time: who does what next is drawn, and so is what breaks: connections before, in and after
a transaction, leases, clocks, the mail server, the worker itself. One seed gives one run, for ever.
"""

import msgspec

from aftersale.adapters.folder import starter_files
from aftersale.adapters.storage.memory import MemoryStore
from aftersale.bootstrap import build
from aftersale.delivery.channel import Outgoing
from aftersale.delivery.ports import CLAIMED, FAILED, SENT, UNKNOWN, Send
from aftersale.events.event import Event, Ref, read_event
from aftersale.events.vocabulary import MessageEvent
from aftersale.kernel.errors import Operational
from aftersale.kernel.instants import DAY, HOUR, MINUTE, SECOND, Instant
from aftersale.programme.ports import Store
from aftersale.runtime.app import App
from aftersale.runtime.intake import take_in
from aftersale.runtime.replay import replay
from aftersale.runtime.sending import LIVE
from aftersale.runtime.verify import verify
from aftersale.runtime.worlds import Worlds
from aftersale.settings import Settings
from aftersale.testing.shop import simulate
from aftersale.testing.simulation.faults import Dice, FaultyStore, Killed, ScriptedMail
from aftersale.turn.ports import StaleState
from aftersale.turn.shards import Lease, LeaseLost

START: Instant = 1_775_000_000_000_000
"""2026-04-01, in the morning."""
LEASE = 600.0
"""Seconds of virtual time."""
_PAST = 200 * DAY


class Outcome(msgspec.Struct):
    """What one run did, and what was wrong with it."""

    seed: int
    days: int
    events: int = 0
    turns: int = 0
    decisions: int = 0
    messages: int = 0
    taken: int = 0
    twice: int = 0
    """Order facts that the server took twice, each with its reason in the store."""
    kills: int = 0
    troubles: int = 0
    leases_lost: int = 0
    wrong: list[str] = []


class _Worker:
    """One process, until it is killed."""

    def __init__(self, store: Store, mail: ScriptedMail, name: str, worlds: Worlds) -> None:
        self.app: App = build(
            store,
            Settings(batch=40),
            reopen=lambda: store,
            channels={"email": mail},
            worlds=worlds,
        )
        self.name = name
        self.lease = Lease(name)
        self.settled = Lease(name)
        self.lease_due: Instant = 0
        self.skew = 0

    def step(self, now: Instant) -> bool:
        """Lease, one turn or what else is due, one round of sending; False where nothing was."""
        app = self.app
        if now >= self.lease_due:
            self.lease = app.store.lease(self.name, LEASE)
            self.lease_due = now + int(LEASE * SECOND / 3)
        if not self.lease.tokens:
            return False
        turned = app.turns.turn(now + self.skew, own=False, lease=self.lease)
        busy = turned is not None or app.worker.know_more(now + self.skew, self.lease)
        fresh = {n: t for n, t in self.lease.tokens.items() if self.settled.tokens.get(n) != t}
        if fresh:
            app.sending.recover(now, lease=Lease(self.name, fresh))
            self.settled = self.lease
        sent = app.sending.round(now, lease=self.lease)
        return busy or bool(sent.claimed or sent.dropped or sent.failed)


class Simulation:
    """One run of one seed."""

    def __init__(
        self, seed: int, *, days: int = 60, customers: int = 60, workers: int = 3, shards: int = 5
    ) -> None:
        """Make the shop; nothing has happened yet."""
        self._dice = Dice(seed)
        self._base = START
        self._real = MemoryStore(shards=shards, clock=lambda: self._base)
        self._store = FaultyStore(self._real, self._dice, share=0.004)
        self._mail = ScriptedMail(self._dice, self._receipt)
        self._told: list[tuple[Instant, Event]] = []
        shop = simulate(seed=seed, customers=customers, start=START - _PAST, end=START + days * DAY)
        self._files = {**starter_files(), "products.csv": shop.products_csv()}
        events = [read_event(raw, source="shop") for _, raw in shop.events()]
        self._past = [event for event in events if event.at < START]
        self._plan = sorted(
            [(self._arrives(event.at), event) for event in events if event.at >= START],
            key=lambda row: row[0],
        )
        self._numbers = 0
        self._worlds = Worlds()
        self._workers = workers
        self.outcome = Outcome(seed, days)

    def run(self) -> Outcome:
        """Live through all days, then let everything settle and look."""
        with self._real.write() as tx:
            tx.meta.set("secret", "5e" * 32)
        first = self._hire(self._real)
        first.app.deploy(self._files)
        with self._real.write() as tx:
            take_in(tx, self._past, received_at=START, history=True)
            journeys = [path.split("/")[1][:-5] for path in self._files if path.startswith("journ")]
            tx.meta.set("mode", LIVE)
            tx.meta.set("expected_hour", dict.fromkeys(journeys, 10**6))
        crew = [self._hire(self._store) for _ in range(self._workers)]
        for hour in range(self.outcome.days * 24):
            self._base = START + hour * HOUR
            for part in range(3):
                self._base += part * 11 * MINUTE
                self._take_in()
                self._work(crew, self._dice.below(3 * len(crew)) + 1)
        self._settle(crew)
        self._look(first.app)
        return self.outcome

    def _hire(self, store: Store) -> _Worker:
        """A new process. That it compiles the programme anew is left out: it takes too long."""
        self._numbers += 1
        self._worlds = Worlds(self._worlds.programmes)
        return _Worker(store, self._mail, f"worker-{self._numbers}", self._worlds)

    def _arrives(self, at: Instant) -> Instant:
        """Most events come at once, some hours later, a few by days."""
        fate = self._dice.number()
        late = 0 if fate < 0.8 else (self._dice.below(9) * HOUR if fate < 0.97 else 3 * DAY)
        return at + late

    def _take_in(self) -> None:
        """The source sends what is due, in no order, some of it again, until it is taken."""
        due = [event for at, event in self._plan if at <= self._base]
        self._plan = [row for row in self._plan if row[0] > self._base]
        due += [event for at, event in self._told if at <= self._base]
        self._told = [row for row in self._told if row[0] > self._base]
        again = [event for event in due if self._dice.strikes(0.1)]
        while due:
            due.sort(key=lambda event: self._dice.number())
            try:
                with self._store.write() as tx:
                    take_in(tx, due, received_at=self._base)
            except (Operational, Killed):
                self.outcome.troubles += 1
                continue  # whether it was taken or not: it is sent again
            due, again = again, []

    def _receipt(self, message: Outgoing, kind: str) -> None:
        key = message.message.key
        event = Event(
            f"{kind}:{key}:{len(self._mail.taken)}",
            "provider",
            kind,
            self._base,
            "",
            MessageEvent(message=key, kind="hard" if kind == "message.bounced" else ""),
            (Ref("email", message.message.to),),
        )
        if self._dice.number() < 0.3:
            with self._real.write() as tx:  # it is here before the answer of the server
                take_in(tx, [event], received_at=self._base)
        else:
            self._told.append((self._base + self._dice.below(50) * HOUR, event))

    def _work(self, crew: list[_Worker], steps: int) -> bool:
        """So many steps of drawn workers; whether any of them found something to do."""
        busy = False
        for _ in range(steps):
            place = self._dice.below(len(crew))
            worker = crew[place]
            if self._dice.strikes(0.002):
                worker.skew = (self._dice.below(13) - 6) * HOUR
            if self._dice.strikes(0.01):
                self._steal()
            try:
                busy = worker.step(self._base) or busy
            except LeaseLost:
                self.outcome.leases_lost += 1
                worker.lease_due = 0
            except (Operational, StaleState):
                self.outcome.troubles += 1
                worker.settled = Lease(worker.name)
            except Killed:
                self.outcome.kills += 1
                crew[place] = self._hire(self._store)
        return busy

    def _steal(self) -> None:
        """Somebody believes a living worker dead."""
        with self._real.read() as tx:
            held = sorted(set(tx.shards.holders().values()))
        if held:
            self._real.release(held[self._dice.below(len(held))])

    def _settle(self, crew: list[_Worker]) -> None:
        """From now on nothing breaks, and time goes on until nothing is left to do."""
        self._dice.calm = True
        for worker in crew:
            worker.skew = 0
        for _ in range(3 * 24):
            self._base += HOUR
            self._take_in()
            for _ in range(200):
                if not self._work(crew, 2 * len(crew)):
                    break

    def _look(self, app: App) -> None:
        """Everything that must hold, and what does not."""
        out = self.outcome
        with self._real.read() as tx:
            out.events, out.decisions = tx.ledger.last(), tx.decisions.total()
            out.turns = sum(1 for _ in tx.journal.read())
            out.wrong += [
                f"{v.rule}: {v.what} ({v.where})" for v in verify(tx, app.worlds).violations
            ]
            found = replay(tx, app.worlds)
            if found.different or found.states_different:
                out.wrong.append(
                    f"replay: {found.different} decisions, {found.states_different} states differ"
                )
            unread = [shard.number for shard in tx.shards.all() if shard.upto < tx.ledger.last()]
            if unread:
                out.wrong.append(f"shards {unread} were not read to the end")
            sends = {send.key: send for send in tx.outbox.all() if send.kind == "message"}
        out.messages, out.taken = len(sends), len(self._mail.taken)
        for key, send in sends.items():
            out.wrong += self._judged(send, self._mail.taken.count(key))
        out.wrong += [
            f"{key} went out and is not known" for key in set(self._mail.taken) - sends.keys()
        ]

    def _judged(self, send: Send, taken: int) -> list[str]:
        """Whether what the store says of a message agrees with what the server took."""
        wrong = []
        if send.status == CLAIMED:
            wrong.append(f"{send.key} is claimed for ever")
        if taken and send.status not in {SENT, FAILED, UNKNOWN}:
            wrong.append(f"{send.key} went out and is {send.status}: {send.reason}")
        if send.status == SENT and not taken:
            wrong.append(f"{send.key} is sent, and the server never took it")
        if taken > 1 and send.purpose != "transactional":
            wrong.append(f"{send.key} is a promotion and went out {taken} times")
        elif taken > 1 + send.repeats:
            wrong.append(f"{send.key} went out {taken} times, the store explains {send.repeats}")
        elif taken > 1:
            self.outcome.twice += 1
        return wrong
