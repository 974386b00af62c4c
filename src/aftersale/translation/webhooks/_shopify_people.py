"""What do Shopify's webhooks say of people: who they are, what they allow, what they ask?"""

from collections.abc import Iterator

from aftersale.kernel.instants import Instant
from aftersale.translation.foreign import Tree, first, flag, moment_in, part, text
from aftersale.translation.happening import Happening, Part, Passed

_LEVELS = {"confirmed_opt_in": "double-opt-in", "single_opt_in": "opt-in"}


def person_of(told: Tree) -> dict[str, str]:
    """Who ordered: the customer's own id and names, and where things are sent."""
    owner, sent = part(told, "customer"), part(told, "shipping_address")
    billed = part(told, "billing_address") or part(owner, "default_address")
    return {
        "id": text(owner, "id"),
        "email": first(told, "email", "contact_email") or text(owner, "email"),
        "phone": text(told, "phone") or text(owner, "phone"),
        "first_name": text(owner, "first_name") or text(billed, "first_name"),
        "last_name": text(owner, "last_name") or text(billed, "last_name"),
        "country": text(sent, "country_code") or text(billed, "country_code"),
        "locale": text(told, "customer_locale"),
    }


def consents_of_order(told: Tree, person: dict[str, str]) -> Iterator[Part]:
    """What was allowed in the order itself; a box that was left empty takes nothing back."""
    if flag(told, "buyer_accepts_marketing"):
        when = moment_in(told, "processed_at", "created_at")
        yield Happening("consent.given", when, person, {"basis": "opt-in"})


def customer(told: Tree, topic: str) -> Iterator[Part]:
    """An account, with what it allows."""
    if topic.endswith("/delete"):
        yield Passed("deleted", "who is to be forgotten is told by customers/redact")
        return
    if not text(told, "id"):
        yield Passed("missing", "id")
        return
    address = part(told, "default_address")
    person = {
        "id": text(told, "id"),
        "email": text(told, "email"),
        "phone": text(told, "phone") or text(address, "phone"),
        "first_name": text(told, "first_name"),
        "last_name": text(told, "last_name"),
        "country": text(address, "country_code"),
        "locale": text(told, "locale"),
    }
    changed = moment_in(told, "updated_at", "created_at")
    yield Happening("customer.updated", changed, person)
    named = {name: person[name] for name in ("id", "email", "phone")}
    yield from _consent(part(told, "email_marketing_consent"), "email", named, told)
    yield from _consent(part(told, "sms_marketing_consent"), "sms", named, told)
    if not part(told, "email_marketing_consent") and flag(told, "accepts_marketing"):
        older = {
            "state": "subscribed",
            "opt_in_level": text(told, "marketing_opt_in_level"),
            "consent_updated_at": told.get("accepts_marketing_updated_at"),
        }
        yield from _consent(older, "email", named, told)


def email_consent(told: Tree, topic: str) -> Iterator[Part]:
    """A word on news by e-mail."""
    named = {"id": text(told, "customer_id"), "email": text(told, "email_address")}
    found = list(_consent(part(told, "email_marketing_consent"), "email", named, told))
    yield from found or [Passed("not-yet", "no word on e-mail")]


def sms_consent(told: Tree, topic: str) -> Iterator[Part]:
    """A word on news by text message."""
    named = {"id": first(told, "customer_id", "id"), "phone": text(told, "phone")}
    found = list(_consent(part(told, "sms_marketing_consent"), "sms", named, told))
    yield from found or [Passed("not-yet", "no word on text messages")]


def _consent(word: Tree, channel: str, person: dict[str, str], told: Tree) -> Iterator[Part]:
    """A permission or its end; one of unknown age counts from when the account was made.

    So a permission that was taken back with us is not brought back by an account that knows
    nothing of it.
    """
    state = text(word, "state")
    if state not in {"subscribed", "unsubscribed"}:
        return
    when: Instant | None = moment_in(word, "consent_updated_at")
    if when is None:
        older = ("created_at", "updated_at") if state == "subscribed" else ("updated_at",)
        when = moment_in(told, *older)
    basis = _LEVELS.get(text(word, "opt_in_level"), "opt-in")
    kind = "consent.given" if state == "subscribed" else "consent.withdrawn"
    data = {"channel": channel, "basis": basis if state == "subscribed" else "unsubscribed"}
    yield Happening(kind, when, person, {**data, "collected": text(word, "consent_collected_from")})


def privacy(told: Tree, topic: str) -> Iterator[Part]:
    """A request that every app must heed within thirty days."""
    asked = part(told, "customer")
    shop = text(told, "shop_id")
    kind = {"customers/redact": "erase", "shop/redact": "erase-shop"}.get(topic, "access")
    own = text(told, "data_request", "id") or f"{shop}:{text(asked, 'id')}"
    person = {name: text(asked, name) for name in ("id", "email", "phone")}
    if kind != "erase-shop" and not any(person.values()):
        yield Passed("missing", "customer")
        return
    data = {"request": f"{topic}:{own}", "kind": kind}
    yield Happening("privacy.requested", None, person, data, f"{topic}:{own}")
