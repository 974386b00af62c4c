"""What do Stripe's events say?

docs: docs.stripe.com/api/events/types. Amounts are whole minor units, but for the currencies of
docs.stripe.com/currencies#special-cases, which Stripe counts in hundredths though they have none.
A thin event names an object without showing it; there is nothing in it to translate.
"""

from collections.abc import Callable, Iterator

from aftersale.events.vocabulary import ProductFacts
from aftersale.kernel.instants import Instant
from aftersale.translation.foreign import (
    Tree,
    first,
    flag,
    moment_in,
    part,
    parts,
    text,
    whole,
)
from aftersale.translation.happening import Delivery, Happening, Part, Passed

_IN_HUNDREDTHS = {"ISK", "UGX"}
_SUBSCRIPTION = {
    "incomplete": "past_due",
    "incomplete_expired": "ended",
    "unpaid": "past_due",
    "canceled": "cancelled",
}


class _Event:
    """One event with the object that it is about."""

    def __init__(self, kind: str, told: Tree, at: Instant | None) -> None:
        self.kind, self.told, self.at = kind, told, at
        self.currency = text(told, "currency").upper()
        self.metadata = part(told, "metadata")

    def money(self, name: str) -> int:
        found = whole(self.told, name)
        return found // 100 if self.currency in _IN_HUNDREDTHS else found

    @property
    def order(self) -> str:
        """The shop's number of the order, where the shop told Stripe."""
        return first(self.metadata, "order_id", "order_number", "order")

    def customer(self, email: str = "", **more: str) -> dict[str, str]:
        """Who it is: Stripe's own id of a customer is no id of the shop."""
        own = text(self.told, "customer") or text(self.told, "customer", "id")
        return {"anonymous_id": f"stripe:{own}" if own else "", "email": email, **more}


def translate(delivery: Delivery) -> Iterator[Part]:
    """One happening or more for an event; a bare object is read as if it had just been made."""
    found = delivery.content()
    kind = text(found, "type")
    if text(found, "object").startswith("v2."):
        yield Passed("thin", kind)
        return
    told = part(found, "data", "object")
    if not told:
        told, kind = part(found), ""
    about = text(told, "object")
    read = _READERS.get(about)
    if read is None:
        yield Passed("no-fact" if kind or about else "unknown", kind or about)
        return
    at = moment_in(found, "created") if kind else None
    yield from read(_Event(kind or about, told, at or moment_in(told, "created")))


def _charge(event: _Event) -> Iterator[Part]:
    told = event.told
    if event.kind == "charge.refunded":
        refunds = list(parts(told, "refunds", "data"))
        for refund in refunds:
            yield from _refund(_Event("refund", refund, moment_in(refund, "created")))
        if not refunds:
            yield Passed("told-elsewhere", "refund.created")
        return
    billing = part(told, "billing_details")
    email = text(told, "receipt_email") or text(billing, "email")
    paid = flag(told, "paid") and text(told, "status") in {"", "succeeded"}
    failed = text(told, "status") == "failed"
    if not (paid or failed) or not (flag(told, "captured") or failed):
        yield Passed("not-yet", event.kind)
        return
    yield _payment(event, email, failed=failed, amount="amount")


def _intent(event: _Event) -> Iterator[Part]:
    failed = event.kind.endswith("payment_failed")
    if not failed and text(event.told, "status") != "succeeded":
        yield Passed("not-yet", text(event.told, "status"))
        return
    received = "amount" if failed else "amount_received"
    yield _payment(event, text(event.told, "receipt_email"), failed=failed, amount=received)


def _payment(event: _Event, email: str, *, failed: bool, amount: str) -> Happening:
    told = event.told
    error = part(told, "last_payment_error")
    data = {
        "payment": first(told, "payment_intent", "id"),
        "order": event.order,
        "currency": event.currency,
        "amount": event.money(amount),
        "method": text(told, "payment_method_details", "type"),
        "reason": first(told, "failure_code") or first(error, "decline_code", "code"),
    }
    kind = "payment.failed" if failed else "payment.received"
    when = event.at if failed else moment_in(told, "created") or event.at
    return Happening(kind, when, event.customer(email), data)


