"""What do the words of each provider become?"""

import pytest

from aftersale.events.event import Ref
from aftersale.events.vocabulary import (
    CheckoutStarted,
    ConsentEvent,
    Line,
    MessageEvent,
    OrderCompleted,
    OrderDelivered,
    OrderShipped,
    ParcelUpdated,
    Payment,
    PrivacyRequested,
    ProductFacts,
    RefundIssued,
    ReturnInitiated,
    Subscription,
)
from aftersale.kernel.instants import parse_instant
from aftersale.translation.happening import Delivery, Passed, Translated
from aftersale.translation.keywords import keyword
from aftersale.translation.mail import blame
from aftersale.translation.providers import translate
from stories import (
    AFTERSHIP,
    AMAZON_SES,
    EASYPOST,
    KEY,
    MAILGUN,
    NOW,
    POSTMARK,
    SENDGRID,
    SHIPPO,
    SHOPIFY,
    STRIPE,
    TWILIO,
    WOOCOMMERCE,
    delivery,
    sendgrid,
    shopify,
    texted,
    twilio,
    woo,
)


def told(provider: str, one: Delivery) -> Translated:
    return translate(provider, one)


def types(found: Translated) -> list[str]:
    return [event.type for event in found.events]


def only(found: Translated):
    (event,) = found.events
    return event


# --- shops --------------------------------------------------------------------------------


def test_an_order_of_shopify_is_told_with_its_money_its_lines_and_its_buyer():
    """Ids beyond 2^53 stay exact; a line costs price times quantity less its discounts."""
    found = told("shopify", SHOPIFY[2])
    order, consent = found.events
    assert order.body == OrderCompleted(
        order="820982911946154508",
        currency="EUR",
        total=3140,
        lines=(Line("COFFEE", 2, 2600), Line("77", 1, 0)),
        discount=200,
        shipping=540,
        codes=("SPRING",),
        channel="web",
        changed_at=parse_instant("2026-09-01T09:00:05+02:00"),
        locale="de-DE",
        country="DE",
    )
    assert order.at == parse_instant("2026-09-01T07:00:00Z")
    assert order.refs[:2] == (
        Ref("customer", "main/115310627314723954"),
        Ref("email", "ada@example.com"),
    )
    assert order.personal["first_name"] == "Ada"
    assert order.personal["number"] == "#1001"
    assert (consent.type, consent.body.basis) == ("consent.given", "opt-in")


def test_an_order_told_again_with_a_change_is_another_event_of_the_same_order():
    """The same content has the same id; a later change has another and names when it was made."""
    first, second = (told("shopify", SHOPIFY[n]).events[0] for n in (2, 3))
    assert first.id != second.id
    assert first.at == second.at
    assert first.body.changed_at < second.body.changed_at
    other_topic = told("shopify", delivery(SHOPIFY[2].body, x_shopify_topic="orders/paid"))
    assert other_topic.events[0].id == first.id


def test_a_resource_of_shopify_is_known_by_its_topic_or_by_the_name_around_it():
    """The header with and without X-, and the form of the REST interface."""
    body = SHOPIFY[2].body
    newer = told("shopify", delivery(body, shopify_topic="orders/create"))
    handle = told("shopify", delivery(body, shopify_handle="orders", shopify_action="create"))
    wrapped = told("shopify", delivery(b'{"order": ' + body + b"}"))
    assert types(newer) == types(handle) == types(wrapped) == ["order.completed", "consent.given"]


def test_a_fulfilment_of_shopify_is_a_parcel_that_left_and_arrived():
    """The tracking number names the parcel, also for a carrier that knows nothing else."""
    shipped = only(told("shopify", SHOPIFY[4]))
    assert shipped.body == OrderShipped(
        order="820982911946154508", parcel="00340434161094000001", carrier="DHL"
    )
    assert Ref("parcel", "00340434161094000001") in shipped.refs
    assert shipped.personal["tracking_url"] == "https://track.example/1"
    again, delivered = told("shopify", SHOPIFY[5]).events
    assert again.id == shipped.id
    assert delivered.body == OrderDelivered(
        order="820982911946154508", parcel="00340434161094000001"
    )


