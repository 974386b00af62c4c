"""Do the gates keep what they promise, one by one and together?"""

from itertools import combinations

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aftersale.customers.fold import fold
from aftersale.customers.profile import (
    Consent,
    Order,
    Parcel,
    Profile,
    Return,
    Review,
    TicketFacts,
    Told,
)
from aftersale.customers.whereabouts import COUNTRY_ZONES, Whereabouts, whereabouts
from aftersale.events.event import Entry
from aftersale.events.vocabulary import ConsentEvent, Line, MessageEvent
from aftersale.gates.chain import GATES, NAMES, judge
from aftersale.gates.policy import Cap, Policy, Quiet
from aftersale.gates.rules import consent, empathy, fatigue, quiet_hours
from aftersale.gates.standing import Contact, Intent, Standing
from aftersale.gates.verdict import REASONS, Allow, Defer, Deny, Verdict
from aftersale.kernel.instants import DAY, HOUR, MINUTE, WEEK, parse_instant
from aftersale.kernel.zones import in_window

LAW = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])

START = parse_instant("2026-03-25T00:00:00Z")
INTENT = Intent(
    *("care", "care", 1, "o1", "s1", 0, "hello", "email", "marketing", START, START + WEEK),
    benefit="information",
    evidence=True,
    product="x",
)
# Days about the spring jumps of Berlin and, by the wide draw, everybody's.
NOWS = st.integers(START - 20 * DAY, START + 20 * DAY) | st.integers(START, START + 400 * DAY)
MANY = sorted(code for code, zones in COUNTRY_ZONES.items() if len(zones) > 1)
COUNTRIES = st.sampled_from([*MANY, "DE", "IN", "NZ"])
CHANNELS = st.sampled_from(["email", "sms"])
PURPOSES = st.sampled_from(["marketing", "survey", "service"])
TROUBLED = st.integers(-20 * DAY, 20 * DAY)


def contact_of(at: int, channel: str = "email", purpose: str = "marketing") -> Contact:
    return Contact(at, channel, purpose, "care", helpful=False)


caps = st.lists(
    st.builds(
        Cap,
        st.integers(0, 4),
        st.sampled_from([HOUR, DAY, 3 * DAY, WEEK]),
        st.sampled_from(["*", "email"]),
        st.sampled_from(["*", "marketing"]),
    ),
    max_size=3,
).map(tuple)
minutes = st.integers(0, 1440 - 1)
# Seven hours of the day stay free, which is more than the zones of most countries lie apart.
nights = st.builds(
    lambda start, length: Quiet(start, (start + length) % 1440), minutes, st.integers(0, 12 * 60)
)
policies = st.builds(Policy, caps=caps, quiet=nights, consent_purposes=st.just(("marketing",)))


@st.composite
def customers(draw: st.DrawFn, now: int) -> Standing:
    """Draw a customer with troubles, contacts and consents about the instant."""
    at = TROUBLED.map(lambda span: now + span)
    past = st.integers(0, 10 * DAY).map(lambda span: now - span)
    told = Consent(now - DAY, draw(st.booleans()), "opt-in")
    profile = Profile(
        country=Told(now - DAY, draw(COUNTRIES)),
        consents=draw(st.sampled_from([{}, {"email/marketing": told}])),
        blocked=draw(st.sampled_from([{}, {}, {"email": Told(now, "complaint")}])),
        tickets=draw(st.dictionaries(CHANNELS, st.builds(TicketFacts, past, st.just(0)))),
        reviews=draw(
            st.dictionaries(
                CHANNELS, st.builds(Review, past, st.integers(1, 5), CHANNELS, CHANNELS)
            )
        ),
        returns=draw(
            st.dictionaries(
                CHANNELS, st.builds(Return, past, CHANNELS, st.just((Line("x"),))), max_size=1
            )
        ),
        orders={
            "o": Order(now - DAY, parcels={"p": Parcel(now - DAY, promised_at=draw(at))}),
            "q": Order(now - DAY, parcels={"p": Parcel(now - DAY, promised_at=draw(at))}),
        },
    )
    contacts = sorted(draw(st.lists(past, max_size=8)))
    purpose = draw(PURPOSES)
    return Standing(
        profile,
        [contact_of(when, draw(CHANNELS), purpose) for when in contacts],
        whereabouts(profile, "Europe/Berlin"),
    )


intents = st.builds(
    lambda purpose, channel, benefit, product: msgspec.structs.replace(
        INTENT, purpose=purpose, channel=channel, benefit=benefit, product=product
    ),
    PURPOSES,
    CHANNELS,
    st.sampled_from(["", "information"]),
    st.sampled_from(["", "x"]),
)


def strictness(verdict: Verdict) -> tuple[int, int]:
    match verdict:
        case Allow():
            return 0, 0
        case Defer(until):
            return 1, until
        case Deny():
            return 2, 0


