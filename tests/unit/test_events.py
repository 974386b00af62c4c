"""Does a sender's object become an event, or a refusal that names its field?"""

import json

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aftersale.events.event import MOST_DEPTH, Event, Ref, content_digest, is_telling, read_event
from aftersale.events.vocabulary import (
    BODIES,
    OURS,
    Line,
    MessageEvent,
    OrderCompleted,
    OrderShipped,
    Other,
    decode_body,
    encode_body,
    standard_type,
)
from aftersale.kernel.errors import Refusal
from aftersale.kernel.ids import digest16
from aftersale.kernel.instants import parse_instant
from aftersale.ledger.admission import admit, arrive

AT = "2026-03-01T09:00:00Z"
NEEDED = {
    "order": "A-1",
    "record": "R-1",
    "refund": "F-1",
    "review": "V-1",
    "message": "m-1",
    "product": "x",
    "ticket": "T-1",
    "survey": "S-1",
    "parcel": "P-1",
    "status": "in_transit",
    "payment": "Y-1",
    "subscription": "U-1",
    "request": "Q-1",
    "checkout": "K-1",
}
TYPES = sorted(set(BODIES) - OURS)


def raw_of(kind: str = "order.completed", **parts: object) -> dict[str, object]:
    fields = BODIES[kind].__struct_fields__ if kind in BODIES else ()
    data = {name: value for name, value in NEEDED.items() if name in fields}
    return {"type": kind, "id": "e-1", "at": AT, "data": data, **parts}


def order(**facts: object) -> OrderCompleted:
    body = read_event(raw_of(data={"order": "A-1", **facts})).body
    assert isinstance(body, OrderCompleted)
    return body


# --- what becomes an event -----------------------------------------------------------------


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_is_read_with_the_least_it_needs(kind):
    """Type, id, time and the resource it is about are enough."""
    event = read_event(raw_of(kind), source="shop")
    assert (event.type, event.id, event.source) == (kind, "e-1", "shop")
    assert event.at == parse_instant(AT)
    assert type(event.body) is BODIES[kind]
    assert decode_body(kind, encode_body(event.body)) == event.body


def test_an_order_is_read_with_all_that_it_tells():
    """Amounts in minor units, ids of the customer the most telling first, the rest set apart."""
    event = read_event(
        {
            "type": "order.completed",
            "id": 17,
            "at": "2026-03-01T10:00:00+01:00",
            "shop": "main",
            "source": "till",
            "customer": {
                "id": 4711,
                "email": " Ada@Example.com ",
                "phone": "+49 (30) 123-45",
                "anonymous_id": "k",
                "name": "Ada",
                "country": "DE",
                "zone": "Europe/Berlin",
            },
            "data": {
                "order": "A-1",
                "currency": "EUR",
                "total": "19.90",
                "shipping": 490,
                "lines": [{"product": "x", "quantity": 2, "amount": 15.0}, ["y", 1, 490]],
                "codes": ["SPRING"],
                "note": "ring twice",
            },
        }
    )
    assert (event.id, event.source, event.shop, event.at) == (
        "17",
        "till",
        "main",
        parse_instant(AT),
    )
    assert event.body == OrderCompleted(
        order="A-1",
        currency="EUR",
        total=1990,
        shipping=490,
        lines=(Line("x", 2, 1500), Line("y", 1, 490)),
        codes=("SPRING",),
        country="DE",
        zone="Europe/Berlin",
    )
    assert event.refs == (
        Ref("customer", "main/4711"),
        Ref("email", "ada@example.com"),
        Ref("phone", "+493012345"),
        Ref("order", "main/A-1"),
        Ref("anonymous", "k"),
    )
    assert event.personal["name"] == "Ada"
    assert event.personal["note"] == "ring twice"


@pytest.mark.parametrize(
    ("currency", "amount", "minor"),
    [
        ("EUR", "12.50", 1250),
        ("EUR", 12.5, 1250),
        ("EUR", 1250, 1250),
        ("EUR", "-3", -300),
        ("EUR", 0.1, 10),
        ("EUR", "1e2", 10_000),
        ("EUR", "0.125", 12),
        ("JPY", "1200", 1200),
        ("JPY", 1200.0, 1200),
        ("KWD", "1.234", 1234),
        ("", "12.50", 1250),
    ],
)
def test_money_is_text_or_a_number_of_major_units_or_whole_minor_units(currency, amount, minor):
    """The currency says how many places there are; halves go to the even side."""
    assert order(currency=currency, total=amount).total == minor
    line = {"product": "x", "amount": amount}
    assert order(currency=currency, lines=[line]).lines == (Line("x", 1, minor),)


