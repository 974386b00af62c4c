"""What do providers send about one customer, in their own words? Made up, short, in order."""

import json
from typing import Any
from urllib.parse import urlencode

from aftersale.translation.happening import Delivery

NOW = 1_790_000_000_000_000
"""2026-09-21, when everything arrives."""

KEY = "refill:refill:7:p1@1790000000:remind:1:email"
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def delivery(body: Any, shop: str = "main", **headers: str) -> Delivery:
    """A request: text and bytes as they are, pairs as a form, anything else as JSON."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    if isinstance(body, tuple):
        return Delivery(urlencode(body).encode(), {**FORM, **told}, NOW, shop)
    if isinstance(body, str):
        body = body.encode()
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Delivery(data, {**JSON, **told}, NOW, shop)


def shopify(topic: str, **body: Any) -> Delivery:
    return delivery(body, x_shopify_topic=topic)


_ADDRESS = {"first_name": "Ada", "last_name": "Lind", "country_code": "DE"}
_ORDER: dict[str, Any] = {
    "id": 820982911946154508,
    "name": "#1001",
    "email": "ada@example.com",
    "currency": "EUR",
    "total_price": "31.40",
    "total_discounts": "2.00",
    "created_at": "2026-09-01T09:00:00+02:00",
    "updated_at": "2026-09-01T09:00:05+02:00",
    "financial_status": "paid",
    "source_name": "web",
    "buyer_accepts_marketing": True,
    "customer_locale": "de-DE",
    "customer": {"id": 115310627314723954, "email": "ada@example.com", **_ADDRESS},
    "shipping_address": _ADDRESS,
    "shipping_lines": [{"price": "5.40"}],
    "discount_codes": [{"code": "SPRING"}],
    "line_items": [
        {
            "id": 1,
            "sku": "COFFEE",
            "product_id": 9,
            "quantity": 2,
            "price": "14.00",
            "discount_allocations": [{"amount": "2.00"}],
        },
        {"id": 2, "sku": "", "variant_id": 77, "product_id": 8, "quantity": 1, "price": "0.00"},
    ],
}
_FULFILMENT: dict[str, Any] = {
    "id": 255858046,
    "order_id": 820982911946154508,
    "status": "success",
    "tracking_company": "DHL",
    "tracking_numbers": ["00340434161094000001"],
    "tracking_urls": ["https://track.example/1"],
    "created_at": "2026-09-02T15:00:00+02:00",
    "updated_at": "2026-09-02T15:00:00+02:00",
}
_EMAIL_CONSENT = {
    "state": "subscribed",
    "opt_in_level": "confirmed_opt_in",
    "consent_updated_at": "2026-09-01T08:59:00+02:00",
}
_CUSTOMER = {
    "id": 115310627314723954,
    "email": "ada@example.com",
    "created_at": "2026-08-01T08:00:00+02:00",
    "updated_at": "2026-09-01T08:59:00+02:00",
    "email_marketing_consent": _EMAIL_CONSENT,
    "default_address": _ADDRESS,
}
SHOPIFY = [
    shopify(
        "checkouts/create",
        token="c0ffee",
        cart_token="ca47",
        email="ada@example.com",
        currency="EUR",
        total_price="31.40",
        created_at="2026-09-01T08:50:00+02:00",
        line_items=_ORDER["line_items"],
    ),
    shopify("customers/create", **_CUSTOMER),
    shopify("orders/create", **_ORDER),
    shopify("orders/updated", **{**_ORDER, "updated_at": "2026-09-02T10:00:00+02:00"}),
    shopify("fulfillments/create", **_FULFILMENT),
    shopify(
        "fulfillments/update",
        **{
            **_FULFILMENT,
            "shipment_status": "delivered",
            "updated_at": "2026-09-04T11:20:00+02:00",
        },
    ),
    shopify(
        "refunds/create",
        id=509562969,
        order_id=820982911946154508,
        created_at="2026-09-09T13:35:06+02:00",
        transactions=[
            {"kind": "refund", "status": "success", "amount": "13.00", "currency": "EUR"}
        ],
        refund_line_items=[
            {
                "quantity": 1,
                "subtotal": "13.00",
                "restock_type": "return",
                "line_item": {"sku": "COFFEE", "quantity": 2},
            }
        ],
    ),
    shopify(
        "customers/update",
        **{
            **_CUSTOMER,
            "updated_at": "2026-09-10T08:00:00+02:00",
            "email_marketing_consent": {
                "state": "unsubscribed",
                "consent_updated_at": "2026-09-10T08:00:00+02:00",
            },
        },
    ),
    shopify(
        "customers/redact",
        shop_id=1,
        customer={"id": 115310627314723954, "email": "ada@example.com"},
        orders_to_redact=[820982911946154508],
    ),
]

_WOO: dict[str, Any] = {
    "id": 727,
    "number": "727",
    "order_key": "wc_order_1",
    "created_via": "checkout",
    "status": "processing",
    "currency": "USD",
    "total": "29.35",
    "discount_total": "0.00",
    "shipping_total": "10.00",
    "customer_id": 25,
    "payment_method": "bacs",
    "date_created_gmt": "2026-09-01T07:00:00",
    "date_modified_gmt": "2026-09-01T07:00:08",
    "date_paid_gmt": "2026-09-01T07:00:08",
    "billing": {"first_name": "Ada", "email": "ada@example.com", "country": "US"},
    "line_items": [
        {"product_id": 22, "variation_id": 23, "quantity": 1, "total": "12.00", "sku": "Bar3"},
        {"product_id": 93, "variation_id": 0, "quantity": 2, "total": "6.00", "sku": ""},
    ],
    "coupon_lines": [{"code": "10off"}],
    "refunds": [],
}


def woo(topic: str, body: Any) -> Delivery:
    return delivery(body, x_wc_webhook_topic=topic)


WOOCOMMERCE = [
    woo("order.created", {**_WOO, "status": "pending", "date_paid_gmt": None}),
    woo("order.updated", _WOO),
    woo(
        "order.updated",
        {
            **_WOO,
            "status": "completed",
            "date_modified_gmt": "2026-09-03T07:00:00",
            "date_completed_gmt": "2026-09-03T07:00:00",
            "refunds": [{"id": 728, "reason": "broken", "total": "-6.00"}],
        },
    ),
    woo(
        "customer.updated",
        {
            "id": 25,
            "email": "ada@example.com",
            "role": "customer",
            "username": "ada",
            "billing": {"country": "US"},
            "date_modified_gmt": "2026-09-03T08:00:00",
        },
    ),
    woo("order.deleted", {"id": 727}),
]


def stripe(kind: str, told: dict[str, Any], event: str, created: int = 1_788_000_000) -> Delivery:
    return delivery(
        {
            "id": event,
            "object": "event",
            "type": kind,
            "created": created,
            "data": {"object": {"created": created, **told}},
        }
    )


_CHARGE = {
    "id": "ch_1",
    "object": "charge",
    "payment_intent": "pi_1",
    "amount": 3140,
    "currency": "eur",
    "paid": True,
    "captured": True,
    "status": "succeeded",
    "customer": "cus_1",
    "receipt_email": "ada@example.com",
    "metadata": {"order_id": "10042"},
}
STRIPE = [
    stripe(
        "checkout.session.completed",
        {
            "id": "cs_1",
            "object": "checkout.session",
            "payment_status": "paid",
            "status": "complete",
            "amount_total": 3140,
            "currency": "eur",
            "customer": "cus_1",
            "client_reference_id": "10042",
            "customer_details": {"email": "ada@example.com", "address": {"country": "DE"}},
        },
        "evt_1",
    ),
    stripe("charge.succeeded", _CHARGE, "evt_2"),
    stripe(
        "refund.created",
        {
            "id": "re_1",
            "object": "refund",
            "amount": 1300,
            "currency": "eur",
            "status": "succeeded",
            "metadata": {"order_id": "10042"},
        },
        "evt_3",
        1_788_500_000,
    ),
    stripe(
        "charge.dispute.created",
        {
            "id": "dp_1",
            "object": "dispute",
            "amount": 1000,
            "currency": "eur",
            "payment_intent": "pi_1",
            "reason": "fraudulent",
            "status": "needs_response",
        },
        "evt_4",
    ),
    stripe(
        "customer.subscription.updated",
        {
            "id": "sub_1",
            "object": "subscription",
            "status": "canceled",
            "customer": "cus_1",
            "current_period_end": 1_789_000_000,
        },
        "evt_5",
    ),
]

_POINTS = [
    {"checkpoint_time": "2026-09-02T16:00:00+02:00", "tag": "InfoReceived"},
    {"checkpoint_time": "2026-09-02T20:00:00+02:00", "tag": "InTransit"},
    {"checkpoint_time": "2026-09-03T09:00:00+02:00", "tag": "Exception", "subtag": "Exception_004"},
    {"checkpoint_time": "2026-09-04T08:00:00+02:00", "tag": "OutForDelivery"},
    {"checkpoint_time": "2026-09-04T11:20:00+02:00", "tag": "Delivered"},
]


def aftership(points: int) -> Delivery:
    told = _POINTS[:points]
    return delivery(
        {
            "event": "tracking_update",
            "event_id": f"e-{points}",
            "msg": {
                "tracking_number": "00340434161094000001",
                "slug": "dhl",
                "order_id": "10042",
                "tag": told[-1]["tag"],
                "expected_delivery": "2026-09-04",
                "emails": ["ada@example.com"],
                "checkpoints": told,
            },
        }
    )


AFTERSHIP = [aftership(points) for points in range(1, 6)]


def easypost(*words: tuple[str, str]) -> Delivery:
    return delivery(
        {
            "object": "Event",
            "description": "tracker.updated",
            "id": f"evt_{len(words)}",
            "result": {
                "object": "Tracker",
                "tracking_code": "9400100208303109500775",
                "carrier": "USPS",
                "status": words[-1][0],
                "est_delivery_date": "2026-09-05T00:00:00Z",
                "tracking_details": [{"status": s, "datetime": at} for s, at in words],
            },
        }
    )


_STEPS = (
    ("pre_transit", "2026-09-02T16:00:00Z"),
    ("in_transit", "2026-09-02T20:00:00Z"),
    ("delivered", "2026-09-04T11:20:00Z"),
)
EASYPOST = [easypost(*_STEPS[:n]) for n in (1, 2, 3)]


def shippo(status: str, at: str, code: str = "") -> Delivery:
    return delivery(
        {
            "event": "track_updated",
            "data": {
                "tracking_number": "92055901755477000271990251",
                "carrier": "usps",
                "metadata": "Order #10042",
                "eta": "2026-09-05T00:00:00Z",
                "tracking_status": {
                    "status": status,
                    "status_date": at,
                    "substatus": {"code": code} if code else None,
                },
            },
        }
    )


SHIPPO = [
    shippo("TRANSIT", "2026-09-02T20:00:00Z"),
    shippo("TRANSIT", "2026-09-04T08:00:00Z", "out_for_delivery"),
    shippo("DELIVERED", "2026-09-04T11:20:00Z"),
]


def sendgrid(event: str, at: int, **told: Any) -> dict[str, Any]:
    return {
        "event": event,
        "email": "ada@example.com",
        "timestamp": at,
        "sg_event_id": f"e-{event}-{at}",
        "sg_message_id": "abc.filter1.2.3",
        **told,
    }


SENDGRID = [
    delivery([sendgrid("processed", 1_788_000_000), sendgrid("deferred", 1_788_000_010)]),
    delivery([sendgrid("delivered", 1_788_000_100)]),
    delivery([sendgrid("open", 1_788_000_200), sendgrid("click", 1_788_000_210, url="https://x")]),
    delivery([sendgrid("group_unsubscribe", 1_788_000_300)]),
    delivery([sendgrid("spamreport", 1_788_000_400)]),
]


def mailgun(event: str, at: float, **told: Any) -> Delivery:
    return delivery(
        {
            "signature": {"timestamp": "1", "token": "t", "signature": "s"},
            "event-data": {
                "event": event,
                "id": f"id-{event}-{at}",
                "timestamp": at,
                "recipient": "ada@example.com",
                "message": {"headers": {"message-id": "m1@shop.example"}},
                "user-variables": {"aftersale_key": KEY},
                **told,
            },
        }
    )


MAILGUN = [
    mailgun("accepted", 1_788_000_000.25),
    mailgun("failed", 1_788_000_001.5, severity="temporary"),
    mailgun("delivered", 1_788_000_002.5),
    mailgun("opened", 1_788_000_003.5),
    mailgun(
        "failed",
        1_788_000_005.5,
        severity="permanent",
        reason="bounce",
        **{"delivery-status": {"code": 550, "message": "5.1.1 no such user"}},
    ),
]

POSTMARK = [
    delivery(
        {
            "RecordType": "Delivery",
            "MessageID": "m-1",
            "Recipient": "ada@example.com",
            "DeliveredAt": "2026-08-29T13:28:10.2735393-04:00",
            "Metadata": {"aftersale-key": KEY},
        }
    ),
    delivery(
        {
            "RecordType": "Bounce",
            "Type": "HardBounce",
            "MessageID": "m-2",
            "Email": "ada@example.com",
            "BouncedAt": "2026-08-30T13:28:10Z",
            "Details": "smtp;550 5.1.1 unknown",
        }
    ),
    delivery(
        {
            "RecordType": "SubscriptionChange",
            "SuppressSending": True,
            "SuppressionReason": "ManualSuppression",
            "MessageID": "m-3",
            "Recipient": "ada@example.com",
            "ChangedAt": "2026-08-31T00:00:00Z",
        }
    ),
]


def ses(kind: str, **told: Any) -> Delivery:
    place = kind[:1].lower() + kind[1:]
    event = {
        "eventType": kind,
        "mail": {
            "messageId": "ses-1",
            "destination": ["ada@example.com", "ben@example.com"],
            "headers": [{"name": "X-Aftersale-Key", "value": KEY}],
        },
        place: {"timestamp": "2026-08-29T13:28:10.101Z", **told},
    }
    wrapped = {
        "Type": "Notification",
        "MessageId": f"sns-{kind}",
        "Message": json.dumps(event),
        "Timestamp": "2026-08-29T13:28:11Z",
    }
    return delivery(wrapped, content_type="text/plain; charset=UTF-8")


AMAZON_SES = [
    ses("Send"),
    ses("Delivery", recipients=["ada@example.com"]),
    ses("Open"),
    ses(
        "Bounce",
        bounceType="Permanent",
        bouncedRecipients=[{"emailAddress": "ada@example.com", "status": "5.1.1"}],
    ),
    ses("Complaint", complainedRecipients=[{"emailAddress": "ada@example.com"}]),
]


def twilio(status: str, **told: str) -> Delivery:
    form = {
        "MessageSid": "SM1",
        "MessageStatus": status,
        "To": "+14155550100",
        "From": "+18005550100",
        **told,
    }
    return delivery(tuple(form.items()))


def texted(body: str, sid: str = "SM9", **told: str) -> Delivery:
    form = {"MessageSid": sid, "From": "+14155550100", "To": "+18005550100", "Body": body, **told}
    return delivery(tuple(form.items()))


TWILIO = [
    twilio("queued"),
    twilio("sent"),
    twilio("delivered", RawDlrDoneDate="2609041120"),
    texted("Where is my parcel?", "SM2"),
    texted("STOP", "SM3"),
]

MJ = {"email": "a@x.de"}
_MAILS: dict[str, list[Any]] = {
    "mailjet": [
        [{**MJ, "event": "sent", "time": 1_788_000_000, "MessageID": 19_421_777_835_146_490}],
        [{**MJ, "event": "open", "time": 1_788_000_100, "MessageID": 19_421_777_835_146_490}],
        [{**MJ, "event": "bounce", "time": 1_788_000_200, "MessageID": 1, "hard_bounce": True}],
        [{**MJ, "event": "unsub", "time": 1_788_000_300, "MessageID": 1}],
    ],
    "mailtrap": [
        {"events": [{**MJ, "event": e, "timestamp": 1_788_000_000 + n, "event_id": "i"}]}
        for n, e in enumerate(["delivery", "open", "click", "soft bounce", "unsubscribe"])
    ],
    "mandrill": [
        [{"event": e, "ts": 1_788_000_000 + n, "_id": "m", "msg": {"_id": "m", "email": "a@x.de"}}]
        for n, e in enumerate(["send", "deferral", "delivered", "open", "click", "hard_bounce"])
    ],
    "postal": [
        {
            "event": e,
            "uuid": e,
            "timestamp": 1_788_000_000.5 + n,
            "payload": {"message": {"to": "a@x.de", "message_id": "m@x", "direction": "outgoing"}},
        }
        for n, e in enumerate(["MessageDelayed", "MessageSent", "MessageLoaded", "MessageHeld"])
    ],
    "unisender_go": [
        {
            "event_name": "transactional_email_status",
            "status": e,
            "email": "a@x.de",
            "job_id": "j",
            "event_time": f"2026-08-29 19:27:1{n}",
        }
        for n, e in enumerate(["sent", "delivered", "opened", "soft_bounced", "unsubscribed"])
    ],
    "brevo": [
        {"event": e, "email": "a@x.de", "message-id": "<m@x>", "ts_epoch": 1_788_000_000_123 + n}
        for n, e in enumerate(["request", "deferred", "delivered", "opened", "hard_bounce"])
    ],
    "mailersend": [
        {
            "type": f"activity.{e}",
            "created_at": f"2026-08-29T19:27:1{n}Z",
            "data": {
                "id": f"a{n}",
                "created_at": f"2026-08-29T19:27:1{n}.000000Z",
                "email": {"message": {"id": "m"}, "recipient": {"email": "a@x.de"}},
                "morph": {"reason": "550 5.1.1 no such user"},
            },
        }
        for n, e in enumerate(["sent", "delivered", "opened", "hard_bounced", "spam_complaint"])
    ],
    "resend": [
        {
            "type": f"email.{e}",
            "created_at": f"2026-08-29T19:27:1{n}Z",
            "data": {"email_id": "m", "to": ["a@x.de"], "bounce": {"type": "Permanent"}},
        }
        for n, e in enumerate(["sent", "delivery_delayed", "delivered", "clicked", "bounced"])
    ],
    "sparkpost": [
        [
            {
                "msys": {
                    "message_event": {
                        "type": e,
                        "event_id": e,
                        "timestamp": str(1_788_000_000 + n),
                        "rcpt_to": "a@x.de",
                        "message_id": "m",
                        "bounce_class": "10",
                    }
                }
            }
        ]
        for n, e in enumerate(["injection", "delay", "delivery", "bounce"])
    ],
}  # fmt: skip

STORIES: dict[str, list[Delivery]] = {
    "shopify": SHOPIFY,
    "woocommerce": WOOCOMMERCE,
    "stripe": STRIPE,
    "aftership": AFTERSHIP,
    "easypost": EASYPOST,
    "shippo": SHIPPO,
    "sendgrid": SENDGRID,
    "mailgun": MAILGUN,
    "postmark": POSTMARK,
    "amazon_ses": AMAZON_SES,
    "twilio": TWILIO,
    **{name: [delivery(body) for body in bodies] for name, bodies in _MAILS.items()},
}
