"""Is long work begun, shown, ended and found again by its page, as a stranger would do it?"""

import re
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from aftersale.bootstrap import init
from aftersale.runtime.jobs import Failed, Outcome, jobs
from aftersale.settings import Settings
from aftersale.web.sign_in import COOKIE, SignIn, session_cookie
from aftersale.web.site import create_site
from served import Server

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the client says that it would like another httpx
    from starlette.testclient import TestClient

HERE = "http://127.0.0.1:8765"
OWN = {"Origin": HERE}
ORDERS = """order,at,email,product,quantity,price
1,2026-01-02,ada@example.com,tea,1,4.50
2,2026-01-03,ben@example.com,tea,2,4.50
3,never,carl@example.com,tea,2,4.50
"""
MAPPING = """source = "shop"
currency = "EUR"
[columns]
order = "order"
at = "at"
email = "email"
product = "product"
quantity = "quantity"
price = "price"
"""


class AtOnce:
    """Work that is done where it is asked for, instead of in another process."""

    def __init__(self, app, work, fields):
        try:
            self._said = work(app, fields, lambda *_: None)
        except Exception as error:  # noqa: BLE001 - told like the process does
            self._said = Failed(str(error))

    def news(self, seconds):
        return self._said

    def end(self):
        pass


class Office:
    """A new installation with its pages, and somebody who has signed in."""

    def __init__(self, home: Path) -> None:
        self.app, _ = init(Settings(home=home))
        self.home = home
        secret = bytes(32)
        self.site = create_site(
            self.app,
            secret=secret,
            sign_in=SignIn(self.app.store),
            begin=lambda work, fields: AtOnce(self.app, work, fields),
        )
        self.browser = TestClient(
            self.site, base_url=HERE, follow_redirects=False, raise_server_exceptions=False
        )
        self.browser.cookies.set(COOKIE, session_cookie(secret, self.app.system_now()))
        self.token = token_of(self.browser.get("/jobs").text)

    def post(self, path, files=None, **fields):
        data = {"form_token": self.token, **fields}
        answer = self.browser.post(path, data=data, files=files, headers=OWN)
        self.site.state.pages.runner.wait()
        return answer

    def uploaded(self, name="orders.csv", text=ORDERS, mapping=MAPPING, **fields):
        files = {"file": (name, text.encode())}
        if mapping:
            files["mapping"] = ("mapping.toml", mapping.encode())
        return self.post("/jobs/import", files, **{"kind": "orders", "consent": "", **fields})

    def job(self, address):
        return self.browser.get(f"{address}.json").json()["job"]


def token_of(page):
    return re.search(r'name="form_token" value="([^"]+)"', page)[1]


@pytest.fixture
def office(tmp_path):
    made = Office(tmp_path)
    yield made
    made.site.state.pages.runner.close()
    made.app.store.close()


def test_a_file_is_tried_first_and_then_imported_with_the_same_numbers(office):
    tried = office.uploaded(trial="yes")
    assert tried.status_code == 303
    page = office.browser.get(tried.headers["location"]).text
    assert "2 rows can be read, 1 cannot. Nothing was kept." in page
    assert office.browser.get("/data.json").json()["imports"] == []
    done = office.post(f"{tried.headers['location']}/again")
    job = office.job(done.headers["location"])
    assert (job["state"], job["title"]) == ("done", "Import orders.csv")
    (row,) = office.browser.get("/data.json").json()["imports"]
    assert (row["rows"], row["used"], row["rejected"], row["new"]) == (3, 2, 1, 2)
    assert office.browser.get(job["outcome"]["address"]).status_code == 200
    assert list((office.home / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"mapping": ""}, "nothing says what the columns mean"),
        ({"mapping": "source ="}, "the mapping is no TOML"),
        ({"name": "orders.exe"}, "of no known format"),
        ({"kind": "people"}, "Say what the file holds"),
        ({"consent": "everything"}, "Say what the file holds"),
    ],
)
def test_an_upload_that_cannot_be_is_refused_and_leaves_nothing_behind(office, fields, words):
    answer = office.uploaded(**fields)
    assert answer.status_code == 400
    assert words in answer.text
    folder = office.home / "uploads"
    assert not folder.exists() or list(folder.iterdir()) == []
    with office.app.store.read() as tx:
        assert jobs(tx) == []


def test_a_name_with_markup_and_paths_stays_text_and_inside_its_folder(office):
    answer = office.uploaded(name='../../<img src=x onerror="alert(1)">.csv', trial="yes")
    page = office.browser.get(answer.headers["location"]).text
    assert "<img" not in page
    (folder,) = (office.home / "uploads").iterdir()
    assert all(re.fullmatch(r"[\w.-]+", file.name) for file in folder.iterdir())


def test_a_form_of_another_site_begins_nothing(office):
    for path in ("/jobs/backtest", "/jobs/score", "/jobs/import"):
        for data, headers in (({}, OWN), ({"form_token": office.token}, {"Origin": "http://x"})):
            assert office.browser.post(path, data=data, headers=headers).status_code == 403
    assert office.browser.get("/jobs.json").json()["jobs"] == []


