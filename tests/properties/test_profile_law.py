"""Is the profile the same, in whatever order and however often its history is told?"""

import copy
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aftersale.customers.fold import (
    KEPT_GAPS,
    KEPT_MESSAGES,
    KEPT_ORDERS,
    KEPT_REVIEWS,
    KEPT_TICKETS,
    close_oldest,
    fold,
    message_key,
    unite,
)
from aftersale.customers.profile import Order, Profile
from aftersale.customers.purchases import by_product, purchases
from aftersale.events.event import Entry
from aftersale.events.vocabulary import (
    BODIES,
    PARCEL_STATUSES,
    Body,
    CalibrationFitted,
    CatalogueUpdated,
    CheckoutStarted,
    ConsentEvent,
    CustomerMerged,
    CustomerUpdated,
    HistorySummarised,
    Line,
    MessageEvent,
    OrderCancelled,
    OrderCompleted,
    OrderDelivered,
    OrderShipped,
    Other,
    ParcelUpdated,
    Payment,
    PrivacyRequested,
    ProductEvent,
    RefundIssued,
    ReturnInitiated,
    ReviewSubmitted,
    ScoreChanged,
    Subscription,
    SurveyAnswered,
    Ticket,
    TrackingViewed,
    decode_body,
    encode_body,
)
from aftersale.kernel.instants import DAY
from aftersale.turn.state import State, decode, encode

LAW = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])

START = 1_700_000_000_000_000
UNTIL = START - DAY
"""Up to here retention has summarised."""

# Few values, so that tellings meet in one resource and at one instant.
instants = st.integers(0, 6).map(lambda n: START + n * DAY)
ORDERS, PRODUCTS, WORDS = (
    st.sampled_from("ABC"),
    st.sampled_from("xyz"),
    st.sampled_from(["", "a", "b"]),
)
LINES = st.lists(st.builds(Line, PRODUCTS, st.integers(1, 3), st.integers(0, 300)), max_size=3).map(
    tuple
)
ABOUT = {
    "zone": st.sampled_from(["", "", "Europe/Berlin", "Asia/Tokyo"]),
    "locale": st.sampled_from(["", "", "de", "en"]),
    "country": st.sampled_from(["", "", "DE", "JP"]),
}
FACTS: dict[type[Body], dict[str, st.SearchStrategy]] = {
    OrderCompleted: {
        "order": ORDERS,
        "currency": st.sampled_from(["EUR", "USD"]),
        "total": st.integers(0, 2),
        "lines": LINES,
        "gift": st.booleans(),
        "changed_at": st.none() | instants,
    },
    ParcelUpdated: {
        "parcel": st.sampled_from(["a", "b"]),
        "status": st.sampled_from(PARCEL_STATUSES),
        "order": st.sampled_from(["", "A", "B"]),
        "promised_at": st.none() | instants,
    },
    Payment: {"payment": ORDERS, "order": st.sampled_from(["", "A"])},
    Subscription: {"subscription": ORDERS, "status": WORDS},
    CheckoutStarted: {"checkout": ORDERS},
    PrivacyRequested: {"request": ORDERS},
    OrderShipped: {"order": ORDERS, "parcel": WORDS, "promised_at": st.none() | instants},
    OrderDelivered: {"order": ORDERS, "parcel": WORDS},
    OrderCancelled: {"order": ORDERS, "products": st.lists(PRODUCTS, max_size=2).map(tuple)},
    ReturnInitiated: {"record": ORDERS, "order": st.sampled_from(["", "A", "B"]), "lines": LINES},
    RefundIssued: {
        "refund": ORDERS,
        "order": ORDERS,
        "currency": st.sampled_from(["EUR", "USD"]),
        "amount": st.integers(0, 2),
    },
    ReviewSubmitted: {
        "review": ORDERS,
        "order": st.sampled_from(["", "A"]),
        "product": PRODUCTS,
        "rating": st.integers(1, 5),
    },
    MessageEvent: {
        "message": ORDERS,
        "channel": st.sampled_from(["email", "sms"]),
        "kind": st.sampled_from(["", "soft", "hard", "marketing"]),
    },
    ProductEvent: {"product": PRODUCTS, "quantity": st.integers(1, 2)},
    Ticket: {"ticket": ORDERS, "order": st.sampled_from(["", "A"]), "category": WORDS},
    TrackingViewed: {"order": ORDERS},
    SurveyAnswered: {
        "survey": ORDERS,
        "kind": st.sampled_from(["nps", "csat"]),
        "score": st.none() | st.integers(0, 10),
    },
    ConsentEvent: {
        "channel": st.sampled_from(["email", "sms"]),
        "purpose": st.sampled_from(["marketing", "survey"]),
        "basis": WORDS,
    },
    ScoreChanged: {
        "score": st.sampled_from(["churn", "run_out"]),
        "product": st.sampled_from(["", "a"]),
        "value": st.none() | st.sampled_from([0.25, 0.5]),
        "band": st.sampled_from(["", "high"]),
    },
    CustomerUpdated: {},
    CustomerMerged: {"absorbed": st.integers(2, 3)},
    HistorySummarised: {
        "until": st.just(UNTIL),
        "orders": st.just(4),
        "revenue": st.just({"EUR": 9}),
    },
    CalibrationFitted: {"version": st.just("1")},
    CatalogueUpdated: {},
    Other: {},
}
SUMMARY = "history.summarised"


