"""How does a decided message go out, once?

The claim commits before the channel is called, and judges again. After the call the send is
settled. A crash in between leaves a claimed row: at the next start the channel is asked what
became of it; where it cannot say, the send is `unknown` and shown. What a channel did not take
waits and is tried again; a channel that takes nothing at all rests.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import msgspec

from aftersale.delivery.channel import Channel, Outgoing, Result
from aftersale.delivery.ports import CLAIMED, DROPPED, FAILED, QUEUED, SENT, UNKNOWN, Send
from aftersale.delivery.reasons import CRASH, NEVER_WENT_OUT, NO_RECIPIENT, RAN_OUT, SEND_REASONS
from aftersale.delivery.settling import Move, Trouble, in_doubt, settled, troubled
from aftersale.delivery.telling import NOT_FILLED_IN, Settled, told_of
from aftersale.events.vocabulary import MessageEvent, encode_body
from aftersale.gates.policy import Policy
from aftersale.gates.standing import Intent
from aftersale.gates.verdict import Defer, Deny
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY, HOUR, Duration, Instant
from aftersale.messages.compose import Message
from aftersale.programme.ports import Store, Transaction
from aftersale.runtime.intake import own_entry
from aftersale.runtime.rendering import NO_ADDRESS, Renderer
from aftersale.runtime.worlds import Worlds
from aftersale.turn.again import judge_again
from aftersale.turn.shards import Lease
from aftersale.turn.state import State, decode

REHEARSE, TEST, LIVE, STOPPED = MODES = ("rehearse", "test", "live", "stopped")

BATCH = 500

_BESIDE = Lease()
"""What is known of a send is written down whoever holds its customer by then."""
_TROUBLES = "channel_troubles"


class Sent(msgspec.Struct):
    """What one round of sending did."""

    sent: int = 0
    dropped: int = 0
    failed: int = 0
    unknown: int = 0
    put_off: int = 0
    claimed: int = 0
    far: bool = False
    """Whether something was handed to a channel other than the mailbox."""
    lasted: Duration = 0
    """How long the far channels took, on the machine's clock."""
    told: list[Settled] = []
    """What became of each send that was moved, in order."""

    def tell(self, send: Send, status: str, reason: str) -> None:
        """Note what became of a send."""
        self.told.append(told_of(send, status, reason))


class Claimed(msgspec.Struct, frozen=True):
    """A send that may be handed over now: committed, and nobody else takes it."""

    send: Send
    item: Outgoing
    channel: Channel


RendererOf = Callable[[Transaction, int], Renderer]
"""The renderer of a programme version."""


