"""How does a command take its common options, answer, and fail?

The result goes to standard output: as a table on a terminal, separated by tabs in a pipe, or with
`--json` as exactly one object. Everything else that people read goes to standard error.
"""

import functools
import inspect
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from aftersale.kernel.errors import Operational, Refusal
from aftersale.settings import Settings, at_home, read_settings

if TYPE_CHECKING:
    from aftersale.runtime.app import App

DONE, FAILED, WRONG_USAGE, IN_PART, NEEDS_A_PERSON, STOPPED = 0, 1, 2, 3, 4, 130
"""Exit codes: see docs/reference/commands.md."""

Home = Annotated[
    str | None,
    typer.Option(
        "--home", metavar="DIR", help="Folder of store and programme, or a database's address."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]
Debug = Annotated[
    bool, typer.Option("--debug", help="Keep the trace of an error in a file and say where.")
]
_COMMON = (("home", Home, None), ("json", Json, False), ("debug", Debug, False))


class Table(msgspec.Struct, frozen=True):
    """Rows under headings."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Any]]
    title: str = ""


class Answer(msgspec.Struct):
    """What a command found or did."""

    data: Any
    """For programs."""
    shown: Sequence["str | Table"] = ()
    """For people: lines and tables."""
    warnings: list[str] = []
    next: list[str] = []
    """Commands that make sense now."""
    code: int = DONE


class Given(msgspec.Struct):
    """Common options that stood before the command."""

    home: str | None = None
    json: bool = False
    debug: bool = False


class Here:
    """Where a command runs: its settings, and the way to the person who typed it."""

    def __init__(self, settings: Settings, *, json: bool, debug: bool) -> None:
        self.settings = settings
        self.json = json
        self.debug = debug
        self.warnings: list[str] = []

    @property
    def terminal(self) -> bool:
        """Whether somebody is there who can be asked."""
        return not self.json and sys.stdin.isatty() and sys.stderr.isatty()

    def app(self) -> "App":
        """The installation of the home."""
        from aftersale.bootstrap import open_app

        return open_app(self.settings)

    def line(self, words: str) -> str:
        """A command for this home, ready to be typed."""
        home = self.settings.home
        if self.settings.database or home == Path():
            return f"aftersale {words}"  # an address may hold a password
        return f"aftersale --home {home} {words}"

    def say(self, text: str) -> None:
        """One line to the person beside the result."""
        print(text, file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Something to heed; it is part of the answer too."""
        self.warnings.append(text)

    def ask(self, question: str) -> str:
        """What the person answers."""
        print(f"{question} ", file=sys.stderr, end="", flush=True)
        return sys.stdin.readline().strip()

    def agree(
        self, question: str, *, yes: bool, line: str, shown: "Sequence[str | Table]" = ()
    ) -> None:
        """Go on only with a yes; without a terminal and `--yes` the line to run is given.

        `shown` and the warnings so far are what the person needs to see before.
        """
        if yes:
            return
        if not self.terminal:
            raise Refusal(
                "a person has to agree to this",
                why="this is not a terminal and --yes was not given",
                hint=self.line(line),
                code=NEEDS_A_PERSON,
            )
        for part in shown:
            if isinstance(part, Table):
                _show_table(part, error=True)
            else:
                self.say(part)
        for warning in self.warnings:
            self.say(f"warning: {warning}")
        self.warnings.clear()
        if self.ask(f"{question} [y/N]").lower() not in {"y", "yes"}:
            raise Refusal("nothing was changed", code=NEEDS_A_PERSON)

    @contextmanager
    def bar(self, label: str) -> Iterator[Callable[[int, int], None]]:
        """A progress bar on a terminal, nothing elsewhere; call it with (done, of all)."""
        if not self.terminal:
            yield lambda done, total: None
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(label, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)


Command = Callable[..., Answer | None]


def command(group: typer.Typer, name: str = "", **settings: Any) -> Callable[[Command], Command]:
    """Make a function `(here, …) -> Answer` a command with the common options."""

    def register(function: Command) -> Command:
        signature = inspect.signature(function, eval_str=True)
        own = list(signature.parameters.values())[1:]
        kind = inspect.Parameter.KEYWORD_ONLY
        context = inspect.Parameter("context", kind, annotation=typer.Context)
        common = [
            inspect.Parameter(word, kind, default=default, annotation=annotation)
            for word, annotation, default in _COMMON
        ]
        parameters = [context, *(p.replace(kind=kind) for p in own), *common]

        @functools.wraps(function)
        def run(context: typer.Context, **given: Any) -> None:
            before = context.find_root().obj or Given()
            home = given.pop("home") or before.home
            json = given.pop("json") or before.json
            debug = given.pop("debug") or before.debug
            raise typer.Exit(answered(function, home, given, json=json, debug=debug))

        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        group.command(name or None, **settings)(run)
        return function

    return register


def answered(
    function: Command, home: str | None, given: dict[str, Any], *, json: bool, debug: bool
) -> int:
    """Run a command, show what it says, and give its exit code."""
    try:
        settings = read_settings()
        if home is not None:
            settings = at_home(settings, home)
        here = Here(settings, json=json, debug=debug)
        answer = function(here, **given)
        if answer is None:
            return DONE
        answer.warnings = [*here.warnings, *answer.warnings]
        show(answer, json=json)
    except (KeyboardInterrupt, EOFError):
        print("stopped", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone
        return DONE
    except Exception as error:  # noqa: BLE001 - the last place where an error can be told
        return fail(error, json=json, debug=debug)
    return answer.code


def show(answer: Answer, *, json: bool) -> None:
    """The answer on standard output, hints on standard error."""
    if json:
        write_json(
            {
                "ok": answer.code == DONE,
                "data": answer.data,
                "warnings": answer.warnings,
                "next": answer.next,
            }
        )
        return
    for part in answer.shown:
        if isinstance(part, Table):
            _show_table(part)
        else:
            print(part)
    sys.stdout.flush()
    for warning in answer.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if answer.next and sys.stderr.isatty():
        print("next: " + "  ·  ".join(answer.next), file=sys.stderr)


def _show_table(table: Table, *, error: bool = False) -> None:
    if not error and not sys.stdout.isatty():
        print("\t".join(table.headings))
        for row in table.rows:
            print("\t".join(_cell(value).replace("\t", " ") for value in row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table as Shown

    shown = Shown(title=table.title or None, title_justify="left", box=box.SIMPLE_HEAD)
    numeric = [
        bool(table.rows) and all(isinstance(row[n], int | float) for row in table.rows)
        for n in range(len(table.headings))
    ]
    for heading, is_number in zip(table.headings, numeric, strict=True):
        shown.add_column(heading, justify="right" if is_number else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*(_cell(value) for value in row))
    Console(markup=False, highlight=False, stderr=error).print(shown)


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:.2f}"
        case _:
            return str(value).replace("\n", " ")


def fail(error: BaseException, *, json: bool, debug: bool) -> int:
    """Say what happened, where, why and what to do; the exit code."""
    where = why = hint = ""
    code = FAILED
    match error:
        case Refusal():
            what, where, why, hint, code = (
                error.what, error.where, error.why, error.hint, error.code,
            )  # fmt: skip
        case Operational():
            what, hint = error.what, error.hint or "try again"
        case OSError():
            what, where = error.strerror or str(error), str(error.filename or "")
        case _:
            what = f"a mistake in aftersale itself: {type(error).__name__}: {error}"
            hint = "run it again with --debug and report the file it names"
    kept = ""
    if debug:
        kept = _keep_trace(error)
        hint = f"the trace is in {kept}" if not hint else f"{hint} (the trace is in {kept})"
    if json:
        told = {"what": what, "where": where, "why": why, "hint": hint}
        write_json({"ok": False, "error": told, "warnings": [], "next": []})
    else:
        print(f"error: {what}", file=sys.stderr)
        if where or why:
            print("  " + "  ".join(part for part in (where, why) if part), file=sys.stderr)
        if hint:
            print(f"  hint: {hint}", file=sys.stderr)
    return code


def _keep_trace(error: BaseException) -> str:
    with tempfile.NamedTemporaryFile(
        "w", prefix="aftersale-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write("".join(traceback.format_exception(error)))
    return file.name


def write_json(value: Any) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(msgspec.json.encode(value, enc_hook=str).decode() + "\n")
    sys.stdout.flush()