def tellings(kind: str) -> st.SearchStrategy[Entry]:
    body = BODIES.get(kind, Other)
    return st.builds(
        lambda at, shop, told: Entry(0, 1, kind, at, at, told, shop),
        st.just(UNTIL) if kind == SUMMARY else instants,
        st.sampled_from(["", "main"]),
        st.builds(body, **FACTS[body], **ABOUT),
    )


TOLD = [kind for kind in BODIES if kind != SUMMARY]
HISTORIES = st.lists(
    st.sampled_from([*TOLD, "loyalty.point_earned"]).flatmap(tellings), max_size=14
)


def folded(history: list[Entry]) -> Profile:
    profile = Profile()
    for entry in history:
        fold(profile, entry)
    return profile


def test_every_type_of_the_vocabulary_is_drawn():
    """The law speaks of every type that a profile can meet."""
    assert {BODIES[kind] for kind in BODIES} | {Other} == set(FACTS)


@LAW
@given(HISTORIES, st.none() | tellings(SUMMARY), st.data())
def test_any_permutation_and_repetition_of_a_history_gives_the_same_profile(history, summary, data):
    """However often and in whatever order the same facts arrive, the customer is the same."""
    history = [*history, *([summary] if summary else [])]
    again = [
        *history,
        *data.draw(st.lists(st.sampled_from(history), max_size=5) if history else st.just([])),
    ]
    assert folded(data.draw(st.permutations(again))) == folded(history)


@LAW
@given(HISTORIES)
def test_a_fact_that_is_told_again_is_no_news(history):
    """Orders, parcels, returns, reviews, tickets, messages and consents count once."""
    profile = folded(history)
    always = {"product.viewed", "product.added_to_cart", "tracking.viewed", "survey.answered"}
    always |= {kind for kind in TOLD if kind.startswith(("payment.", "subscription.", "checkout."))}
    always |= {"message.failed", "message.received", "privacy.requested"}
    ours = {"customer.merged", "customer.updated", "calibration.fitted", "catalogue.updated"}
    for entry in history:
        news = fold(profile, entry)
        assert not news or entry.type in {*always, *ours, "loyalty.point_earned"}


@LAW
@given(HISTORIES)
def test_a_profile_survives_being_stored(history):
    """A state decodes to what was encoded, and bodies decode to what they were."""
    profile = folded(history)
    assert decode(encode(State(profile=profile))).profile == profile
    for entry in history:
        assert decode_body(entry.type, encode_body(entry.body)) == entry.body


@LAW
@given(HISTORIES, HISTORIES)
def test_uniting_two_profiles_gives_what_one_history_would_have_given(mine, theirs):
    """Whatever is keyed by a resource or is a latest word comes out as if told to one customer."""
    survivor = folded(mine)
    unite(survivor, folded(theirs))
    whole = folded([*mine, *theirs])
    for part in Profile.__struct_fields__:
        if part != "consents":
            assert getattr(survivor, part) == getattr(whole, part), part


