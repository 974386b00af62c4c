"""What do the webhooks of Unisender Go say?

docs: godocs.unisender.ru/web-api-ref, section event-callback. Times are UTC without an offset.
"""

from collections.abc import Iterator

from aftersale.translation.foreign import Tree, first, moment_in, part, parts, text
from aftersale.translation.happening import Delivery, Part, Passed
from aftersale.translation.mail import SOFT, blame, our_key, receipt, resubscribed

_PLAIN = {
    "sent": "message.sent",
    "delivered": "message.delivered",
    "opened": "message.opened",
    "clicked": "message.clicked",
    "unsubscribed": "message.unsubscribed",
    "soft_bounced": "message.bounced",
    "hard_bounced": "message.bounced",
    "spam": "message.complained",
}


def translate(delivery: Delivery) -> Iterator[Part]:
    """One happening for each event, alone or by user."""
    found = delivery.content()
    if isinstance(found, dict) and "events_by_user" in found:
        for user in parts(found, "events_by_user"):
            for event in parts(user, "events"):
                yield _event(text(event, "event_name"), part(event, "event_data"))
    else:
        yield _event(text(found, "event_name"), part(found))


def _event(name: str, told: Tree) -> Part:
    if name != "transactional_email_status":
        return Passed("no-fact" if name == "transactional_spam_block" else "unknown", name)
    status, when = text(told, "status"), moment_in(told, "event_time")
    if status == "subscribed":
        return resubscribed(when, text(told, "email"))
    kind = _PLAIN.get(status, "")
    if not kind:
        return Passed("unknown", status)
    info = part(told, "delivery_info")
    detail, bounce = first(info, "destination_response"), ""
    if kind == "message.bounced":
        bounce = SOFT if status == "soft_bounced" else _blame(info, detail)
    elif status == "spam" and text(info, "delivery_status").startswith("err_spam"):
        kind, bounce = "message.failed", "spam"  # the server's word, not the person's
    return receipt(
        kind,
        when,
        text(told, "email"),
        (our_key(part(told, "metadata")), text(told, "job_id")),
        bounce=bounce,
        detail=detail,
        link=text(told, "url"),
    )


def _blame(info: Tree, detail: str) -> str:
    """The provider reads the server's words itself; only where it does not, we do."""
    if text(info, "delivery_status") == "err_user_unknown":
        return "hard"
    return blame(detail, hard=True)
