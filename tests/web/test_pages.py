"""Do pages show what they should, to whom they should, and does looking change nothing?"""

import csv
import io
import re
import warnings
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import pytest

from aftersale.bootstrap import metrics_of
from aftersale.customers.purchases import purchases
from aftersale.kernel.errors import Operational
from aftersale.kernel.instants import DAY, HOUR, parse_instant
from aftersale.messages.links import sign
from aftersale.models.buying import Buying
from aftersale.models.chances import Bin
from aftersale.models.scores import Card, Proof, Window
from aftersale.models.spending import Spending
from aftersale.programme.telemetry import METRICS_TYPE
from aftersale.runtime.backtest import Backtested, JourneyCount, Plan
from aftersale.runtime.cards import keep_cards
from aftersale.runtime.explaining import find_customer
from aftersale.runtime.invariants.finding import Violation
from aftersale.runtime.valuing import Kept
from aftersale.runtime.verifying import Checked, keep
from aftersale.testing.storage_examples import new_send
from aftersale.turn.state import decode
from aftersale.web.probes import Probes
from aftersale.web.report import report_of, write_report
from aftersale.web.sign_in import COOKIE, LINK_LASTS, SESSION_LASTS, SignIn, session_cookie
from aftersale.web.site import create_site
from aftersale.web.words import score_words

SECRET = bytes(range(32))
END = parse_instant("2026-07-01T00:00:00Z")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the client says that it would like another httpx
    from starlette.testclient import TestClient

HERE = "http://127.0.0.1:8765"


def visitor(lived, *, signed_in=True, base=HERE):
    client = TestClient(
        lived.site, base_url=base, follow_redirects=False, raise_server_exceptions=False
    )
    if signed_in:
        client.cookies.set(COOKIE, lived.cookie)
    return client


def counts(lived):
    """What would show that something was changed."""
    with lived.app.store.read() as tx:
        return (
            tx.ledger.last(),
            tx.decisions.total(),
            tx.mailbox.total(),
            tx.identities.last(),
            tx.meta.get("sign_in"),
            [(send.key, send.status) for send in tx.outbox.newest(limit=10_000)],
        )


def a_message(lived):
    """A caught message with an unsubscribe link, and that link's path."""
    with lived.app.store.read() as tx:
        for mail in tx.mailbox.newest(limit=1_000):
            if link := mail.headers.get("List-Unsubscribe"):
                return mail, urlsplit(link.strip("<>")).path
    pytest.fail("no marketing message was caught")


def every_page(lived):
    mail, unsubscribe = a_message(lived)
    with lived.app.store.read() as tx:
        names = list(lived.app.worlds.compiled(tx, 1).programme.journeys)
        held = tx.decisions.newest(kind="hold", limit=1)[0]
        preferences = sign(lived.secret, "p", str(mail.customer), mail.key)
    key = quote(mail.key, safe="")
    twins = [
        "/customers",
        f"/customers/{mail.customer}",
        "/decisions",
        "/journeys",
        "/journeys/education",
        "/segments",
        "/segments/regular",
        "/segments/new",
        "/retention",
        "/rfm",
        "/lifecycle",
        "/templates",
        "/templates/win-back",
        "/versions",
        "/data",
        "/jobs",
        "/mode",
        "/messages",
        "/mailbox",
        "/health",
        "/search",
    ]
    return [
        "/",
        "/overview.json",
        "/overview.csv",
        *twins,
        *(f"{path}.json" for path in twins),
        *(f"{path}.csv" for path in twins),
        f"/decisions/{mail.customer}-1",
        f"/decisions/{mail.customer}-1.json",
        f"/decisions/{held.customer}-{held.seq}",
        *(f"/journeys/{name}" for name in names),
        f"/journeys/education?customer={mail.customer}",
        "/templates/win-back/preview",
        "/templates/win-back?locale=de",
        "/versions/1",
        "/versions/1.json",
        f"/mailbox/message?key={key}",
        f"/mailbox/html?key={key}",
        "/models",
        "/models.json",
        "/doubts",
        "/doubts.json",
        "/sign-in",
        "/sign-in/anything",
        unsubscribe,
        f"/p/{preferences}",
        "/static/site.css",
        "/static/app.js",
        "/static/customer.css",
        "/healthz",
        "/readyz",
    ]


FRAMES = ("/mailbox/html", "/templates/win-back/preview")


