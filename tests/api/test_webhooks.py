"""Is what providers send taken only from them, durable, once, and translated again after a fix?"""

import base64
import hmac
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import pytest

from aftersale.api.webhooks import PREFIX
from aftersale.events.event import Ref
from aftersale.kernel.errors import Operational
from aftersale.kernel.instants import DAY, HOUR, SECOND
from aftersale.ledger.requests import REFUSED, TRANSLATED, WAITING, Request
from aftersale.runtime import collecting, requests
from aftersale.runtime.certificates import Certificates, trusted, wanted
from aftersale.runtime.requests import retry
from aftersale.translation.providers import TRANSLATORS
from aftersale.translation.signatures import CHECKS
from shops import NOW, Shop
from stories import AFTERSHIP, SHOPIFY

ORDER = SHOPIFY[2]
UNHEARD = b'{"id": 1, "secret_name": "Ada"}'


def signature(body: bytes, secret: str) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, sha256)).decode()


def sent(
    shop: Shop,
    body: bytes = ORDER.body,
    topic: str = "orders/create",
    own: str = "w1",
    secret: str = "new",
    to: str = "shopify/main",
    **headers: str,
) -> Any:
    """Send something as Shopify would."""
    return shop.post(
        PREFIX + to,
        body,
        "",
        x_shopify_topic=topic,
        x_shopify_webhook_id=own,
        x_shopify_hmac_sha256=signature(body, secret),
        content_type="application/json",
        **headers,
    )


def kept(shop: Shop) -> list[Request]:
    """The requests in the order of their arrival, with their bodies."""
    with shop.store.read() as tx:
        found = [tx.requests.get(one.number) for one in tx.requests.newest(1_000)]
    return [one for one in found[::-1] if one]


@pytest.fixture(autouse=True)
def secrets(shop: Shop) -> None:
    shop.secrets["shopify/main"] = ("new", "old")


# --- what comes in -------------------------------------------------------------------------


def test_a_request_and_its_events_are_in_the_store_when_it_is_answered(shop: Shop) -> None:
    """Raw to the byte, with the headers that a translator reads and no others."""
    answer = sent(shop, x_forwarded_for="192.0.2.1", authorization="Basic eDp5")
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    (one,) = kept(shop)
    assert (one.body, one.state, one.passed) == (ORDER.body, TRANSLATED, ())
    assert (one.provider, one.shop, one.received_at, one.times) == ("shopify", "main", NOW, 1)
    assert set(one.headers) == {"content-type", "x-shopify-topic", "x-shopify-webhook-id"}
    assert [entry.type for entry in shop.entries()] == ["order.completed", "consent.given"]
    assert {entry.source for entry in shop.entries()} == {"shopify"}


def test_both_secrets_are_taken_while_one_replaces_the_other(shop: Shop) -> None:
    assert sent(shop, own="1", secret="old").status_code == 200
    assert sent(shop, own="2", secret="new").status_code == 200
    shop.secrets["shopify/main"] = ("new",)
    assert sent(shop, own="3", secret="old").status_code == 401
    assert len(kept(shop)) == 2


def test_what_is_sent_again_counts_once(shop: Shop) -> None:
    """By the sender's id of the request, whatever is in the body, and by the bytes without one."""
    for n in range(3):
        shop.now += n * SECOND
        assert sent(shop).status_code == 200
    assert sent(shop, b'{"id": 7}').status_code == 200
    (one,) = kept(shop)
    assert (one.times, one.last_at, len(shop.entries())) == (4, NOW + 3 * SECOND, 2)
    assert sent(shop, own="").status_code == 200
    assert sent(shop, own="").status_code == 200
    assert [found.times for found in kept(shop)] == [4, 2]
    assert len(shop.entries()) == 2, "the same order by another request is the same event"


