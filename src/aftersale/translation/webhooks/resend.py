"""What do Resend's webhooks say?

docs: resend.com/docs/dashboard/webhooks/event-types. Delivered by Svix, whose message id is theirs.
"""

from collections.abc import Iterator

from aftersale.kernel.instants import Instant
from aftersale.translation.foreign import (
    Tree,
    flag,
    headers_of,
    moment_in,
    part,
    text,
)
from aftersale.translation.happening import Delivery, Happening, Part, Passed
from aftersale.translation.mail import SOFT, blame, letter, our_key, receipt

_PLAIN = {
    "email.sent": "message.sent",
    "email.delivered": "message.delivered",
    "email.delivery_delayed": "message.bounced",
    "email.bounced": "message.bounced",
    "email.complained": "message.complained",
    "email.opened": "message.opened",
    "email.clicked": "message.clicked",
    "email.failed": "message.failed",
    "email.suppressed": "message.failed",
}


def translate(delivery: Delivery) -> Iterator[Part]:
    """One happening for each recipient."""
    found = delivery.content()
    name, told = text(found, "type"), part(found, "data")
    when = moment_in(found, "created_at") or moment_in(told, "created_at")
    own = delivery.headers.get("svix-id", "")
    if name == "email.received":
        yield letter(
            when,
            text(told, "from"),
            text(told, "message_id") or text(told, "email_id"),
            subject=text(told, "subject"),
            body=text(told, "text"),
        )
    elif name in _PLAIN:
        yield from _event(name, told, when, own)
    elif name == "contact.updated" and flag(told, "unsubscribed") and text(told, "email"):
        yield Happening(
            "consent.withdrawn",
            when,
            {"email": text(told, "email")},
            {"basis": "unsubscribed"},
            own,
        )
    elif name == "email.scheduled":
        yield Passed("not-yet", name)
    elif name.startswith(("domain.", "contact.")):
        yield Passed("no-fact", name)
    else:
        yield Passed("unknown", name)


def _event(name: str, told: Tree, when: Instant | None, own: str) -> Iterator[Part]:
    headers = headers_of(told.get("headers"))
    tags = told.get("tags")
    listed = headers_of(tags) if isinstance(tags, list) else part(told, "tags")
    names = (our_key(headers, listed), headers.get("message-id", ""), text(told, "email_id"))
    problem = part(told, "bounce") or part(told, "failed")
    detail = text(problem, "message") or text(problem, "reason")
    bounce = ""
    if name == "email.delivery_delayed":
        bounce = SOFT
    elif name == "email.bounced":
        bounce = blame(detail, hard=text(problem, "type") in {"", "Permanent", "hard"})
    elif _PLAIN[name] == "message.failed":
        bounce = name.removeprefix("email.")
    to = told.get("to")
    for recipient in (to if isinstance(to, list) else [to]) or [None]:
        email = recipient if isinstance(recipient, str) else ""
        yield receipt(
            _PLAIN[name],
            moment_in(part(told, "click"), "timestamp") or when,
            email,
            names,
            id=f"{own}:{email}" if own else "",
            bounce=bounce,
            detail=detail,
            link=text(told, "click", "link"),
        )