def test_a_promise_is_read_in_the_zone_of_the_customer():
    """A time without an offset is wall clock where the customer is."""
    data = {"order": "A-1", "promised_at": "2026-03-05 18:00", "zone": "Europe/Berlin"}
    body = read_event(raw_of("order.shipped", data=data)).body
    assert isinstance(body, OrderShipped)
    assert body.promised_at == parse_instant("2026-03-05T17:00:00Z")
    assert read_event(raw_of(at="2026-03-01 10:00"), zone="Europe/Berlin").at == parse_instant(AT)


@pytest.mark.parametrize("channel", ["email", "sms", "push"])
@pytest.mark.parametrize("what", ["opened", "clicked", "bounced", "unsubscribed"])
def test_a_channel_may_stand_in_the_type(channel, what):
    """`email.opened` is `message.opened` with its channel."""
    event = read_event({**raw_of(f"message.{what}"), "type": f"{channel}.{what}"})
    assert event.type == f"message.{what}"
    assert event.body == MessageEvent(message="m-1", channel=channel)


def test_no_other_prefix_is_an_alias():
    """What is not in the vocabulary keeps its own name."""
    assert standard_type("email.read") == ("email.read", "")
    assert standard_type("letter.opened") == ("letter.opened", "")
    assert standard_type("email.") == ("email.", "")


def test_a_type_that_nobody_listed_is_kept():
    """Its content is kept apart, and it says whom it concerns."""
    event = read_event(
        raw_of("loyalty.joined", customer={"id": "7", "locale": "de"}, data={"x": [1]})
    )
    assert event.type == "loyalty.joined"
    assert event.body == Other(locale="de")
    assert event.personal["x"] == [1]
    assert event.refs == (Ref("customer", "/7"),)


def test_an_unlisted_type_may_hold_anything_under_a_known_name():
    """Its order may be an object: then it is content and no id."""
    event = read_event(raw_of("cart.saved", data={"order": {"id": 1}, "total": "much"}))
    assert event.refs == ()
    assert event.personal == {"order": {"id": 1}, "total": "much"}


def test_a_zone_that_does_not_exist_is_passed_over():
    """A wrong zone is no reason to lose an order."""
    assert order(zone="Mars/Olympus").zone == ""


# --- what is set apart ---------------------------------------------------------------------

SECRET = "Zyxwvut"


@pytest.mark.parametrize("kind", [*TYPES, "loyalty.joined"])
def test_what_names_a_person_never_reaches_the_body(kind):
    """Names, addresses and everything nobody described stay out of what decisions see."""
    raw = raw_of(kind)
    person = {
        "id": f"{SECRET}1",
        "name": SECRET,
        "email": f"{SECRET}@x.de",
        "phone": f"+4930111{SECRET}",
        "anonymous_id": SECRET,
        "address": {"street": SECRET, "lines": [SECRET]},
    }
    extra = {"note": SECRET, "gift_message": [SECRET], "shipping_address": {"name": SECRET}}
    event = read_event({**raw, "customer": person, "data": {**raw["data"], **extra}})
    assert SECRET.encode() not in encode_body(event.body)
    assert SECRET.lower() not in repr(event.body).lower()
    assert event.personal["note"] == SECRET
    assert event.personal["address"] == person["address"]


@given(st.dictionaries(st.text(max_size=12), st.text(min_size=1, max_size=12), max_size=6))
def test_a_field_that_nobody_described_is_personal(extra):
    """Whatever its name, it is kept apart unless the body describes it."""
    fields = set(OrderCompleted.__struct_fields__)
    extra = {name: value for name, value in extra.items() if name not in fields}
    event = read_event(raw_of(data={"order": "A-1", **extra}))
    assert event.body == OrderCompleted(order="A-1")
    if not extra.keys() <= {"email", "phone"}:
        assert event.personal == extra


def test_two_tellings_of_one_content_have_one_digest():
    """What is set apart, the order of fields and the spelling of an amount make no difference."""
    one = read_event(raw_of(data={"order": "A-1", "total": "12.50", "note": "a"}))
    two = read_event(raw_of(data={"note": "b", "total": 1250, "order": "A-1"}))
    assert content_digest(one) == content_digest(two)
    other = read_event(raw_of(data={"order": "A-1", "total": "12.51"}))
    assert content_digest(other) != content_digest(one)


