"""Are people told what payloads of providers would become?"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stories import SENDGRID, SHOPIFY, TWILIO

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
