"""Do the habits hold: days in the address, the same numbers everywhere, people behind figures?"""

import csv
import io
import re
import warnings
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersale.adapters.folder import starter_files
from aftersale.adapters.storage.memory import MemoryStore
from aftersale.bootstrap import build
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY, parse_instant
from aftersale.kernel.zones import day_number
from aftersale.models.lifecycle import STAGES
from aftersale.runtime.explaining import reading_of
from aftersale.settings import Settings
from aftersale.turn.state import decode
from aftersale.web import census as counting
from aftersale.web.census import bought_by, count
from aftersale.web.pages import MENU
from aftersale.web.people import condition_of, find_people
from aftersale.web.period import COMPARED, RANGES, date_of, period_of
from aftersale.web.plots import plot
from aftersale.web.segments import bounds
from aftersale.web.sign_in import COOKIE, SignIn, session_cookie
from aftersale.web.site import create_site
from aftersale.web.sizes import month_starts, sizes_over_time, worked_out
from aftersale.web.tables import as_csv
from aftersale.web.versions import file_diffs

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the client says that it would like another httpx
    from starlette.testclient import TestClient

HERE = "http://127.0.0.1:8765"
NOW = parse_instant("2026-06-30T10:00:00Z")


@pytest.fixture
def client(lived):
    made = TestClient(
        lived.site, base_url=HERE, follow_redirects=False, raise_server_exceptions=False
    )
    made.cookies.set(COOKIE, lived.cookie)
    return made


# --- days -----------------------------------------------------------------------------------


@given(
    name=st.sampled_from([*RANGES]),
    compare=st.sampled_from([*COMPARED]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Auckland", "America/Los_Angeles"]),
    now=st.integers(parse_instant("1995-01-01T00:00:00Z"), parse_instant("2060-01-01T00:00:00Z")),
    back=st.integers(0, 3_000),
)
def test_a_period_is_compared_with_as_many_days_as_are_over(name, compare, zone, now, back):
    """Today is never among them; the days before end before the period begins."""
    period = period_of({"range": name, "compare": compare}, now, zone, since=now - back * DAY)
    assert period.today == day_number(now, zone) == period.last
    assert period.first <= period.last
    if period.before:
        first, last = period.before
        assert last - first == period.over - period.first
        assert last < period.first
        if compare == "year":
            assert (period.first - first) % 7 == 0
    since, until = period.span(period.first, period.last)
    assert since <= now < until


@given(first=st.dates(), days=st.integers(0, 3_000), compare=st.sampled_from([*COMPARED]))
def test_a_link_with_fixed_dates_shows_the_same_days_later(first, days, compare):
    asked = {"range": "custom", "from": first.isoformat(), "compare": compare}
    try:
        period = period_of(asked, NOW, "UTC")
    except Refusal:
        assert first.isoformat() > date_of(NOW // DAY)
        return
    fixed = dict(pair.split("=") for pair in period.fixed.split("&"))
    later = period_of(fixed, NOW + days * DAY, "UTC")
    assert (later.first, later.last) == (period.first, period.last)
    assert period.earlier


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("range=fortnight", "There is no range"),
        ("compare=neighbours", "Nothing is compared with"),
        ("range=custom&from=2026-06-02&to=2026-06-01", "ends before it begins"),
        ("range=custom&from=2999-01-01", "ends before it begins"),
        ("range=custom&from=yesterday", "is no day"),
        ("range=custom&from=%3Cscript%3E", "is no day"),
    ],
)
def test_days_that_cannot_be_are_refused_with_what_to_do(client, query, words):
    for path in ("/", "/journeys", "/journeys/refill", "/overview.json"):
        answer = client.get(f"{path}?{query}")
        assert answer.status_code == 400
        assert words in answer.text
        assert "<script>" not in answer.text or path.endswith(".json")
        assert "Traceback" not in answer.text


def test_the_days_follow_from_page_to_page(client):
    page = client.get("/?range=90&compare=year").text
    for address in ("/customers", "/journeys", "/journeys/refill", "/mailbox"):
        assert f'href="{address}?range=90&amp;compare=year"' in page
    assert 'href="/journeys"' in client.get("/").text