@pytest.mark.slow
def test_a_backtest_is_begun_and_leads_to_its_page(office):
    """Without a past it is refused at once, with what to do."""
    refused = office.post("/jobs/backtest")
    assert (refused.status_code, "aftersale import" in refused.text) == (400, True)
    assert "Run a backtest" in office.browser.get("/backtests/latest").text
    office.uploaded(trial="no")
    backwards = office.post("/jobs/backtest", **{"from": "2026-03-01", "to": "2026-02-01"})
    assert backwards.status_code == 400
    begun = office.post("/jobs/backtest", **{"from": "2026-01-01", "to": "2026-02-01"})
    job = office.job(begun.headers["location"])
    assert (job["state"], job["outcome"]["address"]) == ("done", "/backtests/latest")
    assert "31 Jan 2026" in office.browser.get("/backtests/latest").text.replace("\xa0", " ")
    assert office.post("/jobs/backtest", reactions="wild").status_code == 400


@pytest.mark.parametrize("path", ["/jobs/nothing", "/jobs/nothing/stop", "/jobs/nothing/again"])
def test_a_job_that_is_not_there_is_said(office, path):
    answer = office.browser.get(path) if path.count("/") == 2 else office.post(path)
    assert answer.status_code == 404
    assert "no such job" in answer.text


def test_work_that_failed_says_what_to_do_and_can_be_tried_again(office):
    office.uploaded(trial="yes")
    with office.app.store.read() as tx:
        (job,) = jobs(tx)
    for file in (office.home / "uploads" / job.fields["upload"]).iterdir():
        file.unlink()
    failed = office.post(f"/jobs/{job.id}/again").headers["location"]
    page = office.browser.get(failed).text
    assert "not there any more" in page
    assert "Try again" in page
    assert 'data-poll="' not in page


# --- the real thing -------------------------------------------------------------------------


class Visitor:
    """Somebody at a server that is a process of its own."""

    def __init__(self, server: Server) -> None:
        server.start()
        self.server = server
        self.http = httpx.Client(base_url=server.url, timeout=30, headers={"Connection": "close"})
        self.headers = {"Origin": server.url}
        assert self.http.post(server.sign_in, headers=self.headers).status_code == 303
        self.token = token_of(self.http.get("/jobs").text)

    def post(self, path, **fields):
        data = {"form_token": self.token, **fields}
        return self.http.post(path, data=data, headers=self.headers)

    def until(self, address: str, holds: Callable[[dict], bool], seconds: float = 60) -> dict:
        """The job once that holds of it."""
        end = time.monotonic() + seconds
        while True:
            job = self.http.get(f"{address}.json").json()["job"]
            if holds(job):
                return job
            assert time.monotonic() < end, job
            time.sleep(0.05)


ROWS = 400_000
"""Seconds of work also on a fast machine: an end that is asked for comes within two of them."""


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    folder = tmp_path / "events.jsonl"
    with folder.open("w", encoding="utf-8") as file:
        for n in range(ROWS):
            file.write(
                f'{{"id":"{n}","type":"product.viewed","source":"web","at":"2026-01-01T00:00:00Z",'
                f'"customer":{{"email":"c{n % 500}@example.com"}},"data":{{"product":"tea"}}}}\n'
            )
    yield made
    made.end(signal.SIGKILL)


@pytest.mark.slow
def test_a_job_outlives_its_page_and_its_server_and_can_be_stopped(server, tmp_path):
    """Stopped by its button, gone on with, left by a server that is killed, done by the next."""
    visitor = Visitor(server)
    with (tmp_path / "events.jsonl").open("rb") as file:
        data = {"form_token": visitor.token, "kind": "events", "trial": "no"}
        begun = visitor.http.post(
            "/jobs/import", data=data, files={"file": file}, headers=visitor.headers
        )
    first = begun.headers["location"]
    going = visitor.until(first, lambda job: job["done"] > 0)
    assert (going["state"], going["total"]) == ("running", ROWS)
    assert visitor.http.get(first).text.count("<progress") == 1
    visitor.post(f"{first}/stop")
    stopped = visitor.until(first, lambda job: job["state"] != "running")
    assert stopped["state"] == "stopped"
    kept = server.number()
    assert 0 < kept < ROWS
    second = visitor.post(f"{first}/again").headers["location"]
    visitor.until(second, lambda job: server.number() > kept)
    server.end(signal.SIGKILL)
    assert kept < server.number() < ROWS
    visitor = Visitor(server)
    done = visitor.until(second, lambda job: job["state"] == "done")
    assert done["tries"] == 2
    assert server.number() == ROWS
    third = visitor.post("/jobs/score").headers["location"]
    visitor.until(third, lambda job: job["state"] == "running")
    server.end(signal.SIGTERM)
    visitor = Visitor(server)
    scored = visitor.until(third, lambda job: job["state"] in {"done", "failed"})
    assert (scored["state"], scored["tries"]) == ("done", 1), scored["problem"]
    assert visitor.http.get("/jobs").text.count("/jobs/") > 3
    assert Outcome(**scored["outcome"]).address == "/models"
