"""Can a program read what the pages show, a page at a time, and is it told what is wrong?"""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersale.adapters.folder import starter_files
from aftersale.adapters.storage.memory import MemoryStore
from aftersale.api.description import described
from aftersale.api.intake import Bounds
from aftersale.api.reading import cursor_of, place_of
from aftersale.api.resources import MOST, RESOURCES
from aftersale.kernel.instants import MINUTE, SECOND, format_instant
from shops import NOW, Shop, track

ALL = "/api/v1"


def read(shop: Shop, path: str, key: str | None = None, **query: Any) -> Any:
    """Ask with the key that reads unless another is named ('': none)."""
    key = shop.reading if key is None else key
    return shop.client.get(
        path, params=query, headers={"authorization": f"Bearer {key}"} if key else {}
    )


def pages(shop: Shop, path: str, limit: int, most: int = 50) -> list[Any]:
    """The rows of all pages, one after the other."""
    found: list[Any] = []
    query: dict[str, Any] = {"limit": limit}
    for _ in range(most):
        page = read(shop, path, **query).json()
        assert len(page["data"]) <= limit
        found += page["data"]
        if not page["next_cursor"] or not page["data"]:
            break
        query["cursor"] = page["next_cursor"]
    return found


def order(n: int, who: int) -> dict[str, Any]:
    product = {"product_id": "coffee", "quantity": 1, "price": 19.9}
    return track(
        n,
        userId=f"c{who}",
        timestamp=format_instant(NOW + MINUTE),
        event="Order Completed",
        properties={"order_id": f"o{n}", "total": 19.9, "currency": "EUR", "products": [product]},
    )


def turned(shop: Shop) -> None:
    """Let turns run until nothing is left to do."""
    while shop.app.turns.turn(shop.now + SECOND, own=False) is not None:
        pass


def fill(shop: Shop) -> Shop:
    """Three customers with seven orders, turned."""
    shop.app.deploy(starter_files(), note="test")
    traits = {"email": "ada@mail.example", "firstName": "Ada", "lastName": "Byron"}
    call = {"userId": "c1", "messageId": "i1", "traits": traits}
    assert shop.post("/v1/identify", call, shop.secret).status_code == 200
    turned(shop)  # what comes in before the first turn is history
    shop.now += MINUTE
    for n in range(7):
        assert shop.post("/v1/track", order(n, n % 3), shop.secret).status_code == 200
    turned(shop)
    return shop


@pytest.fixture(scope="module")
def people() -> Iterator[Shop]:
    """The same for all tests that read only."""
    made = Shop(MemoryStore(), Bounds(reads_per_second=0.0))
    yield fill(made)
    made.intake.close()


# --- what is read --------------------------------------------------------------------------


def test_a_customer_is_found_and_told_whole(people: Shop) -> None:
    """By an address, by the shop's id, by an order; amounts are whole numbers."""
    for words in ("ada@mail.example", "ADA@mail.example", "c1", "o4"):
        (found,) = read(people, f"{ALL}/customers", find=words).json()["data"]
        assert (found["name"], found["email"]) == ("Ada Byron", "ada@mail.example")
        assert found["orders"] == 2
        assert found["revenue"] == [{"amount": 3980, "currency": "EUR"}]
    assert read(people, f"{ALL}/customers/{found['id']}").json() == found
    assert read(people, f"{ALL}/customers", find="nobody").json()["data"] == []


@pytest.mark.parametrize("limit", [1, 2, 3, MOST])
def test_pages_of_any_size_hold_every_row_once(people: Shop, limit: int) -> None:
    """Whatever the size, the same rows in the same order."""
    for path in ("customers", "events", "journeys", "customers/1/events", "customers/1/decisions"):
        rows = pages(people, f"{ALL}/{path}", limit)
        assert rows == pages(people, f"{ALL}/{path}", MOST)
        assert len({msgspec.json.encode(row) for row in rows}) == len(rows)
    assert [row["id"] for row in pages(people, f"{ALL}/customers", limit)] == [3, 2, 1]
    assert len(pages(people, f"{ALL}/events", limit)) == 8


def test_a_cursor_at_the_end_of_the_events_reads_what_comes_later(shop: Shop) -> None:
    """Nothing is missed and nothing comes twice."""
    people = fill(shop)
    page = read(people, f"{ALL}/events", limit=MOST).json()
    people.post("/v1/track", order(99, 1), people.secret)
    later = read(people, f"{ALL}/events", cursor=page["next_cursor"]).json()
    assert [row["data"]["order"] for row in later["data"]] == ["o99"]
    end = read(people, f"{ALL}/events", cursor=later["next_cursor"]).json()
    assert end == {"data": [], "next_cursor": later["next_cursor"]}


def test_an_event_a_decision_and_a_message_lead_to_each_other(people: Shop) -> None:
    """From the customer to what was decided, why, on which event, and what went out."""
    (ada,) = read(people, f"{ALL}/customers", find="c1").json()["data"]
    one = f"{ALL}/customers/{ada['id']}"
    decisions = read(people, f"{one}/decisions").json()["data"]
    sends = [told for told in decisions if told["kind"] == "send"]
    assert sends
    assert read(people, f"{ALL}/decisions/{sends[0]['id']}").json() == sends[0]
    event = read(people, f"{ALL}/events/{sends[0]['event']}").json()
    assert (event["type"], event["customer"]) == ("order.completed", ada["id"])
    messages = read(people, f"{one}/messages").json()["data"]
    assert {told["decision"] for told in messages} == {told["id"] for told in sends}
    path = f"{ALL}/messages/{messages[0]['id'].replace('/', '%2F')}"
    assert read(people, path).json() == messages[0]
    journey = read(people, f"{ALL}/journeys/{messages[0]['journey']}").json()
    assert messages[0]["step"] in journey["steps"]


