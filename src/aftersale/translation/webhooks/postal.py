"""What do the webhooks of a Postal server say?

docs: docs.postalserver.io/developer/webhooks.
"""

from collections.abc import Iterator

from aftersale.translation.foreign import Tree, first, moment_in, part, text
from aftersale.translation.happening import Delivery, Part, Passed
from aftersale.translation.mail import SOFT, blame, receipt

_PLAIN = {
    "MessageSent": "message.delivered",
    "MessageLoaded": "message.opened",
    "MessageLinkClicked": "message.clicked",
    "MessageDelayed": "message.bounced",
    "MessageBounced": "message.bounced",
    "MessageDeliveryFailed": "message.bounced",
    "MessageHeld": "message.failed",
}


def translate(delivery: Delivery) -> Iterator[Part]:
    """One happening a request."""
    found = delivery.content()
    name, told = text(found, "event"), part(found, "payload")
    message = part(told, "original_message") or part(told, "message")
    kind = _PLAIN.get(name, "")
    if name.startswith(("Domain", "SendLimit")):
        yield Passed("no-fact", name)
    elif not kind:
        yield Passed("unknown", name)
    elif text(message, "direction") == "incoming":
        yield Passed("not-for-us", "a mail to the shop that the server could not hand on")
    else:
        yield _event(kind, name, found, told, message)


def _event(kind: str, name: str, found: Tree, told: Tree, message: Tree) -> Part:
    detail = " ".join(filter(None, (text(told, "details"), text(told, "output"))))
    bounce = "held" if kind == "message.failed" else ""
    if kind == "message.bounced":
        bounce = blame(detail, hard=name == "MessageDeliveryFailed")
        if name == "MessageDelayed":
            bounce = SOFT
    return receipt(
        kind,
        moment_in(told, "timestamp") or moment_in(found, "timestamp"),
        text(message, "to"),
        (text(message, "message_id"), text(message, "token")),
        id=text(found, "uuid"),
        bounce=bounce,
        detail=detail,
        link=first(told, "url"),
    )