@LAW
@given(st.data(), NOWS, intents, policies)
def test_a_further_gate_never_allows_more(data, now, intent, policy):
    """With more gates the verdict is as strict or stricter, and later rather than sooner."""
    customer = data.draw(customers(now))
    chosen = data.draw(st.lists(st.sampled_from(GATES), unique=True))
    fewer, _ = judge(intent, customer, policy, now, chosen)
    for gate in GATES:
        more, trace = judge(intent, customer, policy, now, [*chosen, gate])
        assert strictness(more) >= strictness(fewer)
        assert len(trace) == len(chosen) + 1


@LAW
@given(st.data(), NOWS, intents, policies)
def test_the_verdict_of_all_is_that_of_the_strictest(data, now, intent, policy):
    """All together deny if one does, else defer to the latest deferral; every reason is listed."""
    customer = data.draw(customers(now))
    verdict, trace = judge(intent, customer, policy, now)
    alone = [gate.judge(intent, customer, policy, now) for gate in GATES]
    assert strictness(verdict) == max(map(strictness, alone))
    assert len(trace) == len(NAMES)
    assert {one.reason for one in alone if not isinstance(one, Allow)} <= set(REASONS)


@LAW
@given(st.data(), NOWS, intents, policies)
def test_a_deferral_ends_at_an_instant_that_the_same_gate_allows(data, now, intent, policy):
    """Nobody is put off and then put off again by the same gate, if nothing else happens."""
    customer = data.draw(customers(now))
    for gate in GATES:
        verdict = gate.judge(intent, customer, policy, now)
        if isinstance(verdict, Defer):
            assert verdict.until > now
            again = gate.judge(intent, customer, policy, verdict.until)
            assert isinstance(again, Allow), (gate.NAME, again)


@LAW
@given(st.data(), NOWS, intents, policies)
def test_a_deferral_is_no_longer_than_it_must_be(data, now, intent, policy):
    """Just before its end the same gate still defers."""
    customer = data.draw(customers(now))
    for gate in GATES:
        verdict = gate.judge(intent, customer, policy, now)
        if isinstance(verdict, Defer):
            before = gate.judge(intent, customer, policy, verdict.until - 1)
            assert isinstance(before, Defer), gate.NAME


@LAW
@given(
    caps,
    st.lists(st.tuples(st.integers(0, 30 * HOUR), CHANNELS, PURPOSES), min_size=5, max_size=40),
)
def test_caps_hold_under_any_interleaving_of_sends(laid_down, tries):
    """Whatever is tried, and however late, no span of a cap holds more than the cap allows."""
    policy, contacts, now = Policy(caps=laid_down), [], START
    customer = Standing(Profile(), contacts, Whereabouts(("UTC",), "shop"))
    for after, channel, purpose in tries:
        now += after
        intent = msgspec.structs.replace(INTENT, channel=channel, purpose=purpose)
        if isinstance(fatigue.judge(intent, customer, policy, now), Allow):
            contacts.append(contact_of(now, channel, purpose))
    for cap in laid_down:
        counted = [
            contact.at
            for contact in contacts
            if cap.channel in {"*", contact.channel} and cap.purpose in {"*", contact.purpose}
        ]
        for first in counted:
            assert sum(first <= at < first + cap.per for at in counted) <= cap.most


@LAW
@given(st.integers(1, 4), st.sampled_from([HOUR, DAY, WEEK]), st.lists(st.integers(0, 3 * DAY)))
def test_a_cap_lets_through_as_much_as_it_allows(most, per, waits):
    """A message is deferred only if the span before it is full."""
    policy, contacts, now = Policy(caps=(Cap(most, per),)), [], START
    customer = Standing(Profile(), contacts, Whereabouts(("UTC",), "shop"))
    for wait in waits:
        now += wait
        full = sum(contact.at > now - per for contact in contacts) >= most
        verdict = fatigue.judge(INTENT, customer, policy, now)
        assert isinstance(verdict, Defer) == full
        if not full:
            contacts.append(contact_of(now))


def test_a_cap_of_none_denies():
    """Where nothing is allowed nothing is put off: it will never be allowed."""
    policy = Policy(caps=(Cap(0, DAY),))
    verdict = fatigue.judge(INTENT, standing(Profile()), policy, START)
    assert verdict == Deny("daily-cap")


def standing(profile: Profile, zone: str = "UTC") -> Standing:
    return Standing(profile, [], whereabouts(profile, zone))


WORDS = {
    "consent.given": ConsentEvent(),
    "consent.withdrawn": ConsentEvent(),
    "message.unsubscribed": MessageEvent(message="m"),
}