def _refund(event: _Event) -> Iterator[Part]:
    told = event.told
    if text(told, "status") not in {"", "succeeded"}:
        yield Passed("not-yet", f"a refund that is {text(told, 'status')}")
        return
    data = {
        "refund": text(told, "id"),
        "order": event.order,
        "currency": event.currency,
        "amount": event.money("amount"),
    }
    yield Happening("refund.issued", moment_in(told, "created") or event.at, {}, data)


def _dispute(event: _Event) -> Iterator[Part]:
    told = event.told
    data = {
        "payment": first(told, "payment_intent", "charge"),
        "order": event.order,
        "currency": event.currency,
        "amount": event.money("amount"),
        "reason": text(told, "reason"),
        "dispute": text(told, "id"),
        "status": text(told, "status"),
    }
    email = text(told, "evidence", "customer_email_address")
    yield Happening("payment.disputed", moment_in(told, "created"), {"email": email}, data)


def _session(event: _Event) -> Iterator[Part]:
    told = event.told
    if text(told, "mode") == "setup" or text(told, "status") in {"open", "expired"}:
        yield Passed("not-yet", event.kind)
        return
    if text(told, "payment_status") == "unpaid" or event.kind.endswith("payment_failed"):
        yield Passed("not-yet", "not paid")
        return
    who, totals = part(told, "customer_details"), part(told, "total_details")
    lines = [
        {
            "product": first(part(line, "price"), "product", "id"),
            "quantity": whole(line, "quantity") or 1,
            "amount": whole(line, "amount_total"),
        }
        for line in parts(told, "line_items", "data")
    ]
    data = {
        "order": event.order or first(told, "client_reference_id", "id"),
        "currency": event.currency,
        "total": event.money("amount_total"),
        "discount": whole(totals, "amount_discount"),
        "shipping": whole(totals, "amount_shipping"),
        "lines": lines,
        "payment": "stripe",
    }
    person = event.customer(
        text(who, "email"),
        name=text(who, "name"),
        phone=text(who, "phone"),
        country=text(who, "address", "country"),
        locale=text(told, "locale") if text(told, "locale") != "auto" else "",
    )
    yield Happening("order.completed", moment_in(told, "created"), person, data)
    if text(told, "consent", "promotions") == "opt_in":
        yield Happening("consent.given", moment_in(told, "created"), person, {"basis": "opt-in"})


def _invoice(event: _Event) -> Iterator[Part]:
    told = event.told
    if event.kind.endswith("payment_failed"):
        failed = True
    elif text(told, "status") == "paid":
        failed = False
    else:
        yield Passed("not-yet", event.kind)
        return
    amount = "amount_due" if failed else "amount_paid"
    yield _payment(event, text(told, "customer_email"), failed=failed, amount=amount)


def _subscription(event: _Event) -> Iterator[Part]:
    told = event.told
    status = text(told, "status")
    item = next(parts(told, "items", "data"), {})
    data = {
        "subscription": text(told, "id"),
        "status": "paused" if part(told, "pause_collection") else _SUBSCRIPTION.get(status, status),
        "product": text(item, "price", "product"),
        "renews_at": moment_in(told, "current_period_end") or moment_in(item, "current_period_end"),
    }
    yield Happening("subscription.updated", event.at, event.customer(), data)


def _customer(event: _Event) -> Iterator[Part]:
    told = event.told
    own = text(told, "id")
    if event.kind.endswith("deleted"):
        yield Passed("deleted", "an account at Stripe is no wish to be forgotten here")
        return
    if not own:
        yield Passed("missing", "id")
        return
    person = {
        "anonymous_id": f"stripe:{own}",
        "email": text(told, "email"),
        "phone": text(told, "phone"),
        "name": text(told, "name"),
        "country": text(told, "address", "country"),
    }
    yield Happening("customer.updated", event.at, person)


def _product(event: _Event) -> Iterator[Part]:
    told = event.told
    if event.kind.endswith("deleted") or not text(told, "id"):
        yield Passed("deleted" if text(told, "id") else "missing", "product")
        return
    yield ProductFacts(text(told, "id"), text(told, "name"))


_READERS: dict[str, Callable[[_Event], Iterator[Part]]] = {
    "charge": _charge,
    "payment_intent": _intent,
    "refund": _refund,
    "dispute": _dispute,
    "checkout.session": _session,
    "invoice": _invoice,
    "subscription": _subscription,
    "customer": _customer,
    "product": _product,
}
"""Kind of object → its reader."""
