"""Are keys of programs made, listed, replaced and revoked as people are told?"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aftersale.bootstrap import STORE, open_app
from aftersale.kernel.errors import Refusal
from aftersale.programme.api_keys import INGEST, SECRET, digest_of, make_key
from aftersale.settings import Settings

Ask = Callable[..., tuple[int, dict[str, Any]]]


def test_a_key_is_shown_once_and_nowhere_kept(new_home: Path, ask: Ask) -> None:
    """The store holds its digest; the list shows neither."""
    code, made = ask("--home", new_home, "keys", "create", "--name", "website", "--shop", "main")
    assert code == 0
    key = made["data"]["key"]
    assert key.startswith("asi_")
    assert (made["data"]["kind"], made["data"]["scopes"]) == ("ingest", ["ingest"])
    _, shown = ask("--home", new_home, "keys", "list")
    (row,) = shown["data"]
    assert (row["id"], row["name"], row["shop"]) == (made["data"]["id"], "website", "main")
    assert (row["works"], row["ends_at"]) == (True, None)
    assert key not in repr(shown)
    files = [path for path in new_home.iterdir() if path.name.startswith(STORE)]
    assert not any(key.encode() in path.read_bytes() for path in files)
    with open_app(Settings(home=new_home)).store.read() as tx:
        assert [kept.digest for kept in tx.api_keys.all()] == [digest_of(key)]


def test_a_key_is_replaced_while_the_old_one_still_works(new_home: Path, ask: Ask) -> None:
    _, old = ask("--home", new_home, "keys", "create", "--secret", "--scope", "read")
    name = old["data"]["id"]
    code, new = ask("--home", new_home, "keys", "create", "--secret", "--replaces", name)
    assert (code, new["data"]["scopes"]) == (0, ["ingest", "read"])
    _, shown = ask("--home", new_home, "keys", "list")
    assert [(row["id"], row["works"]) for row in shown["data"]] == [
        (name, True),
        (new["data"]["id"], True),
    ]
    assert shown["data"][0]["ends_at"]
    _, gone = ask("--home", new_home, "keys", "revoke", name)
    _, shown = ask("--home", new_home, "keys", "list")
    assert shown["data"][0]["works"] is False
    assert shown["data"][0]["ends_at"] == gone["data"]["ends_at"]


def test_what_cannot_be_is_refused(new_home: Path, ask: Ask) -> None:
    """A key that is not there, a scope that there is not, an ingestion key that reads."""
    code, answer = ask("--home", new_home, "keys", "revoke", "nobody")
    assert (code, answer["error"]["what"]) == (1, "there is no key nobody")
    code, answer = ask("--home", new_home, "keys", "create", "--replaces", "nobody")
    assert code == 1
    assert ask("--home", new_home, "keys", "list")[1]["data"] == []
    assert ask("--home", new_home, "keys", "create", "--scope", "read")[0] == 2
    assert ask("--home", new_home, "keys", "create", "--secret", "--scope", "all")[0] == 2
    with pytest.raises(Refusal, match="no kind"):
        make_key(b"", kind="open", name="", shop="", now=0)


def test_keys_of_other_random_bytes_are_others() -> None:
    made = [
        make_key(n.to_bytes(20, "big"), kind=kind, name="", shop="", now=0)
        for n in range(50)
        for kind in (INGEST, SECRET)
    ]
    assert len({text for text, _ in made}) == len({key.id for _, key in made}) == 100
    assert {len(text) for text, _ in made} == {36}