@LAW
@given(
    st.lists(st.tuples(st.sampled_from(sorted(WORDS)), st.integers(0, 5)), min_size=1, max_size=8),
    st.data(),
)
def test_nothing_passes_consent_after_the_latest_word_is_a_refusal(words, data):
    """In whatever order words on consent arrive, the latest decides, and a refusal beats a tie."""
    profile = Profile()
    for kind, day in data.draw(st.permutations(words)):
        at = START + day * DAY
        fold(profile, Entry(0, 1, kind, at, START + 9 * DAY, WORDS[kind]))
    latest = max(day for _, day in words)
    refused = any(kind != "consent.given" for kind, day in words if day == latest)
    verdict = consent.judge(INTENT, standing(profile), Policy(), START + 9 * DAY)
    assert isinstance(verdict, Deny) == refused
    assert isinstance(judge(INTENT, standing(profile), Policy(), START + 9 * DAY)[0], Deny) or not (
        refused
    )


def test_what_needs_consent_does_not_go_without_a_word():
    """Silence is no consent, and a consent to another channel or purpose is none either."""
    given_other = {
        "sms/marketing": Consent(START, given=True, basis="opt-in"),
        "email/survey": Consent(START, given=True, basis="opt-in"),
    }
    for profile in (Profile(), Profile(consents=given_other)):
        assert consent.judge(INTENT, standing(profile), Policy(), START) == Deny("no-consent")


@LAW
@given(st.sampled_from(MANY), NOWS)
def test_quiet_hours_hold_in_every_plausible_zone(country, now):
    """Where a country has several zones, it is night in none of them when a message goes."""
    customer = standing(Profile(country=Told(START, country)))
    policy = Policy()
    verdict = quiet_hours.judge(INTENT, customer, policy, now)
    goes = verdict.until if isinstance(verdict, Defer) else now
    for zone in COUNTRY_ZONES[country]:
        assert not in_window(goes, policy.quiet.start, policy.quiet.end, zone)
    assert goes - now <= 2 * DAY


@LAW
@given(st.sampled_from(MANY), NOWS)
def test_where_no_hour_is_common_the_likeliest_zone_serves(country, now):
    """A message is not held for ever because every hour is night somewhere."""
    customer = standing(Profile(country=Told(START, country)))
    policy = Policy(quiet=Quiet(10 * 60 + 5, 10 * 60))
    verdict = quiet_hours.judge(INTENT, customer, policy, now)
    goes = verdict.until if isinstance(verdict, Defer) else now
    assert not in_window(goes, policy.quiet.start, policy.quiet.end, customer.whereabouts.zone)


@LAW
@given(
    st.sampled_from(sorted({z for zones in COUNTRY_ZONES.values() for z in zones})), NOWS, nights
)
def test_a_stated_zone_is_kept(zone, now, quiet):
    """Who says where they live is not written to at night there, daylight saving or not."""
    customer = standing(Profile(zone=Told(START, zone), country=Told(START, "US")))
    assert customer.whereabouts == Whereabouts((zone,), "stated")
    verdict = quiet_hours.judge(INTENT, customer, Policy(quiet=quiet), now)
    late = in_window(now, quiet.start, quiet.end, zone) and quiet.start != quiet.end
    assert isinstance(verdict, Defer) == late


@pytest.mark.parametrize("pair", list(combinations(["ticket", "review", "parcel"], 2)))
def test_promotion_waits_until_the_last_trouble_is_old(pair):
    """Troubles that overlap are waited for as one, also a parcel that becomes late meanwhile."""
    begins = dict(zip(pair, (START, START + 10 * DAY), strict=True))
    profile = Profile()
    if "ticket" in begins:
        profile.tickets["t"] = TicketFacts(begins["ticket"])
    if "review" in begins:
        profile.reviews["r"] = Review(begins["review"], 1, "x", "")
    if "parcel" in begins:
        parcel = Parcel(START - DAY, promised_at=begins["parcel"])
        profile.orders["o"] = Order(START - DAY, parcels={"p": parcel})
    now = START + 12 * DAY
    verdict = empathy.judge(INTENT, standing(profile), Policy(), now)
    assert isinstance(verdict, Defer)
    assert verdict.until == START + 24 * DAY
    if pair[1] == "parcel":
        early = empathy.judge(INTENT, standing(profile), Policy(), START + MINUTE)
        assert isinstance(early, Defer)
        assert early.until == START + 24 * DAY


@LAW
@given(st.data(), NOWS, policies)
def test_news_about_an_order_needs_no_consent_and_no_benefit(data, now, policy):
    """What is no marketing passes every gate, unless its address bounced or a cap names it."""
    customer = data.draw(customers(now))
    policy = msgspec.structs.replace(policy, caps=(Cap(1, DAY), Cap(3, WEEK)))
    intent = msgspec.structs.replace(INTENT, purpose="service", benefit="", evidence=False)
    verdict, _ = judge(intent, customer, policy, now)
    assert isinstance(verdict, Allow)
