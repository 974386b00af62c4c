"""Do tracking clients' calls come in durable, once each, and each by itself?"""

import gzip
import threading
import zlib
from base64 import b64encode
from typing import Any

import msgspec
import pytest

from aftersale.api.tracking import call_at
from aftersale.events.event import Ref
from aftersale.events.vocabulary import ProductEvent
from aftersale.kernel.errors import Operational
from aftersale.kernel.instants import SECOND
from aftersale.programme.api_keys import SECRET
from aftersale.translation.segment import CALLS
from shops import NOW, Shop, track


def batch(*items: Any, **parts: Any) -> dict[str, Any]:
    return {"batch": list(items), **parts}


# --- what comes in -------------------------------------------------------------------------


def test_a_call_is_in_the_ledger_when_it_is_answered(shop: Shop) -> None:
    answer = shop.post("/v1/track", track())
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    (entry,) = shop.entries()
    assert (entry.type, entry.body) == ("product.viewed", ProductEvent(product="coffee"))
    assert (entry.source, entry.id, entry.shop, entry.received_at) == (
        "tracking",
        "m-1",
        "main",
        NOW,
    )
    assert shop.personal(entry) == {"properties": {"product_id": "coffee"}}


@pytest.mark.parametrize("path", [*CALLS, *(call[0] for call in CALLS)])
def test_each_call_has_its_address_and_a_short_one(shop: Shop, path: str) -> None:
    """The address says which call it is, also below a folder."""
    item = track(previousId="old", groupId="g")
    assert shop.post(f"/shop-1/v1/{path}", item).status_code == 200
    assert len(shop.entries()) == 1


def test_a_batch_lends_its_context_and_is_taken_once(shop: Shop) -> None:
    """Sent again, also in part or packed otherwise, it changes nothing."""
    sent = batch(track(1), track(2), context={"ip": "1.2.3.4"}, sentAt="2026-11-01T11:59:00Z")
    assert shop.post("/v1/batch", sent).json()["accepted"] == 2
    kept = shop.entries()
    assert shop.personal(kept[0])["context"] == {"ip": "1.2.3.4"}
    shop.now += 30 * SECOND
    for path, again in (("/v1/batch", sent), ("/v1/b", sent), ("/v1/import", batch(track(2)))):
        retried = {"content_encoding": "gzip", "x_retry_count": "3"}
        assert shop.post(path, again, **retried).status_code == 200
    assert shop.entries() == kept
    with shop.store.read() as tx:
        assert tx.ledger.conflicts() == []


def test_one_bad_item_never_loses_the_others(shop: Shop) -> None:
    """Whether it is wrong in sense, in its letters, or too large; each is told with its place."""
    items = [
        track(1),
        track(2, userId=None),
        track(3, event="Order Completed", properties={"order_id": "1", "total": "much"}),
        track(4, properties={"product_id": "x" * 40_000}),
        track(5, properties={"product_id": "a", "n": 1 << 80}),
        17,
        track(6),
    ]
    answer = shop.post("/v1/batch", batch(*items))
    told = answer.json()
    assert (answer.status_code, told["accepted"], told["rejected_count"]) == (200, 2, 5)
    assert [(one["index"], one["where"]) for one in told["rejected"]] == [
        (1, "userId"),
        (2, "properties.total"),
        (3, ""),
        (4, "data"),
        (5, ""),
    ]
    assert [entry.id for entry in shop.entries()] == ["m-1", "m-6"]


@pytest.mark.parametrize("bad", [b'"\\ud83d"', b"NaN", b"1e999"])
def test_half_a_character_or_no_number_loses_only_its_own_item(shop: Shop, bad: bytes) -> None:
    """Strict reading would refuse the batch."""
    wrong = msgspec.json.encode(track(2, properties={"product_id": "p", "x": 0}))
    wrong = wrong.replace(b'"x":0', b'"x":' + bad)
    body = b'{"batch":[%b,%b],"sentAt":null}' % (msgspec.json.encode(track(1)), wrong)
    told = shop.post("/v1/batch", body).json()
    assert told["accepted"] == 1
    assert [(one["index"], one["where"]) for one in told["rejected"]] == [(1, "properties.x")]
    assert [entry.id for entry in shop.entries()] == ["m-1"]
    answer = shop.post("/v1/track", wrong)
    assert (answer.status_code, answer.json()["errors"][0]["where"]) == (400, "properties.x")


def test_a_batch_of_nothing_but_bad_items_is_400_with_all_of_them(shop: Shop) -> None:
    answer = shop.post("/v1/batch", batch({"type": "track"}, {"type": "no"}))
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert [one["index"] for one in told["errors"]] == [0, 1]
    assert told["status"] == 400
    assert told["code"]
    assert told["message"] == told["detail"]


def test_events_are_history_until_the_engine_first_ran(shop: Shop) -> None:
    shop.post("/v1/track", track())
    assert [entry.history for entry in shop.entries()] == [True]


# --- keys ----------------------------------------------------------------------------------


