"""Where are the secrets of providers read from, and are they shown nowhere?"""

import os
from pathlib import Path

import pytest

from aftersale.adapters.webhook_secrets import Secrets
from aftersale.kernel.errors import Refusal
from aftersale.settings import given_secrets, read_settings


class Ticks:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_file_names_a_secret_or_several_for_each_address(tmp_path: Path) -> None:
    """The newest first; a shop of a provider has its own."""
    path = tmp_path / "webhooks.toml"
    path.write_text('stripe = "one"\nshopify = ["new", " old "]\n"shopify/outlet" = "theirs"\n')
    secrets = Secrets(path, Ticks())
    assert secrets.of("stripe") == ("one",)
    assert secrets.of("shopify") == ("new", "old")
    assert secrets.of("shopify", "outlet") == ("theirs",)
    assert secrets.of("shopify", "other") == ()
    assert secrets() == {"stripe", "shopify", "shopify/outlet"}


def test_the_environment_may_hold_more_and_no_setting_shows_them(tmp_path: Path) -> None:
    """Those of the file come first."""
    environment = {
        "AFTERSALE_WEBHOOK_SECRET_SHOPIFY": "hush, hushed",
        "AFTERSALE_WEBHOOK_SECRET_STRIPE": "",
        "AFTERSALE_WEBHOOK_DAYS": "7",
    }
    assert "hush" not in repr(read_settings(environment))
    given = given_secrets(environment)
    path = tmp_path / "webhooks.toml"
    assert Secrets(path, Ticks(), given).of("shopify") == ("hush", "hushed")
    path.write_text('shopify = "filed"\n')
    assert Secrets(path, Ticks(), given).of("shopify") == ("filed", "hush", "hushed")
    with pytest.raises(Refusal, match="moon is no provider"):
        Secrets(path, Ticks(), given_secrets({"AFTERSALE_WEBHOOK_SECRET_MOON": "hush"}))


def test_a_secret_is_replaced_without_a_restart(tmp_path: Path) -> None:
    """The file is looked at once a second; one that became unreadable changes nothing."""
    path, ticks = tmp_path / "webhooks.toml", Ticks()
    secrets = Secrets(path, ticks)
    assert secrets.of("stripe") == ()
    for n, (text, expected) in enumerate(
        [('stripe = "a"', ("a",)), ("stripe = ", ("a",)), ('stripe = ["b", "a"]', ("b", "a"))]
    ):
        path.write_text(text)
        os.utime(path, ns=(n, n))
        ticks.now += 0.5
        before = secrets.of("stripe")
        ticks.now += 0.6
        assert secrets.of("stripe") == expected
        assert before in {(), ("a",)}
    path.unlink()
    ticks.now += 1.1
    assert secrets.of("stripe") == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('stripe = "hush"\nmoon = "hush"', "moon is no provider"),
        ("stripe = 7", "neither a text nor a list"),
        ('stripe = ["hush", 7]', "neither a text nor a list"),
        ('stripe = ["hush", " "]', "empty secret"),
        ("stripe = []", "empty secret"),
        ('stripe = "a"\nshopify = hush', "line 2 is no TOML"),
        ('"shopify/a b" = "hush"', "is no provider"),
    ],
)
def test_what_is_no_file_of_secrets_is_refused_and_shows_none(
    tmp_path: Path, text: str, why: str
) -> None:
    path = tmp_path / "webhooks.toml"
    path.write_text(text)
    with pytest.raises(Refusal) as told:
        Secrets(path, Ticks())
    assert why in told.value.why
    assert "hush" not in f"{told.value.what} {told.value.why} {told.value.hint}"
