"""Do CloudEvents come in, in each of their three ways?"""

from typing import Any

import msgspec
import pytest

from aftersale.events.vocabulary import OrderCompleted
from shops import AT, Shop

PATH = "/v1/cloudevents"
DATA = {"order": "A-1", "total": 1250, "currency": "EUR", "customer": {"id": "4711"}}
STRUCTURED = "application/cloudevents+json; charset=utf-8"
BATCH = "application/cloudevents-batch+json"


def event(n: int = 1, **parts: Any) -> dict[str, Any]:
    item = {"specversion": "1.0", "id": f"c-{n}", "source": "/shop", "type": "order.completed"}
    return {**item, "time": AT, "data": DATA, **parts}


def binary(**parts: str) -> dict[str, str]:
    item = {"specversion": "1.0", "id": "c-1", "source": "/shop", "type": "order.completed"}
    return {f"ce_{name}": value for name, value in {**item, "time": AT, **parts}.items()}


def test_the_three_ways_tell_the_same_event_once(shop: Shop) -> None:
    """Its source and id name it, however it comes."""
    ways = [
        shop.post(PATH, DATA, content_type="application/json", **binary()),
        shop.post(PATH, event(), content_type=STRUCTURED),
        shop.post(PATH, [event(), event(2)], content_type=BATCH),
    ]
    assert [(way.status_code, way.json()["accepted"]) for way in ways] == [
        (200, 1),
        (200, 1),
        (200, 2),
    ]
    first, second = shop.entries()
    assert (first.source, first.id, second.id) == ("/shop", "c-1", "c-2")
    assert first.body == OrderCompleted(order="A-1", total=1250, currency="EUR")
    with shop.store.read() as tx:
        assert tx.ledger.conflicts() == []


def test_headers_are_percent_encoded_and_data_may_be_anything(shop: Shop) -> None:
    headers = binary(subject="Euro%20%E2%82%AC%20%F0%9F%98%80", type="thing.happened")
    data = b"\x00\x01"
    answer = shop.post(PATH, data, shop.secret, content_type="image/png", **headers)
    assert answer.status_code == 200
    (entry,) = shop.entries()
    assert entry.customer == 0
    for wrong in ("%C0%A0", "%zz"):
        headers = binary(subject=wrong)
        answer = shop.post(PATH, DATA, content_type="application/json", **headers)
        assert (answer.status_code, answer.json()["errors"][0]["where"]) == (400, "ce-subject")


def test_one_bad_event_of_a_batch_loses_no_other(shop: Shop) -> None:
    items = [event(1), event(2, specversion="0.3"), event(3, data={"order": []}), 5, event(4)]
    told = shop.post(PATH, items, content_type=BATCH).json()
    assert told["accepted"] == 2
    assert [(one["index"], one["where"]) for one in told["rejected"]] == [
        (1, "specversion"),
        (2, "data.order"),
        (3, ""),
    ]
    half = msgspec.json.encode([event(5), event(6, subject="?")]).replace(b'"?"', b'"\\ud800"')
    told = shop.post(PATH, half, content_type=BATCH).json()
    assert (told["accepted"], told["rejected"][0]["where"]) == (1, "subject")
    assert [entry.id for entry in shop.entries()] == ["c-1", "c-4", "c-5"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", STRUCTURED, 400),
        (b"{}", BATCH, 400),
        (b"[", BATCH, 400),
        (b"<a/>", "application/cloudevents+xml", 415),
        (b"{", "application/json", 400),
        (b"x" * 70_000, STRUCTURED, 413),
        (msgspec.json.encode([0] * 2_501), BATCH, 413),
        (msgspec.json.encode([event(data="x" * 70_000)]), BATCH, 400),
    ],
)
def test_what_is_none_is_refused(shop: Shop, body: bytes, kind: str, status: int) -> None:
    headers = binary() if kind == "application/json" else {}
    answer = shop.post(PATH, body, content_type=kind, **headers)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert shop.entries() == []


def test_a_key_is_needed_and_the_handshake_of_webhooks_is_answered(shop: Shop) -> None:
    assert shop.post(PATH, event(), "", content_type=STRUCTURED).status_code == 401
    assert shop.post(PATH, event(), shop.reading, content_type=STRUCTURED).status_code == 403
    assert shop.client.get(PATH).status_code == 405
    answer = shop.client.options(PATH, headers={"WebHook-Request-Origin": "shop.example"})
    assert (answer.status_code, answer.headers["webhook-allowed-origin"]) == (200, "*")
