"""Does the source keep the shape that its documents promise?"""

import ast
import functools
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "aftersale"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MODULES = {
    path.relative_to(SOURCE).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(SOURCE.rglob("*.py"))
}

VAGUE = {
    "base",
    "common",
    "core",
    "handler",
    "helper",
    "manager",
    "misc",
    "service",
    "util",
}
MOST_LINES = 600
BACKEND = {"editables", "hatchling"}  # they build the package; it does not run on them


@functools.cache
def trees() -> dict[str, ast.Module]:
    """Return every module as Python reads it; parsed by whoever asks first, not on loading."""
    return {name: ast.parse(text, filename=name) for name, text in MODULES.items()}


def layers() -> list[str]:
    """Return every layer of the flow contract from the kernel upwards."""
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    (flow,) = (contract for contract in contracts if contract["id"] == "flow")
    return [name.strip().strip("()") for row in reversed(flow["layers"]) for name in row.split("|")]


STAGES = layers()[: layers().index("programme")]


def is_pure(name: str) -> bool:
    return name.split("/", maxsplit=1)[0].removesuffix(".py") in STAGES


def requirement_names(lines: list[str]) -> set[str]:
    found = (re.match(r"[A-Za-z][\w.-]*", line) for line in lines)
    return {match[0].lower().replace("_", "-") for match in found if match}


def test_every_module_says_which_question_it_answers() -> None:
    silent = [name for name, tree in trees().items() if not ast.get_docstring(tree)]
    assert silent == []


def test_no_file_or_folder_has_a_vague_name() -> None:
    vague = [
        name
        for name in MODULES
        for part in name.removesuffix(".py").split("/")
        for word in part.split("_")
        if word in VAGUE or word.removesuffix("s") in VAGUE
    ]
    assert vague == []


def test_a_stage_imports_at_the_top_of_its_files_only() -> None:
    hidden = [
        f"{name}:{inner.lineno}"
        for name, tree in trees().items()
        if is_pure(name)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(function)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert hidden == []


def test_only_the_command_line_prints() -> None:
    printing = [
        f"{name}:{node.lineno}"
        for name, tree in trees().items()
        if not name.startswith("cli/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert printing == []


def test_no_source_file_is_too_long_to_be_read_at_once() -> None:
    lengths = {name: text.count("\n") for name, text in MODULES.items()}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_the_architecture_page_tells_the_stages_in_the_order_that_is_enforced() -> None:
    """The first line with arrows names every stage that exists, from left to right."""
    page = ROOT / "ARCHITECTURE.md"
    if not page.is_file():
        pytest.skip("ARCHITECTURE.md is not written yet")
    lines = page.read_text(encoding="utf-8").splitlines()
    told = next(
        (
            words
            for line in lines
            if "→" in line
            if len(words := [w for w in re.findall(r"\w+", line) if w in STAGES]) > 1
        ),
        [],
    )
    existing = [stage for stage in STAGES if (SOURCE / stage).is_dir()]
    assert [stage for stage in told if stage in existing] == existing


def test_the_package_asks_for_what_is_pinned() -> None:
    pinned = (ROOT / "requirements" / "core.in").read_text(encoding="utf-8").splitlines()
    asked = PROJECT["project"]["dependencies"]
    assert sorted(asked) == sorted(
        line for line in pinned if not line.startswith("#") and line not in BACKEND
    )


def test_every_dependency_has_its_reason_written_down() -> None:
    """Decision 0007 has one line for each requirement that we chose ourselves."""
    (page,) = (ROOT / "docs" / "decisions").glob("0007-*.md")
    explained = requirement_names(
        re.findall(r"^\| `([^`]+)`", page.read_text(encoding="utf-8"), re.MULTILINE)
    )
    chosen = requirement_names(
        [
            line
            for name in ("core.in", "dev.in", "clients.in")
            for line in (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
        ]
    )
    assert explained == chosen


@pytest.mark.parametrize("name", ["core.txt", "dev.txt", "clients.txt"])
def test_pinned_requirements_carry_hashes_and_no_address(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    pins = re.split(r"\n(?=\S)", text.strip())
    assert all("==" in pin and "--hash=sha256:" in pin for pin in pins)
    assert "://" not in text
    assert "--index" not in text


@pytest.mark.slow
def test_the_wheel_carries_every_file_of_the_package(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("aftersale-*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert {f"aftersale/{name}" for name in MODULES} <= inside
    assert "aftersale/py.typed" in inside