class Sending:
    """Claims, composes, hands over and settles the messages of one store.

    It has three transactions: the claim, the settling of what was handed over, and the recovery of
    what a crash left claimed. Channels are called between them.
    """

    def __init__(
        self,
        store: Store,
        worlds: Worlds,
        renderer_of: RendererOf,
        *,
        mailbox: Channel,
        channels: Mapping[str, Channel],
    ) -> None:
        self._store = store
        self._worlds = worlds
        self._renderer_of = renderer_of
        self._mailbox = mailbox
        self._channels = channels

    @property
    def channels(self) -> Mapping[str, Channel]:
        """Channels that reach customers; what goes by another one is caught by the mailbox."""
        return self._channels

    def recover(self, now: Instant, *, lease: Lease | None = None) -> int:
        """Settle what a crash left claimed of the lease's shards (None: of all); how many rows."""
        with self._store.work(lease) as tx:
            left = tx.outbox.in_state(CLAIMED, limit=100_000, shards=_narrowed(tx, lease))
        by_name: dict[str, list[Send]] = {}
        for send in left:
            by_name.setdefault(send.reason, []).append(send)
        for name, sends in by_name.items():
            channel = self._named(name)
            keys = [send.key for send in sends]
            self._recover(sends, channel.look_up(keys) if channel is not None else None, now)
        return len(left)

    def round(
        self, now: Instant, *, own: bool = False, limit: int = BATCH, lease: Lease | None = None
    ) -> Sent:
        """Send what is due by `now`; with a driven clock each at the instant it was decided.

        `lease`: to whose customers, None: to all. Refused with a driven clock where messages would
        reach people: its hours pass in seconds.
        """
        claimed, done = self._claim(now, lease, own=own, limit=limit)
        for channel, some in _by_channel(claimed):
            began = time.monotonic_ns()
            results = channel.send([one.item for one in some])
            if channel is not self._mailbox:
                done.far = True
                done.lasted += (time.monotonic_ns() - began) // 1_000
            self._settle(some, results, done)
        return done

    def hurry(self) -> None:
        """Let the running round end soon: the worker is wanted no more."""
        for channel in self._channels.values():
            channel.hurry()

    def close(self) -> None:
        """Let go of every channel's connections."""
        for channel in self._channels.values():
            channel.close()

    def refuse_driven(self, tx: Transaction) -> None:
        """A driven clock must not send to people."""
        if self._channels and mode_of(tx) in {TEST, LIVE}:
            raise Refusal(
                "a driven clock does not send to customers",
                why="its days pass in seconds, and a channel is set up",
                hint="aftersale rehearse first; the mailbox then catches every message",
            )

    # --- the claim ------------------------------------------------------------------------

    def _claim(
        self, now: Instant, lease: Lease | None, *, own: bool, limit: int
    ) -> tuple[list[Claimed], Sent]:
        """Judge again what is due, and commit to handing over what may go."""
        done = Sent()
        claimed: list[Claimed] = []
        with self._store.work(lease) as tx:
            mode = mode_of(tx)
            if mode == STOPPED:
                return claimed, done
            if own:
                self.refuse_driven(tx)
            if mode == LIVE:
                tx.meta.get("tripped", hold=True)  # what several workers claim is counted together
            due = self._due(tx, mode, now, limit, _narrowed(tx, lease))
            for send, message, at in self._allowed(tx, mode, now, done, due, own=own):
                channel = self._channel_of(send, mode)
                tx.outbox.move(send.key, CLAIMED, at, reason=channel.name)
                item = Outgoing(send.customer, message, at, send.channel, send.seq)
                claimed.append(Claimed(send, item, channel))
        done.claimed = len(claimed)
        return claimed, done

    def _allowed(
        self, tx: Transaction, mode: str, now: Instant, done: Sent, due: list[Send], *, own: bool
    ) -> Iterator[tuple[Send, Message, Instant]]:
        """Each due send that may go, its message and its instant; the others are moved on."""
        if not due:
            return
        version = self._worlds.newest(tx)
        world = self._worlds.now(tx)
        rows = tx.states.load(sorted({send.customer for send in due}))
        people = _people(tx, due)
        breaker = _Breaker(tx, world.programme.policy)
        renderer = self._renderer_of(tx, version)
        listed = [
            address.lower() for address in self._worlds.compiled(tx, version).shop.test_addresses
        ]
        for send in due:
            at = max(send.decided_at, send.not_before) if own else now
            row = rows.get(send.customer)
            state = decode(row.blob) if row is not None else State()
            moved = row is None or row.version != send.state_version
            verdict = judge_again(intent_of(send), state, world, at, moved=moved and not own)
            if isinstance(verdict, Defer):
                tx.outbox.move(
                    send.key, QUEUED, at, reason=verdict.reason, not_before=verdict.until
                )
                done.put_off += 1
                done.tell(send, QUEUED, verdict.reason)
                continue
            reason = _denied(send, verdict) if isinstance(verdict, Deny) else ""
            person = people[send.key]
            reason = reason or self._address_reason(send, person, mode, listed)
            if not reason and mode == LIVE:
                reason = breaker.reason(send, at)
            if reason:
                tx.outbox.move(send.key, DROPPED, at, reason=reason)
                done.dropped += 1
                done.tell(send, DROPPED, reason)
                continue
            try:
                message = renderer.render(send, state, world, person, at)
            except Refusal as refusal:
                tx.outbox.move(send.key, DROPPED, at, reason=f"template: {refusal.what}")
                done.failed += 1
                done.tell(send, DROPPED, NOT_FILLED_IN)
                continue
            yield send, message, at

    def _due(
        self, tx: Transaction, mode: str, now: Instant, limit: int, shards: Collection[int] | None
    ) -> list[Send]:
        """What is due longest; nothing of channels that rest, one message of one that tries."""
        if mode == REHEARSE:
            return tx.outbox.queued(now, limit, shards=shards)
        troubles = {name: t for name, t in troubles_of(tx).items() if name in self._channels}
        resting = [name for name, trouble in troubles.items() if trouble.until > now]
        if len(resting) < len(troubles):
            limit = min(limit, 1)
        for channel in self._channels.values():
            limit = min(limit, channel.at_once)
        room = self._room(tx, mode, now, limit)
        if room <= 0:
            return []
        return tx.outbox.queued(now, room, passing_by=resting, shards=shards)

    def _address_reason(
        self, send: Send, person: Mapping[str, object], mode: str, listed: Sequence[str]
    ) -> str:
        """Why the address cannot be used in this mode; the mailbox takes every one."""
        if self._channel_of(send, mode) is self._mailbox:
            return ""
        address = str(person.get("phone" if send.channel == "sms" else "email") or "")
        if not address or address.endswith(NO_ADDRESS):
            return "no-address"
        return "not-listed" if mode == TEST and address.lower() not in listed else ""

    def _room(self, tx: Transaction, mode: str, now: Instant, limit: int) -> int:
        """How many messages may be claimed now: start-up is throttled in the first day."""
        live_since = tx.meta.get("live_since")
        if mode != LIVE or live_since is None or now >= live_since + DAY:
            return limit
        policy = self._worlds.compiled(tx, self._worlds.newest(tx)).programme.policy
        gone = sum(tx.outbox.sent_since(now - HOUR).values())
        return max(min(limit, policy.startup_per_hour - gone), 0)

    def _channel_of(self, send: Send, mode: str) -> Channel:
        if mode == REHEARSE:
            return self._mailbox
        return self._channels.get(send.channel, self._mailbox)

    # --- settling ---------------------------------------------------------------------------

    def _settle(self, some: Sequence[Claimed], results: Sequence[Result], done: Sent) -> None:
        """Write down what one channel answered; that an address is no one's goes into the log."""
        tells = any(_is_no_recipient(result) for result in results)
        with self._store.write() if tells else self._store.work(_BESIDE) as tx:
            for one, result in zip(some, results, strict=True):
                moves = settle(tx, one.send, result, one.item.at, one.item.at + done.lasted)
                for move in moves:
                    done.tell(one.send, move.status, move.reason)
                done.sent += result.status == SENT
                done.unknown += result.status == UNKNOWN
                done.failed += result.status == FAILED
                done.put_off += result.status == QUEUED
            if some[0].channel is not self._mailbox:
                name = some[0].send.channel
                _note_troubles(tx, name, results, some[0].item.at + done.lasted)

    # --- recovery ---------------------------------------------------------------------------

    def _recover(
        self, sends: Sequence[Send], answers: Mapping[str, Result | None] | None, now: Instant
    ) -> None:
        """Move on what was left claimed, by what its channel says of it or else by its class."""
        with self._store.work(_BESIDE) as tx:
            for send in sends:
                answer = answers.get(send.key) if answers is not None else None
                if not tx.outbox.move(send.key, UNKNOWN, now, reason=CRASH):
                    continue  # a receipt came meanwhile
                if answers is None:
                    _carry(tx, send, in_doubt(send, now), now)
                elif answer is None:
                    tx.outbox.move(send.key, QUEUED, now, reason=NEVER_WENT_OUT)
                else:
                    tx.outbox.move(send.key, answer.status, now, provider_id=answer.provider_id)

    def _named(self, name: str) -> Channel | None:
        """The channel of that name: a claimed send bears it, for the mode may have changed."""
        if not name:
            return self._mailbox  # claimed by a release that knew no other
        known = (self._mailbox, *self._channels.values())
        return next((channel for channel in known if channel.name == name), None)


