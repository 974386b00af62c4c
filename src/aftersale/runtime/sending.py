"""How does a decided message go out, once?

The claim commits before the channel is called, and judges again. After the call the send is
settled. A crash in between leaves a claimed row: at the next start the channel is asked what
became of it; where it cannot say, the send is `unknown` and shown.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from aftersale.delivery.channel import Channel, Outgoing, Result
from aftersale.delivery.ports import CLAIMED, DROPPED, FAILED, QUEUED, SENT, UNKNOWN, Send
from aftersale.gates.policy import Policy
from aftersale.gates.standing import Intent
from aftersale.gates.verdict import Defer, Deny
from aftersale.kernel.errors import Refusal
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import DAY, HOUR, Instant
from aftersale.programme.ports import Store, Transaction
from aftersale.runtime.rendering import NO_ADDRESS, Renderer
from aftersale.runtime.worlds import Worlds
from aftersale.turn.again import judge_again
from aftersale.turn.shards import Lease
from aftersale.turn.state import State, decode

REHEARSE, TEST, LIVE, STOPPED = MODES = ("rehearse", "test", "live", "stopped")

BATCH = 500

_BESIDE = Lease()
"""What is known of a send is written down whoever holds its customer by then."""


class Sent(msgspec.Struct, frozen=True):
    """What one round of sending did."""

    sent: int = 0
    dropped: int = 0
    failed: int = 0
    unknown: int = 0
    claimed: int = 0


RendererOf = Callable[[Transaction, int], Renderer]
"""The renderer of a programme version."""


class Sending:
    """Claims, composes, hands over and settles the messages of one store."""

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
        self._waiting: dict[str, Instant] = {}
        """Keys that were put off at the claim, and until when; only to pass them by meanwhile."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that reach customers; what goes by another one is caught by the mailbox."""
        return tuple(sorted(self._channels))

    def recover(self, now: Instant, *, lease: Lease | None = None) -> int:
        """Settle what a crash left claimed of the lease's shards (None: of all); how many rows."""
        with self._store.work(lease) as tx:
            claimed = tx.outbox.in_state(CLAIMED, limit=100_000, shards=_narrowed(tx, lease))
            mode = mode_of(tx)
        count = 0
        for channel, sends in self._by_channel(claimed, mode):
            answers = channel.look_up([send.key for send in sends])
            with self._store.work(_BESIDE) as tx:
                for send in sends:
                    count += 1
                    tx.outbox.move(send.key, UNKNOWN, now, reason="crash")
                    if answers is None:
                        continue
                    answer = answers.get(send.key)
                    if answer is None:
                        tx.outbox.move(send.key, QUEUED, now, reason="never-went-out")
                    else:
                        tx.outbox.move(send.key, answer.status, now, provider_id=answer.provider_id)
        return count

    def round(
        self, now: Instant, *, own: bool = False, limit: int = BATCH, lease: Lease | None = None
    ) -> Sent:
        """Send what is queued by `now`; with a driven clock each at the instant it was decided.

        `lease`: to whose customers, None: to all.
        """
        with self._store.work(lease) as tx:
            mode = mode_of(tx)
            if mode == STOPPED:
                return Sent()
            if mode == LIVE:
                tx.meta.get("tripped", hold=True)  # what several workers claim is counted together
            room = self._room(tx, mode, now, limit)
            queued = self._queued(tx, now, room, _narrowed(tx, lease)) if room > 0 else []
            outgoing, dropped, failed = self._claim(tx, mode, now, queued, own=own)
        sent = unknown = 0
        by_key = {send.key: (send, item) for send, item in outgoing}
        for channel, sends in self._by_channel([send for send, _ in outgoing], mode):
            results = channel.send([by_key[send.key][1] for send in sends])
            with self._store.work(_BESIDE) as tx:
                for send, result in zip(sends, results, strict=True):
                    at = by_key[send.key][1].at
                    settle(tx, send, result, at)
                    sent += result.status == SENT
                    unknown += result.status == UNKNOWN
                    failed += result.status == FAILED
        return Sent(sent, dropped, failed, unknown, len(outgoing))

    def _claim(
        self, tx: Transaction, mode: str, now: Instant, queued: list[Send], *, own: bool
    ) -> tuple[list[tuple[Send, Outgoing]], int, int]:
        if not queued:
            return [], 0, 0
        version = self._worlds.newest(tx)
        world = self._worlds.now(tx)
        rows = tx.states.load(sorted({send.customer for send in queued}))
        people = tx.personal.of_many(sorted({send.customer for send in queued}))
        renderer = self._renderer_of(tx, version)
        listed = [
            address.lower() for address in self._worlds.compiled(tx, version).shop.test_addresses
        ]
        outgoing: list[tuple[Send, Outgoing]] = []
        dropped = failed = 0
        for send in queued:
            at = send.decided_at if own else now
            row = rows.get(send.customer)
            state = decode(row.blob) if row is not None else State()
            moved = row is None or row.version != send.state_version
            verdict = judge_again(intent_of(send), state, world, at, moved=moved and not own)
            if isinstance(verdict, Defer):
                self._waiting[send.key] = verdict.until
                continue
            reason = verdict.reason if isinstance(verdict, Deny) else ""
            person = {
                **_addresses(tx, send.customer),
                **people.get(send.customer, {}),
                **_told_by(tx, int(send.values.get("cause") or 0)),
            }
            reason = reason or self._address_reason(send, person, mode, listed)
            reason = reason or breaker_reason(tx, send, world.programme.policy, mode, at)
            if reason:
                tx.outbox.move(send.key, DROPPED, at, reason=reason)
                dropped += 1
                continue
            try:
                message = renderer.render(send, state, world, person, at)
            except Refusal as refusal:
                tx.outbox.move(send.key, DROPPED, at, reason=f"template: {refusal.what}")
                failed += 1
                continue
            tx.outbox.move(send.key, CLAIMED, at)
            outgoing.append((send, Outgoing(send.customer, message, at, send.channel)))
        return outgoing, dropped, failed

    def _queued(
        self, tx: Transaction, now: Instant, limit: int, shards: Collection[int] | None
    ) -> list[Send]:
        """The oldest queued sends, those passed by that wait for a later instant."""
        self._waiting = {key: until for key, until in self._waiting.items() if until > now}
        found = tx.outbox.queued(now, limit + len(self._waiting), shards=shards)
        return [send for send in found if send.key not in self._waiting][:limit]

    def _address_reason(
        self, send: Send, person: Mapping[str, object], mode: str, listed: Sequence[str]
    ) -> str:
        """Why the address cannot be used in this mode; the mailbox takes every one."""
        if mode == REHEARSE or self._channels.get(send.channel, self._mailbox) is self._mailbox:
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

    def _by_channel(self, sends: Sequence[Send], mode: str) -> list[tuple[Channel, list[Send]]]:
        groups: dict[str, list[Send]] = {}
        for send in sends:
            groups.setdefault("" if mode == REHEARSE else send.channel, []).append(send)
        return [
            (self._channels.get(name, self._mailbox) if name else self._mailbox, rows)
            for name, rows in groups.items()
        ]