def test_days_and_comparison_change_the_numbers(client):
    """A year holds what a week holds; a comparison adds words and takes none of the numbers."""

    def figures(query):
        told = client.get(f"/overview.json?{query}").json()["figures"]
        return {one["key"]: one for one in told}

    week, year = figures("range=7"), figures("range=365")
    for key in ("orders", "revenue", "buyers", "messages"):
        assert 0 <= week[key]["number"] <= year[key]["number"]
    assert year["orders"]["number"] > week["orders"]["number"] > 0
    alone = figures("range=7&compare=none")
    assert alone["orders"]["number"] == week["orders"]["number"]
    assert (bool(week["orders"]["change"]), alone["orders"]["change"]) == (True, "")
    for one in year.values():
        assert one["how"]


def test_every_figure_says_how_it_is_counted(client):
    for path in ("/", "/journeys/refill", "/data"):
        page = client.get(path).text
        assert page.count("how counted") == page.count('class="big')


def test_a_bar_that_is_not_over_is_marked_and_not_compared():
    period = period_of({"range": "7"}, NOW, "UTC")
    drawn = plot("Orders", {period.last: 3, period.first: 2}, period, str)
    assert [point.unfinished for point in drawn.points] == [False] * 6 + [True]
    assert drawn.points[-1].before is None
    assert 'class="open"' in drawn.svg
    assert "the last is not over" in drawn.note


# --- the same numbers -----------------------------------------------------------------------


class Row(msgspec.Struct, frozen=True):
    name: str
    count: float | None
    parts: list[int] = []


@given(st.lists(st.tuples(st.text(), st.none() | st.integers())))
def test_csv_holds_what_the_rows_hold_and_nothing_that_a_spreadsheet_runs(pairs):
    rows = [Row(name, count, [1]) for name, count in pairs]
    read = list(csv.reader(io.StringIO(as_csv(rows), newline="")))
    if not rows:
        assert read == []
        return
    assert read[0] == ["name", "count"]
    for cells, row in zip(read[1:], rows, strict=True):
        assert not cells[0].startswith(("=", "+", "-", "@", "\t", "\r"))
        assert cells[0].removeprefix("'") == row.name.removeprefix("'")
        assert cells[1] == ("" if row.count is None else str(row.count))


def everybody(lived):
    with lived.app.store.read() as tx:
        world, now = lived.app.worlds.now(tx), lived.app.now(tx)
        rows = tx.states.page(0, 10_000)
        return [reading_of(decode(row.blob), world, now) for row in rows], world, now


def test_the_people_behind_a_figure_are_as_many_as_it_says(lived, client):
    """Stages, squares of RFM and segments lead to lists that are as long as they claim."""
    behind = [
        *client.get("/lifecycle.json").json()["stages"],
        *client.get("/rfm.json").json()["cells"],
        *client.get("/rfm.json").json()["groups"],
        *client.get("/segments.json").json()["segments"],
    ]
    assert len(behind) > 30
    with lived.app.store.read() as tx:
        world, now = lived.app.worlds.now(tx), lived.app.now(tx)
        segments = lived.app.worlds.compiled(tx, world.programme.version).segments
        for one in behind:
            text = parse_qs(urlsplit(one["people"]).query)["where"][0]
            condition = condition_of(text, segments)
            found = find_people(tx, world, now, condition, shown=10_000)
            assert len(found.people) == one["count"], text


def test_what_is_counted_of_everybody_adds_up(lived, client):
    readings, _, now = everybody(lived)
    twin = client.get("/overview.json").json()["counting"]["census"]
    buyers = [reading.bought for reading in readings if reading.bought.count]
    assert twin["customers"] == len(readings)
    assert twin["buyers"] == len(buyers)
    assert sum(day["firsts"] for day in twin["days"].values()) == sum(
        bool(bought.kept and bought.kept[0].at == bought.first_at) for bought in buyers
    )
    assert sum(day["orders"] for day in twin["days"].values()) == sum(
        len(bought.kept) for bought in buyers
    )
    assert sum(cohort["buyers"] for cohort in twin["cohorts"].values()) == len(buyers)
    for cohort in twin["cohorts"].values():
        assert cohort["ever"] == sorted(cohort["ever"])
        pairs = zip(cohort["again"], cohort["ever"], strict=True)
        assert all(a <= b <= cohort["buyers"] for a, b in pairs)
    for back, moves in twin["moved_stages"].items():
        assert sum(move["count"] for move in moves) == len(buyers), back
    for bought in buyers:
        past = bought_by(bought, now - 90 * DAY)
        assert past.count <= bought.count
        assert len(past.gaps) == max(past.count - 1, 0)
        assert bought_by(bought, now) == bought