def test_every_page_answers_with_one_heading_and_without_inline_code(lived):
    client = visitor(lived)
    titles: dict[str, set[str]] = {}
    for path in every_page(lived):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy or "default-src 'none'" in policy
        assert "unsafe" not in policy or path.startswith(FRAMES)
        if "html" not in answer.headers["content-type"] or path.startswith(FRAMES):
            continue
        assert answer.text.count("<h1") == 1, path
        assert not re.search(r"<[a-z][^>]*\s(?:on\w+|style)=", answer.text), path
        assert not re.search(r'javascript:|<script>|<style>|"data:', answer.text), path
        assert not re.search(r'(?:src|srcset)="(?:https?:)?//', answer.text), path
        title = re.search(r"<title>(.*?)</title>", answer.text, re.DOTALL)[1]
        titles.setdefault(title, set()).add(path.partition("?")[0])
    for title, paths in titles.items():
        assert len(paths) == 1 or paths == {"/sign-in", "/sign-in/anything"}, title


@pytest.mark.slow
def test_every_page_answers_on_a_database_too(lived_in_database):
    client = visitor(lived_in_database)
    for path in every_page(lived_in_database):
        assert client.get(path).status_code == 200, path


def test_looking_changes_nothing(lived):
    before = counts(lived)
    client = visitor(lived)
    for path in every_page(lived):
        client.get(path)
        client.head(path)
    assert counts(lived) == before


def test_awkward_names_are_shown_as_text(lived):
    client = visitor(lived)
    with lived.app.store.read() as tx:
        found = {kind: find_customer(tx, f"{kind}@example.com") for kind in lived.awkward}
        keys = [tx.mailbox.newest(limit=1, customer=number)[0].key for number in found.values()]
    paths = ["/customers", "/mailbox", *(f"/customers/{number}" for number in found.values())]
    paths += [f"/mailbox/message?key={quote(key, safe='')}" for key in keys]
    shown = ""
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert "<script>alert" not in answer.text
        assert "<img" not in answer.text
        shown += answer.text
    assert "&lt;script&gt;alert(1)" in shown
    assert "{{ 7 * 7 }}" in shown
    assert lived.awkward["long"] in shown
    assert lived.awkward["emoji"] in shown
    assert f"<bdi>{lived.awkward['right-to-left']}</bdi>" in shown


def test_a_mail_is_shown_in_a_frame_that_can_do_nothing(lived):
    mail, _ = a_message(lived)
    answer = visitor(lived).get("/mailbox/html", params={"key": mail.key})
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox;")
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    page = visitor(lived).get("/mailbox/message", params={"key": mail.key})
    assert 'sandbox=""' in page.text


def test_search_finds_by_address_and_says_when_nobody_is_known(lived):
    client = visitor(lived)
    found = client.get("/customers", params={"q": "emoji@example.com"})
    assert found.status_code == 303
    assert re.fullmatch(r"/customers/\d+", found.headers["location"])
    nobody = client.get("/customers", params={"q": "<b>nobody"})
    assert nobody.status_code == 200
    assert "no customer is known as &#39;&lt;b&gt;nobody&#39;" in nobody.text


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/customers/999999", 404, "There is no customer 999999."),
        ("/customers/0", 404, "There is no customer 0."),
        ("/decisions/1-99999", 404, "There is no decision 1-99999."),
        ("/journeys/nothing", 404, "No journey in force is called nothing."),
        ("/journeys/%3Cscript%3E", 404, "&lt;script&gt;"),
        ("/mailbox/message?key=nothing", 404, "not in the mailbox"),
        ("/nowhere", 404, "There is nothing at this address."),
        ("/static/../pages.py", 404, "nothing"),
        ("/static/%2e%2e/pages.py", 404, "nothing"),
    ],
)
def test_what_is_not_there_is_said_with_a_way_on(lived, path, status, words):
    answer = visitor(lived).get(path)
    assert answer.status_code == status
    assert words in answer.text
    assert "Traceback" not in answer.text


def test_a_fault_of_ours_shows_nothing_of_its_insides(lived):
    class Breaking:
        def read(self):
            raise RuntimeError("secret of the inside")

    pages = lived.site.state.pages
    whole, pages.app = pages.app, _with_store(pages.app, Breaking())
    try:
        answer = visitor(lived).get("/health")
    finally:
        pages.app = whole
    assert answer.status_code == 500
    assert "secret of the inside" not in answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def _with_store(app, store):
    fields = {name: getattr(app, name) for name in app.__struct_fields__}
    return type(app)(**{**fields, "store": store})


