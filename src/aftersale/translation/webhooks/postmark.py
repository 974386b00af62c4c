"""What do Postmark's webhooks say?

docs: postmarkapp.com/developer/webhooks. Postmark gives its records no ids of their own: what they
say is what they are.
"""

from collections.abc import Iterator

from aftersale.translation.foreign import (
    Tree,
    first,
    flag,
    headers_of,
    moment_in,
    part,
    text,
)
from aftersale.translation.happening import Delivery, Part, Passed
from aftersale.translation.mail import HARD, SOFT, blame, letter, our_key, receipt, resubscribed

_PLAIN = {
    "Delivery": "message.delivered",
    "Open": "message.opened",
    "Click": "message.clicked",
    "SpamComplaint": "message.complained",
}
_HARD = {"HardBounce", "BadEmailAddress", "AddressChange", "ManuallyDeactivated", "InboundError"}
_SOFT = {"SoftBounce", "Transient", "DnsError", "MailboxFull", "AutoResponder"}
_SUPPRESSED = {
    "HardBounce": ("message.bounced", HARD),
    "SpamComplaint": ("message.complained", ""),
    "ManualSuppression": ("message.unsubscribed", ""),
}


def translate(delivery: Delivery) -> Iterator[Part]:
    """One happening a request."""
    found = delivery.content()
    record = text(found, "RecordType")
    if record in {"", "Inbound"} and (text(found, "From") or part(found, "FromFull")):
        yield letter(
            moment_in(found, "Date"),
            text(found, "FromFull", "Email") or text(found, "From"),
            text(found, "MessageID"),
            subject=text(found, "Subject"),
            body=first(found, "StrippedTextReply", "TextBody"),
        )
    elif record == "SubscriptionChange":
        yield _changed(part(found))
    else:
        yield _record(record, part(found))


def _record(record: str, told: Tree) -> Part:
    kind, bounce = _PLAIN.get(record, ""), ""
    detail = first(told, "Details", "Description")
    if record == "Bounce":
        kind, bounce = _bounce(text(told, "Type"), detail)
    if not kind:
        return Passed("unknown", record)
    return receipt(
        kind,
        moment_in(told, "DeliveredAt", "BouncedAt", "ReceivedAt"),
        first(told, "Recipient", "Email"),
        _names(told),
        bounce=bounce,
        detail=detail,
        link=text(told, "OriginalLink"),
    )


def _bounce(why: str, detail: str) -> tuple[str, str]:
    if why in _HARD:
        return "message.bounced", blame(detail, hard=True)
    if why in _SOFT:
        return "message.bounced", SOFT
    if why in {"SpamComplaint", "SpamNotification"}:
        return "message.complained", ""
    if why == "Unsubscribe":
        return "message.unsubscribed", ""
    return "message.failed", why.lower()


def _changed(told: Tree) -> Part:
    when, email = moment_in(told, "ChangedAt"), text(told, "Recipient")
    if not flag(told, "SuppressSending"):
        return resubscribed(when, email)
    why = text(told, "SuppressionReason")
    kind, bounce = _SUPPRESSED.get(why, ("message.unsubscribed", ""))
    return receipt(kind, when, email, _names(told), bounce=bounce)


def _names(told: Tree) -> tuple[str, ...]:
    headers = headers_of(told.get("Headers"))
    return our_key(part(told, "Metadata"), headers), text(told, "MessageID")