@pytest.mark.parametrize(
    ("ref", "telling"),
    [
        (Ref("email", "a@b"), True),
        (Ref("email", "n/a"), False),
        (Ref("email", "@"), False),
        (Ref("phone", "+4930111"), True),
        (Ref("phone", "000"), False),
        (Ref("customer", "main/1"), True),
        (Ref("customer", "main/"), False),
        (Ref("anonymous", "k"), True),
    ],
)
def test_a_placeholder_is_no_id(ref, telling):
    """What many people would share cannot name one."""
    assert is_telling(ref) == telling


# --- what is refused -----------------------------------------------------------------------

DEEP: object = "leaf"
for _ in range(MOST_DEPTH + 1):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("parts", "where"),
    [
        ({"type": None}, "type"),
        ({"type": ""}, "type"),
        ({"type": 5}, "type"),
        ({"type": "customer.merged"}, "type"),
        ({"type": "history.summarised"}, "type"),
        ({"type": "a\ud800"}, "type"),
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"id": True}, "id"),
        ({"id": 1.5}, "id"),
        ({"id": ["x"]}, "id"),
        ({"id": "\ud800"}, "id"),
        ({"at": None}, "at"),
        ({"at": True}, "at"),
        ({"at": "yesterday"}, "at"),
        ({"at": "2026-03-01T09:00:00"}, "at"),
        ({"at": "\ud800"}, "at"),
        ({"at": {}}, "at"),
        ({"at": 0}, "at"),
        ({"at": 1_772_355_600}, "at"),
        ({"at": 10**30}, "at"),
        ({"at": float("nan")}, "at"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "at"),
        ({"at": "9999-12-31T23:59:59-14:00"}, "at"),
        ({"shop": ["main"]}, "shop"),
        ({"source": {}}, "source"),
        ({"source": {"a": 1}}, "source"),
        ({"customer": "Ada"}, "customer"),
        ({"data": [1]}, "data"),
        ({"customer": {"id": ["x"]}}, "customer.id"),
        ({"customer": {"id": 10**40}}, "customer.id"),
        ({"customer": {"email": ["a@x.de"]}}, "customer.email"),
        ({"customer": {"phone": {}}}, "customer.phone"),
        ({"customer": {"locale": ["de"]}}, "customer.locale"),
        ({"customer": {"name": "\ud800"}}, "data"),
        ({"customer": {"number": 10**40}}, "data"),
        ({"customer": {"name": DEEP}}, "customer"),
        ({"data": {"order": "A-1", "note": DEEP}}, "data"),
        ({"more": DEEP}, "more"),
        ({"data": {}}, "data.order"),
        ({"data": {"order": ["A-1"]}}, "data.order"),
        ({"data": {"order": "\ud800"}}, "data"),
        ({"data": {"order": "A-1", "total": "much"}}, "data.total"),
        ({"data": {"order": "A-1", "total": float("nan")}}, "data.total"),
        ({"data": {"order": "A-1", "total": float("inf")}}, "data.total"),
        ({"data": {"order": "A-1", "total": "1e999999999"}}, "data.total"),
        ({"data": {"order": "A-1", "total": 2**60}}, "data.total"),
        ({"data": {"order": "A-1", "total": True}}, "data.total"),
        ({"data": {"order": "A-1", "lines": "x"}}, "data.lines"),
        ({"data": {"order": "A-1", "lines": ["x"]}}, "data.lines[0]"),
        ({"data": {"order": "A-1", "lines": [{"product": ["x"]}]}}, "data.lines[0].product"),
        (
            {"data": {"order": "A-1", "lines": [{}, {"product": "x", "amount": "1,5"}]}},
            "data.lines[1].amount",
        ),
        (
            {"data": {"order": "A-1", "lines": [{"product": "x", "quantity": 10**9}]}},
            "data.lines[0][1]",
        ),
        ({"data": {"order": "A-1", "zone": 5, "currency": ["EUR"]}}, "data.currency"),
    ],
)
def test_a_refusal_names_the_field(parts, where):
    """Whoever sends the event reads where it is wrong."""
    with pytest.raises(Refusal) as refused:
        read_event(raw_of(**parts))
    assert refused.value.where == where
    assert refused.value.what


def test_a_promise_that_is_no_time_is_refused_at_its_field():
    """So is one in seconds since 1970."""
    for promise in ("soon", 1_772_355_600, float("inf")):
        with pytest.raises(Refusal) as refused:
            read_event(raw_of("order.shipped", data={"order": "A-1", "promised_at": promise}))
        assert refused.value.where == "data.promised_at"