def test_the_key_is_found_wherever_clients_put_it(shop: Shop) -> None:
    """As the name of Basic, with or without the colon; as Bearer; in the body."""
    plain = b64encode(shop.key.encode()).decode()
    for n, (headers, parts) in enumerate(
        [
            ({"authorization": f"Basic {plain}"}, {}),
            ({"authorization": f"Bearer {shop.key}"}, {}),
            ({}, {"writeKey": shop.key}),
            ({"authorization": "Bearer token-of-a-sign-in"}, {"writeKey": shop.key}),
        ]
    ):
        item = track(n, **parts)
        assert shop.post("/v1/track", item, "", **headers).status_code == 200
        around = batch(track(100 + n), **parts)
        assert shop.post("/v1/batch", around, "", **headers).status_code == 200
    assert len(shop.entries()) == 8


def test_a_wrong_key_is_401_and_one_that_may_not_send_403(shop: Shop) -> None:
    for key in ("", "wrong", "asi_" + "a" * 32, "x" * 5_000):
        answer = shop.post("/v1/track", track(), key)
        assert (answer.status_code, answer.json()["code"]) == (401, "wrong-key")
        assert "www-authenticate" in answer.headers
    for header in ("Basic !", "Basic " + b64encode(b"\xff:").decode(), "Digest x", "Basic"):
        assert shop.post("/v1/track", track(), "", authorization=header).status_code == 401
    answer = shop.post("/v1/track", track(writeKey=shop.key), "wrong")
    assert answer.status_code == 401
    answer = shop.post("/v1/track", track(), shop.reading)
    assert (answer.status_code, answer.json()["code"]) == (403, "key-of-another-kind")
    assert shop.entries() == []


def test_a_new_key_works_at_once_and_a_revoked_one_within_seconds_no_more(shop: Shop) -> None:
    assert shop.post("/v1/track", track(1)).status_code == 200
    shop.now += SECOND
    new = shop.add_key(SECRET)
    assert shop.post("/v1/track", track(2), new).status_code == 200
    with shop.store.write() as tx:
        (one,) = (key for key in tx.api_keys.all() if key.name == "key 0")
        tx.api_keys.end(one.id, shop.now)
    shop.now += 2 * SECOND
    assert shop.post("/v1/track", track(3)).status_code == 401


def test_what_a_page_may_not_tell_needs_a_secret_key(shop: Shop) -> None:
    consent = track(event="consent.given", properties={"basis": "opt-in"})
    assert shop.post("/v1/track", consent).status_code == 400
    assert shop.post("/v1/track", consent, shop.secret).status_code == 200


def test_a_key_that_sends_too_fast_is_told_when_to_come_again(shop_with: Any) -> None:
    """A batch is always taken at first; then as many as its rate lets through."""
    shop = shop_with(per_second=10.0)
    full = batch(*(track(n) for n in range(2_500)))
    assert shop.post("/v1/batch", full).status_code == 200
    answer = shop.post("/v1/batch", batch(*(track(n) for n in range(30))))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert shop.post("/v1/track", track(), shop.secret).status_code == 200
    shop.now += 3 * SECOND
    assert shop.post("/v1/batch", batch(*(track(n) for n in range(30)))).status_code == 200


# --- what no sender should send --------------------------------------------------------------


def test_too_much_is_413_before_it_is_read(shop: Shop) -> None:
    """By its stated length, by what arrives, by what gzip holds, and by the number of events."""
    assert shop.post("/v1/track", b"x" * 40_000).status_code == 413
    bomb = gzip.compress(b" " * 50_000_000)
    answer = shop.post("/v1/batch", bomb, content_encoding="gzip")
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    many = batch(*[0] * 2_501)
    assert shop.post("/v1/batch", many).status_code == 413
    streamed = shop.client.post("/v1/track", content=iter([b"x" * 20_000] * 3), auth=(shop.key, ""))
    assert streamed.status_code == 413


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "byte 0"),
        (b"{", "byte 1"),
        (b'{"batch": [1,]}', "byte 13"),
        (b"[]", "batch"),
        (b'{"batch": {}}', "batch"),
        (b'{"batch": [' + b"[" * 100_000, "deeply"),
        (b'{"batch": [], "context": 3}', "context"),
        (b'{"batch": [\xff]}', "byte 11"),
        (b"1" * 6_000, "digits"),
    ],
)
def test_what_is_no_batch_is_400_with_the_place(shop: Shop, body: bytes, place: str) -> None:
    answer = shop.post("/v1/batch", body)
    assert answer.status_code == 400
    assert place in answer.text
    assert shop.entries() == []


def test_what_is_packed_wrongly_is_refused(shop: Shop) -> None:
    packed = gzip.compress(msgspec.json.encode(track()))
    for wrong in (b"no gzip", packed[:-9], packed + b"more"):
        assert shop.post("/v1/track", wrong, content_encoding="gzip").status_code == 400
    raw = zlib.compress(b"{}")
    assert shop.post("/v1/track", raw, content_encoding="deflate").status_code == 415