def test_a_long_list_is_read_page_by_page_without_loss(lived):
    with lived.app.store.read() as tx:
        world, now = lived.app.worlds.now(tx), lived.app.now(tx)
        whole = [one.id for one in find_people(tx, world, now, None, shown=10_000).people]
        read, before = [], 0
        while True:
            part = find_people(tx, world, now, None, before=before, shown=7, looked_at=11)
            read += [one.id for one in part.people]
            if not (before := part.before):
                break
        assert read == whole == sorted(whole, reverse=True)


@given(st.integers(0, 3_000), st.integers(1, 3_000), st.integers(1, 10**7))
def test_bounds_of_a_count_hold_the_share_that_was_seen(met, tried, everybody):
    met, everybody = min(met, tried), max(everybody, tried)
    low, high = bounds(met, tried, everybody)
    assert 0 <= low <= round(met / tried * everybody) <= high + 1 <= everybody + 1


# --- bad input, and nothing at all ----------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/segments/nothing", 404, "names no segment"),
        ("/templates/nothing", 404, "There is no template"),
        ("/templates/nothing/preview", 404, "cannot be shown"),
        ("/versions/99", 404, "no version 99"),
        ("/versions/1?against=x", 404, "no version x"),
        ("/data/imports/x", 404, "No import"),
        ("/decisions?kind=perhaps", 404, "no kind of decision"),
        ("/messages?state=lost", 404, "There is no state lost"),
        ("/journeys/refill?customer=999999", 404, "There is no customer"),
        ("/journeys/refill?customer=%3Cb%3E", 404, "There is no customer"),
        ("/journeys/refill?show=dreams", 404, "live or backtest"),
        ("/journeys/refill?show=backtest", 404, "aftersale backtest"),
        ("/rfm?since=3", 404, "Movement is counted since"),
        ("/?plot=dreams", 404, "There is no chart"),
        ("/customers?before=x", 400, "is no number"),
        ("/customers?where=orders.cuont%3E2", 400, "did you mean orders.count"),
        ("/customers?where=select%201", 400, "one true-or-false expression"),
        ("/customers.json?where=%27", 400, "problem"),
    ],
)
def test_what_cannot_be_shown_is_said_with_the_right_status(client, path, status, words):
    answer = client.get(path)
    assert answer.status_code == status
    assert words in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("name", ["markup", "long", "emoji", "right-to-left", "template"])
def test_search_takes_every_kind_of_words(lived, client, name):
    words = lived.awkward[name]
    answer = client.get("/search.json", params={"q": words})
    assert answer.status_code == 200
    assert [hit["title"] for hit in answer.json()["found"] if hit["kind"] == "customer"]
    page = client.get("/search", params={"q": words})
    assert page.status_code == 200
    assert "<script>alert" not in page.text


def test_search_finds_everything_there_is(lived, client):
    def kinds(words):
        found = client.get("/search.json", params={"q": words}).json()["found"]
        return {hit["kind"]: hit["address"] for hit in found}

    with lived.app.store.read() as tx:
        order = next(
            ref.value for ref in tx.identities.refs_of(tx.identities.last()) if ref.kind == "order"
        )
    assert kinds(order.rpartition("/")[2])["customer"].startswith("/customers/")
    assert kinds("emoji@example.com")["customer"].startswith("/customers/")
    assert kinds("refill")["journey"] == "/journeys/refill"
    assert kinds("first time")["segment"] == "/segments/first_time"
    assert kinds("win-back")["template"] == "/templates/win-back"
    assert kinds("Retention") == {"page": "/retention"}
    assert kinds("qqqq") == {}
    assert len(client.get("/search.json").json()["found"]) > 5