def test_a_refund_of_shopify_is_money_and_goods_apart():
    """Money comes from the transactions; only what is restocked came back."""
    money, goods = told("shopify", SHOPIFY[6]).events
    assert money.body == RefundIssued(
        refund="509562969", order="820982911946154508", currency="EUR", amount=1300
    )
    assert goods.body == ReturnInitiated(
        record="refund-509562969",
        order="820982911946154508",
        lines=(Line("COFFEE", 1, 1300),),
    )
    undone = shopify(
        "refunds/create",
        id=1,
        order_id=2,
        created_at="2026-09-09T13:35:06Z",
        refund_line_items=[
            {"quantity": 1, "restock_type": "cancel", "line_item": {"sku": "A", "quantity": 1}},
            {"quantity": 1, "restock_type": "cancel", "line_item": {"sku": "B", "quantity": 2}},
            {"quantity": 1, "restock_type": "no_restock", "line_item": {"sku": "C"}},
        ],
    )
    assert types(told("shopify", undone)) == ["refund.issued", "order.cancelled"]
    assert told("shopify", undone).events[1].body.products == ("A",)


def test_what_a_customer_of_shopify_allows_has_its_own_time_and_proof():
    """A permission of unknown age counts from when the account was made."""
    _, given = told("shopify", SHOPIFY[1]).events
    assert given.body == ConsentEvent(basis="double-opt-in")
    assert given.at == parse_instant("2026-09-01T06:59:00Z")
    _, withdrawn = told("shopify", SHOPIFY[7]).events
    assert (withdrawn.type, withdrawn.at) == (
        "consent.withdrawn",
        parse_instant("2026-09-10T06:00:00Z"),
    )
    old = shopify(
        "customers/update",
        id=1,
        created_at="2020-01-01T00:00:00Z",
        updated_at="2026-01-01T00:00:00Z",
        email="a@x.de",
        accepts_marketing=True,
    )
    _, unknown = told("shopify", old).events
    assert unknown.at == parse_instant("2020-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        ("customers/data_request", "access"),
        ("customers/redact", "erase"),
        ("shop/redact", "erase-shop"),
    ],
)
def test_the_privacy_topics_of_shopify_are_requests(topic, kind):
    """Each with its number, and whom it is about."""
    body = {"shop_id": 954889, "customer": {"id": 191167, "email": "ada@example.com"}}
    event = only(told("shopify", shopify(topic, **body)))
    assert isinstance(event.body, PrivacyRequested)
    assert event.body.kind == kind
    assert event.refs[0] == Ref("customer", "main/191167")


def test_a_basket_and_a_checkout_of_shopify_belong_to_one_visitor():
    """The token of the basket is an id of the visitor, until an address is known."""
    started = only(told("shopify", SHOPIFY[0]))
    assert isinstance(started.body, CheckoutStarted)
    basket = shopify("carts/update", token="ca47?key=1", line_items=[{"sku": "X", "quantity": 3}])
    added = only(told("shopify", basket))
    assert added.type == "product.added_to_cart"
    assert added.refs == (Ref("anonymous", "cart:ca47"),)
    assert added.refs[0] in started.refs


def test_the_products_of_a_shop_go_to_the_catalogue():
    """One for each variant, under the number that the lines of orders name."""
    product = shopify(
        "products/update",
        id=1,
        title="Coffee",
        product_type="Drinks",
        variants=[{"id": 5, "sku": "C-1", "title": "1 kg", "price": "19.90"}, {"id": 6}],
    )
    assert told("shopify", product).products == (
        ProductFacts("C-1", "Coffee - 1 kg", "Drinks", price=1990),
        ProductFacts("6", "Coffee", "Drinks"),
    )
    other = woo(
        "product.updated",
        {"id": 9, "sku": "", "name": "Cup", "regular_price": "4", "categories": [{"name": "Ware"}]},
    )
    assert told("woocommerce", other).products == (ProductFacts("9", "Cup", "Ware", price=400),)


