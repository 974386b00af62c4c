"""What can a person ask for on the command line?"""

from typing import Annotated

import typer

from aftersale import __version__

app = typer.Typer(name="aftersale", no_args_is_help=True, pretty_exceptions_enable=False)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it by position
    if wanted:
        print(f"aftersale {__version__}")
        raise typer.Exit


@app.callback()
def aftersale(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show it."),
    ] = False,
) -> None:
    """Care for customers after the sale: decide what helps, say it, measure whether it did."""


def main() -> None:
    """Run the command line and exit with its code."""
    app()