def test_a_condition_is_tried_while_it_is_written(client):
    met = client.get("/segments/new.json", params={"where": "orders.count >= 1", "name": "b"})
    told = met.json()
    assert told["everybody"]
    assert told["met"] == told["low"] == told["high"] or told["low"] <= told["met"] <= told["high"]
    assert told["text"].startswith("b:\n  where: ")
    wrong = client.get("/segments/new", params={"where": "orders.cuont >= 1"})
    assert wrong.status_code == 200
    assert "did you mean orders.count" in wrong.text


def test_changed_lines_of_a_file_are_those_that_differ():
    old = {"a": "1\n2\n3\n", "gone": "x\n", "same": "s\n"}
    found = {
        one.file: one for one in file_diffs(old, {"a": "1\n2b\n3\n", "new": "y\n", "same": "s\n"})
    }
    assert {name: one.kind for name, one in found.items()} == {
        "a": "changed",
        "gone": "removed",
        "new": "added",
    }
    assert [(line.kind, line.text) for line in found["a"].lines] == [
        ("same", "1"),
        ("gone", "2"),
        ("come", "2b"),
        ("same", "3"),
    ]


@pytest.fixture(scope="module")
def bare():
    """An installation in which nothing has happened yet."""
    store = MemoryStore()
    with store.write() as tx:
        tx.meta.set("secret", bytes(32).hex())
    app = build(store, Settings(home=Path(__file__).parent))
    app.deploy(starter_files(), note="test")
    site = create_site(app, secret=bytes(32), sign_in=SignIn(store))
    client = TestClient(site, base_url=HERE, raise_server_exceptions=False)
    client.cookies.set(COOKIE, session_cookie(bytes(32), app.system_now()))
    yield client
    store.close()


@pytest.mark.parametrize(
    ("path", "next_"),
    [
        ("/", "aftersale import"),
        ("/customers", "aftersale import"),
        ("/segments", "aftersale import"),
        ("/segments/new", "aftersale import"),
        ("/retention", "aftersale import"),
        ("/rfm", "aftersale import"),
        ("/lifecycle", "aftersale import"),
        ("/decisions", "aftersale import"),
        ("/journeys", "aftersale backtest"),
        ("/journeys/refill", "Run"),
        ("/mailbox", "rehearses"),
        ("/messages", "aftersale import"),
        ("/models", "aftersale score"),
        ("/backtests/latest", "Run a backtest"),
        ("/jobs", "Score everybody"),
        ("/data/upload", "aftersale import"),
        ("/data", "aftersale import"),
        ("/health", "aftersale"),
        ("/templates", "template"),
        ("/versions", "aftersale deploy"),
        ("/doubts", "in doubt"),
        ("/mode", "Stop sending"),
        ("/search?q=ada", "Nothing is known"),
    ],
)
def test_an_empty_store_says_on_every_page_what_to_do(bare, path, next_):
    answer = bare.get(path)
    assert answer.status_code == 200
    assert next_ in answer.text
    assert bare.get("/").status_code == 200


def test_the_menu_leads_to_pages_that_are_there(bare):
    for _, entries in MENU:
        for _, address, words in entries:
            assert bare.get(address).status_code == 200, words


# --- counted behind the pages' back ---------------------------------------------------------


def test_a_count_is_kept_with_a_line_for_its_day(lived):
    taken = count(lived.app.store, lived.app.system_now)
    with lived.app.store.read() as tx:
        kept = counting._read_kept(tx)
        sizes = sizes_over_time(tx)
    assert kept is not None
    assert kept[1] == taken
    (line,) = sizes.values()
    assert line["active"] == taken.stages["active"]
    assert line["segment.regular"] == taken.segments["segment.regular"]


def test_earlier_sizes_are_those_that_would_have_been_counted_then(lived):
    """As of now they are those of the count; at the beginning of a month those of its past."""
    with lived.app.store.read() as tx:
        world, now = lived.app.worlds.now(tx), lived.app.now(tx)
        segments = lived.app.worlds.compiled(tx, world.programme.version).segments
        starts = month_starts(now, world.programme.policy.zone, 6)
        found = list(worked_out(tx, world, segments, [*starts, now]).values())
        census = counting.take_census(tx, world, segments, now, now)
    # What the engine itself did is no event of the log, so only what customers did is compared.
    assert {name: found[-1][name] for name in census.stages} == census.stages
    assert found[-1]["segment.regular"] == census.segments["segment.regular"]
    known = [sum(day[stage] for stage in STAGES) for day in found]
    assert known == sorted(known)
    assert starts == sorted(starts)


