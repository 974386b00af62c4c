"""What do Mandrill's webhooks (Mailchimp Transactional) say?

docs: mailchimp.com/developer/transactional/docs/webhooks. A form with the events as JSON in the
field `mandrill_events`.
"""

from collections.abc import Iterator

from aftersale.translation.foreign import (
    Tree,
    Unreadable,
    at,
    first,
    json_of,
    moment,
    moment_in,
    part,
    text,
)
from aftersale.translation.happening import Delivery, Happening, Part, Passed
from aftersale.translation.mail import HARD, SOFT, blame, letter, our_key, receipt

_PLAIN = {
    "send": "message.sent",
    "delivered": "message.delivered",
    "open": "message.opened",
    "click": "message.clicked",
    "spam": "message.complained",
    "unsub": "message.unsubscribed",
}
_REJECTED = {
    "hard-bounce": ("message.bounced", HARD),
    "invalid": ("message.bounced", HARD),
    "spam": ("message.complained", ""),
    "unsub": ("message.unsubscribed", ""),
}
"""Why an address is on the list of rejections → what that says of it."""


def translate(delivery: Delivery) -> Iterator[Part]:
    """One happening for each event, and for each address put on the list of rejections."""
    found = delivery.content()
    if isinstance(found, dict) and "mandrill_events" in found:
        try:
            found = json_of(text(found, "mandrill_events"))
        except Unreadable:
            yield Passed("unreadable", "mandrill_events")
            return
    for event in found if isinstance(found, list) else [found]:
        if not isinstance(event, dict):
            yield Passed("unknown")
        elif text(event, "type") in {"blacklist", "whitelist"}:
            yield _listed(event)
        elif text(event, "event") == "inbound":
            yield _letter(event)
        else:
            yield _event(event)


def _event(event: Tree) -> Part:
    name, message = text(event, "event"), part(event, "msg")
    kind, bounce = _PLAIN.get(name, ""), ""
    detail = first(message, "diag", "bounce_description")
    match name:
        case "deferral" | "soft_bounce":
            kind, bounce = "message.bounced", SOFT
        case "hard_bounce":
            kind, bounce = "message.bounced", blame(detail, hard=True)
        case "reject":
            why = text(message, "reject", "reason") or text(message, "reject_reason")
            kind, bounce = _REJECTED.get(why, ("message.failed", "rejected"))
        case _:
            pass
    if not kind:
        return Passed("unknown", name)
    return receipt(
        kind,
        moment_in(event, "ts") or moment_in(message, "ts"),
        text(message, "email"),
        (our_key(part(message, "metadata")), text(message, "_id") or text(event, "_id")),
        bounce=bounce,
        detail=detail,
        link=text(event, "url"),
    )


def _listed(event: Tree) -> Part:
    entry = part(event, "reject") or part(event, "entry")
    email = text(entry, "email")
    if text(event, "type") == "whitelist" or text(event, "action") != "add":
        return Passed("no-fact", "a list of the provider was changed")
    if not email:
        return Passed("missing", "no recipient")
    when = moment(at(entry, "created_at"))
    kind, bounce = _REJECTED.get(text(entry, "reason"), ("consent.withdrawn", ""))
    if kind == "consent.withdrawn":
        return Happening(kind, when, {"email": email}, {"basis": "provider-list"})
    return receipt(kind, when, email, (), bounce=bounce)


def _letter(event: Tree) -> Part:
    message = part(event, "msg")
    return letter(
        moment_in(event, "ts"),
        text(message, "from_email"),
        text(message, "headers", "Message-Id"),
        subject=text(message, "subject"),
        body=text(message, "text"),
    )