def test_where_nothing_was_scored_there_is_nothing(people: Shop) -> None:
    """An empty page, and no fault."""
    for path in ("models", "customers/1/scores"):
        assert read(people, f"{ALL}/{path}").json() == {"data": [], "next_cursor": None}


# --- what is wrong -------------------------------------------------------------------------


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert (answer.status_code, told["status"], told["code"]) == (status, status, code)
    return told


def test_only_a_key_that_may_read_reads(shop: Shop) -> None:
    """401 for none and a wrong one, 403 for one that may only send."""
    people = fill(shop)
    path = f"{ALL}/customers"
    for wrong in ("", "ass_wrong"):
        answer = read(people, path, wrong)
        problem(answer, 401, "wrong-key")
        assert answer.headers["www-authenticate"]
    problem(read(people, path, people.key), 403, "key-of-another-kind")
    sends = people.add_key("secret", scopes=["ingest"])
    people.now += 3 * SECOND
    problem(read(people, path, sends), 403, "key-of-another-kind")
    assert people.client.get(path, auth=(people.reading, "")).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *("customers/0", "customers/99", "customers/x", "customers/" + "9" * 300),
        *("customers/\u0663", "events/0", "events/1000000000000000000000", "events/1e3"),
        *("decisions/1", "decisions/1-", "decisions/9-9", "decisions/1-99999999999999999999"),
        *("messages/none", "journeys/<b>", "customers/99/scores", "nothing", "customers/1/x", ""),
    ],
)
def test_what_is_not_there_is_404(people: Shop, path: str) -> None:
    """Unknown ids and addresses."""
    told = read(people, f"{ALL}/{path}")
    assert told.status_code == 404
    assert told.json()["detail"]


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"limit": "1" * 5_000}, "limit"),
        ({"limit": ""}, "limit"),
        ({"cursor": "!!"}, "cursor"),
        ({"cursor": "MQ=="}, None),
        ({"cursor": "LTE"}, "cursor"),
        ({"cursor": "MS4y"}, "cursor"),
        ({"cursor": "9" * 5_000}, "cursor"),
        ({"cursor": "\ud800".encode("utf-8", "surrogatepass")}, "cursor"),
        ({"page": "2"}, "page"),
        ({"find": "a\0b"}, "find"),
        ({"find": "a" * 500}, "find"),
        ({"find": "\udcff".encode("utf-8", "surrogatepass")}, None),
    ],
)
def test_a_wrong_parameter_is_named(people: Shop, query: dict[str, Any], where: str | None) -> None:
    """400 with the place; nothing of it reaches the store."""
    answer = read(people, f"{ALL}/customers", **query)
    if where is None:
        assert answer.status_code == 200
        return
    assert problem(answer, 400, "wrong-parameter")["errors"][0]["where"] == where


def test_a_nul_in_a_name_is_refused(people: Shop) -> None:
    """No store can look for it."""
    problem(people.client.get(f"{ALL}/messages/a%00b", auth=(people.reading, "")), 400,
            "wrong-parameter")  # fmt: skip


def test_reading_is_all_that_can_be_done(people: Shop) -> None:
    """405 with what is allowed."""
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = people.client.request(method, f"{ALL}/customers", auth=(people.reading, ""))
        problem(answer, 405, "only-get")
        assert answer.headers["allow"] == "GET, HEAD"
    assert people.client.head(f"{ALL}/customers", auth=(people.reading, "")).status_code == 200


def test_who_asks_too_fast_waits(shop_with: Any) -> None:
    """429 with the seconds after which it works again."""
    shop = shop_with(reads_per_second=10.0)
    shop.app.deploy(starter_files(), note="test")
    answers = [read(shop, f"{ALL}/journeys") for _ in range(101)]
    assert {answer.status_code for answer in answers[:-1]} == {200}
    problem(answers[-1], 429, "too-fast")
    shop.now += int(answers[-1].headers["retry-after"]) * SECOND
    assert read(shop, f"{ALL}/journeys").status_code == 200


@given(st.text(max_size=60))
def test_no_cursor_breaks_anything(cursor: str) -> None:
    """Whatever is sent in its place is a place, or no cursor."""
    place = place_of(cursor, 2)
    assert place is None or place == () or place_of(cursor_of(place), 2) == place


# --- its description -----------------------------------------------------------------------


def test_the_description_names_every_address_and_needs_no_key(shop: Shop) -> None:
    """OpenAPI 3.1 with all that is read, and all that is sent."""
    answer = shop.client.get("/openapi.json")
    assert answer.content == described()
    told = answer.json()
    assert told["openapi"] == "3.1.0"
    assert {resource.path for resource in RESOURCES} < told["paths"].keys()
    assert {"/v1/batch", "/v1/track", "/v1/cloudevents", "/webhooks/{provider}"} < told[
        "paths"
    ].keys()
    text = answer.text
    for name in told["components"]["schemas"]:
        assert f'"#/components/schemas/{name}"' in text


def test_bounds_have_a_limit_of_reading() -> None:
    """Nobody has to set one to be safe from a program that runs wild."""
    assert Bounds().reads_per_second > 0
