"""Are those who sign in with a password added, changed and removed as people are told?"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aftersale.bootstrap import open_app
from aftersale.kernel.instants import DAY
from aftersale.settings import Settings
from aftersale.web.accounts import Accounts, stamp_of

Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What is read from standard input next."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_password_comes_from_standard_input_and_is_never_shown(
    new_home: Path, ask: Ask, type_in: Callable[[str], None]
) -> None:
    """Adding, another password, the list, the end of sessions, the end of the account."""
    type_in("four plain quiet words\n")
    assert ask("--home", new_home, "users", "add", "Ada", "--stdin")[1]["data"] == {"name": "ada"}
    app = open_app(Settings(home=new_home))
    with app.store.read() as tx:
        before = stamp_of(tx, "ada")
    type_in("new words for a new year\r\n")
    assert ask("--home", new_home, "users", "set", "ada", "--stdin")[0] == 0
    _, listed = ask("--home", new_home, "users", "list")
    assert [row["name"] for row in listed["data"]] == ["ada"]
    assert "hash" not in repr(listed)
    assert Accounts(app.store).check("ada", "new words for a new year", 1_000 * DAY)
    with app.store.read() as tx:
        changed = stamp_of(tx, "ada")
    ended = ask("--home", new_home, "users", "revoke")[1]["data"]["accounts"]
    assert sorted(ended) == ["", "ada"]
    with app.store.read() as tx:
        assert len({before, changed, stamp_of(tx, "ada")}) == 3
    assert ask("--home", new_home, "users", "remove", "ada")[0] == 0
    assert ask("--home", new_home, "users", "list")[1]["next"]
    app.store.close()


def test_what_cannot_be_is_refused(
    new_home: Path, ask: Ask, type_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody to ask, an easy password, a name that is taken, one that is not there."""
    code, answer = ask("--home", new_home, "users", "add", "ada")
    assert code == 4
    assert "users add ada --stdin" in answer["error"]["hint"]
    type_in("short\n")
    assert ask("--home", new_home, "users", "add", "ada", "--stdin")[0] == 2
    for expected in (0, 1):
        type_in("four plain quiet words\n")
        assert ask("--home", new_home, "users", "add", "ada", "--stdin")[0] == expected
    for words in (["remove", "ben"], ["revoke", "ben"]):
        assert (
            ask("--home", new_home, "users", *words)[1]["error"]["hint"] == "aftersale users list"
        )