def test_other_methods_are_told_what_to_do_and_pages_of_any_site_may_ask(shop: Shop) -> None:
    answer = shop.client.get("/v1/track")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")
    answer = shop.client.options("/v1/batch")
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "authorization" in answer.headers["access-control-allow-headers"]


def test_everything_else_goes_to_the_pages(shop: Shop) -> None:
    for path in ("/", "/v1/other", "/v1/", "/a/b/v1/track", "/customers"):
        assert call_at(path) == ""
        assert shop.client.get(path).text == "a page"


def test_asked_to_answer_like_segment_it_says_200_to_what_is_no_fault_of_form(
    shop_with: Any,
) -> None:
    """Unless the client asks for strict answers itself."""
    shop = shop_with(like_segment=True)
    for item, key in ((track(), "wrong"), ({"type": "track"}, None), (track(), None)):
        answer = shop.post("/v1/track", item, key)
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert len(shop.entries()) == 1
    assert shop.post("/v1/track", b"{").status_code == 400
    assert shop.post("/v1/track", b"x" * 40_000).status_code == 413
    assert shop.post("/v1/track", track(), "wrong", x_strict_mode="1").status_code == 401


# --- one commit for many -----------------------------------------------------------------------


def test_who_sends_at_once_shares_a_commit(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one is written the others gather; each is answered once its own is durable."""
    writes, held, go = [], threading.Event(), threading.Event()
    write = shop.store.write

    def slowly() -> Any:
        writes.append(1)
        if len(writes) == 1:
            held.set()
            assert go.wait(10)
        return write()

    monkeypatch.setattr(shop.store, "write", slowly)
    statuses: list[int] = []

    def send(n: int) -> None:
        statuses.append(shop.post("/v1/track", track(n)).status_code)

    first = threading.Thread(target=send, args=(0,))
    first.start()
    assert held.wait(10)
    others = [threading.Thread(target=send, args=(n,)) for n in range(1, 9)]
    for other in others:
        other.start()
    collector = shop.intake._collector
    while collector._waiting < 8:
        threading.Event().wait(0.005)
    assert statuses == []
    go.set()
    for thread in (first, *others):
        thread.join()
    assert statuses == [200] * 9
    assert len(writes) == 2
    assert len(shop.entries()) == 9


def test_a_store_that_cannot_be_written_is_503_and_one_broken_lot_harms_no_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aftersale.runtime import collecting

    admit = collecting.take_in

    def stubborn(tx: Any, events: Any, **options: Any) -> Any:
        if any(event.id == "m-1" for event in events):
            raise RuntimeError("broken")
        if any(event.id == "m-2" for event in events):
            raise Operational("the disk is full")
        return admit(tx, events, **options)

    monkeypatch.setattr(collecting, "take_in", stubborn)
    answer = shop.post("/v1/track", track(2))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    with pytest.raises(RuntimeError, match="broken"):
        shop.post("/v1/track", track(1))
    shop.client = type(shop.client)(shop.front, raise_server_exceptions=False)
    answer = shop.post("/v1/track", track(1))
    assert (answer.status_code, answer.json()["code"]) == (500, "fault")
    assert shop.entries() == []
    lots = [collecting.Lot([_event(n)], whose=n) for n in (1, 3)]
    settled = shop.intake._collector._committed(lots)
    assert [error is None for _, error in settled] == [False, True]
    assert [entry.id for entry in shop.entries()] == ["m-3"]


def _event(n: int) -> Any:
    from aftersale.translation.segment import translate
    from aftersale.translation.telling import Sender

    return translate(track(n), received_at=NOW, sender=Sender())


def test_a_server_that_ends_commits_what_waits_and_takes_no_more(shop: Shop) -> None:
    assert shop.post("/v1/track", track(1)).status_code == 200
    shop.intake.close()
    assert shop.post("/v1/track", track(2)).status_code == 503
    shop.intake.close()


def test_whoever_was_met_as_a_visitor_and_then_said_who_they_are_is_one(shop: Shop) -> None:
    """Look, sign in, order: one customer, by all of their ids."""
    shop.post("/v1/page", {"anonymousId": "a", "messageId": "1", "timestamp": "2026-10-01"})
    identify = {"anonymousId": "a", "userId": "7", "traits": {"email": "a@b.example"}}
    shop.post("/v1/identify", {**identify, "messageId": "2", "timestamp": "2026-10-02"})
    order = {"order_id": "9", "total": 12.5, "currency": "EUR"}
    shop.post("/v1/track", track(7, event="Order Completed", userId="7", properties=order))
    with shop.store.read() as tx:
        assert tx.identities.last() == 1
        assert {ref.kind for ref in tx.identities.refs_of(1)} == {
            "anonymous",
            "customer",
            "email",
            "order",
        }
        assert tx.identities.find([Ref("order", "main/9")]) == {Ref("order", "main/9"): 1}
