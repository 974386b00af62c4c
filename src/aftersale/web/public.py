"""What can a customer do from a link in a message?

The link proves that we wrote to that customer; nothing else is asked. Opening a page changes
nothing, for mail programs open links by themselves; a POST does, also without any cookie, as
one-click unsubscription asks (RFC 8058). A link that is not ours gets the same page as one that
is too old, and learns nothing about anybody.
"""

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from aftersale.customers.fold import fold
from aftersale.customers.profile import Profile
from aftersale.events.event import Event, Ref
from aftersale.events.vocabulary import Body, ConsentEvent, MessageEvent
from aftersale.kernel.ids import digest16
from aftersale.messages.links import sign, verify
from aftersale.messages.wording import direction, split_locale
from aftersale.programme.ports import Transaction
from aftersale.runtime.intake import take_in
from aftersale.web.pages import pages_of

UNSUBSCRIBE, PREFERENCES = "u", "p"
KEY = "email/marketing"

TEXTS = {
    "en": {
        "unsubscribe": "Unsubscribe",
        "unsubscribe_ask": "Do you want no more news and offers by e-mail?",
        "unsubscribe_still": "Messages about your orders still come.",
        "unsubscribe_button": "Unsubscribe now",
        "unsubscribed": "You are unsubscribed",
        "unsubscribed_text": "No more news and offers will be sent to you by e-mail. "
        "A message that is already on its way may still arrive.",
        "change_mind": "Changed your mind? Set what you want to get",
        "preferences": "What do you want to get?",
        "marketing": "News, advice and offers by e-mail",
        "marketing_on": "At the moment: yes",
        "marketing_off": "At the moment: no",
        "turn_off": "No, thank you",
        "turn_on": "Yes, please",
        "orders": "Messages about your orders always come: you need them.",
        "saved": "Saved.",
        "wrong": "This link does not work",
        "wrong_text": "It may have been cut off when it was copied. Open it again from the "
        "message, or answer the message: somebody will help you.",
    },
    "de": {
        "unsubscribe": "Abmelden",
        "unsubscribe_ask": "Möchten Sie keine Neuigkeiten und Angebote mehr per E-Mail?",
        "unsubscribe_still": "Nachrichten zu Ihren Bestellungen kommen weiterhin.",
        "unsubscribe_button": "Jetzt abmelden",
        "unsubscribed": "Sie sind abgemeldet",
        "unsubscribed_text": "Sie erhalten keine Neuigkeiten und Angebote mehr per E-Mail. "
        "Eine Nachricht, die schon unterwegs ist, kann noch ankommen.",
        "change_mind": "Anders überlegt? Stellen Sie ein, was Sie erhalten möchten",
        "preferences": "Was möchten Sie erhalten?",
        "marketing": "Neuigkeiten, Ratschläge und Angebote per E-Mail",
        "marketing_on": "Zurzeit: ja",
        "marketing_off": "Zurzeit: nein",
        "turn_off": "Nein, danke",
        "turn_on": "Ja, gern",
        "orders": "Nachrichten zu Ihren Bestellungen kommen immer: Sie brauchen sie.",
        "saved": "Gespeichert.",
        "wrong": "Dieser Link funktioniert nicht",
        "wrong_text": "Vielleicht wurde er beim Kopieren abgeschnitten. Öffnen Sie ihn noch "
        "einmal aus der Nachricht, oder antworten Sie darauf: Wir helfen Ihnen gern.",
    },
}


class Reader(msgspec.Struct, frozen=True):
    """The customer who holds a link."""

    customer: int
    key: str
    """Of the message that the link came with."""
    ref: Ref | None
    """By which the customer is known; None: erased since, and nothing is to be done."""
    locale: str
    allowed: bool
    """Whether marketing by e-mail is allowed now, by everything that arrived."""
    address: str
    """The e-mail address with its name covered."""


def unsubscribe(request: Request) -> Response:
    """The page behind the link in a message; changes nothing."""
    return _page(request, UNSUBSCRIBE, "ask")


