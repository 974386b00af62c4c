"""How do a merchant's files come in?"""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from aftersale.cli.answer import DONE, IN_PART, Answer, Here, Table, command
from aftersale.kernel.errors import Refusal

if TYPE_CHECKING:
    from aftersale.adapters.sources.mapping import Kind, Mapping
    from aftersale.ledger.importing import ImportReport, Source

group = typer.Typer(help="Read orders, events or products from files.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="CSV, Parquet or JSON Lines.")]
MappingFile = Annotated[
    Path | None,
    typer.Option("--map", "--mapping", metavar="FILE", help="Says what the columns mean (TOML)."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Read everything, keep nothing.")]
Rejects = Annotated[
    Path | None,
    typer.Option("--rejects", metavar="FILE", help="Write rows that cannot be read to this CSV."),
]
History = Annotated[
    bool,
    typer.Option(
        "--history/--live",
        help="History only makes customers known; it starts nothing. Before the worker first ran "
        "everything is history.",
    ),
]
ConsentIs = Annotated[
    str,
    typer.Option(
        "--consent",
        metavar="none|BASIS[:CHANNEL]",
        help="Which consent these customers gave, where the mapping does not say it: "
        "opt-in, double-opt-in or soft-opt-in, for instance soft-opt-in:email.",
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 3 where a row was rejected.")]


@command(group, "orders")
def orders(
    here: Here,
    file: File,
    *,
    mapping: MappingFile = None,
    dry_run: DryRun = False,
    rejects: Rejects = None,
    history: History = False,
    consent: ConsentIs = "",
    strict: Strict = False,
) -> Answer:
    """Import orders with their lines, parcels, returns and reviews.

    A killed import goes on where it stopped when it is run again; importing the same file twice
    changes nothing.
    """
    from aftersale.adapters.sources.opening import open_source

    read, place = _mapping(file, mapping, "orders", needed=True)
    assert read is not None
    read = _with_consent(here, read, consent, dry_run=dry_run)
    source = open_source("orders", file, read, place)
    return _run(here, source, How(file, dry_run, rejects, history, strict))


@command(group, "events")
def events(  # noqa: PLR0913 - each is an option of the command
    here: Here,
    file: File,
    *,
    mapping: MappingFile = None,
    dry_run: DryRun = False,
    rejects: Rejects = None,
    history: History = False,
    source: Annotated[str, typer.Option("--source", help="Source of events that name none.")] = "",
    zone: Annotated[
        str, typer.Option("--zone", help="Zone of times without an offset, as Europe/Berlin.")
    ] = "",
    strict: Strict = False,
) -> Answer:
    """Import events: JSON Lines in the inbound form, or a table with a mapping."""
    from aftersale.adapters.sources.opening import open_source
    from aftersale.kernel.zones import is_zone

    if zone and not is_zone(zone):
        raise Refusal(
            f"{zone!r} is no time zone",
            where="--zone",
            hint="use a name like Europe/Berlin or America/Sao_Paulo",
            code=2,
        )
    read, place = _mapping(file, mapping, "events", needed=False)
    found = open_source("events", file, read, place, source=source, zone=zone)
    return _run(here, found, How(file, dry_run, rejects, history, strict))


@command(group, "products")
def products(
    here: Here,
    file: File,
    *,
    mapping: MappingFile = None,
    dry_run: DryRun = False,
    rejects: Rejects = None,
    strict: Strict = False,
) -> Answer:
    """Import facts about products; what products.csv of the programme says stands above them."""
    from aftersale.adapters.sources.opening import open_source

    read, place = _mapping(file, mapping, "products", needed=True)
    assert read is not None
    source = open_source("products", file, read, place)
    return _run(here, source, How(file, dry_run, rejects, history=False, strict=strict))


def _mapping(
    file: Path, given: Path | None, kind: "Kind", *, needed: bool
) -> tuple["Mapping | None", str]:
    """The mapping that was named, or the one that lies beside the file under its name."""
    from aftersale.adapters.sources.mapping import read_mapping

    beside = file.with_suffix(".toml")
    if given is None and beside.is_file():
        given = beside
    if given is not None:
        return read_mapping(given, kind), str(given)
    if needed:
        if not file.is_file():
            raise Refusal(f"there is no file {file}")
        raise Refusal(
            f"nothing says what the columns of {file.name} mean",
            hint="name a mapping with --map; docs/how-to/import-orders.md shows how to write one",
            code=2,
        )
    return None, ""


def _with_consent(here: Here, mapping: "Mapping", given: str, *, dry_run: bool) -> "Mapping":
    """The mapping with the consent that was named, or that the person names when asked."""
    from aftersale.adapters.sources.opening import consent_named

    if given:
        return msgspec.structs.replace(mapping, consent=consent_named(given, "--consent"))
    if mapping.consent is not None:
        return mapping
    if here.terminal and not dry_run:
        here.say(
            "The mapping does not say whether these customers may be written to.\n"
            "  none          they get order mails; marketing waits until they consent \n"
            "  soft-opt-in   they bought, were told and did not object: marketing by e-mail\n"
            "  opt-in        each of them agreed, and you can prove it"
        )
        said = here.ask("Consent:") or "none"
        return msgspec.structs.replace(mapping, consent=consent_named(said, "--consent"))
    here.warn(
        "the mapping has no [consent]: these customers were taken without one, so they get no "
        "marketing until they consent (--consent says it)"
    )
    return mapping


class How(msgspec.Struct, frozen=True):
    """How a file is to be imported."""

    file: Path
    dry_run: bool
    rejects: Path | None
    history: bool
    strict: bool


def _run(here: Here, source: "Source", how: How) -> Answer:
    from aftersale.runtime.app import admit_batch, import_report
    from aftersale.runtime.importing import run_import, write_rejects

    admit, before = None, None
    if not how.dry_run:
        app = here.app()
        name = source.fingerprint()
        before = import_report(app, name)
        if before is not None and before.done < source.total_rows:
            here.say(f"going on after row {before.done} of {source.total_rows}")
        admit = admit_batch(app, name, history=how.history, title=how.file.name)
    with ExitStack() as stack:
        progress = stack.enter_context(here.bar(how.file.name))
        try:
            report = run_import(source, admit=admit, progress=progress, start_after=before)
        except KeyboardInterrupt:
            here.say("what was read is kept; run the same line again to go on")
            raise
    if how.rejects is not None:
        write_rejects(source, how.rejects)
    return _told(here, report, how)


def _told(here: Here, report: "ImportReport", how: How) -> Answer:
    data: dict[str, Any] = {
        "file": str(how.file),
        "dry_run": how.dry_run,
        "rows": report.rows,
        "used": report.used,
        "rejected": report.rejected,
        "ignored": report.ignored,
        "ignored_by_reason": report.ignored_by_reason,
        "events": report.events,
        "products": report.products,
        "new": report.new,
        "duplicates": report.duplicates,
        "conflicts": report.conflicts,
        "upto": report.upto,
    }
    if report.rejected:
        where = str(how.rejects) if how.rejects else "--rejects FILE writes them down"
        here.warn(f"{report.rejected} rows cannot be read: {where}")
    if report.conflicts:
        here.warn(f"{report.conflicts} events contradict an earlier one of their id; that stands")
    rows = [
        (word, data[word])
        for word in ("rows", "used", "rejected", "ignored", "events", "new", "duplicates")
    ]
    rows += [(f"  ignored: {reason}", n) for reason, n in report.ignored_by_reason.items()]
    rows += [("conflicts", report.conflicts)] if report.conflicts else []
    following = [] if how.dry_run else [here.line("worker --once")]
    return Answer(
        data,
        [Table(("what", "number"), rows, "Nothing was kept (dry run)" if how.dry_run else "")],
        next=following,
        code=IN_PART if how.strict and report.rejected else DONE,
    )


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    app.add_typer(group, name="import")
