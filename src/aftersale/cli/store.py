"""How is a store made, kept and put back, and how is a person erased from it?"""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from aftersale.cli.answer import DONE, FAILED, NEEDS_A_PERSON, Answer, Here, Table, command
from aftersale.kernel.errors import Refusal

db = typer.Typer(help="Migrate, back up and restore the store.", no_args_is_help=True)
config = typer.Typer(help="Show the settings of this machine.", no_args_is_help=True)

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


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

    home = folder or here.settings.home
    here.settings = msgspec.structs.replace(here.settings, home=home)
    made, written = make(here.settings, overwrite=overwrite)
    with made.store.read() as tx:
        mode = str(tx.meta.get("mode"))
        version = made.worlds.newest(tx)
    data = {
        "home": str(home),
        "store": made.store.describe()["path"],
        "files": written,
        "mode": mode,
        "programme": version,
    }
    made.store.close()
    shown = [
        f"{home} is ready: {len(written)} files written, mode {mode} (nothing is sent to anybody)."
    ]
    following = ["import orders FILE --map MAPPING", "backtest", "worker"]
    return Answer(data, shown, next=[here.line(words) for words in following])


@command(db, "status")
def status(here: Here) -> Answer:
    """Show the version of the schema, sizes and rows."""
    app = here.app()
    about = app.store.describe()
    rows = [(word, value) for word, value in about.items() if word != "rows"]
    counts = list(about.get("rows", {}).items())
    return Answer(about, [Table(("what", "value"), rows), Table(("table", "rows"), counts)])


@command(db, "migrate")
def migrate(here: Here) -> Answer:
    """Bring an older store to this version; killed at any instant it is whole."""
    from aftersale.bootstrap import migrate as apply

    applied = apply(here.settings)
    said = f"applied: {', '.join(applied)}" if applied else "the store is up to date"
    return Answer({"applied": applied}, [said])


@command(db, "backup")
def backup(
    here: Here, file: Annotated[Path, typer.Argument(help="A file that does not exist yet.")]
) -> Answer:
    """Copy the whole store to a file while it is in use, and prove the copy sound."""
    app = here.app()
    made = app.store.backup(file)
    rows = list(made.items())
    return Answer(made, [Table(("what", "value"), rows)], next=[here.line(f"db restore {file}")])


@command(db, "restore")
def restore(
    here: Here,
    file: Annotated[Path, typer.Argument(help="A backup.")],
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Replace a store that is there, without asking.")
    ] = False,
) -> Answer:
    """Put a backup in the place of the store.

    The restored store is stopped; every message that could have gone out since the backup is
    unknown; erasures made since are applied again.
    """
    from aftersale.adapters.clock import now
    from aftersale.adapters.storage.sqlite.backup import restore as put_back
    from aftersale.bootstrap import store_path

    if here.settings.database:
        raise Refusal(
            "the backup was not put back",
            where=str(file),
            why="this store lies in a PostgreSQL database",
            hint="use pg_restore, then aftersale db restored; "
            "see docs/how-to/back-up-and-restore.md",
        )
    path = store_path(here.settings.home)
    if path.exists():
        here.agree(
            f"{path} is replaced; what it knows since the backup is lost. Go on?",
            yes=yes,
            line=f"db restore {file} --yes",
        )
    done = put_back(file, path, at=now(), overwrite=path.exists())
    here.warn("the store is stopped: look at the unknown messages, then choose a mode")
    return Answer(done, [Table(("what", "value"), list(done.items()))], next=[here.line("doctor")])


@command(db, "restored")
def restored(here: Here, *, yes: Yes = False) -> Answer:
    """Say that a backup was put back by other means, as pg_restore: what it knows may be old.

    The store is stopped, and every message that could have gone out since the backup is unknown.
    db restore does that by itself.
    """
    from aftersale.runtime.restoring import after_a_restore

    app = here.app()
    here.agree(
        "The store is stopped and every message that waits becomes unknown. Go on?",
        yes=yes,
        line="db restored --yes",
    )
    with app.store.write() as tx:
        unknown = after_a_restore(tx, app.system_now())
        position = tx.ledger.last()
    app.store.close()
    here.warn("the store is stopped: look at the unknown messages, then choose a mode")
    data = {"position": position, "unknown": unknown}
    return Answer(data, [Table(("what", "value"), list(data.items()))], next=[here.line("doctor")])