@LAW
@given(HISTORIES, HISTORIES)
def test_the_stricter_consent_wins_when_two_are_one(mine, theirs):
    """A refusal by either of the two stands, and nobody gains a consent that neither gave."""
    one, other = folded(mine), folded(theirs)
    survivor = copy.deepcopy(one)
    unite(survivor, copy.deepcopy(other))
    for key in {*one.consents, *other.consents}:
        words = [p.consents[key] for p in (one, other) if key in p.consents]
        assert survivor.consents[key] in words
        assert survivor.consents[key].given == all(word.given for word in words)


@LAW
@given(HISTORIES, HISTORIES)
def test_it_does_not_matter_which_of_two_is_united_with_which(mine, theirs):
    """Uniting is symmetric."""
    one, other = folded(mine), folded(theirs)
    unite(one, folded(theirs))
    unite(other, folded(mine))
    assert one == other


@LAW
@given(HISTORIES)
def test_what_stayed_is_the_same_by_order_and_by_product(history):
    """Both ways of reading what a customer bought and kept give the same quantities."""
    profile = folded(history)
    wanted: dict[str, dict[tuple[int, str], int]] = {}
    for bought in purchases(profile).kept:
        for line in bought.lines:
            times = wanted.setdefault(line.product, {})
            times[bought.at, bought.key] = times.get((bought.at, bought.key), 0) + line.quantity
    assert by_product(profile, wanted.keys()) == {
        product: [(at, key, quantity) for (at, key), quantity in times.items()]
        for product, times in wanted.items()
    }


# --- beyond the bounds ---------------------------------------------------------------------


def order_of(n: int, **facts: object) -> Entry:
    at = START + n * 10 * DAY
    body = {"order": f"{n:03}", "currency": "EUR", "total": 100 + n, **facts}
    return Entry(0, 1, "order.completed", at, at, OrderCompleted(**body))


def long_history() -> list[Entry]:
    """Ninety orders; some cancelled, some wholly or partly returned, some refunded."""
    history = []
    for n in range(90):
        order = order_of(n, lines=(Line("x", 2, 60), Line("y", 1, 40 + n)))
        at, number = order.at, order.body.order
        history.append(order)
        if n % 7 == 0:
            body = OrderCancelled(order=number)
            history.append(Entry(0, 1, "order.cancelled", at + 1, at + 1, body))
        if n % 5 == 0:
            back = ReturnInitiated(record=f"r{n}", order=number, lines=order.body.lines)
            history.append(Entry(0, 1, "return.initiated", at + 2, at + 2, back))
        if n % 4 == 0:
            back = ReturnInitiated(record=f"s{n}", order=number, lines=(Line("x", 1),))
            history.append(Entry(0, 1, "return.initiated", at + 3, at + 3, back))
        if n % 3 == 0:
            refund = RefundIssued(refund=f"f{n}", order=number, currency="EUR", amount=30)
            history.append(Entry(0, 1, "refund.issued", at + 4, at + 4, refund))
    return history


def test_closing_old_orders_keeps_what_was_bought_and_paid():
    """Count, revenue, first and last order and the gaps are the same before and after closing."""
    profile = folded(long_history()[:90])
    before = purchases(profile)
    close_oldest(profile)
    after = purchases(profile)
    assert profile.closed is not None
    assert len(after.kept) < len(before.kept)
    for part in ("count", "revenue", "first_at", "last_at"):
        assert getattr(after, part) == getattr(before, part), part
    assert after.gaps == before.gaps[-len(after.gaps) :]
    assert len(after.gaps) >= KEPT_GAPS


def test_a_long_history_counts_as_a_short_one():
    """However many orders were closed on the way, the sums are those of the whole history."""
    history = long_history()
    profile = folded(history)
    assert len(profile.orders) <= KEPT_ORDERS
    wanted = [n for n in range(90) if n % 7 and n % 5]
    bought = purchases(profile)
    assert bought.count == len(wanted)
    assert bought.revenue == {"EUR": sum(100 + n for n in wanted) - 30 * 30}
    assert bought.first_at == START + wanted[0] * 10 * DAY
    assert bought.last_at == START + wanted[-1] * 10 * DAY
    whole = tuple((after - before) * 10 for before, after in pairwise(wanted))
    assert bought.gaps[-30:] == whole[-30:]