def test_one_provider_may_tell_of_two_shops(shop: Shop) -> None:
    """Each has its address and its secrets; the same id of both is two requests."""
    shop.secrets["shopify/outlet"] = ("other",)
    assert sent(shop).status_code == 200
    assert sent(shop, to="shopify/outlet").status_code == 401
    assert sent(shop, to="shopify/outlet", secret="other").status_code == 200
    assert [one.shop for one in kept(shop)] == ["main", "outlet"]
    assert {entry.shop for entry in shop.entries()} == {"main", "outlet"}


def test_the_signature_of_twilio_covers_the_public_address(shop: Shop) -> None:
    """Whatever name the request was sent to; the answer is the empty one that Twilio takes."""
    shop.secrets["twilio"] = ("token",)
    pairs = (("MessageSid", "SM1"), ("From", "+491701234567"), ("Body", "STOP"))
    url = shop.app.public_url + PREFIX + "twilio?a=1"
    base = url + "".join(name + value for name, value in sorted(pairs))
    proof = base64.b64encode(hmac.digest(b"token", base.encode(), "sha1")).decode()
    form = "application/x-www-form-urlencoded"
    answer = shop.post(
        PREFIX + "twilio?a=1",
        urlencode(pairs).encode(),
        "",
        content_type=form,
        x_twilio_signature=proof,
    )
    assert (answer.status_code, answer.text) == (200, "<Response/>")
    assert answer.headers["content-type"].startswith("text/xml")
    assert [entry.type for entry in shop.entries()] == ["message.received", "consent.withdrawn"]


def test_a_token_sent_along_proves_a_request(shop: Shop) -> None:
    """For the providers that sign nothing."""
    shop.secrets["postmark"] = ("long-token",)
    body = {"RecordType": "Open", "MessageID": "m", "Recipient": "a@x.de"}
    assert shop.post(PREFIX + "postmark", body, "").status_code == 401
    assert shop.post(PREFIX + "postmark?token=wrong", body, "").status_code == 401
    assert shop.post(PREFIX + "postmark?token=long-token", body, "").status_code == 200
    assert "long-token" not in repr(kept(shop))


def test_a_carrier_and_a_shop_meet_at_the_number_of_the_parcel(shop: Shop) -> None:
    """Whichever is first, they tell of one customer."""
    shop.secrets["aftership/main"] = ("a",)
    body = AFTERSHIP[4].body
    proof = signature(body, "a")
    headers = {"aftership_hmac_sha256": proof, "content_type": "application/json"}
    assert shop.post(PREFIX + "aftership/main", body, "", **headers).status_code == 200
    assert sent(shop).status_code == 200
    assert {one.state for one in kept(shop)} == {TRANSLATED}


# --- what is not taken -----------------------------------------------------------------------


def test_what_no_secret_proves_is_401_and_not_kept(shop: Shop) -> None:
    """Also one changed byte, and no signature at all; nothing is said of what was wrong."""
    right = signature(ORDER.body, "new")
    for body, headers in (
        (ORDER.body, {"x_shopify_hmac_sha256": signature(ORDER.body, "wrong")}),
        (ORDER.body, {"x_shopify_hmac_sha256": signature(ORDER.body, "")}),
        (ORDER.body + b" ", {"x_shopify_hmac_sha256": right}),
        (ORDER.body, {}),
    ):
        answer = shop.post(PREFIX + "shopify/main", body, "", **headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "wrong-signature")
    assert kept(shop) == []


def test_an_address_that_nobody_set_up_is_404_with_what_to_do(shop: Shop) -> None:
    for to, code in (
        ("stripe", "not-set-up"),
        ("shopify/other", "not-set-up"),
        ("moon", "unknown-provider"),
        ("shopify/a/b", "unknown-provider"),
        ("", "unknown-provider"),
        ("x" * 60, "unknown-provider"),
    ):
        answer = shop.post(PREFIX + to, ORDER.body, "")
        assert (answer.status_code, answer.json()["code"]) == (404, code), to
    assert kept(shop) == []


