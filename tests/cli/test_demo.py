"""Does the demo run from nothing to its report, and open again in a moment?"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aftersale.cli import run

Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.mark.slow
def test_the_demo_ends_by_itself_and_is_reused(
    tmp_path: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a shop, too: neither its database nor its mail server is touched."""
    monkeypatch.setenv("AFTERSALE_DATABASE", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("AFTERSALE_SMTP_URL", "smtp://127.0.0.1:1")
    home = tmp_path / "demo"
    code, first = ask("demo", "--size", "s", "--home", home)
    data = first["data"]
    assert code == 0
    assert data["backtest"]["messages"] > 0
    assert data["day"]["sent"] > 0
    assert data["day"]["in_mailbox"] >= data["day"]["sent"]
    assert (home / "report.html").is_file()
    begun = time.monotonic()
    code, second = ask("demo", "--size", "s", "--home", home)
    assert time.monotonic() - begun < 3
    monkeypatch.delenv("AFTERSALE_DATABASE")
    again = {**second["data"], "seconds": data["seconds"]}
    assert (code, again) == (0, data)
    for words in (["verify"], ["replay"], ["doctor"]):
        assert run(["--home", str(home), *words]) == 0


def test_a_folder_that_is_no_demo_is_never_emptied(tmp_path: Path, ask: Ask) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    code, answer = ask("demo", "--reset", "--home", tmp_path)
    assert code == 1
    assert "not the folder of a demo" in answer["error"]["what"]
    assert (tmp_path / "thesis.txt").exists()
