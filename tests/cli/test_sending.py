"""Do the commands around sending say where mail goes and what became of it?"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aftersale.bootstrap import open_app
from aftersale.settings import Settings
from aftersale.testing.mail_server import Answer, ScriptedMailServer
from aftersale.testing.storage_examples import new_send

Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedMailServer]:
    """A mail server that is set up for every command, with a user and a password."""
    with ScriptedMailServer(users={"shop": "se/same"}) as started:
        url = started.url.replace("smtp://", "smtp://shop:se%2Fsame@")
        monkeypatch.setenv("AFTERSALE_SMTP_URL", url)
        yield started


def test_a_sample_goes_through_the_server_and_leaves_nothing_behind(
    new_home: Path, server: ScriptedMailServer, ask: Ask
) -> None:
    """In every mode but stopped; the outbox knows nothing of it."""
    code, answer = ask("--home", new_home, "send-test", "me@example.com", "--template", "win-back")
    assert code == 0, answer
    assert answer["data"]["provider_id"] == "000001"
    (letter,) = server.delivered
    assert letter.recipient == "me@example.com"
    assert letter.mail["Subject"] == answer["data"]["subject"]
    assert "/u/sample" in letter.mail["List-Unsubscribe"]
    code, _ = ask("--home", new_home, "send-test", "me@example.com", "--locale", "de")
    assert code == 0
    assert "Bestell" in server.delivered[1].mail["Subject"]
    with open_app(Settings(home=new_home)).store.read() as tx:
        assert list(tx.outbox.all()) == []
        assert tx.mailbox.total() == 0
    ask("--home", new_home, "stop")
    code, answer = ask("--home", new_home, "send-test", "me@example.com")
    assert (code, answer["error"]["what"]) == (1, "sending is stopped")
    assert len(server.delivered) == 2


def test_a_sample_that_is_not_taken_says_why_in_words(
    new_home: Path, server: ScriptedMailServer, ask: Ask
) -> None:
    server.recipient = lambda address: Answer("550 5.1.1 <me@example.com> unknown")
    code, answer = ask("--home", new_home, "send-test", "me@example.com")
    assert (code, answer["data"]["status"]) == (1, "failed")
    assert answer["data"]["reason"] == "no-recipient: 550 5.1.1"
    code, answer = ask("--home", new_home, "send-test", "me@example.com", "--template", "nothing")
    assert (code, answer["error"]["what"]) == (1, "there is no template 'nothing'")
    code, answer = ask("--home", new_home, "send-test", "not an address")
    assert (code, answer["error"]["what"]) == (1, "'not an address' is no e-mail address")


def test_without_a_server_a_sample_is_refused_with_what_to_set(new_home: Path, ask: Ask) -> None:
    code, answer = ask("--home", new_home, "send-test", "me@example.com")
    assert code == 1
    assert answer["error"]["where"] == "AFTERSALE_SMTP_URL"


def test_no_command_shows_the_password(
    new_home: Path, server: ScriptedMailServer, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither settings, nor doctor, nor going live, nor an address that is wrong."""
    said = [ask("--home", new_home, *words)[1] for words in (
        ("config", "show"), ("doctor",), ("live", "--dry-run"), ("live", "--yes"), ("doctor",),
    )]  # fmt: skip
    assert said[0]["data"]["smtp_url"]["value"].startswith("smtp://…@127.0.0.1:")
    where = f"127.0.0.1:{server.port} (not encrypted)"
    assert said[2]["data"]["channels"] == said[3]["data"]["channels"] == {"email": where}
    assert not any("mailbox" in warning for warning in said[3]["warnings"])
    (finding,) = (f for f in said[4]["data"]["groups"]["sending"] if f["name"] == "e-mail")
    assert finding["value"] == f"smtp to {where}"
    for answer in said:
        assert "same" not in str(answer)


def test_an_address_that_is_wrong_is_refused_without_being_shown(
    new_home: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERSALE_SMTP_URL", "smtp://shop:sesame@mail.example?tls=none")
    code, answer = ask("--home", new_home, "doctor")
    assert code == 2
    assert answer["error"]["where"] == "AFTERSALE_SMTP_URL"
    assert "sesame" not in str(answer)


def test_what_is_in_doubt_is_listed_and_resolved(new_home: Path, ask: Ask) -> None:
    """One message by its key, or all of a journey; an answer without a question is refused."""
    keys = [f"refill:refill:{n}:x@1:remind:1:email" for n in (1, 2, 3)]
    app = open_app(Settings(home=new_home))
    with app.store.write() as tx:
        tx.outbox.put([new_send(key, status="unknown", reason="restored") for key in keys])
    app.store.close()
    code, answer = ask("--home", new_home, "resolve")
    assert code == 0
    assert [row["key"] for row in answer["data"]] == keys
    assert {row["reason"] for row in answer["data"]} == {"restored"}
    _, answer = ask("--home", new_home, "resolve", "--journey", "win-back")
    assert answer["data"] == []
    _, answer = ask("--home", new_home, "resolve", keys[0], "--again")
    assert answer["data"] == {"answer": "again", "resolved": 1, "left": 2}
    code, answer = ask("--home", new_home, "resolve", keys[0], "--sent")
    assert (code, answer["error"]["why"]) == (1, "it is queued")
    for wrong in (
        [keys[1]],
        [keys[1], "--sent", "--again"],
        ["--sent"],
        [keys[1], "--journey", "refill", "--sent"],
    ):
        code, answer = ask("--home", new_home, "resolve", *wrong)
        assert (code, answer["error"]["what"]) == (
            2,
            "name one message or one journey, and one answer",
        )
    _, answer = ask("--home", new_home, "resolve", "--journey", "refill", "--not-sent")
    assert answer["data"] == {"answer": "not-sent", "resolved": 2, "left": 0}
    _, answer = ask("--home", new_home, "resolve")
    assert answer["data"] == []