def _by_channel(claimed: Sequence[Claimed]) -> list[tuple[Channel, list[Claimed]]]:
    groups: dict[tuple[int, str], list[Claimed]] = {}
    for one in claimed:
        groups.setdefault((id(one.channel), one.send.channel), []).append(one)
    return [(some[0].channel, some) for some in groups.values()]


def _denied(send: Send, verdict: Deny) -> str:
    """Why it is dropped: one that waited for a server was useful when it was first tried."""
    waited = send.attempts or send.reason.partition(": ")[0] in SEND_REASONS
    return RAN_OUT if verdict.reason == "too-late" and waited else verdict.reason


def _narrowed(tx: Transaction, lease: Lease | None) -> Collection[int] | None:
    """To which shards look-ups are narrowed; None where the lease has all of them."""
    return None if lease is None or len(lease.tokens) == tx.shards.count else lease.tokens


def _people(tx: Transaction, due: Sequence[Send]) -> dict[str, dict[str, object]]:
    """By key of the send what names its customer and its parcel; the later part of a union wins.

    The addresses by which the customer is known, what the customer told, what the event behind the
    message told, and who carries the parcel.
    """
    customers = sorted({send.customer for send in due})
    refs, told = tx.identities.refs_of_many(customers), tx.personal.of_many(customers)
    causes = {send.key: int(send.values.get("cause") or 0) for send in due}
    positions = sorted(set(causes.values()) - {0})
    entries, personal = tx.ledger.entries(positions), tx.personal.of_events(positions)
    people: dict[str, dict[str, object]] = {}
    for send in due:
        person: dict[str, object] = {
            ref.kind: ref.value
            for ref in reversed(refs[send.customer])
            if ref.kind in {"email", "phone"}
        }
        person |= told[send.customer]
        cause = causes[send.key]
        if cause:
            entry = entries.get(cause)
            person["carrier"] = getattr(entry.body, "carrier", "") if entry is not None else ""
            person |= personal[cause]
        people[send.key] = person
    return people


