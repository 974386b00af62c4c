"""What do Mailjet's Event API and Parse API say?

docs: dev.mailjet.com/email/guides/webhooks. `sent` means that the recipient's server took it.
"""

from collections.abc import Iterator

from aftersale.translation.foreign import (
    Tree,
    Unreadable,
    at,
    first,
    flag,
    json_of,
    moment,
    moment_in,
    part,
    text,
)
from aftersale.translation.happening import Delivery, Part, Passed
from aftersale.translation.mail import HARD, SOFT, letter, our_key, receipt

_PLAIN = {
    "sent": "message.delivered",
    "open": "message.opened",
    "click": "message.clicked",
    "spam": "message.complained",
    "unsub": "message.unsubscribed",
}


def translate(delivery: Delivery) -> Iterator[Part]:
    """One happening for each event, grouped or not."""
    found = delivery.content()
    if isinstance(found, dict) and "event" not in found and "Sender" in found:
        headers = part(found, "Headers")
        yield letter(
            moment(at(headers, "Date")),
            first(found, "From", "Sender"),
            text(headers, "Message-ID"),
            subject=text(found, "Subject"),
            body=text(found, "Text-part"),
        )
        return
    for event in found if isinstance(found, list) else [found]:
        yield _event(event) if isinstance(event, dict) else Passed("unknown")


def _event(event: Tree) -> Part:
    name = text(event, "event")
    kind, bounce = _PLAIN.get(name, ""), ""
    detail = " ".join(filter(None, (text(event, "error_related_to"), text(event, "error"))))
    if name == "bounce":
        kind, bounce = "message.bounced", HARD if flag(event, "hard_bounce") else SOFT
    elif name == "blocked":
        kind, bounce = "message.failed", "blocked"
        if text(event, "error") == "preblocked":
            kind, bounce = "message.bounced", HARD
    if not kind:
        return Passed("unknown", name)
    return receipt(
        kind,
        moment_in(event, "time"),
        text(event, "email"),
        (
            our_key(event, _payload(event)),
            text(event, "CustomID") if ":" in text(event, "CustomID") else "",
            first(event, "MessageID", "mj_message_id"),
        ),
        bounce=bounce,
        detail=detail,
        link=text(event, "url"),
    )


def _payload(event: Tree) -> Tree:
    """What the sender of the message put beside it, where that is an object."""
    try:
        return part(json_of(text(event, "Payload")))
    except Unreadable:
        return {}