def test_messages_are_found_by_state_and_journey(lived, client):
    """Each leads to its decision; of those asked for none is missing among the newest."""
    with lived.app.store.read() as tx:
        sends = [one for one in tx.outbox.newest(limit=10_000) if one.kind == "message"]
    for state, journey in (("", ""), ("sent", ""), ("sent", "review-request"), ("queued", "")):
        asked = {"state": state, "journey": journey}
        told = client.get("/messages.json", params=asked).json()["messages"]
        wanted = {
            one.key for one in sends if state in {"", one.status} and journey in {"", one.journey}
        }
        assert len(told) == min(len(wanted), 100)
        assert {one["key"] for one in told} <= wanted
        for one in told[:1]:
            assert client.get(f"/decisions/{one['decision']}").status_code == 200


# --- what forms change ----------------------------------------------------------------------


def posted(client, path, **fields):
    page = client.get("/mode").text
    token = re.search(r'name="form_token" value="([^"]+)"', page)[1]
    return client.post(path, data={"form_token": token, **fields}, headers={"Origin": HERE})


def test_a_journey_is_paused_and_goes_on_by_a_form_of_its_page(lived, client):
    assert client.post("/journeys/refill/pause", headers={"Origin": HERE}).status_code == 403
    done = posted(client, "/journeys/refill/pause", paused="yes")
    assert (done.status_code, done.headers["location"]) == (303, "/journeys/refill")
    page = client.get("/journeys/refill").text
    assert ">Resume<" in page
    assert ">paused<" in page
    posted(client, "/journeys/refill/pause", paused="no")
    assert ">Pause<" in client.get("/journeys/refill").text
    assert posted(client, "/journeys/nothing/pause", paused="yes").status_code == 404
    assert "pause refill" in client.get("/versions").text
    assert quote("paused.yaml") in client.get("/versions/2").text


def test_going_live_asks_for_the_number_of_people(lived, client):
    people = client.get("/mode.json").json()["people"]
    wrong = posted(client, "/mode", mode="live", people=str(people + 1))
    assert wrong.status_code == 400
    assert "write how many people" in wrong.text
    assert client.get("/mode.json").json()["mode"] == "rehearse"
    assert posted(client, "/mode", mode="live", people=str(people)).status_code == 303
    assert client.get("/mode.json").json()["mode"] == "live"
    assert posted(client, "/mode", mode="rehearse").status_code == 303
    assert client.get("/mode.json").json()["mode"] == "rehearse"
    assert posted(client, "/mode", mode="dreaming").status_code == 400


def test_a_need_that_was_dismissed_is_back_when_it_says_something_else(lived, client):
    """Muted it stays away for its days; one click brings all of them back."""

    def needs():
        told = client.get("/overview.json").json()
        return {one["key"]: one["what"] for one in told["needs"]}, told["dismissed"]

    def kept(**dismissed):
        with lived.app.store.write() as tx:
            tx.meta.set("dismissed", {"rehearse": dismissed})

    before, _ = needs()
    assert "rehearse" in before
    foreign = client.post("/needs", data={"key": "rehearse"}, headers={"Origin": HERE})
    assert foreign.status_code == 403
    assert posted(client, "/needs", key="rehearse").headers["location"] == "/"
    assert needs() == ({key: what for key, what in before.items() if key != "rehearse"}, 1)
    assert "1 dismissed" in client.get("/").text
    kept(said="something else")
    assert needs() == (before, 0)
    assert posted(client, "/needs", key="rehearse", days="7").status_code == 303
    assert needs()[1] == 1
    kept(said=before["rehearse"], until=1)
    assert needs() == (before, 0)
    assert posted(client, "/needs", key="rehearse", days="400").status_code == 400
    posted(client, "/needs", key="rehearse")
    posted(client, "/needs")
    assert needs() == (before, 0)