def _narrowed(tx: Transaction, lease: Lease | None) -> Collection[int] | None:
    """To which shards look-ups are narrowed; None where the lease has all of them."""
    return None if lease is None or len(lease.tokens) == tx.shards.count else lease.tokens


def _addresses(tx: Transaction, customer: CustomerId) -> dict[str, object]:
    """The addresses by which the customer is known, where no event told one to be reached at."""
    return {
        ref.kind: ref.value
        for ref in reversed(tx.identities.refs_of(customer))
        if ref.kind in {"email", "phone"}
    }


def _told_by(tx: Transaction, position: int) -> dict[str, object]:
    """What the event behind a message told: its personal part, and who carries the parcel."""
    if not position:
        return {}
    entries = tx.ledger.read(position - 1, 1, upto=position)
    carrier = getattr(entries[0].body, "carrier", "") if entries else ""
    return {"carrier": carrier, **tx.personal.of_event(position)}


def mode_of(tx: Transaction) -> str:
    """The mode of the installation; a new one rehearses."""
    return str(tx.meta.get("mode") or REHEARSE)


def settle(tx: Transaction, send: Send, result: Result, at: Instant) -> None:
    """Write down what the provider said; a receipt that came earlier stands."""
    tx.outbox.move(
        send.key, result.status, at, reason=result.reason, provider_id=result.provider_id
    )


def breaker_reason(tx: Transaction, send: Send, policy: Policy, mode: str, now: Instant) -> str:
    """Stop a journey whose last hour exceeds a multiple of its busiest expected hour."""
    if mode != LIVE:
        return ""
    tripped: dict[str, Instant] = tx.meta.get("tripped") or {}
    if send.journey in tripped:
        return "breaker"
    expected: dict[str, int] = tx.meta.get("expected_hour") or {}
    most = max(policy.breaker_floor, policy.breaker * expected.get(send.journey, 0))
    if tx.outbox.sent_since(now - HOUR).get(send.journey, 0) < most:
        return ""
    tx.meta.set("tripped", {**tripped, send.journey: now})
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