def test_an_old_order_that_is_told_again_is_not_counted_again():
    """What belongs to the closed past is no news and changes no sum."""
    history = long_history()
    profile = folded(history)
    before = copy.deepcopy(profile)
    closed = profile.closed
    assert closed is not None
    old = [entry for entry in history if entry.at <= closed.until]
    assert len(old) > 20
    assert not any(fold(profile, entry) for entry in old)
    assert profile == before


def test_two_summaries_of_one_person_add_up():
    """Uniting two long histories keeps both counts, and no gap between orders is negative."""
    history = [entry for entry in long_history() if entry.type == "order.completed"]
    moved = [
        Entry(
            0, 1, e.type, e.at + DAY, e.at + DAY, OrderCompleted(order=f"t{e.body.order}", total=1)
        )
        for e in history[:70]
    ]
    one, other = folded(history), folded(moved)
    unite(one, other)
    bought = purchases(one)
    assert bought.count == 90 + 70
    assert bought.revenue == {"EUR": sum(100 + n for n in range(90)), "": 70}
    assert len(one.orders) <= KEPT_ORDERS
    assert min(bought.gaps) >= 0
    assert bought.first_at == START
    assert bought.last_at == START + 890 * DAY


def test_a_summary_takes_the_place_of_what_it_sums_up():
    """Whether the summary or the old events are folded first, they count once."""
    until = START + 450 * DAY
    sums = HistorySummarised(until=until, orders=30, revenue={"EUR": 4000})
    summary = Entry(0, 1, SUMMARY, until, until, sums)
    history = long_history()
    early, late = folded([summary, *history]), folded([*history[:60], summary, *history[60:]])
    assert purchases(early).count == purchases(late).count
    assert purchases(early).revenue == purchases(late).revenue


@pytest.mark.parametrize(
    ("table", "kind", "most", "body"),
    [
        (
            "reviews",
            "review.submitted",
            KEPT_REVIEWS,
            lambda n: ReviewSubmitted(review=n, rating=3),
        ),
        ("tickets", "support.ticket_created", KEPT_TICKETS, lambda n: Ticket(ticket=n)),
        ("messages", "message.sent", KEPT_MESSAGES, lambda n: MessageEvent(message=n)),
    ],
)
def test_the_newest_are_kept(table, kind, most, body):
    """Every part has a bound, and what was seen last stays, also when two customers unite."""
    entries = [Entry(0, 1, kind, START + n, START + n, body(f"{n:03}")) for n in range(60)]
    newest = {f"{n:03}" for n in range(60 - most, 60)}
    if table == "messages":
        newest = {message_key(name) for name in newest}
    assert set(getattr(folded(entries), table)) == newest
    one, other = folded(entries[::2]), folded(entries[1::2])
    unite(one, other)
    assert set(getattr(one, table)) == newest


def test_an_address_that_bounced_for_good_is_blocked_for_everything():
    """A complaint before a hard bounce does not soften it, whichever is heard of first."""
    complaint = Entry(0, 1, "message.complained", START, START, MessageEvent(message="m"))
    bounce = Entry(0, 1, "message.bounced", START + 1, START + 1, MessageEvent(message="m"))
    for history in ([complaint, bounce], [bounce, complaint]):
        assert folded(history).blocked["email"].value == "hard-bounce"


def test_a_line_that_is_given_back_in_part_stays_in_part():
    """Lines of a negative quantity, as tills write them, do not disturb the others."""
    order = Order(START, lines=(Line("x", 3, 30), Line("y", -1, -5)))
    profile = Profile(orders={"A": order})
    back = ReturnInitiated(record="r", order="A", lines=(Line("x", 2),))
    fold(profile, Entry(0, 1, "return.initiated", START, START, back))
    assert purchases(profile).kept[0].lines == (Line("x", 1, 10), Line("y", -1, -5))