# --- anything at all -----------------------------------------------------------------------

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**30, -(2**63), 2**64, 1e308, 10**400])
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["\ud800", "\udfff\x00", "Europe/Berlin", AT, "1e400", "NaN", "12.50"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = sorted({name for body in BODIES.values() for name in body.__struct_fields__} | {"note"})
WORDS = ["id", "email", "phone", "anonymous_id", "zone", "locale", "country", "name"]


def deep(levels: int) -> object:
    value: object = 1
    for n in range(levels):
        value = {"a": value} if n % 2 else [value]
    return value


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([*TYPES, "email.opened", "loyalty.joined"]),
    st.dictionaries(
        st.sampled_from(["type", "id", "at", "shop", "source", "x"]), VALUES, max_size=2
    ),
    st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=3) | VALUES,
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4) | VALUES,
)
def test_an_object_is_an_event_or_a_refusal_and_nothing_else(kind, parts, person, data):
    """Whatever JSON holds, what comes out can be written, or says where it cannot."""
    raw = {**raw_of(standard_type(kind)[0]), "type": kind, **parts, "customer": person}
    raw["data"] = {**raw["data"], **data} if isinstance(data, dict) else data
    check(raw)


@given(st.dictionaries(st.text(max_size=6), VALUES, max_size=4))
def test_an_object_of_unknown_fields_is_refused(raw):
    """Without a type, an id and a time it is no event."""
    check(raw)


@pytest.mark.parametrize("levels", [MOST_DEPTH - 1, MOST_DEPTH, 200, 900, 50_000])
@pytest.mark.parametrize("part", ["customer", "data", "id", "at", "shop", "x"])
def test_nothing_is_nested_too_deeply_to_be_refused(part, levels):
    """Depth is found before anything walks down."""
    raw = raw_of()
    raw[part] = (
        {**raw["data"], "note": deep(levels)} if part in {"customer", "data"} else deep(levels)
    )
    check(raw)


def check(raw: dict[str, object]) -> None:
    event: Event | Refusal
    try:
        event = read_event(raw, source="test", zone="UTC")
    except Refusal as refusal:
        event = refusal
    if isinstance(event, Refusal):
        assert event.where
        return
    assert isinstance(event, Event)
    assert decode_body(event.type, encode_body(event.body)) == event.body
    json.dumps([event.id, event.source, event.type, event.shop], ensure_ascii=False).encode()
    arrival = arrive(event, event.at, history=False)
    admitted = admit([arrival], {}, {}, next_customer=1, refs_of=lambda _: ())
    assert admitted.entries
    for _, _, _, data in admitted.personal:
        msgspec.msgpack.decode(data)


@pytest.mark.parametrize("spelling", ["Email", " EMAIL ", "e-mail", "mail"])
def test_a_refusal_that_is_spelled_otherwise_takes_the_permission_back(spelling: str) -> None:
    """Consent is given and withdrawn for one channel, however its name is written."""
    raw = {
        "id": "w",
        "type": "consent.withdrawn",
        "at": "2026-03-01T09:00:00Z",
        "customer": {"id": "c1"},
        "data": {"channel": spelling, "purpose": "Marketing"},
    }
    body = read_event(raw, source="shop").body
    assert (body.channel, body.purpose) == ("email", "marketing")


def test_numbers_and_nulls_are_taken_as_shops_send_them() -> None:
    """An order number that is a number is a text inside, and a null is as if it were absent."""
    raw = {
        "id": 7,
        "type": "order.completed",
        "at": "2026-03-01T09:00:00Z",
        "customer": {"id": 12},
        "data": {"order": 1001, "currency": "EUR", "total": 5, "channel": None},
    }
    event = read_event(raw, source="shop")
    assert event.body.order == "1001"
    assert event.body.channel == ""
    assert ("order", "/1001") in {(ref.kind, ref.value) for ref in event.refs}


def test_keys_are_those_under_which_older_releases_kept_their_events():
    """A store that grew for years must know its events again: these bytes never change."""
    assert digest16("shop", "order.completed/1").hex() == "8ba98ca8b6de2110be751479be0ac2ce"
    assert digest16("b\u00e4r", b"\xff", "\ud800").hex() == "8c5922baaf571b8380ed0f5cf8982c68"
    assert digest16("ab", "c") != digest16("a", "bc")