def test_without_a_session_every_page_of_the_merchant_leads_to_how_to_get_one(lived):
    client = visitor(lived, signed_in=False)
    for path in every_page(lived):
        answer = client.get(path)
        if path.startswith(("/u/", "/p/", "/static/", "/sign-in", "/healthz", "/readyz")):
            assert answer.status_code == 200, path
        elif path.endswith((".json", ".csv")):
            assert answer.status_code == 401, path
        else:
            wanted = "/sign-in" if path == "/" else "/sign-in?" + urlencode({"next": path})
            assert (answer.status_code, answer.headers["location"]) == (303, wanted), path
    assert "aftersale sign-in" in client.get("/sign-in").text


def test_a_link_works_once_and_opening_it_uses_nothing_up(lived):
    client = visitor(lived, signed_in=False)
    path = SignIn(lived.app.store).offer(lived.app.system_now())
    for _ in range(3):
        assert client.get(path).status_code == 200
    first = client.post(path, headers={"Origin": HERE})
    assert first.status_code == 303
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert client.get("/").status_code == 200
    again = visitor(lived, signed_in=False).post(path, headers={"Origin": HERE})
    assert again.status_code == 403
    assert "set-cookie" not in again.headers


def test_a_link_is_worth_nothing_after_half_an_hour(lived):
    sign_in = SignIn(lived.app.store)
    path = sign_in.offer(1_000 * DAY)
    token = path.rpartition("/")[2]
    assert not sign_in.use(token, 1_000 * DAY + LINK_LASTS)
    assert not sign_in.use("", 0)


def test_a_session_ends_after_twelve_hours_and_cannot_be_made_up(lived):
    now = lived.app.system_now()
    for cookie in (
        session_cookie(lived.secret, now - SESSION_LASTS - HOUR),
        session_cookie(b"another secret", now),
        sign(lived.secret, "u", str(now + DAY), "1"),
        "",
        "1.x.y",
    ):
        client = visitor(lived, signed_in=False)
        client.cookies.set(COOKIE, cookie)
        assert client.get("/").status_code == 303


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.168.1.5", ""])
def test_a_host_that_is_not_this_machine_gets_nothing(lived, host):
    answer = visitor(lived).get("/", headers={"Host": host})
    assert answer.status_code == 400
    assert "Overview" not in answer.text


def test_other_sites_cannot_post_in_the_name_of_the_merchant(lived):
    client = visitor(lived)
    token = re.search(r'name="form_token" value="([^"]+)"', client.get("/").text)[1]
    form = {"form_token": token}
    for headers in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert client.post("/sign-out", data=form, headers=headers).status_code == 403
    own = {"Origin": HERE}
    assert client.post("/sign-out", data={"form_token": "x"}, headers=own).status_code == 403
    assert client.post("/sign-out", data={}, headers=own).status_code == 403
    assert client.post("/sign-out", data=form, headers=own).status_code == 303


def test_pages_that_only_show_take_no_post(lived):
    client = visitor(lived)
    for path in ("/", "/customers", "/mailbox", "/health"):
        assert client.post(path, headers={"Origin": HERE}).status_code == 405


@pytest.fixture
def in_doubt(lived):
    """Three messages of which nobody knows, two of one journey."""
    sends = [
        new_send(
            f"doubt:doubt:{n}:x@{n}:remind:1:email",
            lived.app.store.describe()["rows"]["customers"],
            seq=n,
            journey="doubt" if n < 3 else "other-doubt",
            status="unknown",
            reason="no-answer",
            status_at=END,
        )
        for n in (1, 2, 3)
    ]
    with lived.app.store.write() as tx:
        for send in sends:
            tx.outbox.put([msgspec.structs.replace(send, key=f"{send.key}:{tx.ledger.last()}")])
        return [send.key for send in tx.outbox.in_state("unknown")]


