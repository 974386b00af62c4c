"""What do SparkPost's webhooks and relay webhooks say?

docs: developers.sparkpost.com/api/webhooks. A list of events, each in an envelope `msys`.
"""

from collections.abc import Iterator

from aftersale.translation.foreign import (
    Tree,
    first,
    flag,
    moment_in,
    part,
    text,
    whole,
)
from aftersale.translation.happening import Delivery, Part, Passed
from aftersale.translation.mail import HARD, SOFT, letter, our_key, receipt

_PLAIN = {
    "injection": "message.sent",
    "delivery": "message.delivered",
    "initial_open": "message.opened",
    "open": "message.opened",
    "amp_initial_open": "message.opened",
    "amp_open": "message.opened",
    "click": "message.clicked",
    "amp_click": "message.clicked",
    "spam_complaint": "message.complained",
    "list_unsubscribe": "message.unsubscribed",
    "link_unsubscribe": "message.unsubscribed",
    "bounce": "message.bounced",
    "out_of_band": "message.bounced",
    "delay": "message.bounced",
    "policy_rejection": "message.failed",
    "generation_failure": "message.failed",
    "generation_rejection": "message.failed",
}
_HARD = {10, 30, 90}
"""Classes of bounces that are the address's: no such recipient, and asked to be let alone."""
_FAILED = {25, 50, 51, 52, 53, 54}
"""Those that are a rule's: admin failure, blocks, spam, attachments, relaying."""
_PASSED = {60: "an automatic answer", 80: "an automatic answer", 100: "an automatic answer"}


def translate(delivery: Delivery) -> Iterator[Part]:
    """One happening for each event."""
    found = delivery.content()
    for item in found if isinstance(found, list) else [found]:
        envelope = part(item, "msys")
        if not envelope:
            yield Passed("set-up" if item and not isinstance(item, str) else "empty", "a ping")
        elif "relay_message" in envelope:
            yield _letter(part(envelope, "relay_message"))
        else:
            yield _event(part(envelope, next(iter(envelope))))


def _event(event: Tree) -> Part:
    name = text(event, "type")
    kind, bounce = _PLAIN.get(name, ""), ""
    if not kind:
        return Passed("no-fact" if name.startswith(("sms", "ab_test")) else "unknown", name)
    if kind == "message.opened" and flag(event, "initial_pixel"):
        return Passed("machine", "the first pixel, not the last")
    if kind == "message.failed":
        bounce = name
    if kind == "message.bounced":
        group = whole(event, "bounce_class")
        if group in _PASSED:
            return Passed("machine", _PASSED[group])
        bounce = HARD if group in _HARD and name != "delay" else SOFT
        if group in _FAILED and name != "delay":
            kind, bounce = "message.failed", "blocked"
    meta = part(event, "rcpt_meta")
    return receipt(
        kind,
        moment_in(event, "timestamp"),
        first(event, "rcpt_to", "raw_rcpt_to"),
        (our_key(meta), first(event, "message_id", "transmission_id")),
        id=text(event, "event_id"),
        bounce=bounce,
        detail=first(event, "raw_reason", "reason"),
        link=text(event, "target_link_url"),
    )


def _letter(told: Tree) -> Part:
    content = part(told, "content")
    return letter(
        None,
        first(told, "friendly_from", "msg_from"),
        "",
        subject=text(content, "subject"),
        body=text(content, "text"),
    )
