"""What do the tests of the command line share?"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aftersale.bootstrap import init
from aftersale.cli import run
from aftersale.kernel.instants import DAY, format_instant, parse_instant
from aftersale.settings import Settings
from aftersale.testing.shop import simulate

BEGIN, END = parse_instant("2026-01-01T00:00:00Z"), parse_instant("2026-06-30T00:00:00Z")
LIVE_FROM = END - 10 * DAY

Said = tuple[int, dict[str, Any]]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run a command with --json: its exit code and the one object it prints."""

    def asked(*words: str | Path) -> Said:
        code = run([*map(str, words), "--json"])
        out = capsys.readouterr().out
        assert out.count("\n") == 1, f"not exactly one line: {out!r}"
        answer = msgspec.json.decode(out)
        assert set(answer) in (
            {"ok", "data", "warnings", "next"},
            {"ok", "error", "warnings", "next"},
        )
        assert answer["ok"] == (code == 0)
        return code, answer

    return asked


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with forty customers, half a year of history and ten days of work."""
    home = tmp_path_factory.mktemp("filled")
    shop = simulate(seed=7, customers=40, start=BEGIN, end=END)
    events = list(shop.events())
    encode = msgspec.json.encode
    for name, part in (
        ("past", [raw for at, raw in events if at < LIVE_FROM]),
        ("later", [raw for at, raw in events if at >= LIVE_FROM]),
    ):
        (home / f"{name}.jsonl").write_bytes(b"\n".join(encode(raw) for raw in part) + b"\n")
    run(["init", str(home)])
    (home / "products.csv").write_text(shop.products_csv(), encoding="utf-8")
    on = ["--home", str(home)]
    for words in (
        ["deploy", "--yes"],
        ["import", "events", str(home / "past.jsonl")],
        ["worker", "--until", format_instant(LIVE_FROM)],
        ["import", "events", str(home / "later.jsonl")],
        ["worker", "--until", format_instant(END)],
        ["backtest"],
    ):
        assert run([*on, *words]) == 0
    return home


@pytest.fixture
def home(filled: Path, tmp_path: Path) -> Path:
    """A copy of the filled home that a test may change."""
    copy = tmp_path / "home"
    shutil.copytree(filled, copy)
    return copy


@pytest.fixture
def new_home(tmp_path: Path) -> Path:
    """A new installation."""
    app, _ = init(Settings(home=tmp_path))
    app.store.close()
    return tmp_path
