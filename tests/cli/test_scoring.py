"""Do `aftersale score` and `aftersale models` say what was kept, and what to do where it is not?"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aftersale.bootstrap import init, open_app
from aftersale.cli import run
from aftersale.models.chances import Bin
from aftersale.models.scores import Card, Proof, Window
from aftersale.runtime.cards import keep_cards
from aftersale.settings import Settings

Ask = Callable[..., tuple[int, dict[str, Any]]]


def test_without_a_scoring_the_answer_is_what_to_do(tmp_path: Path, ask: Ask) -> None:
    """A refusal with the command."""
    init(Settings(home=tmp_path / "home"))[0].store.close()
    code, answer = ask("--home", tmp_path / "home", "models")
    assert code != 0
    assert "score" in answer["error"]["hint"]


def test_one_card_shows_all_that_it_holds(
    tmp_path: Path, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bins, gains, windows, drift, bounds and the season; an unknown score names the known."""
    home = tmp_path / "home"
    init(Settings(home=home))[0].store.close()
    windows = (
        Window("2026-01-01", "2026-03-31", 800, 0.5, 0.7, 0.2),
        Window("2025-10-03", "2025-12-31", 700, 0.5, 0.5, 0.2),
    )
    proof = Proof("an order", (Bin(0.5, 0.7, 0.02, 800),), (0.4, 1.0), windows, 0.8, 0.9)
    days = ("2025-01-01", "2026-03-31")
    card = Card(
        "churn", "abc", 7, "Brier", 0.2, 0.25, "on", "", 0.1, days, proof,
        {"customer": 5, "shop": 2}, "more will come",
    )  # fmt: skip
    app = open_app(Settings(home=home))
    with app.store.write() as tx:
        keep_cards(tx, 30, [card])
    app.store.close()
    code, answer = ask("--home", home, "models", "churn")
    assert code == 0
    assert answer["data"]["cards"][0]["proof"]["bins"][0]["came"] == 0.7
    assert run(["--home", str(home), "models", "churn"]) == 0
    shown = capsys.readouterr().out
    for words in ("70.0%", "two tenths and so on: 40%, 100%", "2025-10-03", "It drifted"):
        assert words in shown
    assert "held 80% of what came; 90% are meant" in shown
    assert "more will come" in shown
    assert "It rests mostly on its own past for 5, all customers for 2." in shown
    code, answer = ask("--home", home, "models", "luck")
    assert code != 0
    assert answer["error"]["hint"] == "one of churn"