@command(db, "move")
def move(
    here: Here,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="postgresql://user:password@host/database")
    ],
    *,
    yes: Yes = False,
) -> Answer:
    """Bring the store of the home into an empty PostgreSQL database, and compare the two.

    The store of the home stays as it is, but stopped; the one in the database goes on in the mode
    that it had. Exit code 1 where the two are not the same.
    """
    from aftersale.bootstrap import moved
    from aftersale.runtime.digest import digest
    from aftersale.runtime.verify import verify

    if here.settings.database:
        raise Refusal("this store lies in a database already", hint="name its folder with --home")
    here.agree(
        "The store of this home is stopped and copied. Go on?",
        yes=yes,
        line="db move ADDRESS --yes",
    )
    with here.bar("rows") as progress:
        old, new, counts = moved(here.settings, address, progress=progress)
    digests, violations = [], []
    for app in (old, new):
        with app.store.read() as tx:
            digests.append(digest(tx.decisions.ordered()))
            violations.append(sum(verify(tx, app.worlds).checks.values()))
        app.store.close()
    same = digests[0] == digests[1] and all(before == after for before, after in counts.values())
    data = {
        "rows": {table: after for table, (_, after) in counts.items()},
        "equal": same,
        "digest": digests[1],
        "violations": violations[1],
    }
    rows = [(table, before, after) for table, (before, after) in counts.items()]
    shown: list[str | Table] = [
        Table(("table", "in the file", "in the database"), rows),
        Table(("decisions", "digest"), [("file", digests[0]), ("database", digests[1])]),
        "The two are the same." if same else "The two are NOT the same; keep the file.",
    ]
    here.warn("set AFTERSALE_DATABASE to the new address before you start a worker")
    done = same and not violations[1]
    return Answer(data, shown, next=["aftersale doctor"], code=DONE if done else FAILED)


def erase(
    here: Here,
    customer: Annotated[
        str, typer.Argument(help="Our id, an e-mail address, the shop's id, or an order number.")
    ],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be deleted, delete nothing.")
    ] = False,
    yes: Yes = False,
) -> Answer:
    """Delete everything that names a person, in every table, and print the proof.

    Ids and the facts of decisions stay. The person is not taken in again by a later import.
    """
    from aftersale.runtime.erasing import erase as forget
    from aftersale.runtime.erasing import would_change
    from aftersale.runtime.explaining import find_customer
    from aftersale.runtime.flowing import forget_erased

    app = here.app()
    with app.store.read() as tx:
        found = find_customer(tx, customer)
        held = tx.personal.of_many([found]).get(found, {})
        refs = tx.identities.refs_of(found)
    address = str(held.get("email") or next((r.value for r in refs if r.kind == "email"), found))
    if not dry_run and not yes:
        if not here.terminal:
            here.agree("", yes=False, line=f"erase {customer} --yes")
        if here.ask(f"This cannot be undone. Type {address} to erase customer {found}:") != address:
            raise Refusal("nothing was changed", code=NEEDS_A_PERSON)
    with app.store.write() as tx:
        now = app.now(tx)
        changed = would_change(tx, found) if dry_run else forget(tx, found, now)
    if not dry_run:
        forget_erased(app.store, app.lake)
    with app.store.read() as tx:
        left: dict[str, Any] = {
            "personal rows": len(tx.personal.of(found)),
            "ids": len(tx.identities.refs_of(found)),
            "caught messages": len(tx.mailbox.newest(customer=found)),
        }
    data = {"customer": found, "dry_run": dry_run, "changed": changed, "left": left}
    title = "Would change (dry run)" if dry_run else "Deleted"
    shown = [Table(("table", "rows"), list(changed.items()), title)]
    if not dry_run:
        shown.append(Table(("what names the person", "left"), list(left.items()), "Proof"))
    return Answer(data, shown)


@command(config, "show")
def show_config(here: Here) -> Answer:
    """Show every setting, its value and where that comes from."""
    from aftersale.settings import Settings, read_settings, shown, variable

    read = read_settings()
    rows = []
    for name in Settings.__struct_fields__:
        value = getattr(here.settings, name)
        if value != getattr(read, name):
            origin = "--home"
        elif value != getattr(Settings(), name):
            origin = variable(name)
        else:
            origin = "default"
        rows.append((name, str(shown(here.settings, name)), origin))
    data = {name: {"value": value, "from": origin} for name, value, origin in rows}
    return Answer(data, [Table(("setting", "value", "from"), rows)])


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    command(app, "init")(init)
    app.add_typer(db, name="db")
    command(app, "erase")(erase)
    app.add_typer(config, name="config")
