"""Whatever a provider sends, in whatever order and however broken: what comes of it?"""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aftersale.customers.fold import fold
from aftersale.customers.profile import Profile
from aftersale.events.event import Entry
from aftersale.kernel.ids import digest16
from aftersale.translation.happening import REASONS, Delivery, Translated
from aftersale.translation.providers import TRANSLATORS, translate
from stories import NOW, STORIES

LAW = settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])


def told(provider: str, deliveries: list[Delivery]) -> list[Entry]:
    return [
        Entry(0, 1, event.type, event.at, NOW, event.body, event.shop, event.source, event.id)
        for delivery in deliveries
        for event in translate(provider, delivery).events
    ]


def folded(entries: list[Entry]) -> Profile:
    profile = Profile()
    for entry in entries:
        fold(profile, entry)
    return profile


def test_every_provider_has_a_story():
    """What is tested here is tested of every provider."""
    assert set(STORIES) == set(TRANSLATORS)


@pytest.mark.parametrize("provider", sorted(STORIES))
@LAW
@given(st.data())
def test_a_story_shuffled_and_repeated_gives_the_same_customer(provider, data):
    """No provider promises order, and each may send again what it has sent."""
    story = STORIES[provider]
    again = data.draw(st.lists(st.sampled_from(story), max_size=6))
    shuffled = data.draw(st.permutations([*story, *again]))
    expected = folded(told(provider, story))
    assert folded(told(provider, shuffled)) == expected
    assert expected != Profile()


@pytest.mark.parametrize("provider", sorted(STORIES))
def test_the_same_request_gives_the_same_events(provider):
    """An event that is translated again has its id and its content again."""
    for delivery in STORIES[provider]:
        assert translate(provider, delivery) == translate(provider, delivery)


# --- nothing escapes ----------------------------------------------------------------------

ODD = [
    None, True, -1, 0, 2**53 + 1, 2**64, 10**30, "", "\u0000", "é" * 40, "NaN", "1e999999999",
    [], {}, [[]], [{}], {"": {}}, "0000-00-00", "2026-13-45T99:99:99Z", 1.5, -0.0, "<a@b>", "5.1.1",
]  # fmt: skip


class Dice:
    """Numbers that hang on a seed only."""

    def __init__(self, seed: int) -> None:
        self._seed, self._throws = seed, 0

    def below(self, end: int) -> int:
        self._throws += 1
        return int.from_bytes(digest16(f"{self._seed}:{self._throws}")[:8]) % end

    def one_of(self, values):
        return values[self.below(len(values))]


def mutated(value, dice: Dice):
    """The same value with one place changed: taken out, doubled, or replaced by something odd."""
    if isinstance(value, dict) and value and dice.below(10):
        name = dice.one_of(sorted(value))
        match dice.below(4):
            case 0:
                return {n: v for n, v in value.items() if n != name}
            case 1:
                return {**value, name: dice.one_of(ODD)}
            case _:
                return {**value, name: mutated(value[name], dice)}
    if isinstance(value, list) and value and dice.below(10):
        place = dice.below(len(value))
        return [*value[:place], mutated(value[place], dice), *value[place + 1 :]]
    return dice.one_of(ODD)


def is_whole(provider: str, found: Translated) -> None:
    """Events with ids of their own, reasons of the closed list, and something in every case."""
    assert found.events or found.products or found.passed
    assert len({event.id for event in found.events}) == len(found.events)
    assert all(event.source == provider for event in found.events)
    assert all(passed.code in REASONS for passed in found.passed)


def broken(provider: str, delivery: Delivery, seed: int) -> Delivery:
    """The request with its content or its bytes damaged."""
    dice = Dice(seed)
    body = delivery.body
    if seed % 3 and delivery.body.lstrip()[:1] in {b"{", b"["}:
        value = json.loads(body)
        for _ in range(1 + dice.below(3)):
            value = mutated(value, dice)
        body = json.dumps(value).encode()
    elif body:
        place = dice.below(len(body))
        body = body[:place] + digest16(str(seed))[: dice.below(4)] + body[place + dice.below(9) :]
    return Delivery(body, delivery.headers, delivery.received_at, delivery.shop)


@pytest.mark.parametrize("provider", sorted(STORIES))
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.data())
def test_nothing_that_a_provider_sends_escapes(provider, seed, data):
    """A damaged request is translated or passed over; it raises nothing."""
    delivery = data.draw(st.sampled_from(STORIES[provider]))
    is_whole(provider, translate(provider, broken(provider, delivery, seed)))


@pytest.mark.parametrize("provider", sorted(TRANSLATORS))
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"0",
        b'"text"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"id": NaN}',
        b'{"event": "\\ud800", "email": "\\ud800"}',
        b"a=1&" * 2_000,
        b'{"id": 1' + b"0" * 5_000 + b"}",
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_payload_at_all_is_passed_over(provider, body):
    """Nothing, depths, half characters, numbers of many digits: a reason and no error."""
    for kind in (
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ):
        is_whole(provider, translate(provider, Delivery(body, {"content-type": kind}, NOW)))


# --- real payloads ------------------------------------------------------------------------


@pytest.mark.real_data
@pytest.mark.parametrize("provider", sorted(TRANSLATORS))
def test_no_damage_to_a_real_payload_escapes(shared_data, provider):
    """Every payload of the folder as it is, and damaged in a few ways."""
    root = shared_data / "webhook_payloads"
    found = [path for path in sorted(root.rglob("*.json")) if provider in path.parts]
    if not found:
        pytest.skip(f"no payloads of {provider} beside the project")
    for number, path in enumerate(found):
        delivery = Delivery(path.read_bytes(), {}, NOW)
        is_whole(provider, translate(provider, delivery))
        for seed in range(8):
            is_whole(provider, translate(provider, broken(provider, delivery, number * 8 + seed)))