def test_a_person_says_on_the_page_what_became_of_messages(lived, in_doubt):
    """One by one or a whole journey; with the token of the session only, and never by a GET."""
    client, own = visitor(lived), {"Origin": HERE}
    page = client.get("/doubts")
    assert page.text.count('value="again"') == 2 + 3
    assert "without an answer" in page.text
    assert "/doubts" in client.get("/health").text
    token = re.search(r'name="form_token" value="([^"]+)"', page.text)[1]
    form = {"form_token": token, "answer": "sent", "key": in_doubt[0]}

    def left():
        return client.get("/doubts.json").json()["total"]

    for headers, data in (
        ({}, form),
        ({"Origin": "http://evil.example"}, form),
        (own, {**form, "form_token": "x"}),
    ):
        assert client.post("/doubts", data=data, headers=headers).status_code == 403
    for data in ({"answer": "sent"}, {"answer": "sent", "key": "k", "journey": "j"}):
        wrong = client.post("/doubts", data={"form_token": token, **data}, headers=own)
        assert wrong.status_code == 400
    nonsense = client.post("/doubts", data={**form, "answer": "perhaps"}, headers=own)
    assert nonsense.status_code == 400
    assert left() == 3
    done = client.post("/doubts", data=form, headers=own)
    assert (done.status_code, done.headers["location"], left()) == (303, "/doubts", 2)
    again = client.post("/doubts", data=form, headers=own)
    assert (again.status_code, left()) == (400, 2)
    for journey in ("doubt", "other-doubt"):
        data = {"form_token": token, "answer": "not-sent", "journey": journey}
        assert client.post("/doubts", data=data, headers=own).status_code == 303
    assert left() == 0
    assert "Nothing is in doubt" in client.get("/doubts").text
    with lived.app.store.read() as tx:
        ended = [(send.status, send.reason) for send in map(tx.outbox.get, in_doubt)]
    assert ended == [("sent", "resolved"), ("failed", "resolved"), ("failed", "resolved")]


def consent(lived, customer):
    with lived.app.store.read() as tx:
        told = [
            (entry.type, entry.at)
            for entry in tx.ledger.of_customers(customer, customer)
            if entry.type in {"message.unsubscribed", "consent.given", "consent.withdrawn"}
            and entry.source == "pages"
        ]
    return [kind for kind, _ in told]


