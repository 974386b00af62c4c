"""Does `aftersale history` lay the ledger out, and do doctor and erase know of it?"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

Ask = Callable[..., tuple[int, dict[str, Any]]]


def found(answer: dict[str, Any]) -> str:
    rows = answer["data"]["groups"]["data"]
    return next(row["value"] for row in rows if row["name"] == "history")


def test_the_history_is_made_goes_on_and_forgets(home: Path, ask: Ask) -> None:
    """A second run adds nothing; whoever is erased leaves it at once."""
    shutil.rmtree(home / "lake", ignore_errors=True)  # the demo has made one already
    assert found(ask("--home", home, "doctor")[1]) == "none"
    code, answer = ask("--home", home, "history")
    data = answer["data"]
    assert code == 0
    assert data["rows"] == data["added"]
    assert data["rows"]["orders"] > 0
    assert found(ask("--home", home, "doctor")[1]) == "up to date"
    _, again = ask("--home", home, "history")
    assert (again["data"]["entries"], again["data"]["rebuilt"]) == (0, "")
    assert ask("--home", home, "erase", "1", "--yes")[0] == 0
    assert "behind" in found(ask("--home", home, "doctor")[1])
    _, less = ask("--home", home, "history", "--rebuild")
    assert less["data"]["erased"] >= 1
    assert sum(less["data"]["rows"].values()) < sum(data["rows"].values())