@pytest.mark.parametrize(
    ("topic", "body", "reason"),
    [
        ("orders/create", {"id": 1, "test": True}, "test"),
        ("draft_orders/create", {"id": 1, "status": "open"}, "not-yet"),
        ("app/uninstalled", {"id": 1}, "set-up"),
        ("inventory_levels/update", {"available": 1}, "no-fact"),
        ("order_transactions/create", {"kind": "refund", "status": "success"}, "told-elsewhere"),
        ("customers/delete", {"id": 1}, "deleted"),
        ("moons/risen", {"id": 1}, "unknown"),
        ("orders/create", {}, "missing"),
    ],
)
def test_what_of_shopify_tells_nothing_is_passed_over_with_its_reason(topic, body, reason):
    """Understood or not: only the latter may become something after a fix."""
    found = told("shopify", shopify(topic, **body))
    assert not found.events
    assert [passed.code for passed in found.passed] == [reason]
    assert found.understood == (reason not in {"unknown", "missing"})


def test_an_order_of_woocommerce_counts_once_it_is_paid_or_accepted():
    """Pending ones do not; a finished one was handed over; its refunds are money back."""
    assert told("woocommerce", WOOCOMMERCE[0]).passed == (
        Passed("not-yet", "an order that is pending"),
    )
    order = only(told("woocommerce", WOOCOMMERCE[1]))
    assert order.body.lines == (Line("Bar3", 1, 1200), Line("93", 2, 600))
    assert order.at == parse_instant("2026-09-01T07:00:00Z")
    done = told("woocommerce", WOOCOMMERCE[2])
    assert types(done) == ["order.completed", "order.shipped", "refund.issued"]
    assert done.events[2].body.amount == 600
    gone = only(told("woocommerce", WOOCOMMERCE[4]))
    assert (gone.type, gone.body.order) == ("order.cancelled", "727")


def test_a_guest_of_woocommerce_has_no_customer_number():
    """Their number 0 is nobody's."""
    guest = WOOCOMMERCE[1].body.replace(b'"customer_id": 25', b'"customer_id": 0')
    event = only(told("woocommerce", woo("order.updated", guest)))
    assert [ref.kind for ref in event.refs] == ["email", "order"]


def test_the_ping_of_woocommerce_is_about_the_connection():
    """A form with the number of the webhook, when it is made."""
    found = told("woocommerce", delivery((("webhook_id", "3"),)))
    assert [passed.code for passed in found.passed] == ["set-up"]


def test_stripe_tells_of_payments_refunds_disputes_and_subscriptions():
    """Whole minor units; the shop's number of the order where the shop told it."""
    order, charge, refund, dispute, plan = (only(told("stripe", one)) for one in STRIPE)
    assert (order.body.order, order.body.total, order.body.currency) == ("10042", 3140, "EUR")
    assert charge.body == Payment(payment="pi_1", order="10042", currency="EUR", amount=3140)
    assert Ref("anonymous", "stripe:cus_1") in charge.refs
    assert refund.body == RefundIssued(refund="re_1", order="10042", currency="EUR", amount=1300)
    assert (dispute.body.payment, dispute.body.reason) == ("pi_1", "fraudulent")
    assert plan.body == Subscription(
        subscription="sub_1", status="cancelled", renews_at=1_789_000_000_000_000
    )


def test_stripe_counts_two_currencies_in_hundredths_that_they_do_not_have():
    """ISK and UGX, as its list of special cases says; yen are whole."""
    for currency, amount in (("isk", 31), ("jpy", 3140)):
        body = STRIPE[1].body.replace(b'"eur"', f'"{currency}"'.encode())
        assert only(told("stripe", delivery(body))).body.amount == amount


def test_a_thin_event_of_stripe_holds_nothing_to_translate():
    """It names an object that would have to be fetched."""
    thin = {"object": "v2.core.event", "type": "v1.billing.meter.error_report_triggered", "id": "e"}
    assert [p.code for p in told("stripe", delivery(thin)).passed] == ["thin"]


# --- carriers -----------------------------------------------------------------------------


