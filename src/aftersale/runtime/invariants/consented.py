"""No message was decided against the customer's word as the ledger tells it.

Independent of gates and profile: consent is read from the events themselves, those that had
arrived by the decision, the latest by event time, of two at one instant the refusal.
"""

from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter

from aftersale.delivery.ports import Send
from aftersale.events.event import Entry
from aftersale.events.vocabulary import ConsentEvent, MessageEvent
from aftersale.programme.ports import Transaction
from aftersale.runtime.invariants.finding import Violation
from aftersale.runtime.worlds import Worlds

NAME = "consented"


def check(tx: Transaction, worlds: Worlds) -> Iterator[Violation]:
    """Each message for a purpose that needs consent has a yes as its customer's latest word."""
    version = tx.deployments.latest()
    if version is None:
        return
    policy = worlds.compiled(tx, version.version).programme.policy
    sends: dict[int, list[Send]] = {}
    for send in tx.outbox.all():
        if send.kind == "message" and send.purpose in policy.consent_purposes:
            sends.setdefault(tx.identities.living(send.customer), []).append(send)
    causes = dict(tx.decisions.read_upto())
    for customer, entries in groupby(
        tx.ledger.of_customers(1, tx.identities.last()), key=attrgetter("customer")
    ):
        if customer not in sends:
            continue
        words = [entry for entry in entries if _word(entry) is not None]
        for send in sends.pop(customer):
            read = causes.get((send.customer, send.seq), 0)
            known = [entry for entry in words if entry.position <= read]
            if not _allowed(known, f"{send.channel}/{send.purpose}"):
                yield Violation(NAME, "its customer had not allowed it", send.key)
    for left in sends.values():
        for send in left:
            yield Violation(NAME, "its customer never gave any word", send.key)


def _word(entry: Entry) -> tuple[str, bool] | None:
    body = entry.body
    if isinstance(body, ConsentEvent):
        return f"{body.channel}/{body.purpose}", entry.type == "consent.given"
    if entry.type == "message.unsubscribed" and isinstance(body, MessageEvent):
        return f"{body.channel}/{body.kind or 'marketing'}", False
    return None


def _allowed(words: list[Entry], key: str) -> bool:
    found = [
        (entry.at, not given)
        for entry in words
        for k, given in [_word(entry) or ("", False)]
        if k == key
    ]
    return bool(found) and not max(found)[1]