def test_one_click_unsubscribes_without_a_cookie_and_once(lived):
    mail, path = a_message(lived)
    before = consent(lived, mail.customer)
    client = visitor(lived, signed_in=False)
    for _ in range(2):
        answer = client.post(path, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-robots-tag"] == "noindex"
    assert consent(lived, mail.customer) == [*before, "message.unsubscribed"]
    preferences = re.search(r'href="(/p/[^"]+)"', client.get(path).text)[1]
    page = client.get(preferences)
    assert 'value="on"' in page.text
    with lived.app.store.read() as tx:
        address = tx.personal.of_many([mail.customer])[mail.customer]["email"]
    assert address not in page.text
    allowed = client.post(preferences, data={"marketing": "on"})
    assert 'value="off"' in allowed.text
    assert consent(lived, mail.customer)[-1] == "consent.given"
    nothing = counts(lived)
    assert client.post(preferences, data={"marketing": "perhaps"}).status_code == 200
    assert client.post(preferences, data={"marketing": "on"}).status_code == 200
    assert counts(lived) == nothing


def test_a_wrong_link_gets_a_friendly_page_that_tells_nothing(lived):
    mail, path = a_message(lived)
    client = visitor(lived, signed_in=False)
    before = counts(lived)
    wrong = [
        "/u/nonsense",
        path[:-1],
        path + "A",
        path.replace("/u/", "/p/"),
        f"/u/{sign(b'another', 'u', str(mail.customer), mail.key)}",
        f"/u/{sign(lived.secret, 'u', 'not a number', mail.key)}",
    ]
    pages = set()
    for one in wrong:
        for answer in (client.get(one), client.post(one, data={"marketing": "off"})):
            assert answer.status_code == 404, one
            pages.add(answer.text)
    assert len(pages) == 1
    assert counts(lived) == before


def test_customers_pages_answer_at_the_public_address_too(lived):
    _, path = a_message(lived)
    client = visitor(lived, signed_in=False, base=lived.app.public_url)
    assert client.get(path).status_code == 200


def test_the_numbers_of_the_page_are_the_numbers_of_its_twins(lived):
    """As a page, as JSON and as CSV, for every table of the overview."""
    client = visitor(lived)
    page, twin = client.get("/").text, client.get("/overview.json").json()
    shown = re.findall(r'class="big[^"]*">(?:<a[^>]*>)?([^<]+)<', page)
    assert shown == [figure["shown"] for figure in twin["figures"]]
    for table in ("figures", "journeys", "stages", "reasons"):
        told = client.get(f"/overview.csv?table={table}").text
        rows = list(csv.DictReader(io.StringIO(told)))
        assert len(rows) == len(twin[table])
        for row, one in zip(rows, twin[table], strict=True):
            assert {key: str(one[key]) for key in row if isinstance(one[key], (int, str))} == {
                key: row[key] for key in row if isinstance(one[key], (int, str))
            }
    census = twin["counting"]["census"]
    assert sum(stage["count"] for stage in twin["stages"]) == census["customers"]
    rows = {row["name"]: row for row in client.get("/journeys.json").json()["journeys"]}
    assert rows["order-confirmation"]["sent"] > 0
    assert client.get("/overview.csv?table=nothing").status_code == 404


def test_the_report_is_one_file_that_needs_nothing_else(lived, tmp_path: Path):
    plan = Plan(100 * DAY, 114 * DAY)
    name = 'win<b>back & "co"'
    result = Backtested(
        people=3,
        customers=9,
        messages=5,
        decisions=12,
        held_back={"no-consent": 4, "no-benefit": 1, "holdout": 2},
        journeys={name: JourneyCount(people=3, runs=4, messages=5, held_back={"no-consent": 4})},
        per_day={101: 2, 113: 3},
        per_person_week={1: 3, 2: 1},
        digest="abc",
    )
    view = report_of(result, plan, shop="<Shop>", titles={})
    assert (view.per_week, view.held_back) == (2.5, 5)
    assert [bar.healthy for bar in view.reasons] == [True, True, False]
    target = tmp_path / "report.html"
    write_report(target, view)
    text = target.read_text(encoding="utf-8")
    assert "&lt;Shop&gt;" in text
    assert "win&lt;b&gt;back" in text
    assert "What this cannot tell" in text
    assert text.count("<rect x=") == 2
    assert not re.search(r'(?:src|href)="|url\(|@import', text)


def test_a_draft_stands_beside_what_is_in_force_where_the_days_are_the_same(lived):
    def report(draft="", days=7, **journeys):
        counts = {name: JourneyCount(people=n, runs=n, messages=n) for name, n in journeys.items()}
        done = Backtested(people=3, customers=9, messages=sum(journeys.values()), journeys=counts)
        plan = Plan(0, days * DAY)
        made = report_of(done, plan, shop="Shop", titles={}, draft=draft)
        with lived.app.store.write() as tx:
            kept = msgspec.to_builtins(made, str_keys=True) | {"later": 1}
            tx.meta.set("backtest_draft" if draft else "backtest", kept)

    client = visitor(lived)
    try:
        report(refill=4, win_back=2)
        page = client.get("/backtests/latest").text
        assert "Nobody reacts in a replay" in page
        assert "Draft against" not in page
        report(refill=6, new=1, draft="<b>mine</b>")
        page = client.get("/backtests/latest").text
        assert "&lt;b&gt;mine&lt;/b&gt;" in page
        told = client.get("/backtests/latest.json").json()["against"]
        assert {one["name"]: one["messages"] for one in told["journeys"]} == {
            "refill": [4, 6],
            "win_back": [2, None],
            "new": [None, 1],
        }
        assert ["Messages", 6, 7] in told["totals"]
        report(refill=6, draft="mine", days=14)
        assert "over other days" in client.get("/backtests/latest").text
    finally:
        with lived.app.store.write() as tx:
            tx.meta.set("backtest", None)
            tx.meta.set("backtest_draft", None)


# --- for machines ---------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "serve:8765", "10.0.0.7", ""])
def test_probes_answer_anybody_with_one_line_that_names_nothing(lived, host):
    client = visitor(lived, signed_in=False)
    for path in ("/healthz", "/readyz"):
        answer = client.get(path, headers={"Host": host})
        assert (answer.status_code, answer.json()) == (200, {"ok": True, "reason": ""})
        assert client.post(path, headers={"Host": host, "Origin": HERE}).status_code == 405


def test_a_server_whose_store_cannot_be_read_lives_and_is_not_ready(lived):
    class Away:
        def read(self):
            raise Operational("the database postgresql://ada@db.example/shop cannot be reached")

    app = _with_store(lived.app, Away())
    site = create_site(app, secret=SECRET, sign_in=SignIn(lived.app.store))
    client = TestClient(site, base_url=HERE)
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["reason"]) == (503, "the store cannot be read")