def preferences(request: Request) -> Response:
    """What the customer wants to get; changes nothing."""
    return _page(request, PREFERENCES, "preferences")


async def unsubscribe_now(request: Request) -> Response:
    """Unsubscribes at once, whatever the body says: the address alone is the order."""
    return await run_in_threadpool(_tell, request, UNSUBSCRIBE, False, "done")  # noqa: FBT003


async def preferences_now(request: Request) -> Response:
    """Allows or refuses marketing by e-mail."""
    form = await request.form(max_fields=20, max_files=0)
    wanted = form.get("marketing")
    if wanted not in {"on", "off"}:
        return await run_in_threadpool(preferences, request)
    return await run_in_threadpool(_tell, request, PREFERENCES, wanted == "on", "saved")


def _page(request: Request, purpose: str, name: str) -> Response:
    pages = pages_of(request)
    with pages.app.store.read() as tx:
        reader = _reader(request, tx, purpose)
        shop = pages.shop_name(tx)
    return _shown(request, reader, shop, name)


def _tell(request: Request, purpose: str, allowed: bool, name: str) -> Response:  # noqa: FBT001
    """Write down what the customer said, and say so."""
    pages = pages_of(request)
    with pages.app.store.write() as tx:
        reader = _reader(request, tx, purpose)
        shop = pages.shop_name(tx)
        if reader is not None and reader.ref is not None and reader.allowed != allowed:
            now = pages.app.now(tx)
            kind, body = _said(purpose, reader.key, allowed=allowed)
            name_of = digest16(kind, str(reader.customer), reader.key, str(now)).hex()
            event = Event(name_of, "pages", kind, now, "", body, (reader.ref,))
            take_in(tx, [event], received_at=now)
            reader = msgspec.structs.replace(reader, allowed=allowed)
    return _shown(request, reader, shop, name)


def _said(purpose: str, key: str, *, allowed: bool) -> tuple[str, Body]:
    if purpose == UNSUBSCRIBE:
        return "message.unsubscribed", MessageEvent(message=key, kind="marketing")
    if allowed:
        return "consent.given", ConsentEvent(basis="opt-in")
    return "consent.withdrawn", ConsentEvent(basis="preferences")


def _reader(request: Request, tx: Transaction, purpose: str) -> Reader | None:
    parts = verify(pages_of(request).secret, purpose, request.path_params["token"])
    if parts is None or len(parts) < 2 or not parts[0].isdigit():
        return None
    customer, key = tx.identities.living(int(parts[0])), parts[1]
    refs = sorted(tx.identities.refs_of(customer), key=lambda ref: ref.kind != "customer")
    profile = Profile()
    for entry in tx.ledger.of_customers(customer, customer):
        fold(profile, entry)
    consent = profile.consents.get(KEY)
    told = tx.personal.of_many([customer]).get(customer, {})
    return Reader(
        customer,
        key,
        refs[0] if refs else None,
        profile.locale.value if profile.locale else "",
        consent is not None and consent.given,
        covered(str(told.get("email") or "")),
    )


def covered(address: str) -> str:
    """`a•••@example.org`: enough to know one's own address by."""
    name, at, domain = address.rpartition("@")
    return f"{name[:1]}•••{at}{domain}" if at else ""


def _shown(request: Request, reader: Reader | None, shop: str, name: str) -> Response:
    pages = pages_of(request)
    locale = (reader.locale if reader else "") or _asked_language(request)
    language = split_locale(locale)[0]
    other = ""
    if reader is not None:
        token = sign(pages.secret, PREFERENCES, str(reader.customer), reader.key)
        other = f"/p/{token}"
    return pages.bare(
        request,
        "public.html",
        status=200 if reader else 404,
        language=language if language in TEXTS else "en",
        direction=direction(language if language in TEXTS else "en"),
        t=TEXTS.get(language, TEXTS["en"]),
        shop=shop,
        page=name if reader else "wrong",
        reader=reader,
        here=request.url.path,
        other=other,
    )


def _asked_language(request: Request) -> str:
    return request.headers.get("accept-language", "en").split(",")[0].split(";")[0]