def test_a_tracking_tells_each_change_once_at_the_carriers_time():
    """Shipped and delivered are the order's; what is in between the parcel's."""
    found = told("aftership", AFTERSHIP[4])
    assert types(found) == [
        "parcel.updated",
        "order.shipped",
        "parcel.updated",
        "parcel.updated",
        "order.delivered",
    ]
    assert [getattr(e.body, "status", "") for e in found.events] == [
        *("pre_transit", "", "exception", "out_for_delivery", "")
    ]
    assert found.events[-1].at == parse_instant("2026-09-04T09:20:00Z")
    assert found.events[1].body.promised_at == parse_instant("2026-09-04T23:59:59Z")
    before = {event.id for event in told("aftership", AFTERSHIP[3]).events}
    assert before <= {event.id for event in found.events}


def test_a_carrier_that_knows_no_order_tells_of_the_parcel():
    """Its number names the customer, once a shop has told the number with an order."""
    found = told("easypost", EASYPOST[2])
    assert [event.body.status for event in found.events] == [
        *("pre_transit", "in_transit", "delivered")
    ]
    assert found.events[2].body == ParcelUpdated(
        parcel="9400100208303109500775",
        status="delivered",
        carrier="USPS",
        promised_at=parse_instant("2026-09-05T23:59:59Z"),
    )
    assert found.events[2].refs == (Ref("parcel", "9400100208303109500775"),)


def test_a_label_of_easypost_joins_its_number_and_the_order():
    """The shipment's reference is the merchant's own number."""
    shipment = {
        "object": "Shipment",
        "reference": "10042",
        "tracker": {"object": "Tracker", "tracking_code": "EZ1000000001", "status": "unknown"},
    }
    event = only(told("easypost", delivery(shipment)))
    assert (event.body.order, event.body.status) == ("10042", "pre_transit")
    assert [ref.kind for ref in event.refs] == ["order", "parcel"]


def test_shippo_says_more_in_its_substatus():
    """Out for delivery is only told there; the merchant's text names the order."""
    assert types(told("shippo", SHIPPO[0])) == ["order.shipped"]
    moving = only(told("shippo", SHIPPO[1]))
    assert (moving.body.order, moving.body.status) == ("10042", "out_for_delivery")


# --- mail ---------------------------------------------------------------------------------


def test_the_events_of_sendgrid_end_in_our_few_words():
    """Each under its own id; all of one message under one name."""
    found = [event for one in SENDGRID for event in told("sendgrid", one).events]
    assert [(event.type, event.body.kind) for event in found] == [
        ("message.sent", ""),
        ("message.bounced", "soft"),
        ("message.delivered", ""),
        ("message.opened", ""),
        ("message.clicked", ""),
        ("message.unsubscribed", ""),
        ("message.complained", ""),
    ]
    assert {event.body.message for event in found} == {"abc"}


@pytest.mark.parametrize(
    ("told_by", "kind", "bounce"),
    [
        ({"event": "bounce", "type": "bounce", "reason": "550 5.1.1 x"}, "bounced", "hard"),
        ({"event": "bounce", "type": "bounce", "reason": "552 5.2.2 full"}, "bounced", "soft"),
        ({"event": "bounce", "type": "blocked", "reason": "x"}, "failed", "blocked"),
        ({"event": "dropped", "reason": "Bounced Address"}, "bounced", "hard"),
        ({"event": "dropped", "reason": "Spam Reporting Address"}, "complained", ""),
        ({"event": "dropped", "reason": "Recipient List over Package Quota"}, "failed", "dropped"),
    ],
)
def test_only_what_is_the_addresss_fault_blocks_it(told_by, kind, bounce):
    """A full mailbox, a block and a quota are not."""
    name = told_by.pop("event")
    event = only(told("sendgrid", delivery([sendgrid(name, 1_788_000_000, **told_by)])))
    assert (event.type, event.body.kind) == (f"message.{kind}", bounce)


def test_a_machine_that_opens_a_mail_is_no_reader():
    """Apple's mail fetches every picture."""
    event = sendgrid("open", 1_788_000_000, sg_machine_open=True)
    assert [p.code for p in told("sendgrid", delivery([event])).passed] == ["machine"]


def test_our_key_is_found_where_the_provider_carries_it():
    """In the variables, the metadata, or the headers of the mail; else the Message-ID names it."""
    assert only(told("mailgun", MAILGUN[0])).body.message == KEY
    assert only(told("postmark", POSTMARK[0])).body.message == KEY
    ses = told("amazon_ses", AMAZON_SES[0])
    assert {event.body.message for event in ses.events} == {KEY}
    assert ses.names[ses.events[0].id] == ("ses-1",)
    assert only(told("postmark", POSTMARK[1])).body.message == "m-2"


