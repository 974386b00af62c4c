"""Are those who sign in with a password added, changed and removed as people are told?"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aftersale.bootstrap import init, open_app
from aftersale.kernel.instants import DAY
from aftersale.settings import Settings
from aftersale.web.accounts import Accounts, stamp_of

Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A new installation."""
    app, _ = init(Settings(home=tmp_path))
    app.store.close()
    return tmp_path


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What is read from standard input next."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_password_comes_from_standard_input_and_is_never_shown(
    home: Path, ask: Ask, type_in: Callable[[str], None]
) -> None:
    """Adding, another password, the list, the end of sessions, the end of the account."""
    type_in("four plain quiet words\n")
    assert ask("--home", home, "users", "add", "Ada", "--stdin")[1]["data"] == {"name": "ada"}
    app = open_app(Settings(home=home))
    with app.store.read() as tx:
        before = stamp_of(tx, "ada")
    type_in("new words for a new year\r\n")
    assert ask("--home", home, "users", "set", "ada", "--stdin")[0] == 0
    _, listed = ask("--home", home, "users", "list")
    assert [row["name"] for row in listed["data"]] == ["ada"]
    assert "hash" not in repr(listed)
    assert Accounts(app.store).check("ada", "new words for a new year", 1_000 * DAY)
    with app.store.read() as tx:
        changed = stamp_of(tx, "ada")
    ended = ask("--home", home, "users", "revoke")[1]["data"]["accounts"]
    assert sorted(ended) == ["", "ada"]
    with app.store.read() as tx:
        assert len({before, changed, stamp_of(tx, "ada")}) == 3
    assert ask("--home", home, "users", "remove", "ada")[0] == 0
    assert ask("--home", home, "users", "list")[1]["next"]
    app.store.close()


def test_what_cannot_be_is_refused(
    home: Path, ask: Ask, type_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody to ask, an easy password, a name that is taken, one that is not there."""
    code, answer = ask("--home", home, "users", "add", "ada")
    assert code == 4
    assert "users add ada --stdin" in answer["error"]["hint"]
    type_in("short\n")
    assert ask("--home", home, "users", "add", "ada", "--stdin")[0] == 2
    for expected in (0, 1):
        type_in("four plain quiet words\n")
        assert ask("--home", home, "users", "add", "ada", "--stdin")[0] == expected
    for words in (["remove", "ben"], ["revoke", "ben"]):
        assert ask("--home", home, "users", *words)[1]["error"]["hint"] == "aftersale users list"
