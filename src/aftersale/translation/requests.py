"""Which request is this, and what of it is worth keeping?

Providers send again what they are not sure of. Most give each request an id that stays the same
over all tries; where there is none, the bytes are the id.
"""

import re
from collections.abc import Callable, Mapping

from aftersale.kernel.ids import digest16
from aftersale.translation.foreign import Tree, Unreadable, json_of, part, text
from aftersale.translation.happening import Delivery

_SHOPIFY = ("topic", "shop-domain", "api-version", "webhook-id", "event-id", "triggered-at")
KEPT_HEADERS = frozenset(
    {
        "content-type",
        *(f"{x}shopify-{name}" for x in ("x-", "") for name in _SHOPIFY),
        "shopify-handle",
        "shopify-action",
        "shopify-resource-id",
        *(f"x-wc-webhook-{name}" for name in ("topic", "resource", "event", "delivery-id")),
        "svix-id",
        "webhook-id",
    }
)
"""What a translator may read; signatures, passwords and addresses of networks are not of it."""
_LONGEST_HEADER = 500


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that are worth keeping; of too long ones the beginning."""
    return {
        name: value[:_LONGEST_HEADER] for name, value in headers.items() if name in KEPT_HEADERS
    }


def sender_id(provider: str, delivery: Delivery) -> str:
    """The id under which the provider sends this request again."""
    found = _IDS[provider](delivery) if provider in _IDS else ""
    return found or digest16(delivery.body).hex()


def is_ping(provider: str, body: bytes) -> bool:
    """Whether a provider only asks, without proof, whether somebody is there: it tells nothing."""
    if provider == "woocommerce":
        return re.fullmatch(rb"webhook_id=\d{1,20}", body) is not None
    return provider == "mandrill" and body.strip() in {b"", b"mandrill_events=%5B%5D"}


def certificate_url(body: bytes) -> str:
    """Where Amazon SNS says that the certificate of a message lies; nothing where it does not."""
    return text(_object(body), "SigningCertURL")


def topic(body: bytes) -> str:
    """Of which topic of Amazon SNS a message is."""
    return text(_object(body), "TopicArn")


def confirmation_url(body: bytes) -> str:
    """The address that confirms a subscription of Amazon SNS, in a message that asks for it."""
    message = _object(body)
    return text(message, "SubscribeURL") if text(message, "Type") == CONFIRM else ""


CONFIRM = "SubscriptionConfirmation"


def _object(body: bytes) -> Tree:
    try:
        return part(json_of(body))
    except Unreadable:
        return {}


def _of_headers(*names: str, beside: tuple[str, ...] = ()) -> Callable[[Delivery], str]:
    """One of these headers, with what it is unique beside."""

    def find(delivery: Delivery) -> str:
        headers = delivery.headers
        found = next((headers[name] for name in names if headers.get(name)), "")
        return "\n".join([found, *(headers.get(name, "") for name in beside)]) if found else ""

    return find


def _of_body(*path: str) -> Callable[[Delivery], str]:
    """A field of the body."""

    def find(delivery: Delivery) -> str:
        try:
            return text(delivery.content(), *path)
        except Unreadable:
            return ""

    return find


_IDS: dict[str, Callable[[Delivery], str]] = {
    "shopify": _of_headers(
        "x-shopify-webhook-id",
        "shopify-webhook-id",
        beside=("x-shopify-shop-domain", "shopify-shop-domain", "x-shopify-topic", "shopify-topic"),
    ),
    "woocommerce": _of_headers("x-wc-webhook-delivery-id", beside=("x-wc-webhook-source",)),
    "stripe": _of_body("id"),
    "aftership": _of_body("event_id"),
    "easypost": _of_body("id"),
    "amazon_ses": _of_body("MessageId"),
    "mailgun": _of_body("signature", "token"),
    "resend": _of_headers("svix-id", "webhook-id"),
}
"""Mailgun's token is what it signs: seen a second time it is a repetition, whatever the body says.
The others have no id of a request, only ids of the events in it, which count once by themselves.
"""