def test_an_event_of_ses_is_one_for_each_recipient():
    """A bounce concerns those who bounced, a send everybody."""
    assert len(told("amazon_ses", AMAZON_SES[0]).events) == 2
    bounced = only(told("amazon_ses", AMAZON_SES[3]))
    assert bounced.body == MessageEvent(message=KEY, kind="hard")
    assert bounced.at == parse_instant("2026-08-29T13:28:10.101Z")
    assert bounced.id == "message.bounced:sns-Bounce:ada@example.com"


def test_a_time_that_is_not_told_is_no_contradiction():
    """The arrival serves, and another arrival of the same is the same."""
    body = {"event": "clicked", "recipient": "a@x.de", "token": "t"}
    event = only(told("mailgun", delivery(body)))
    assert (event.at, event.told_at) == (NOW, 0)


@pytest.mark.parametrize(
    ("words", "hard", "expected"),
    [
        ("550 5.1.1 no such user", False, "hard"),
        ("5.2.1 disabled", True, "hard"),
        ("552 5.2.2 over quota", True, "soft"),
        ("554 5.7.1 blocked", True, "soft"),
        ("450 4.2.0 later", True, "soft"),
        ("no code at all", True, "hard"),
        ("no code at all", False, "soft"),
    ],
)
def test_the_status_in_a_servers_words_says_whose_fault_it_is(words, hard, expected):
    """RFC 3463: 5.1.x and 5.2.1 are the address's; without a status the provider's word counts."""
    assert blame(words, hard=hard) == expected


# --- text messages ------------------------------------------------------------------------


def test_the_status_of_a_text_message_and_its_errors():
    """Before it is out it tells nothing; a number that cannot get texts is blocked."""
    assert [p.code for p in told("twilio", TWILIO[0]).passed] == ["not-yet"]
    arrived = only(told("twilio", TWILIO[2]))
    assert arrived.body == MessageEvent(message="SM1", channel="sms")
    assert arrived.at == parse_instant("2026-09-04T11:20:00Z")
    for error, kind, bounce in (
        ("30006", "message.bounced", "hard"),
        ("30003", "message.bounced", "soft"),
        ("30007", "message.failed", "filtered"),
        ("21610", "message.unsubscribed", ""),
    ):
        event = only(told("twilio", twilio("undelivered", ErrorCode=error)))
        assert (event.type, event.body.kind) == (kind, bounce)


def test_a_customer_who_texts_stop_is_heard_at_once():
    """The message is kept as one, and the permission ends; a question changes nothing."""
    assert types(told("twilio", TWILIO[3])) == ["message.received"]
    written, ended = told("twilio", TWILIO[4]).events
    assert written.body.kind == "stop"
    assert ended.body == ConsentEvent(channel="sms", basis="reply")
    assert ended.type == "consent.withdrawn"
    assert ended.refs == (Ref("phone", "+14155550100"),)
    assert types(told("twilio", texted("Start!"))) == ["message.received", "consent.given"]
    assert types(told("twilio", texted("yes"))) == ["message.received"]
    assert types(told("twilio", texted("x", OptOutType="STOP")))[1] == "consent.withdrawn"


@pytest.mark.parametrize(
    ("said", "word"),
    [
        *(
            (said, "stop")
            for said in ("STOP", " stop. ", "Stop!! 🛑", "opt-out", "OPT OUT", "ARRET")
        ),
        *(
            (said, "stop")
            for said in ("please stop texting me", "no mas", "No más", "Don’t text me")
        ),
        *((said, "start") for said in ("START", "unstop")),
        *((said, "help") for said in ("Help", "INFO?")),
        *((said, "") for said in ("yes", "the bus stop is closed", "cancel my order 10042", "")),
    ],
)
def test_a_few_plain_ways_to_say_stop(said, word):
    """The whole message, or a plain sentence; a word within another matter is none."""
    assert keyword(said) == word
