"""Does what a client tells become the event that it meant, or a refusal with its place?"""

import base64
import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aftersale.events.event import FIRST, MOST_DEPTH, Event, Ref, content_digest
from aftersale.events.vocabulary import (
    BODIES,
    OURS,
    CheckoutStarted,
    ConsentEvent,
    Line,
    MessageEvent,
    OrderCompleted,
    Other,
    ProductEvent,
    RefundIssued,
    ReviewSubmitted,
)
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY, HOUR, MINUTE, SECOND, format_instant, parse_instant
from aftersale.translation import cloudevents, commerce, segment
from aftersale.translation.segment import Head, place_of_unfit, read_leniently, translate
from aftersale.translation.telling import Sender

NOW = parse_instant("2026-11-01T12:00:00Z")
AT = "2026-11-01T11:00:00Z"
SHOP = Sender(shop="main")
TRUSTED = Sender(shop="main", trusted=True)


def track(event: str = "Order Completed", **parts: Any) -> dict[str, Any]:
    item = {"type": "track", "event": event, "userId": "4711", "messageId": "m-1", "timestamp": AT}
    return {**item, **parts}


def told(item: Any, sender: Sender = SHOP, **options: Any) -> Event:
    return translate(item, received_at=NOW, sender=sender, **options)


def refused(item: Any, sender: Sender = SHOP, **options: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        told(item, sender, **options)
    return caught.value


def order(**properties: Any) -> OrderCompleted:
    body = told(track(properties={"order_id": "A-1", "currency": "EUR", **properties})).body
    assert isinstance(body, OrderCompleted)
    return body


# --- commerce ------------------------------------------------------------------------------


def test_an_order_is_read_as_the_specification_writes_it() -> None:
    """Its lines, parts and codes; amounts of the example in minor units."""
    body = order(
        checkout_id="fksdjfsdjfisjf9sdfjsd9f",
        affiliation="Google Store",
        subtotal=22.50,
        total=27.50,
        revenue=25.00,
        shipping=3,
        tax=2,
        discount=2.5,
        coupon="hasbros",
        products=[
            {"product_id": "507f1f77", "sku": "45790-32", "price": 19, "quantity": 1},
            {"sku": "46493-32", "price": 3, "quantity": 2, "coupon": "two"},
        ],
    )
    assert (body.order, body.total, body.shipping, body.discount) == ("A-1", 2750, 300, 250)
    assert body.lines == (Line("507f1f77", 1, 1900), Line("46493-32", 2, 600))
    assert body.codes == ("hasbros", "two")


@pytest.mark.parametrize(
    ("parts", "total"),
    [
        ({"total": 27.5, "revenue": 1}, 2750),
        ({"revenue": 25, "shipping": 3, "tax": "2.00"}, 3000),
        ({"subtotal": 22.5, "shipping": 3, "tax": 2}, 2750),
        ({"value": "19.99"}, 1999),
        ({"products": [{"sku": "a", "price": 0.1, "quantity": 3}]}, 30),
        ({"total": 1200, "currency": "jpy"}, 1200),
        ({"total": "1.2345", "currency": "KWD"}, 1234),
        ({"total": 0.1 + 0.2}, 30),
        ({}, 0),
    ],
)
def test_the_total_is_the_first_that_is_told(parts, total):
    """Total, revenue or subtotal with its parts, value, else the lines; in minor units."""
    assert order(**parts).total == total


@given(st.integers(-(10**9), 10**9), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_a_float_of_an_amount_comes_back_as_its_minor_units(units, currency):
    """Whatever the currency's places: nothing is lost on the way through a float."""
    places = {"EUR": 2, "JPY": 0, "KWD": 3}[currency]
    assert order(total=units / 10**places, currency=currency).total == units


def test_other_events_of_the_specification_have_their_meaning() -> None:
    """Refund, cancellation, looks, basket, review, in the old names and other letters too."""
    refund = told(
        track("Order Refunded", properties={"order_id": 50, "total": 5, "currency": "EUR"})
    )
    assert refund.body == RefundIssued(refund="m-1", order="50", currency="EUR", amount=500)
    assert Ref("order", "main/50") in refund.refs
    assert told(track("order_cancelled", properties={"order_id": "50"})).type == "order.cancelled"
    looked = told(track("Viewed Product", properties={"id": 12, "price": "?"}))
    assert looked.body == ProductEvent(product="12")
    started = track("Checkout Started", properties={"order_id": "8", "value": 3, "currency": "EUR"})
    assert told(started).body == CheckoutStarted(checkout="8", total=300, currency="EUR")
    added = told(track("product-added", properties={"sku": "x", "quantity": "3"}))
    assert (added.type, added.body) == (
        "product.added_to_cart",
        ProductEvent(product="x", quantity=3),
    )
    review = told(track("Product Reviewed", properties={"review_id": "r", "rating": "5"}))
    assert review.body == ReviewSubmitted(review="r", rating=5)


def test_every_name_of_the_specification_leads_to_a_type_of_ours() -> None:
    properties = {"order_id": "1", "product_id": "p", "email_id": "m"}
    for name in commerce.NAMES:
        assert told(track(name.title(), properties=properties), TRUSTED).type in BODIES


def test_what_a_line_says_wrongly_is_refused_with_its_place() -> None:
    bad = track(properties={"order_id": "1", "products": [{"sku": "a", "price": "ten"}]})
    assert refused(bad).where == "properties.products[0].price"
    assert refused(track(properties={"order_id": "1", "total": "much"})).where == "properties.total"
    assert refused(track(properties={})).where == "properties.order_id"
    assert refused(track(properties=[])).where == "properties"
    assert (
        refused(track("Product Viewed", properties={"name": "x"})).where == "properties.product_id"
    )


def test_an_event_in_our_own_words_is_taken_as_it_is_written() -> None:
    """Its properties are the data: whole numbers are minor units, as in files."""
    event = told(
        track("order.completed", properties={"order": "9", "total": 1250, "colour": "red"})
    )
    assert event.body == OrderCompleted(order="9", total=1250)
    assert event.personal["properties"]["colour"] == "red"


def test_an_event_that_nobody_specified_is_kept_whole() -> None:
    event = told(track("Signed Up", properties={"plan": "pro", "name": "Coffee"}))
    assert (event.type, event.body) == ("Signed Up", Other())
    assert event.personal == {"properties": {"plan": "pro", "name": "Coffee"}}


# --- who, and what is kept -----------------------------------------------------------------


def test_the_calls_name_the_customer_by_every_id_they_have() -> None:
    traits = {"email": " Ada@Example.com ", "phone": "+49 30 1234", "firstName": "Ada"}
    item = {"type": "identify", "userId": 4711, "anonymousId": "c0", "traits": traits}
    event = told({**item, "context": {"timezone": "Europe/Berlin", "locale": "de-DE"}})
    assert event.refs == (
        Ref("customer", "main/4711"),
        Ref("email", "ada@example.com"),
        Ref("phone", "+49301234"),
        Ref("anonymous", "c0"),
    )
    assert event.type == "customer.updated"
    assert event.personal["first_name"] == "Ada"
    assert event.personal["email"] == "ada@example.com"
    assert (event.body.zone, event.body.locale) == ("Europe/Berlin", "de-DE")


def test_traits_may_stand_in_the_context() -> None:
    """There RudderStack's clients put them; those of the call itself stand above."""
    context = {"traits": {"firstName": "Ada", "email": "a@b.example", "plan": "old"}}
    item = {"type": "identify", "userId": "1", "context": context, "traits": {"plan": "new"}}
    event = told(item)
    assert (event.personal["first_name"], event.personal["plan"]) == ("Ada", "new")
    assert Ref("email", "a@b.example") in event.refs


def test_an_address_as_user_id_is_an_address_and_no_number_of_the_shop() -> None:
    assert told(track("Hi", userId="Ada@Example.com")).refs == (Ref("email", "ada@example.com"),)


def test_looking_does_not_change_where_a_customer_is_written_to() -> None:
    """An address in the context of a look says who is meant; it is kept with the context only."""
    context = {"traits": {"email": "other@example.com"}}
    event = told(track("Product Viewed", properties={"sku": "a"}, context=context))
    assert "email" not in event.personal
    assert Ref("email", "other@example.com") in event.refs


def test_alias_page_screen_and_group_have_their_types() -> None:
    alias = told({"type": "alias", "userId": "1", "previousId": "anon"})
    assert alias.refs == (Ref("customer", "main/1"), Ref("anonymous", "anon"))
    assert refused({"type": "alias", "userId": "1"}).where == "previousId"
    page = told({"type": "page", "anonymousId": "a", "name": "Home", "properties": {"url": "/"}})
    assert (page.type, page.personal) == (
        "page.viewed",
        {"properties": {"url": "/"}, "page": "Home"},
    )
    assert told({"anonymousId": "a"}, call="screen").type == "screen.viewed"
    group = told({"type": "group", "userId": "1", "groupId": 7, "traits": {"name": "Firm"}})
    assert (group.type, group.personal) == (
        "group.joined",
        {"group": "7", "traits": {"name": "Firm"}},
    )
    assert refused({"type": "group", "userId": "1"}).where == "groupId"


def test_unknown_fields_are_kept_and_the_context_of_a_batch_is_merged_in() -> None:
    """What the item says itself stands above what its batch says."""
    head = segment.read_head({"context": {"ip": "1.2.3.4", "locale": "en"}, "sentAt": AT})
    event = told(track("Hi", context={"locale": "fr"}, colour="red"), head=head)
    assert event.personal["context"] == {"ip": "1.2.3.4", "locale": "fr"}
    assert event.personal["further"] == {"colour": "red"}
    assert event.body.locale == "fr"


def test_who_is_named_by_nothing_is_refused() -> None:
    assert refused(track("Hi", userId=None)).where == "userId"
    assert refused(track("Hi", userId=["4711"])).where == "userId"
    assert refused(track("Hi", userId="  ")).where == "userId"


def test_consent_and_messages_may_not_be_told_with_a_key_that_anybody_can_read() -> None:
    consent = track("consent.given", properties={"basis": "double-opt-in"})
    assert refused(consent).where == "type"
    assert told(consent, TRUSTED).body == ConsentEvent(basis="double-opt-in")
    opened = track("Email Opened", properties={"email_id": "m-9", "bounce_type": []})
    assert "secret key" in refused(opened).what
    assert told(opened, TRUSTED).body == MessageEvent(message="m-9")
    for kind in OURS:
        assert refused(track(kind), TRUSTED).where == "type"


# --- when ------------------------------------------------------------------------------------


def test_a_wrong_clock_is_corrected_by_when_the_client_sent() -> None:
    """The published rule: received - (sent - original)."""
    item = track("Hi", timestamp=None, originalTimestamp="2015-12-12T19:11:01.152Z")
    event = told({**item, "sentAt": "2015-12-12T19:11:01.249Z"})
    assert event.at == NOW - 97_000
    assert event.told_at == parse_instant("2015-12-12T19:11:01.152Z")


@given(st.integers(-400 * DAY, 400 * DAY), st.integers(0, 10 * DAY), st.integers(0, 3 * MINUTE))
def test_an_event_sent_again_is_the_same_event_at_any_skew(skew, age, later):
    """The corrected time differs from one arrival to the next; the telling does not."""
    item = track("Hi", timestamp=format_instant(NOW - age + skew))
    first = translate(
        {**item, "sentAt": format_instant(NOW + skew)}, received_at=NOW + SECOND, sender=SHOP
    )
    again = translate(
        {**item, "sentAt": format_instant(NOW + skew + later)},
        received_at=NOW + 2 * SECOND + later,
        sender=SHOP,
    )
    assert content_digest(first) == content_digest(again)
    assert first.at == NOW - age + SECOND
    assert first.at <= NOW + SECOND


@pytest.mark.parametrize(
    "time",
    ["1970-01-01T00:00:03Z", "9999-12-31T23:59:59Z", "yesterday", 12, "0001-01-01T00:00:00Z"],
)
def test_a_time_that_cannot_be_is_that_of_arrival_and_noted(time):
    event = told(track("Hi", timestamp=time))
    assert event.at == NOW
    assert event.personal["noted"] == {"timestamp": str(time)}


def test_without_a_time_or_an_id_an_event_happened_when_it_arrived() -> None:
    item = {"type": "track", "event": "Hi", "userId": "1"}
    assert told(item).at == NOW
    assert told(item).id != translate(item, received_at=NOW + HOUR, sender=SHOP).id
    timed = {**item, "timestamp": AT}
    assert told(timed).id == translate(timed, received_at=NOW + HOUR, sender=SHOP).id
    assert refused(track("Hi", messageId="x" * 101)).where == "messageId"


# --- CloudEvents -----------------------------------------------------------------------------

CLOUD = {"specversion": "1.0", "id": "c-1", "source": "/shop", "type": "order.completed"}
DATA = {"order": "A-1", "total": "12.50", "currency": "EUR", "customer": {"id": "4711"}}


def cloud(**parts: Any) -> Event:
    item = {**CLOUD, "data": DATA, **parts}
    return cloudevents.translate(item, received_at=NOW, sender=SHOP)


def cloud_refused(**parts: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        cloud(**parts)
    return caught.value


def test_a_cloud_event_is_named_by_its_source_and_id() -> None:
    event = cloud(time="2026-11-01T11:00:00+01:00", subject="A-1", traceparent="00-1")
    assert (event.source, event.id, event.type) == ("/shop", "c-1", "order.completed")
    assert event.body == OrderCompleted(order="A-1", total=1250, currency="EUR")
    assert event.refs == (Ref("customer", "main/4711"), Ref("order", "main/A-1"))
    assert event.at == parse_instant("2026-11-01T10:00:00Z")
    assert event.personal["cloudevent"] == {"subject": "A-1", "traceparent": "00-1"}


@pytest.mark.parametrize(
    ("parts", "where"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "id"),
        ({"source": None}, "source"),
        ({"source": "aftersale"}, "source"),
        ({"time": "soon"}, "time"),
        ({"Upper": "x"}, "'Upper'"),
        ({"nested": {}}, "nested"),
        ({"data_base64": "AA=="}, "data_base64"),
        ({"data": {"order": ["x"]}}, "data.order"),
        ({"type": "customer.merged"}, "type"),
        ({"type": "consent.given", "data": {}}, "type"),
    ],
)
def test_a_cloud_event_that_is_wrong_is_refused_by_its_attribute(parts, where):
    assert cloud_refused(**parts).where == where


def test_data_that_is_no_object_is_kept() -> None:
    assert cloud(type="thing.happened", data=[1]).personal == {"properties": {"value": [1]}}
    raw = base64.b64encode(b"\x00\xff").decode()
    item = {**CLOUD, "type": "x", "data_base64": raw, "datacontenttype": "image/png"}
    event = cloudevents.translate(item, received_at=NOW, sender=SHOP)
    assert event.personal["cloudevent"]["data_base64"] == raw
    json = base64.b64encode(b'{"order": "A-2"}').decode()
    item = {**CLOUD, "data_base64": json, "datacontenttype": "application/json"}
    event = cloudevents.translate(item, received_at=NOW, sender=SHOP)
    assert event.body == OrderCompleted(order="A-2")


def test_headers_are_decoded_as_the_binding_says() -> None:
    """The published vector, small letters in the digits, quotes, and what is no UTF-8."""
    word = "Euro%20%E2%82%AC%20%F0%9F%98%80"
    assert cloudevents.decoded(word, "ce-x") == "Euro € 😀"
    assert cloudevents.decoded(word.lower(), "ce-x").casefold() == "euro € 😀"
    assert cloudevents.decoded('"a \\"b\\" %20"', "ce-x") == 'a "b"  '
    assert cloudevents.decoded("%2520", "ce-x") == "%20"
    for wrong in ("%C0%A0", "%", "%zz"):
        with pytest.raises(Refusal):
            cloudevents.decoded(wrong, "ce-x")


def test_binary_mode_becomes_the_structured_form() -> None:
    headers = [("host", "x"), *((f"ce-{name}", value) for name, value in CLOUD.items())]
    item = cloudevents.from_headers(headers, b'{"order": "A-1"}', content_type="application/json")
    assert item == {**CLOUD, "datacontenttype": "application/json", "data": {"order": "A-1"}}
    for header in ("ce-datacontenttype", "ce-data"):
        with pytest.raises(Refusal):
            cloudevents.from_headers([(header, "x")], b"", content_type="")
    with pytest.raises(Refusal, match="twice"):
        cloudevents.from_headers([("ce-id", "1"), ("ce-id", "2")], b"", content_type="")
    with pytest.raises(Refusal, match="no JSON"):
        cloudevents.from_headers([], b"{", content_type="application/json")
    assert cloudevents.mode_of("Application/CloudEvents-Batch+json; charset=utf-8") == "batch"
    assert cloudevents.mode_of("application/cloudevents+json") == "structured"
    assert cloudevents.mode_of("application/json") == "binary"


# --- what no sender should send --------------------------------------------------------------


def test_deep_large_and_half_things_are_refused_with_their_place() -> None:
    deep: Any = {}
    for _ in range(MOST_DEPTH + 2):
        deep = {"a": deep}
    assert refused(track("Hi", properties=deep)).what == "the event is nested too deeply"
    assert "64 bits" in refused(track("Hi", properties={"n": 1 << 70})).what
    assert told(track("Hi", properties={"n": 2**53 + 1})).personal["properties"]["n"] == 2**53 + 1
    assert refused(track("Hi", properties={"n": "\ud800"})).where == "data"
    assert "letters" in refused(track("x" * 300)).what


def test_lenient_reading_says_where_something_is_unfit() -> None:
    """So that one item does not take its batch with it."""
    read = read_leniently(b'{"batch": [{"a": NaN}, {"b": ["\\ud800"]}, {"c": 1e999}, {"d": 1}]}')
    assert [place_of_unfit(item) for item in read["batch"]] == ["a", "b[0]", "c", ""]
    assert place_of_unfit({"\udfff": 1}) == "a name"
    for wrong, where in ((b"{", "byte 1"), (b'"\xff"', "byte 1"), (b"1" * 9_999, "")):
        with pytest.raises(Refusal) as caught:
            read_leniently(wrong)
        assert caught.value.where == where
    with pytest.raises(Refusal, match="deeply"):
        read_leniently(b"[" * 100_000)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
ITEMS: list[dict[str, Any]] = [
    track(
        properties={
            "order_id": "A-1",
            "total": 27.5,
            "currency": "EUR",
            "coupon": "x",
            "products": [{"product_id": "p", "price": 19, "quantity": 1, "coupon": "y"}],
        },
        context={"channel": "browser", "campaign": {"source": "s"}, "device": {"type": "phone"}},
        sentAt=AT,
    ),
    track("Order Refunded", properties={"order_id": "A", "total": 1, "refund_id": "r"}),
    track("Product Reviewed", properties={"rating": "5", "review_id": "r", "order_id": "A"}),
    track("Product Viewed", properties={"product_id": "p", "quantity": 2}),
    track("Email Bounced", properties={"email_id": "m", "bounce_type": "soft"}),
    track("order.shipped", properties={"order": "1", "promised_at": AT}),
    {"type": "identify", "userId": "1", "traits": {"email": "a@b", "address": {"country": "de"}}},
    {"type": "group", "userId": "1", "groupId": "g", "traits": {"name": "x"}},
    {"type": "alias", "userId": "1", "previousId": "g"},
    {
        "type": "page",
        "anonymousId": "a",
        "name": "x",
        "category": "y",
        "integrations": {"All": True},
    },
]
CLOUDS: list[dict[str, Any]] = [
    {**CLOUD, "time": AT, "subject": "s", "data": DATA},
    {**CLOUD, "datacontenttype": "application/json", "data_base64": "e30="},
    {**CLOUD, "type": "order.shipped", "data": {"order": "1", "shop": "x", "promised_at": AT}},
]


def mutated(draw: st.DrawFn, value: Any) -> Any:
    """The value with one of its parts changed, gone or renamed, at any depth."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        name = draw(st.sampled_from(sorted(value)))
        inner = dict(value)
        kept = inner.pop(name)
        match draw(st.integers(0, 5)):
            case 0:
                pass
            case 1:
                inner[draw(st.text(max_size=6))] = kept
            case _:
                inner[name] = mutated(draw, kept)
        return inner
    if isinstance(value, list) and value and draw(st.booleans()):
        return [mutated(draw, value[0]), *value[1:]]
    return draw(JSON)


@pytest.mark.slow
@settings(max_examples=300)
@given(st.data())
def test_no_mutated_item_does_anything_but_become_an_event_or_a_refusal(data):
    """And what becomes one can be written: its parts are packed as the ledger packs them."""
    clouds = data.draw(st.booleans())
    item = data.draw(st.sampled_from(CLOUDS if clouds else ITEMS))
    for _ in range(data.draw(st.integers(1, 3))):
        item = mutated(data.draw, item)
    with contextlib.suppress(Refusal):
        if clouds:
            event = cloudevents.translate(item, received_at=NOW, sender=TRUSTED)
        else:
            event = told(item, TRUSTED, head=Head(context={"ip": "1"}, sent_at=data.draw(JSON)))
        assert FIRST <= event.at <= NOW
        assert event.id
        assert event.type not in OURS
        msgspec.msgpack.encode(event)
        content_digest(event)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.text(), st.text(max_size=20))), st.binary(max_size=40), st.text())
def test_no_header_does_anything_but_say_something_or_be_refused(headers, body, kind):
    with contextlib.suppress(Refusal):
        cloudevents.from_headers(
            [(f"ce-{name}", value) for name, value in headers], body, content_type=kind
        )


@settings(max_examples=150)
@given(st.binary(max_size=60))
def test_no_body_does_anything_but_be_read_or_refused(body):
    with contextlib.suppress(Refusal):
        place_of_unfit(read_leniently(body))
