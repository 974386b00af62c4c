"""How is a store made, kept and put back?"""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from aftersale.cli.answer import Answer, Here, command


def init(
    here: Here,
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="Where it is made.")] = None,
    *,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write the starter files over those that are there.")
    ] = False,
) -> Answer:
    """Make a folder with the starter programme and an empty store.

    What is there already is kept; a second run adds only what is missing.
    """
    from aftersale.bootstrap import init as make
    from aftersale.bootstrap import store_path

    home = folder or here.settings.home
    here.settings = msgspec.structs.replace(here.settings, home=home)
    made, written = make(here.settings, overwrite=overwrite)
    with made.store.read() as tx:
        mode = str(tx.meta.get("mode"))
        version = made.worlds.newest(tx)
    made.store.close()
    data = {
        "home": str(home),
        "store": str(store_path(home)),
        "files": written,
        "mode": mode,
        "programme": version,
    }
    shown = [
        f"{home} is ready: {len(written)} files written, mode {mode} (nothing is sent to anybody)."
    ]
    following = ["import orders FILE --map MAPPING", "backtest", "worker"]
    return Answer(data, shown, next=[here.line(words) for words in following])


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    command(app, "init")(init)
