"""What does Amazon SES say, by Amazon SNS or directly?

docs: docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html. SNS wraps the
event as a text in a text; with raw delivery the event itself comes.
"""

from collections.abc import Iterator

from aftersale.kernel.instants import Instant
from aftersale.translation.foreign import (
    Tree,
    Unreadable,
    body_of,
    first,
    headers_of,
    json_of,
    moment_in,
    part,
    parts,
    text,
)
from aftersale.translation.happening import Delivery, Part, Passed
from aftersale.translation.mail import SOFT, blame, letter, our_key, receipt

_PLAIN = {
    "Send": "message.sent",
    "Delivery": "message.delivered",
    "Open": "message.opened",
    "Click": "message.clicked",
    "Complaint": "message.complained",
    "Reject": "message.failed",
    "Rendering Failure": "message.failed",
    "Subscription": "message.unsubscribed",
}
_PARTS = {
    "DeliveryDelay": ("deliveryDelay", "delayedRecipients"),
    "Rendering Failure": ("failure", ""),
    "Bounce": ("bounce", "bouncedRecipients"),
    "Complaint": ("complaint", "complainedRecipients"),
}
"""Type → the part that tells of it, and the list of whom it concerns in there."""


def translate(delivery: Delivery) -> Iterator[Part]:
    """One happening for each recipient."""
    found = body_of(delivery.body, "application/json")
    wrapped = text(found, "Type")
    if wrapped == "SubscriptionConfirmation":
        yield Passed("to-confirm")
        return
    if wrapped == "UnsubscribeConfirmation":
        yield Passed("set-up", wrapped)
        return
    event = found
    if wrapped == "Notification":
        try:
            event = json_of(text(found, "Message"))
        except Unreadable:
            yield Passed("unknown", "a notification that is no event")
            return
    yield from _event(part(event), text(found, "MessageId"), moment_in(found, "Timestamp"))


def _event(event: Tree, own: str, sent_at: Instant | None) -> Iterator[Part]:
    name = first(event, "eventType", "notificationType")
    mail = part(event, "mail")
    if name == "Received":
        yield _letter(event, mail)
        return
    place, listed = _PARTS.get(name, (name.lower(), ""))
    told = part(event, place)
    kind, bounce = _PLAIN.get(name, ""), ""
    if name == "DeliveryDelay":
        kind, bounce = "message.bounced", SOFT
    elif name == "Bounce":
        kind = "message.bounced"
    if not kind:
        yield Passed("unknown", name or "no type")
        return
    headers = headers_of(mail.get("headers"))
    names = (
        our_key(part(mail, "tags"), headers),
        headers.get("message-id", ""),
        text(mail, "messageId"),
    )
    when = moment_in(told, "timestamp") or sent_at or moment_in(mail, "timestamp")
    for recipient, said in _recipients(told, listed, mail):
        detail = said or first(told, "reason", "errorMessage", "smtpResponse")
        if name == "Bounce":
            bounce = blame(detail, hard=text(told, "bounceType") == "Permanent")
        yield receipt(
            kind,
            when,
            recipient,
            names,
            id=f"{own}:{recipient}" if own else "",
            bounce=bounce,
            kind=name.lower() if kind == "message.failed" else "",
            detail=detail,
            link=text(told, "link"),
        )


def _recipients(told: Tree, listed: str, mail: Tree) -> list[tuple[str, str]]:
    """Whom it concerns, and what the server said of each."""
    found = [
        (text(one, "emailAddress"), f"{text(one, 'status')} {text(one, 'diagnosticCode')}".strip())
        for one in (parts(told, listed) if listed else ())
    ]
    if not found:
        several = told.get("recipients") or mail.get("destination")
        found = [(one, "") for one in several or () if isinstance(one, str)]
    return found or [("", "")]


def _letter(event: Tree, mail: Tree) -> Part:
    common = part(mail, "commonHeaders")
    senders = common.get("from")
    sender = senders[0] if isinstance(senders, list) and senders else text(mail, "source")
    return letter(
        moment_in(mail, "timestamp"),
        str(sender),
        text(mail, "messageId"),
        subject=text(common, "subject"),
        body=text(event, "content"),
    )