def test_what_is_too_large_is_413_before_it_is_read(shop_with: Any) -> None:
    shop = shop_with(webhook=1_000)
    shop.secrets["shopify"] = ("new",)
    answer = shop.post(PREFIX + "shopify", b"x" * 1_001, "")
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    streamed = shop.client.post(PREFIX + "shopify", content=iter([b"x" * 600] * 2))
    assert streamed.status_code == 413


def test_only_posts_are_taken_and_whoever_asks_is_told_that_the_address_is_there(
    shop: Shop,
) -> None:
    assert shop.client.get(PREFIX + "shopify/main").status_code == 405
    assert shop.client.head(PREFIX + "shopify/main").status_code == 200
    assert shop.client.head(PREFIX + "stripe").status_code == 404
    shop.secrets["woocommerce"] = ("w",)
    assert shop.post(PREFIX + "woocommerce", b"webhook_id=17", "").status_code == 200
    assert shop.post(PREFIX + "woocommerce", b"webhook_id=17&x=1", "").status_code == 401
    assert kept(shop) == []


@pytest.mark.parametrize("provider", sorted(TRANSLATORS))
def test_no_provider_is_taken_without_proof(shop: Shop, provider: str) -> None:
    """Each has a way to prove itself, and nothing gets past it."""
    assert provider in CHECKS
    shop.secrets[provider] = ("secret",)
    for body in (b"{}", b"[]", b"a=1", b"\xff", b'{"signature": {"token": "1"}}'):
        answer = shop.post(PREFIX + provider, body, "", content_type="application/json")
        assert answer.status_code == 401, body
    assert kept(shop) == []


# --- what is not understood --------------------------------------------------------------------


def test_what_cannot_be_understood_is_kept_with_its_reason(shop: Shop) -> None:
    """And answered 200, for sending it again would help nobody."""
    assert sent(shop, UNHEARD, "moons/risen", "1").status_code == 200
    assert sent(shop, b"{", "orders/create", "2").status_code == 200
    assert sent(shop, b'{"id": 1}', "app/uninstalled", "3").status_code == 200
    assert [(one.state, [passed.code for passed in one.passed]) for one in kept(shop)] == [
        (REFUSED, ["unknown"]),
        (REFUSED, ["unreadable"]),
        (TRANSLATED, ["set-up"]),
    ]
    assert "Ada" not in repr([one.passed for one in kept(shop)])
    assert shop.entries() == []


