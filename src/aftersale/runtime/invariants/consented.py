"""No message was decided against the customer's word as the ledger tells it.

Independent of gates and profile: consent is read from the events themselves, those that had
arrived by the decision, the latest by event time, of two at one instant the refusal.
"""

from collections.abc import Iterator

from aftersale.events.event import Entry
from aftersale.events.vocabulary import ConsentEvent, MessageEvent
from aftersale.programme.ports import Transaction
from aftersale.runtime.invariants.finding import Violation
from aftersale.runtime.invariants.sent import sent_for
from aftersale.runtime.worlds import Worlds
from aftersale.turn.decision import decision_name

NAME = "consented"


def check(tx: Transaction, worlds: Worlds) -> Iterator[Violation]:
    """Each message for a purpose that needs consent has a yes as its customer's latest word."""
    latest = tx.deployments.latest()
    if latest is None:
        return
    policy = worlds.compiled(tx, latest.version).programme.policy
    for entries, sends in sent_for(tx, policy.consent_purposes):
        words = [entry for entry in entries if _words(entry)]
        for send, read in sends:
            known = [entry for entry in words if entry.position <= read]
            if not _allowed(known, f"{send.channel}/{send.purpose}"):
                yield Violation(
                    NAME, "its customer had not allowed it", decision_name(send.customer, send.seq)
                )


def _words(entry: Entry) -> dict[str, bool]:
    """What the event says of `channel/purpose`: allowed or not."""
    body = entry.body
    if isinstance(body, ConsentEvent):
        return {f"{body.channel}/{body.purpose}": entry.type == "consent.given"}
    if entry.type == "message.unsubscribed" and isinstance(body, MessageEvent):
        return {f"{body.channel}/{name}": False for name in (body.kind, "marketing") if name}
    return {}


def _allowed(entries: list[Entry], key: str) -> bool:
    found = [
        (entry.at, not given)
        for entry in entries
        for name, given in _words(entry).items()
        if name == key
    ]
    return bool(found) and not max(found)[1]
