"""Are segments of behaviour, states and affinities what their definitions say?"""

import ibis
import pyarrow as pa
import pytest

from aftersale.adapters.folder import starter_files
from aftersale.catalogue.product import Catalogue, Product
from aftersale.customers.fold import fold
from aftersale.customers.profile import Profile, Score
from aftersale.events.event import Entry
from aftersale.events.vocabulary import (
    CustomerUpdated,
    OrderCompleted,
    OrderShipped,
    ProductEvent,
    ReviewSubmitted,
    SurveyAnswered,
    Ticket,
)
from aftersale.features.affinity import WINDOW, acts, affinities, branches, halves
from aftersale.features.purchases import kept_lines
from aftersale.features.tables import TABLES
from aftersale.kernel.instants import DAY
from aftersale.models.calibration import Calibration, Cuts
from aftersale.programme.load import compile_programme
from aftersale.segments.reading import Reading
from aftersale.segments.states import STATES, state

NOW = 1_700_000_000_000_000
COMPILED = compile_programme(starter_files(), version=1)
BY_NAME = {segment.name: segment.condition for segment in COMPILED.segments}
CALIBRATION = Calibration(currency="EUR", cuts=Cuts(average=(10.0, 20.0, 30.0, 40.0)))


def reading_of(profile):
    return Reading(profile, Catalogue(), CALIBRATION, now=NOW)


def customer(orders=(), total=10, **scores):
    """Somebody who ordered so many days ago, with these scores (a text is a band)."""
    profile = Profile()
    for n, days in enumerate(orders):
        body = OrderCompleted(order=str(n), currency="EUR", total=total)
        at = NOW - days * DAY
        fold(profile, Entry(n, 1, "order.completed", at, at, body))
    for name, value in scores.items():
        told = ("", value) if isinstance(value, str) else (value, "")
        profile.scores[name] = Score(NOW, told[0] or None, told[1])
    return reading_of(profile)


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("champion", {"engagement": 0.81, "satisfaction": 4.6}, {"satisfaction": 4.5}),
        ("loyal", {"orders": [9, 8, 7, 6], "engagement": 0.61}, {"orders": [9, 8, 7]}),
        ("at_risk", {"orders": [61], "engagement": 0.39}, {"engagement": 0.4}),
        ("new", {"orders": [30]}, {"orders": [31]}),
        ("price_sensitive", {"price_sensitivity": 0.71}, {"price_sensitivity": 0.7}),
        ("premium", {"orders": [9], "total": 40, "satisfaction": 4.1}, {"total": 39}),
        ("first_time", {"orders": [9]}, {"orders": [9, 8]}),
        ("repeat", {"orders": [9, 8]}, {"orders": [9]}),
        ("high_clv", {"value": "top"}, {"value": "high"}),
        ("occasional", {"orders": [365, 9]}, {"orders": [364, 9]}),
    ],
)
def test_each_segment_begins_where_its_thresholds_say(name, inside, outside):
    condition = BY_NAME[f"segment.{name}"]
    assert condition.met(customer(**inside))
    assert not condition.met(customer(**{**inside, **outside}))


def test_who_has_no_score_is_in_no_segment_that_asks_for_it():
    """Unknown is not met, and the terms of a condition say what was seen."""
    nobody = customer(orders=[400, 300, 200, 100])
    asking = [c for c in BY_NAME.values() if any(n.startswith("score.") for n in c.names)]
    assert len(asking) == 6
    assert not any(condition.met(nobody) for condition in asking)
    first, second = BY_NAME["segment.champion"].explain(customer(engagement=0.9))
    assert (first.saw, first.holds) == ((("score.engagement", 0.9),), True)
    assert (second.saw, second.holds) == ((("score.satisfaction", None),), None)


def test_a_programme_tells_the_scores_of_its_segments():
    """All that a segment of the starter names, and what its win-back and refill look at."""
    assert COMPILED.scores == {
        "engagement", "satisfaction", "price_sensitivity", "value", "churn", "run_out",
    }  # fmt: skip
    assert COMPILED.programme.scores == {"churn", "run_out"}


# --- states -------------------------------------------------------------------------------


def lived(*events):
    """Somebody to whom these happened: (days ago, type, body)."""
    profile = Profile()
    for n, (days, kind, body) in enumerate(events):
        at = NOW - days * DAY
        fold(profile, Entry(n, 1, kind, at, at, body))
    return state(reading_of(profile))


OPENED, RESOLVED = "support.ticket_created", "support.ticket_resolved"
TICKET = Ticket(ticket="t", category="assembly")
ANSWER = {"survey": "s", "score": 10}


@pytest.mark.parametrize(
    ("events", "name", "evidence"),
    [
        ([(3, OPENED, TICKET)], "frustrated", "a ticket opened 3 days ago is not resolved"),
        (
            [(9, OPENED, TICKET), (8, RESOLVED, TICKET), (1, OPENED, Ticket(ticket="u"))],
            "frustrated",
            "2 tickets in 30 days",
        ),
        (
            [(5, "review.submitted", ReviewSubmitted(review="r", rating=2))],
            "frustrated",
            "a rating of 2, 5 days ago",
        ),
        (
            [
                (9, "order.completed", OrderCompleted(order="o", currency="EUR", total=9)),
                (8, "order.shipped", OrderShipped(order="o", promised_at=NOW - 2 * DAY)),
            ],
            "frustrated",
            "a parcel was promised 2 days ago and has not come",
        ),
        ([(1, OPENED, TICKET)], "confused", "a ticket about assembly, opened 1 day ago"),
        ([(60, "customer.updated", CustomerUpdated())], "inactive", "last seen 60 days ago"),
        (
            [(20, "survey.answered", SurveyAnswered(kind="nps", **ANSWER))],
            "satisfied",
            "an answer of 10 to NPS, 20 days ago, the latest word",
        ),
        (
            [
                (40, "review.submitted", ReviewSubmitted(review="r", rating=5)),
                (39, "review.submitted", ReviewSubmitted(review="q", rating=3)),
                (2, "product.viewed", ProductEvent(product="p")),
            ],
            "engaged",
            "looked at products 2 days ago",
        ),
    ],
)
def test_each_state_is_shown_by_its_signals(events, name, evidence):
    found = lived(*events)
    assert found is not None
    assert (found.name, found.evidence) == (name, (evidence,))


