"""With which keys do programs talk to an installation?"""

import secrets
from collections.abc import Mapping
from typing import Annotated

import typer

from aftersale.cli.answer import Answer, Here, Table, command
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import format_instant, parse_duration

group = typer.Typer(help="Make, list and revoke keys of programs.", no_args_is_help=True)


@command(group, "create")
def create(
    here: Here,
    *,
    name: Annotated[str, typer.Option("--name", help="What it is for.")] = "",
    secret: Annotated[
        bool,
        typer.Option("--secret", help="A secret key; without it one that only sends events."),
    ] = False,
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help="What a secret key allows: ingest, read (default: both)."),
    ] = None,
    shop: Annotated[
        str, typer.Option("--shop", help="Whose numbers of orders and customers it tells.")
    ] = "",
    replaces: Annotated[
        str, typer.Option("--replaces", metavar="KEY", help="Id of the key that is to end.")
    ] = "",
    overlap: Annotated[
        str, typer.Option("--overlap", help="How long the replaced key still works.")
    ] = "24 hours",
) -> Answer:
    """Make a key and show it, this once.

    An ingestion key may stand in a page: it can send events and read nothing. A secret key belongs
    on a server.
    """
    from aftersale.programme.api_keys import INGEST, RANDOM_BYTES, SECRET, make_key

    later = parse_duration(overlap)
    app = here.app()
    now = app.system_now()
    text, kept = make_key(
        secrets.token_bytes(RANDOM_BYTES),
        kind=SECRET if secret else INGEST,
        name=name,
        shop=shop,
        now=now,
        scopes=scope or (),
    )
    with app.store.write() as tx:
        if replaces and not tx.api_keys.end(replaces, now + later):
            raise _unknown(here, replaces)
        tx.api_keys.add(kept)
    app.store.close()
    data = {
        "id": kept.id,
        "key": text,
        "kind": kept.kind,
        "scopes": list(kept.scopes),
        "shop": shop,
        "name": name,
    }
    shown = [text, f"Key {kept.id} ({kept.kind}: {', '.join(kept.scopes)}). It is not shown again."]
    if replaces:
        shown.append(f"Key {replaces} ends at {format_instant(now + later)}.")
    return Answer(data, shown)


@command(group, "list")
def listed(here: Here) -> Answer:
    """List every key, also those that ended; none of them can be made from what is shown."""
    app = here.app()
    now = app.system_now()
    with app.store.read() as tx:
        keys = tx.api_keys.all()
    app.store.close()
    data = [
        {
            "id": key.id,
            "name": key.name,
            "kind": key.kind,
            "scopes": list(key.scopes),
            "shop": key.shop,
            "created_at": format_instant(key.created_at),
            "ends_at": None if key.ends_at is None else format_instant(key.ends_at),
            "works": key.works(now),
        }
        for key in keys
    ]
    rows = [
        (key.id, key.name, key.kind, " ".join(key.scopes), key.shop, _state(row))
        for key, row in zip(keys, data, strict=True)
    ]
    headings = ("id", "name", "kind", "scopes", "shop", "state")
    following = [] if keys else [here.line("keys create --name website")]
    return Answer(data, [Table(headings, rows)], next=following)


@command(group, "revoke")
def revoke(here: Here, key: Annotated[str, typer.Argument(help="Id of a key.")]) -> Answer:
    """End a key; a server that is running refuses it within seconds."""
    app = here.app()
    now = app.system_now()
    with app.store.write() as tx:
        if not tx.api_keys.end(key, now):
            raise _unknown(here, key)
        (found,) = (one for one in tx.api_keys.all() if one.id == key)
    app.store.close()
    ends = format_instant(now if found.ends_at is None else found.ends_at)
    return Answer({"id": key, "ends_at": ends}, [f"Key {key} ended at {ends}."])


def _state(row: Mapping[str, object]) -> str:
    if row["ends_at"] is None:
        return "works"
    return f"{'ends' if row['works'] else 'ended'} {row['ends_at']}"


def _unknown(here: Here, key: str) -> Refusal:
    return Refusal(f"there is no key {key}", hint=here.line("keys list"))


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    app.add_typer(group, name="keys")