def test_metrics_are_told_to_this_machine_only_unless_a_setting_lets_others_in(lived):
    """By address and by name, and not through a proxy that speaks for others."""

    def answer(client="127.0.0.1", *, to_all=False, **headers):
        watched = Probes(lived.app, metrics=metrics_of(lived.app), metrics_to_all=to_all)
        sign_in = SignIn(lived.app.store)
        site = create_site(lived.app, secret=SECRET, sign_in=sign_in, watched=watched)
        return TestClient(site, base_url=HERE, client=(client, 4711)).get(
            "/metrics", headers=headers
        )

    here = answer()
    assert here.status_code == 200
    assert here.headers["content-type"] == METRICS_TYPE
    assert 'aftersale_mode{mode="rehearse"} 1.0' in here.text
    assert "@" not in here.text
    assert answer("::1").status_code == 200
    for refused in (
        answer("10.0.0.7"),
        answer("testclient"),
        answer(Host="care.shop.example"),
        answer(**{"X-Forwarded-For": "127.0.0.1"}),
        answer(Forwarded="for=10.0.0.7"),
    ):
        assert refused.status_code == 403
        assert "aftersale_" not in refused.text
    assert answer("10.0.0.7", to_all=True, Host="serve:8765").status_code == 200
    assert visitor(lived).get("/metrics").status_code == 404


def test_what_a_verification_found_is_an_alert_and_a_problem(lived):
    found = Checked(END, 1.5, {"acted-once": 0, "within-caps": 2}, (
        Violation("within-caps", "more than 2 within the span of a cap", "7-3"),
    ))  # fmt: skip
    client = visitor(lived)
    try:
        keep(lived.app.store, found)
        assert "What must always hold does not: within-caps" in client.get("/").text
        page = client.get("/health").text
        assert "broken: within-caps (2)" in page
        assert "7-3: more than 2 within the span of a cap" in page
        keep(lived.app.store, Checked(END, 0.5, {"acted-once": 0, "within-caps": 0}))
        assert "What must always hold" not in client.get("/").text
        assert "2 of 2 hold" in client.get("/health").text
    finally:
        with lived.app.store.write() as tx:
            tx.meta.set("verified", None)


def test_the_page_of_a_customer_shows_what_is_expected_of_it(lived):
    """Only where models are kept, and for somebody who bought."""
    mail, _ = a_message(lived)
    with lived.app.store.read() as tx:
        row = tx.states.load([mail.customer])[mail.customer]
    bought = purchases(decode(row.blob).profile)
    assert bought.count
    page = f"/customers/{mail.customer}"
    assert "Next 12 months" not in visitor(lived).get(page).text
    model = Buying(r=0.6, alpha=60, a=0.8, b=2.5)
    spend = {bought.currency: Spending(p=6, q=4, v=1500)}
    with lived.app.store.write() as tx:
        tx.meta.set("value", msgspec.to_builtins(Kept(END, 0.1, model, spend)))
    assert "Next 12 months" in visitor(lived).get(page).text
    ahead = visitor(lived).get(f"{page}.json").json()["head"]["worth"]
    assert ahead["purchases"] > 0
    assert 0 < ahead["alive"] <= 1
    with lived.app.store.write() as tx:
        tx.meta.set("value", None)


def test_a_told_score_is_said_in_words():
    """By its unit: a number short, an instant as its day, silence as such."""
    assert score_words("churn", 0.58812) == "churn 0.588"
    assert score_words("next_order", 20_000.0 * DAY) == "next order 4 Oct 2024"
    assert score_words("value", None) == "value: nothing any more"


def test_the_page_of_models_says_what_to_do_where_nobody_was_scored(lived):
    """Without a card there is the command; with cards each has its verdict and its reason."""
    client = visitor(lived)
    assert "aftersale score" in client.get("/models").text
    seen = (Bin(0.25, 0.3, 0.02, 400), Bin(0.75, 0.7, 0.02, 400))
    before = Window("2026-01-01", "2026-03-31", 800, 0.5, 0.7, 0.2)
    proof = Proof("an order", seen, (0.4, 0.7, 1.0), (before,), 0.8, 0.9)
    card = Card("churn", "abc", 7, "Brier score", 0.2, 0.25, "off", "it lost <b>here</b>", 0.1)
    card = msgspec.structs.replace(card, proof=proof, season="more will come")
    with lived.app.store.write() as tx:
        keep_cards(tx, 30 * DAY, [card])
    page = client.get("/models").text
    assert re.search(r"the simple way 0\.2: 25(\.0)?\W%\s+worse", page)
    assert "it lost &lt;b&gt;here&lt;/b&gt;" in page
    assert "more than a week old" in page
    assert 'aria-label="said 25' in page
    assert "It drifted" in page
    assert "more will come" in page
    assert client.get("/models.json").json()["cards"][0]["verdict"] == "off"
    with lived.app.store.write() as tx:
        tx.meta.set("models", None)
