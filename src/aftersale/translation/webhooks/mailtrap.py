"""What do Mailtrap's webhooks say?

docs: api-docs.mailtrap.io/docs/mailtrap-api-docs, section webhooks.
"""

from collections.abc import Iterator

from aftersale.translation.foreign import Tree, first, moment_in, part, parts, text
from aftersale.translation.happening import Delivery, Part, Passed
from aftersale.translation.mail import SOFT, blame, our_key, receipt

_PLAIN = {
    "delivery": "message.delivered",
    "open": "message.opened",
    "click": "message.clicked",
    "spam": "message.complained",
    "unsubscribe": "message.unsubscribed",
    "soft bounce": "message.bounced",
    "bounce": "message.bounced",
    "reject": "message.failed",
    "suspension": "message.failed",
}


def translate(delivery: Delivery) -> Iterator[Part]:
    """One happening for each event."""
    found = delivery.content()
    if not isinstance(found, dict) or "events" not in found:
        yield Passed("unknown")
        return
    for event in parts(found, "events"):
        yield _event(event)


def _event(event: Tree) -> Part:
    name = text(event, "event")
    kind = _PLAIN.get(name, "")
    if not kind:
        return Passed("unknown", name)
    detail = first(event, "response", "reason")
    bounce = name if kind == "message.failed" else ""
    if kind == "message.bounced":
        bounce = SOFT if name == "soft bounce" else blame(detail, hard=True)
    return receipt(
        kind,
        moment_in(event, "timestamp"),
        text(event, "email"),
        (our_key(part(event, "custom_variables")), text(event, "message_id")),
        id=f"{text(event, 'event_id')}:{name}" if text(event, "event_id") else "",
        bounce=bounce,
        detail=detail,
        link=text(event, "url"),
    )
