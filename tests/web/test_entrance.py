"""Who gets in with a password, who does not, and when does a session end?"""

import warnings
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from aftersale.adapters.folder import starter_files
from aftersale.adapters.storage.memory import MemoryStore
from aftersale.bootstrap import build
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY, MINUTE, SECOND
from aftersale.settings import Settings
from aftersale.web.accounts import (
    FORGOTTEN_AFTER,
    FREE_GUESSES,
    LONGEST_WAIT,
    Accounts,
    TooManyGuesses,
)
from aftersale.web.entrance import WRONG, inside
from aftersale.web.sign_in import COOKIE, SignIn
from aftersale.web.site import create_site

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the client says that it would like another httpx
    from starlette.testclient import TestClient

HERE = "http://127.0.0.1:8765"
OWN = {"Origin": HERE}
PASSWORD = "four plain quiet words"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class House:
    """An installation with pages and an account."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        with self.store.write() as tx:
            tx.meta.set("secret", bytes(32).hex())
        self.app = build(self.store, Settings(home=Path(__file__).parent))
        self.app.deploy(starter_files(), note="test")
        self.accounts = Accounts(self.store, CHEAP)
        self.accounts.add("ada", PASSWORD, self.app.system_now())
        self.site = create_site(
            self.app, secret=bytes(32), sign_in=SignIn(self.store), accounts=self.accounts
        )

    def browser(self):
        return TestClient(self.site, base_url=HERE, follow_redirects=False)

    def knock(self, browser, name, password, wanted=""):
        data = {"name": name, "password": password, "next": wanted}
        return browser.post("/sign-in", data=data, headers=OWN)

    def inside(self, name="ada", password=PASSWORD):
        """A browser that has signed in."""
        browser = self.browser()
        assert self.knock(browser, name, password).status_code == 303
        assert browser.get("/").status_code == 200
        return browser


@pytest.fixture
def house():
    made = House()
    yield made
    made.store.close()


def test_name_and_password_lead_to_the_page_that_was_wanted(house):
    browser = house.browser()
    asked = browser.get("/journeys/refill?range=90")
    assert asked.headers["location"] == "/sign-in?next=%2Fjourneys%2Frefill%3Frange%3D90"
    form = browser.get(asked.headers["location"])
    assert 'value="/journeys/refill?range=90"' in form.text
    opened = house.knock(browser, " Ada ", PASSWORD, "/journeys/refill?range=90")
    assert (opened.status_code, opened.headers["location"]) == (303, "/journeys/refill?range=90")
    assert "HttpOnly" in opened.headers["set-cookie"]
    page = browser.get("/journeys/refill?range=90")
    assert page.status_code == 200
    assert "<bdi>ada</bdi>" in page.text


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "four plain quiet word"), ("nobody", PASSWORD), ("", PASSWORD), ("ada", ""), ("", "")],
)
def test_whether_name_or_password_is_wrong_is_not_told(house, name, password):
    browser = house.browser()
    answer = house.knock(browser, name, password)
    assert answer.status_code == 403
    assert WRONG in answer.text
    assert "set-cookie" not in answer.headers
    assert browser.get("/").status_code == 303


def test_another_password_ends_every_session_of_its_account_and_no_other(house):
    now = house.app.system_now()
    house.accounts.add("ben", "another four plain words", now)
    before = [house.inside(), house.inside()]
    ben = house.inside("ben", "another four plain words")
    link = house.browser()
    assert link.post(SignIn(house.store).offer(now), headers=OWN).status_code == 303
    house.accounts.set("ada", "new words for a new year", now)
    assert [browser.get("/").status_code for browser in before] == [303, 303]
    assert [browser.get("/").status_code for browser in (ben, link)] == [200, 200]
    assert house.knock(house.browser(), "ada", PASSWORD).status_code == 403
    house.inside(password="new words for a new year")


def test_sessions_end_where_they_are_revoked_or_the_account_is_removed(house):
    now = house.app.system_now()
    ada, link = house.inside(), house.browser()
    link.post(SignIn(house.store).offer(now), headers=OWN)
    assert house.accounts.revoke(["ada"], now) == ["ada"]
    assert (ada.get("/").status_code, link.get("/").status_code) == (303, 200)
    ada = house.inside()
    assert sorted(house.accounts.revoke([], now)) == ["", "ada"]
    assert (ada.get("/").status_code, link.get("/").status_code) == (303, 303)
    again = house.browser()
    again.post(SignIn(house.store).offer(now), headers=OWN)
    assert again.get("/").status_code == 200
    ada = house.inside()
    house.accounts.remove("ada")
    assert ada.get("/").status_code == 303
    assert house.knock(house.browser(), "ada", PASSWORD).status_code == 403


def test_who_guesses_has_to_wait_and_so_has_the_right_password(house):
    """The wait is said in seconds; a name that is not known is treated like one that is."""
    for name in ("ada", "nobody"):
        for _ in range(FREE_GUESSES):
            assert house.knock(house.browser(), name, "a wrong password").status_code == 403
        assert house.knock(house.browser(), name, "a wrong password").status_code == 429
    late = house.knock(house.browser(), "ada", PASSWORD)
    assert late.status_code == 429
    assert 0 < int(late.headers["retry-after"]) <= 15
    assert "Too many wrong passwords." in late.text


def test_each_further_guess_doubles_the_wait_up_to_a_bound(house):
    now, waits = 1_000 * DAY, []
    for _ in range(FREE_GUESSES):
        assert house.accounts.check("ada", "wrong", now) is None
    while not waits or waits[-1] < LONGEST_WAIT:
        with pytest.raises(TooManyGuesses) as refused:
            house.accounts.check("ada", PASSWORD, now)
        waits.append(refused.value.seconds * SECOND)
        now += waits[-1]
        assert house.accounts.check("ada", "wrong", now) is None
    assert waits[:3] == [15 * SECOND, 30 * SECOND, MINUTE]
    assert len(waits) == 7
    assert house.accounts.check("ada", PASSWORD, now + LONGEST_WAIT) is not None
    assert house.accounts.check("ada", "wrong", now + LONGEST_WAIT) is None
    assert house.accounts.check("ada", PASSWORD, now + LONGEST_WAIT + FORGOTTEN_AFTER) is not None


def test_a_password_lies_in_the_store_as_argon2id_only(house):
    with house.store.read() as tx:
        kept = repr(tx.meta.get("accounts"))
    assert "$argon2id$" in kept
    assert PASSWORD not in kept
    house.accounts.add("ben", PASSWORD, 0)
    with house.store.read() as tx:
        hashes = {one["hash"] for one in tx.meta.get("accounts").values()}
    assert len(hashes) == 2


def test_a_password_that_cost_too_little_is_hashed_anew_and_its_sessions_hold(house):
    ada = house.inside()
    dearer = Accounts(house.store, PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    assert dearer.check("ada", PASSWORD, house.app.system_now()) is not None
    with house.store.read() as tx:
        assert "m=16,t=2" in tx.meta.get("accounts")["ada"]["hash"]
    assert ada.get("/").status_code == 200


@pytest.mark.parametrize(
    "password", ["", "short", "nine-char", "adaadaadaada", "aaaabbbbaaaa", "w" * 501]
)
def test_a_password_that_is_too_easy_is_refused(house, password):
    with pytest.raises(Refusal, match="password"):
        house.accounts.add("carl", password, 0)
    with pytest.raises(Refusal, match="password"):
        house.accounts.set("ada", password, 0)
    house.inside()


def test_the_same_letters_typed_on_another_keyboard_are_the_same_password(house):
    house.accounts.add("zoë", "cafe\u0301 au lait matin", 0)
    house.inside("zoe\u0308", "caf\u00e9 au lait matin")


def test_another_site_cannot_sign_a_browser_in(house):
    data = {"name": "ada", "password": PASSWORD}
    for headers in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        answer = house.browser().post("/sign-in", data=data, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_without_accounts_there_is_no_form_for_a_password(house):
    house.accounts.remove("ada")
    page = house.browser().get("/sign-in").text
    assert 'type="password"' not in page
    assert "aftersale users add" in page


def test_signing_out_leaves_other_browsers_signed_in(house):
    one, other = house.inside(), house.inside()
    token = one.get("/").text.partition('name="form_token" value="')[2].partition('"')[0]
    assert one.post("/sign-out", data={"form_token": token}, headers=OWN).status_code == 303
    assert COOKIE not in one.cookies
    assert other.get("/").status_code == 200
    assert other.post("/sign-out", data={"form_token": token}, headers=OWN).status_code == 403


@given(
    st.text()
    | st.sampled_from(["//evil.example", "/\\evil.example", "https://evil.example", "/\n/evil"])
    | st.text("/\\:@.ea\t\r\n?#", max_size=9)
)
def test_signing_in_never_leads_to_another_site(wanted):
    led = inside(wanted)
    assert led in {wanted, "/"}
    assert led[0] == "/"
    assert led[1:2] not in {"/", "\\"}
    assert not set(led) & set("\\\t\r\n")
