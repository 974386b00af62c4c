"""How is the ledger laid out as tables for models?"""

from typing import Annotated

import msgspec
import typer

from aftersale.cli.answer import Answer, Here, Table, command


def history(
    here: Here,
    *,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make it anew from the whole ledger.")
    ] = False,
) -> Answer:
    """Lay out what is new in the ledger as tables, from which features are computed.

    They lie beside the store as Parquet files and name nobody. A second run adds nothing. A
    history of another ledger, or of another time zone, is made anew.
    """
    from aftersale.runtime.flowing import flow

    app = here.app()
    with app.store.read() as tx:
        zone = app.worlds.now(tx).programme.policy.zone
    with here.bar("events") as progress:
        done = flow(app.store, app.lake, zone, rebuild=rebuild, progress=progress)
    app.store.close()
    if done.rebuilt and not rebuild:
        here.warn(f"the history was made anew: {done.rebuilt}")
    extent = done.extent
    rows = [(table, done.added[table], extent.rows[table]) for table in done.added]
    shown: list[str | Table] = [
        Table(("table", "rows added", "rows"), rows),
        (
            f"{done.entries} events read, up to {extent.upto}; {extent.files} files, "
            f"{extent.bytes} bytes, days of {extent.zone}."
        ),
    ]
    data = {
        "entries": done.entries,
        "added": done.added,
        "rebuilt": done.rebuilt,
        **msgspec.to_builtins(extent),
    }
    data.pop("mark")
    return Answer(data, shown)


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    command(app, "history")(history)
