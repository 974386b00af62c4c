"""What does SendGrid's Event Webhook say, and its Inbound Parse?

docs: twilio.com/docs/sendgrid/for-developers/tracking-events/event
"""

from collections.abc import Iterator

from aftersale.translation.foreign import Tree, first, flag, json_of, moment_in, text
from aftersale.translation.foreign import Unreadable as NoJson
from aftersale.translation.happening import Delivery, Part, Passed
from aftersale.translation.mail import HARD, SOFT, blame, letter, our_key, receipt, resubscribed

_PLAIN = {
    "processed": "message.sent",
    "delivered": "message.delivered",
    "open": "message.opened",
    "click": "message.clicked",
    "spamreport": "message.complained",
    "unsubscribe": "message.unsubscribed",
    "group_unsubscribe": "message.unsubscribed",
}
_DROPPED = {
    "bounced address": ("message.bounced", HARD),
    "invalid": ("message.bounced", HARD),
    "unsubscribed address": ("message.unsubscribed", ""),
    "spam reporting address": ("message.complained", ""),
}
"""Why SendGrid did not even try → what that says of the address."""


def translate(delivery: Delivery) -> Iterator[Part]:
    """One happening for each event of the list; of the form of Inbound Parse one letter."""
    found = delivery.content()
    if isinstance(found, dict) and ("envelope" in found or "sender_ip" in found):
        yield _letter(found)
        return
    for event in found if isinstance(found, list) else [found]:
        yield _event(event) if isinstance(event, dict) else Passed("unknown")


def _event(event: Tree) -> Part:
    name = text(event, "event")
    kind, bounce = _PLAIN.get(name, ""), ""
    detail = first(event, "reason", "response")
    match name:
        case "deferred":
            kind, bounce = "message.bounced", SOFT
        case "bounce" if text(event, "type") == "blocked":
            kind, bounce = "message.failed", "blocked"
        case "bounce":
            kind, bounce = "message.bounced", blame(f"{text(event, 'status')} {detail}", hard=True)
        case "dropped":
            kind, bounce = _DROPPED.get(detail.lower(), ("message.failed", "dropped"))
        case "open" if flag(event, "sg_machine_open"):
            return Passed("machine", "opened by a mail program")
        case "group_resubscribe":
            at = moment_in(event, "timestamp")
            return resubscribed(at, text(event, "email"), text(event, "sg_event_id"))
        case _:
            pass
    if not kind:
        return Passed("unknown", name)
    return receipt(
        kind,
        moment_in(event, "timestamp"),
        text(event, "email"),
        (
            our_key(event),
            text(event, "sg_message_id").partition(".")[0],
            text(event, "smtp-id"),
        ),
        id=text(event, "sg_event_id"),
        bounce=bounce,
        detail=detail,
        link=text(event, "url"),
    )


def _letter(form: Tree) -> Part:
    try:
        sender = text(json_of(text(form, "envelope")), "from")
    except NoJson:
        sender = ""
    return letter(
        None,
        text(form, "from") or sender,
        "",
        subject=text(form, "subject"),
        body=first(form, "text", "html"),
    )
