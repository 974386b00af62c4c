"""Are people told what payloads of providers become, and what to do about the rest?"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aftersale.adapters import amazon_sns
from aftersale.adapters.storage.sqlite.store import SqliteStore
from aftersale.bootstrap import build
from aftersale.runtime.certificates import trusted
from aftersale.runtime.requests import arrived, take_requests
from aftersale.settings import read_settings
from aftersale.translation import providers
from aftersale.translation.happening import Delivery, Happening
from aftersale.translation.providers import TRANSLATORS
from stories import NOW, SENDGRID, SHOPIFY, TWILIO, delivery, shopify

Ask = Callable[..., tuple[int, dict[str, Any]]]


def test_each_payload_of_a_folder_is_translated_or_passed_over_with_its_reason(
    tmp_path: Path, ask: Ask
) -> None:
    """Whose they are says their folder; nothing needs a store."""
    for name, body in {
        "shopify/order.json": b'{"order": ' + SHOPIFY[2].body + b"}",
        "shopify/shop.json": b'{"shop": {"name": "Apples"}}',
        "mail/sendgrid/open.json": SENDGRID[2].body,
        "twilio/stop.form": TWILIO[4].body,
        "segment/seen.json": json.dumps(
            {"event": "Product Viewed", "properties": {"product_id": "x"}}
        ).encode(),
        "unheard/of.json": b"{}",
        "shopify/note.txt": b"not a payload",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    code, answer = ask("webhooks", "check", tmp_path)
    assert code == 3, "one of them belongs to nobody we know"
    data = answer["data"]
    assert (data["payloads"], data["translated"], data["refused"]) == (6, 4, 2)
    found = {one["file"]: (one["provider"], one["becomes"], one["passed"]) for one in data["files"]}
    assert found == {
        "mail/sendgrid/open.json": ("sendgrid", {"message.opened": 1, "message.clicked": 1}, []),
        "segment/seen.json": ("segment", {"product.viewed": 1}, []),
        "shopify/order.json": ("shopify", {"order.completed": 1, "consent.given": 1}, []),
        "shopify/shop.json": (
            "shopify",
            {},
            ["tells nothing that a customer did or got (shop)"],
        ),
        "twilio/stop.form": ("twilio", {"message.received": 1, "consent.withdrawn": 1}, []),
        "unheard/of.json": (
            "",
            {},
            ["is of a kind that we do not know (no provider has such a name)"],
        ),
    }


def test_one_file_can_be_said_to_be_of_a_provider(tmp_path: Path, ask: Ask) -> None:
    """Where its folder does not say so."""
    path = tmp_path / "captured.json"
    path.write_bytes(SENDGRID[1].body)
    code, answer = ask("webhooks", "check", path, "--provider", "sendgrid")
    assert (code, answer["data"]["translated"]) == (0, 1)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert ask("webhooks", "check", empty)[0] == 1


@pytest.mark.real_data
def test_every_real_payload_is_translated_or_refused_with_a_true_reason(
    shared_data: Path, ask: Ask
) -> None:
    """What we do not know is only what belongs to no provider."""
    folder = shared_data / "webhook_payloads"
    _, answer = ask("webhooks", "check", folder)
    files = answer["data"]["files"]
    assert len(files) == len(list(folder.rglob("*.json"))) > 300
    assert all(one["becomes"] or one["passed"] for one in files)
    assert answer["data"]["translated"] >= 219
    strange = [
        one["file"]
        for one in files
        if any("do not know" in why or "cannot be" in why or "JSON" in why for why in one["passed"])
    ]
    assert strange == ["signatures/verified_signature_vectors.json"]


# --- what was sent -------------------------------------------------------------------------


def put(home: Path, *deliveries: tuple[str, Delivery]) -> None:
    """Keep requests as the server does."""
    app = build(SqliteStore(home / "aftersale.db"), read_settings({"AFTERSALE_HOME": str(home)}))
    with app.store.write() as tx:
        some = [arrived(provider, one) for provider, one in deliveries]
        take_requests(tx, some, (), now=app.now(tx))
    app.store.close()


CONFIRMATION = {
    "Type": "SubscriptionConfirmation",
    "MessageId": "m",
    "TopicArn": "arn:ours",
    "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
}


@pytest.fixture
def sent_to(tmp_path: Path, ask: Ask) -> Path:
    """A home to which providers sent what is understood and what is not."""
    assert ask("init", tmp_path)[0] == 0
    put(
        tmp_path,
        ("shopify", SHOPIFY[2]),
        ("shopify", shopify("moons/risen", id=1, who="ada@example.com")),
        ("amazon_ses", delivery(CONFIRMATION)),
    )
    return tmp_path


def test_what_could_not_be_understood_is_listed_with_its_reason(sent_to: Path, ask: Ask) -> None:
    """The newest first, with what to do; what names people is shown by `show` only."""
    home = ("--home", sent_to)
    code, answer = ask(*home, "webhooks", "list")
    assert code == 0
    assert [(one["number"], one["state"]) for one in answer["data"]["requests"]] == [
        (3, "waiting"),
        (2, "refused"),
    ]
    (passed,) = answer["data"]["requests"][1]["passed"]
    assert passed == {"code": "unknown", "detail": "moons/risen"}
    assert answer["data"]["providers"]["shopify"] == {"translated": 1, "refused": 1, "waiting": 0}
    assert [line.split("webhooks ")[1] for line in answer["next"]] == ["confirm 3"]
    assert "ada@example.com" not in json.dumps(answer)
    assert len(ask(*home, "webhooks", "list", "--all")[1]["data"]["requests"]) == 3
    only = ask(*home, "webhooks", "list", "--all", "--provider", "shopify", "--limit", "1")[1]
    assert [one["number"] for one in only["data"]["requests"]] == [2]
    code, answer = ask(*home, "webhooks", "show", "2")
    assert json.loads(answer["data"]["body"]) == {"id": 1, "who": "ada@example.com"}
    assert ask(*home, "webhooks", "show", "9")[0] == 1


def test_what_could_not_be_understood_is_translated_again_after_a_fix(
    sent_to: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it, or what is named; what is still not understood is left with its reason."""
    home = ("--home", sent_to)
    code, answer = ask(*home, "webhooks", "retry")
    assert code == 3
    assert (answer["data"]["translated"], answer["data"]["left"]) == (0, 2)
    fixed = {
        **TRANSLATORS,
        "shopify": lambda one: [Happening("customer.updated", NOW, {"id": "7"})],
    }
    monkeypatch.setattr(providers, "TRANSLATORS", fixed)
    code, answer = ask(*home, "webhooks", "retry", "2")
    assert code == 0
    assert answer["data"]["requests"][0] == {
        "number": 2,
        "provider": "shopify",
        "state": "translated",
        "events": 1,
        "passed": [],
    }
    assert ask(*home, "webhooks", "retry", "2", "9")[0] == 1
    assert [one["number"] for one in ask(*home, "webhooks", "list")[1]["data"]["requests"]] == [3]


