"""What do Mailgun's webhooks and its routes for incoming mail say?

docs: documentation.mailgun.com/docs/mailgun/user-manual/webhooks. Events before 2018 came flat and
as forms; Mailgun still sends them to old addresses.
"""

from collections.abc import Iterator

from aftersale.translation.foreign import (
    Tree,
    Unreadable,
    at,
    first,
    headers_of,
    json_of,
    moment,
    moment_in,
    part,
    text,
)
from aftersale.translation.happening import Delivery, Part, Passed
from aftersale.translation.mail import HARD, SOFT, blame, letter, our_key, receipt

_PLAIN = {
    "accepted": "message.sent",
    "delivered": "message.delivered",
    "opened": "message.opened",
    "clicked": "message.clicked",
    "unsubscribed": "message.unsubscribed",
    "complained": "message.complained",
    "spam": "message.complained",
    "rejected": "message.failed",
}
_SUPPRESSED = {
    "suppress-bounce": ("message.bounced", HARD),
    "suppress-complaint": ("message.complained", ""),
    "suppress-unsubscribe": ("message.unsubscribed", ""),
    "605": ("message.bounced", HARD),
    "606": ("message.unsubscribed", ""),
    "607": ("message.complained", ""),
}
"""Why Mailgun did not even try → what that says of the address; by code in the older form."""


def translate(delivery: Delivery) -> Iterator[Part]:
    """One happening a request."""
    found = delivery.content()
    event = part(found, "event-data")
    if event:
        yield _event(event, text(found, "signature", "token"))
    elif text(found, "event"):
        yield _older(found)
    elif text(found, "sender") or text(found, "from"):
        yield letter(
            moment(at(found, "timestamp")),
            first(found, "from", "From", "sender"),
            first(found, "Message-Id", "message-id") or _headers(found).get("message-id", ""),
            subject=first(found, "subject", "Subject"),
            body=first(found, "stripped-text", "body-plain"),
        )
    else:
        yield Passed("unknown")


def _event(event: Tree, token: str) -> Part:
    name, why = text(event, "event"), text(event, "reason")
    said = part(event, "delivery-status")
    detail = " ".join(
        filter(
            None, (text(said, "enhanced-code"), text(said, "message") or text(said, "description"))
        )
    ) or text(event, "reject", "reason")
    kind, bounce = _PLAIN.get(name, ""), ""
    if name == "failed":
        kind, bounce = "message.bounced", SOFT
        if text(event, "severity") == "permanent":
            bounce = blame(detail, hard=True)
            kind, bounce = _SUPPRESSED.get(why, (kind, bounce))
    if not kind:
        return Passed("unknown", name)
    headers = part(event, "message", "headers")
    return receipt(
        kind,
        moment_in(event, "timestamp"),
        text(event, "recipient") or text(headers, "to"),
        (our_key(part(event, "user-variables"), headers), text(headers, "message-id")),
        id=text(event, "id") or token,
        bounce=bounce,
        kind="rejected" if name == "rejected" else "",
        detail=detail,
        link=text(event, "url"),
    )


def _older(event: Tree) -> Part:
    name, code = text(event, "event"), text(event, "code")
    detail = first(event, "error", "description", "notification")
    kind, bounce = _PLAIN.get(name, ""), ""
    if name == "bounced":
        kind, bounce = "message.bounced", blame(f"{code} {detail}", hard=True)
    elif name == "dropped":
        kind, bounce = _SUPPRESSED.get(code, ("message.failed", "dropped"))
    if not kind:
        return Passed("unknown", name)
    headers = _headers(event)
    return receipt(
        kind,
        moment_in(event, "timestamp"),
        text(event, "recipient"),
        (our_key(event, headers), text(event, "Message-Id"), headers.get("message-id", "")),
        id=text(event, "token"),
        bounce=bounce,
        detail=detail,
        link=text(event, "url"),
    )


def _headers(event: Tree) -> dict[str, str]:
    try:
        return headers_of(json_of(text(event, "message-headers")))
    except Unreadable:
        return {}