def test_where_nothing_tells_there_is_no_state():
    """Seen a month ago and silent since: neither engaged nor inactive yet."""
    assert lived((30, "customer.updated", CustomerUpdated())) is None
    assert lived() is None
    assert set(STATES) == {"frustrated", "confused", "inactive", "satisfied", "engaged"}


# --- affinity -----------------------------------------------------------------------------


def table(name, rows=()):
    schema = TABLES[name]
    blank = dict.fromkeys(schema.names)
    for column, kind in schema.items():
        blank[column] = "" if kind.is_string() else False if kind.is_boolean() else 0
    full = [{**blank, "at": NOW, "customer": 1, **row} for row in rows]
    return ibis.memtable(pa.Table.from_pylist(full, schema=schema.to_pyarrow()))


CATALOGUE = Catalogue(
    {
        "runner": Product("runner", category="outdoor footwear/shoes"),
        "boot": Product("boot", category="outdoor footwear/boots"),
        "pan": Product("pan", category="kitchenware"),
        "odd": Product("odd"),
    }
)


def counted(lines=(), signals=(), undone=(), window=WINDOW):
    """What counts, of lines whose orders are told at the same instants."""
    told, orders = [], {}
    for line in lines:
        # A line has the position and the instant of the telling of its order.
        place = 10 * (1 + ord(line["order"]) % 50) + line.get("position", 0)
        at = line.get("at", NOW)
        told.append({"quantity": 1, "amount": 1_000, **line, "position": place})
        orders[place] = {"order": line["order"], "at": at, "position": place, "currency": "EUR"}
    history = {
        "orders": table("orders", orders.values()),
        "lines": table("lines", told),
        "undone": table("undone", undone),
    }
    return acts(kept_lines(history, NOW), table("signals", signals), NOW, window)


def scores(lines=(), signals=(), undone=(), window=WINDOW, **options):
    tree = ibis.memtable(pa.table(branches(CATALOGUE)))
    told = counted(lines, signals, undone, window)
    found = affinities(told, tree, **options).to_pyarrow().to_pylist()
    return {row["node"]: row["score"] for row in found if row["customer"] == 1}


SHOES = [{"order": order, "product": "runner"} for order in ("a", "b")]
LOOKS = [{"type": "product.viewed", "product": "boot"} for _ in range(2)]


def test_shoes_bought_twice_and_boots_looked_at_twice_lead_to_outdoor_footwear():
    """6.0 and 1.0 are 7.0 one level up; a basket counts 2, what has no category nothing."""
    pan = [{"type": "product.added_to_cart", "product": name} for name in ("pan", "odd")]
    assert scores(SHOES, LOOKS + pan) == {
        "outdoor footwear": 7.0,
        "outdoor footwear/shoes": 6.0,
        "outdoor footwear/boots": 1.0,
        "kitchenware": 2.0,
    }


def test_weights_and_window_are_arguments():
    old = [{**row, "at": NOW - 10 * DAY} for row in LOOKS]
    assert scores(SHOES, old, window=10 * DAY, weights=(1.0, 1.0, 1.0)) == {
        "outdoor footwear": 2.0,
        "outdoor footwear/shoes": 2.0,
    }


def test_what_comes_later_or_was_undone_or_is_told_again_does_not_count():
    lines = [
        *SHOES,
        {**SHOES[0], "position": 9},
        {"order": "c", "product": "pan", "at": NOW + 1},
        {"order": "d", "product": "pan"},
        {"order": "e", "product": "boot"},
        {"order": "e", "product": "pan", "place": 1},
    ]
    undone = [
        {"kind": "cancelled", "order": "d"},
        {"kind": "returned", "record": "r", "order": "e", "product": "boot", "quantity": 1},
        {"kind": "returned", "record": "s", "order": "e", "product": "pan", "at": NOW + 1},
    ]
    assert scores(lines, undone=undone) == {
        "outdoor footwear": 6.0,
        "outdoor footwear/shoes": 6.0,
        "kitchenware": 3.0,
    }


def test_the_halves_take_every_second_act_and_lose_none():
    """By customer and choice; what has no choice is left out; the order of rows is no matter."""
    lines = [{"order": str(n), "product": "runner", "at": NOW - n} for n in range(3)]
    signals = [*LOOKS, {"type": "product.viewed", "product": "odd"}]
    choices = ibis.memtable(pa.table({"product": ["runner", "boot"], "choice": ["shoes", "boots"]}))
    for turned in (lines, lines[::-1]):
        found = halves(counted(turned, signals), choices).to_pyarrow().to_pylist()
        by_choice = {row["choice"]: (row["first"], row["second"]) for row in found}
        # By time: two lines, then boots before shoes of the same instant.
        assert by_choice == {"shoes": (6.0, 3.0), "boots": (0.5, 0.5)}


def test_no_history_gives_no_affinity():
    assert scores() == {}
