"""What can a person ask for on the command line?"""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from aftersale import __version__
from aftersale.cli import (
    demo,
    explaining,
    flowing,
    importing,
    keys,
    modes,
    programme,
    scoring,
    sending,
    serving,
    store,
    trying,
    users,
    valuing,
    webhooks,
    working,
)
from aftersale.cli.answer import Answer, Debug, Given, Here, Home, Json, command, fail
from aftersale.kernel.errors import Refusal

app = typer.Typer(
    name="aftersale",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it by position
    if wanted:
        print(f"aftersale {__version__}")
        raise typer.Exit


@app.callback()
def aftersale(
    context: typer.Context,
    *,
    home: Home = None,
    json: Json = False,
    debug: Debug = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show it."),
    ] = False,
) -> None:
    """Care for customers after the sale: decide what helps, say it, measure whether it did.

    Exit codes: 0 done, 1 failed or a check found something, 2 wrong usage, 3 done in part,
    4 needs a person, 130 stopped by Ctrl-C.
    """
    context.obj = Given(home, json, debug)


@command(app, "version")
def version(here: Here) -> Answer:
    """Show which version this is."""
    return Answer({"version": __version__}, [f"aftersale {__version__}"])


for part in (
    demo, store, importing, working, trying, explaining, programme, modes, sending, serving,
    valuing, scoring, flowing, keys, users, webhooks,
):  # fmt: skip
    part.add_to(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code."""
    json, debug = "--json" in arguments, "--debug" in arguments
    try:
        code = typer.main.get_command(app).main(
            list(arguments), prog_name="aftersale", standalone_mode=False
        )
    except typer.TyperException as error:
        usage = error.format_message()
        if usage.startswith("Usage:") and not json:
            print(usage, file=sys.stderr)
            return error.exit_code
        refusal = Refusal(usage, hint=_help_line(arguments), code=error.exit_code)
        return fail(refusal, json=json, debug=debug)
    except typer.Abort:
        return 130
    return int(code or 0)


def _help_line(arguments: Sequence[str]) -> str:
    """The help of the command that was meant."""
    words, group = ["aftersale"], typer.main.get_command(app)
    for word in arguments:
        found = getattr(group, "commands", {}).get(word)
        if found is not None:
            words.append(word)
            group = found
    return f"{' '.join(words)} --help"


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))
