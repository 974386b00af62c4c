"""What do Brevo's webhooks (once Sendinblue) say?

docs: developers.brevo.com/docs/transactional-webhooks.
"""

from collections.abc import Iterator

from aftersale.translation.foreign import (
    Tree,
    at,
    first,
    moment,
    moment_in,
    part,
    parts,
    text,
)
from aftersale.translation.happening import Delivery, Part, Passed
from aftersale.translation.mail import HARD, SOFT, blame, letter, our_key, receipt

_PLAIN = {
    "request": ("message.sent", ""),
    "delivered": ("message.delivered", ""),
    "opened": ("message.opened", ""),
    "unique_opened": ("message.opened", ""),
    "click": ("message.clicked", ""),
    "hard_bounce": ("message.bounced", HARD),
    "soft_bounce": ("message.bounced", SOFT),
    "deferred": ("message.bounced", SOFT),
    "invalid_email": ("message.bounced", HARD),
    "invalid": ("message.bounced", HARD),
    "blocked": ("message.failed", "blocked"),
    "error": ("message.failed", "error"),
    "spam": ("message.complained", ""),
    "complaint": ("message.complained", ""),
    "unsubscribed": ("message.unsubscribed", ""),
    "unsubscribe": ("message.unsubscribed", ""),
}
_MACHINES = {"proxy_open", "unique_proxy_open", "loaded_by_proxy"}


def translate(delivery: Delivery) -> Iterator[Part]:
    """One happening for each event, and for each mail that came in."""
    found = delivery.content()
    if isinstance(found, dict) and "items" in found:
        for mail in parts(found, "items"):
            yield letter(
                moment(at(mail, "SentAtDate")),
                text(mail, "From", "Address"),
                text(mail, "MessageId"),
                subject=text(mail, "Subject"),
                body=first(mail, "ExtractedMarkdownMessage", "RawTextBody"),
            )
        return
    for event in found if isinstance(found, list) else [found]:
        yield _event(part(event))


def _event(event: Tree) -> Part:
    name = text(event, "event")
    if name in _MACHINES:
        return Passed("machine", "opened by a mail program")
    if name in {"list_addition", "contact_updated", "contact_deleted"}:
        return Passed("no-fact", name)
    kind, bounce = _PLAIN.get(name, ("", ""))
    if not kind:
        return Passed("unknown", name)
    detail = text(event, "reason")
    if bounce == HARD and name == "hard_bounce":
        bounce = blame(detail, hard=True)
    return receipt(
        kind,
        moment_in(event, "ts_epoch", "ts_event", "ts", "date_event"),
        text(event, "email"),
        (_key(event), first(event, "message-id", "message_id")),
        bounce=bounce,
        detail=detail,
        link=first(event, "link", "URL"),
    )


def _key(event: Tree) -> str:
    """Our key, where the message carried it in Brevo's own header."""
    custom = text(event, "X-Mailin-custom")
    return our_key(event) or (custom if custom.count(":") >= 6 else "")