def test_a_translator_that_fails_loses_nothing_and_is_loud(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request waits; after the fix it is translated as if it had just come."""
    right = requests.translate

    def wrong(provider: str, delivery: Any) -> Any:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(requests, "translate", wrong)
    with pytest.raises(ZeroDivisionError):
        sent(shop)
    (one,) = kept(shop)
    assert (one.state, one.passed[0].code, one.body) == (WAITING, "fault", ORDER.body)
    assert shop.entries() == []
    shop.now += DAY
    with shop.store.write() as tx:
        (still,) = retry(tx, tx.requests.open(0, 10), now=shop.now)
    assert (still.state, type(still.fault)) == (WAITING, ZeroDivisionError)
    monkeypatch.setattr(requests, "translate", right)
    with shop.store.write() as tx:
        (done,) = retry(tx, tx.requests.open(0, 10), now=shop.now)
    assert (done.state, done.events, done.fault) == (TRANSLATED, 2, None)
    assert [entry.type for entry in shop.entries()] == ["order.completed", "consent.given"]
    assert kept(shop)[0].state == TRANSLATED


def test_translating_again_tells_nothing_twice(shop: Shop) -> None:
    sent(shop)
    before = shop.entries()
    for _ in range(2):
        with shop.store.write() as tx:
            (done,) = retry(tx, kept_in(tx), now=shop.now + HOUR)
        assert done.state == TRANSLATED
    assert shop.entries() == before


def kept_in(tx: Any) -> list[Request]:
    return [tx.requests.get(one.number) for one in tx.requests.newest(100)]


def test_what_a_request_tells_may_break_and_the_request_is_kept(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault while it is taken in loses neither it nor what others sent beside it."""
    admit = requests.take_in

    def stubborn(tx: Any, events: Any, **options: Any) -> Any:
        if events:
            raise RuntimeError("broken")
        return admit(tx, events, **options)

    monkeypatch.setattr(requests, "take_in", stubborn)
    with pytest.raises(RuntimeError, match="broken"):
        sent(shop)
    (one,) = kept(shop)
    assert (one.state, one.body) == (WAITING, ORDER.body)


def test_a_store_that_cannot_be_written_is_503_and_the_provider_comes_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise Operational("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(collecting, "take_requests", full)
        answer = sent(shop)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert kept(shop) == []
    assert sent(shop).status_code == 200


def test_what_was_understood_is_forgotten_after_its_days(shop: Shop) -> None:
    """What was not stays until somebody has looked at it; events stay in any case."""
    sent(shop, own="1")
    sent(shop, UNHEARD, "moons/risen", "2")
    shop.now += 31 * DAY
    sent(shop, own="3")
    assert [one.headers["x-shopify-webhook-id"] for one in kept(shop)] == ["2", "3"]
    assert len(shop.entries()) == 2


# --- people ----------------------------------------------------------------------------------


def test_whoever_is_erased_takes_the_bodies_along(shop: Shop) -> None:
    """And what is sent of them later is kept without its body."""
    from aftersale.runtime.erasing import erase

    sent(shop, own="1")
    sent(shop, b'{"note": "from ada@example.com"}', "moons/risen", "2")
    with shop.store.write() as tx:
        customer = tx.identities.find([Ref("email", "ada@example.com")])
        (who,) = customer.values()
        assert tx.requests.naming(who) == [1, 2]
        erase(tx, who, shop.now)
    assert [one.body for one in kept(shop)] == [b"", b""]
    sent(shop, SHOPIFY[1].body, "customers/update", "3")
    last = kept(shop)[-1]
    assert (last.body, last.headers) == (b"", {})


# --- Amazon SNS --------------------------------------------------------------------------------


URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"


def test_a_certificate_that_nobody_trusts_yet_is_asked_for_once(shop: Shop) -> None:
    """Only for a topic of ours, and only at an address of Amazon; the message is not lost."""
    shop.secrets["amazon_ses"] = ("arn:ours",)
    shop.certificates.clear()
    message = {"Type": "Notification", "TopicArn": "arn:ours", "SigningCertURL": URL}
    answer = shop.post(PREFIX + "amazon_ses", message, "")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    for changed in ({"TopicArn": "arn:theirs"}, {"SigningCertURL": ""}):
        answer = shop.post(PREFIX + "amazon_ses", {**message, **changed}, "")
        assert answer.status_code == 401
    assert kept(shop) == []


def test_certificates_are_noted_until_somebody_trusts_them(shop: Shop) -> None:
    """At most a few, and none of a strange address."""
    found = Certificates(shop.store)
    assert found(URL) == b""
    assert found("https://evil.example/SimpleNotificationService-0123456789abcdef.pem") == b""
    for n in range(9):
        found(URL.replace("0123456789", f"{n:010}"))
    with shop.store.read() as tx:
        assert wanted(tx)[0] == URL
        assert len(wanted(tx)) == 5
    text = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
    asked = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return text.encode()

    fetching = Certificates(shop.store, fetch)
    assert fetching(URL) == fetching(URL) == found(URL) == text.encode()
    assert asked == [URL]
    with shop.store.read() as tx:
        assert URL in trusted(tx)
        assert URL not in wanted(tx)


def test_a_failed_fetch_trusts_nothing(shop: Shop) -> None:
    def fetch(url: str) -> bytes:
        raise Operational("no connection")

    assert Certificates(shop.store, fetch)(URL) == b""
    assert Certificates(shop.store, lambda url: b"no certificate")(URL) == b""
    with shop.store.read() as tx:
        assert trusted(tx) == {}
        assert wanted(tx) == [URL]