def mode_of(tx: Transaction) -> str:
    """The mode of the installation; a new one rehearses."""
    return str(tx.meta.get("mode") or REHEARSE)


def settle(
    tx: Transaction, send: Send, result: Result, claimed_at: Instant, now: Instant
) -> Sequence[Move]:
    """Write down what the provider said of that claim; a receipt that came earlier stands.

    Where the claim was lost meanwhile to another worker, only that it went out still counts. What
    followed for the send.
    """
    if result.status in {QUEUED, FAILED}:
        kept = tx.outbox.get(send.key)
        if kept is None or (kept.status, kept.status_at) != (CLAIMED, claimed_at):
            return ()
    moves = settled(send, result, now)
    _carry(tx, send, moves, now)
    if _is_no_recipient(result):
        _tell_of_bounce(tx, send, now)
    return moves


def _is_no_recipient(result: Result) -> bool:
    return result.reason.partition(": ")[0] == NO_RECIPIENT


def _carry(tx: Transaction, send: Send, moves: Sequence[Move], at: Instant) -> None:
    for move in moves:
        tx.outbox.move(
            send.key,
            move.status,
            at,
            reason=move.reason,
            provider_id=move.provider_id,
            not_before=move.not_before,
            tried=move.tried,
            repeated=move.repeated,
        )


def _tell_of_bounce(tx: Transaction, send: Send, at: Instant) -> None:
    """Let decisions know that the address is no one's: only an event can."""
    body = encode_body(MessageEvent(message=send.key, channel=send.channel, kind="hard"))
    name = f"refused:{send.key}"
    customer = tx.identities.living(send.customer)
    entry = own_entry("message.bounced", name, body, at, customer=customer)
    if not tx.ledger.seen([entry.key]):
        tx.ledger.append([entry])


def troubles_of(tx: Transaction) -> dict[str, Trouble]:
    """Channels that take nothing at the moment, and why."""
    kept: dict[str, dict[str, object]] = tx.meta.get(_TROUBLES) or {}
    return {name: msgspec.convert(told, Trouble) for name, told in kept.items()}


def _note_troubles(tx: Transaction, channel: str, results: Sequence[Result], at: Instant) -> None:
    """Let a channel rest that took nothing, and go on with one that took something."""
    tx.meta.get(_TROUBLES, hold=True)
    troubles = troubles_of(tx)
    whole = next((result for result in results if result.whole), None)
    took = any(not result.whole and result.tried for result in results)
    if whole is not None and not took:
        troubles[channel] = troubled(troubles.get(channel), whole.reason, at)
    elif not took or troubles.pop(channel, None) is None:
        return
    tx.meta.set(_TROUBLES, msgspec.to_builtins(troubles))


class _Breaker:
    """Stops a journey whose last hour exceeds a multiple of its busiest expected hour."""

    def __init__(self, tx: Transaction, policy: Policy) -> None:
        self._tx = tx
        self._policy = policy
        self._tripped: dict[str, Instant] = tx.meta.get("tripped") or {}
        self._expected: dict[str, int] = tx.meta.get("expected_hour") or {}
        self._gone: dict[Instant, dict[str, int]] = {}

    def reason(self, send: Send, at: Instant) -> str:
        """Why it must not go at that instant; empty where it may."""
        if send.journey in self._tripped:
            return "breaker"
        if at not in self._gone:
            self._gone[at] = self._tx.outbox.sent_since(at - HOUR)
        expected = self._policy.breaker * self._expected.get(send.journey, 0)
        if self._gone[at].get(send.journey, 0) < max(self._policy.breaker_floor, expected):
            return ""
        self._tripped = {**self._tripped, send.journey: at}
        self._tx.meta.set("tripped", self._tripped)
        return "breaker"


def intent_of(send: Send) -> Intent:
    """The message of an outbox row, as gates judge it."""
    return Intent(
        send.journey,
        "",
        send.version,
        send.run,
        send.step,
        1,
        send.template,
        send.channel,
        send.purpose,
        send.decided_at,
        send.useful_until or 1 << 62,
        benefit="decided",
        evidence=True,
        product=str(send.values.get("product") or ""),
        order=str(send.values.get("order") or ""),
        shop=send.shop,
    )