def test_a_subscription_is_confirmed_when_somebody_says_so(
    sent_to: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By calling its address once; nothing else can be confirmed."""
    called: list[str] = []
    monkeypatch.setattr(amazon_sns, "fetch", lambda url: called.append(url) or b"")
    home = ("--home", sent_to)
    assert ask(*home, "webhooks", "confirm", "2")[0] == 1
    assert ask(*home, "webhooks", "confirm", "3")[0] == 0
    assert called == [CONFIRMATION["SubscribeURL"]]
    assert [one["number"] for one in ask(*home, "webhooks", "list")[1]["data"]["requests"]] == [2]


def test_a_certificate_is_trusted_when_somebody_says_so(sent_to: Path, ask: Ask) -> None:
    """From a file; only of an address of Amazon SNS, and only what is a certificate."""
    home = ("--home", sent_to)
    url = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
    path = sent_to / "sns.pem"
    path.write_text("no certificate")
    assert ask(*home, "webhooks", "trust", url, "--file", path)[0] == 1
    path.write_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
    assert ask(*home, "webhooks", "trust", "https://evil.example/x.pem", "--file", path)[0] == 1
    assert ask(*home, "webhooks", "trust", url, "--file", path)[0] == 0
    with SqliteStore(sent_to / "aftersale.db").read() as tx:
        assert list(trusted(tx)) == [url]


def test_doctor_names_who_may_send_and_what_nobody_understands(sent_to: Path, ask: Ask) -> None:
    """And a file of secrets that cannot be read, without showing one."""
    path = sent_to / "webhooks.toml"
    path.write_text('stripe = "hush"\n"shopify/main" = "hush"\n')
    found = _webhooks(ask("--home", sent_to, "doctor")[1])
    assert found["value"] == "3 kept; from shopify/main, stripe"
    assert found["problem"] == "2 could not be understood"
    path.write_text('stripe = "hush\n')
    answer = ask("--home", sent_to, "doctor")[1]
    assert "line 1 is no TOML" in _webhooks(answer)["problem"]
    assert "hush" not in json.dumps(answer)


def _webhooks(answer: dict[str, Any]) -> dict[str, Any]:
    (found,) = (one for one in answer["data"]["groups"]["data"] if one["name"] == "webhooks")
    return found
