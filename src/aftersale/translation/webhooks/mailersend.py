"""What do MailerSend's webhooks say?

docs: developers.mailersend.com/api/v1/webhooks.html.
"""

from collections.abc import Iterator

from aftersale.translation.foreign import Tree, first, moment_in, part, text
from aftersale.translation.happening import Delivery, Part, Passed
from aftersale.translation.mail import SOFT, blame, letter, receipt

_PLAIN = {
    "sent": "message.sent",
    "delivered": "message.delivered",
    "soft_bounced": "message.bounced",
    "hard_bounced": "message.bounced",
    "deferred": "message.bounced",
    "opened": "message.opened",
    "opened_unique": "message.opened",
    "clicked": "message.clicked",
    "clicked_unique": "message.clicked",
    "unsubscribed": "message.unsubscribed",
    "spam_complaint": "message.complained",
}


def translate(delivery: Delivery) -> Iterator[Part]:
    """One happening a request."""
    found = delivery.content()
    name, told = text(found, "type"), part(found, "data")
    if name.startswith("inbound"):
        yield letter(
            moment_in(found, "created_at"),
            text(told, "from", "email") or text(told, "sender", "email"),
            text(told, "headers", "Message-ID") or text(told, "id"),
            subject=text(told, "subject"),
            body=first(told, "text", "html"),
        )
    elif name.startswith("activity."):
        yield _event(name.removeprefix("activity."), told, found)
    elif name:
        yield Passed("no-fact", name)
    else:
        yield Passed("unknown")


def _event(name: str, told: Tree, found: Tree) -> Part:
    kind = _PLAIN.get(name, "")
    if not kind:
        return Passed("no-fact" if name.startswith("survey") else "unknown", name)
    email, morph = part(told, "email"), part(told, "morph")
    detail = first(morph, "readable_reason", "reason")
    bounce = ""
    if kind == "message.bounced":
        bounce = blame(detail, hard=True) if name == "hard_bounced" else SOFT
    return receipt(
        kind,
        moment_in(told, "created_at") or moment_in(found, "created_at"),
        text(email, "recipient", "email"),
        (
            text(email, "headers", "x-aftersale-key"),
            text(email, "message", "id"),
            text(email, "id"),
        ),
        id=text(told, "id"),
        bounce=bounce,
        detail=detail,
        link=text(morph, "url"),
    )
