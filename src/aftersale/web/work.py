"""What does each kind of long work do that pages can ask for?

The functions run in a process of their own (`runtime.elsewhere`) and do what the commands of the
same names do.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import msgspec

from aftersale.adapters.sources.mapping import Kind, read_mapping
from aftersale.adapters.sources.opening import consent_named, open_source
from aftersale.kernel.errors import Refusal
from aftersale.runtime.app import App, admit_batch, import_report
from aftersale.runtime.backtest import plan_of
from aftersale.runtime.explaining import world_now
from aftersale.runtime.importing import run_import
from aftersale.runtime.jobs import Outcome, Tell, Work
from aftersale.runtime.parallel import backtest_in_parts
from aftersale.web.report import keep_report
from aftersale.web.sizes import work_out
from aftersale.web.words import grouped, many

KINDS: tuple[Kind, ...] = ("orders", "events", "products")
CONSENTS = ("", "none", "soft-opt-in:email", "opt-in:email", "double-opt-in:email")
"""What an upload may say of consent; empty: what the mapping says."""
MAPPING = "mapping.toml"


def uploads(app: App) -> Path:
    """Where files lie that were uploaded, until they are imported."""
    return app.home / "uploads"


def backtest_work(app: App, fields: Mapping[str, str], tell: Tell) -> Outcome:
    """What the programme in force would have said, kept for its page."""
    with app.store.read() as tx:
        world = world_now(tx, app.worlds)
        plan = plan_of(tx, fields["from"], fields["to"], fields["reactions"])
    result = backtest_in_parts(app, world, plan, processes=os.cpu_count() or 1, tell=tell)
    report = keep_report(app, result, plan, world)
    return Outcome(
        f"{many(report.people, 'customer')} would have got {many(report.messages, 'message')}.",
        "/backtests/latest",
        [
            ("Customers played", grouped(report.customers)),
            ("Of them would have got a message", grouped(report.people)),
            ("Messages", grouped(report.messages)),
            ("Held back", grouped(report.held_back)),
        ],
    )


def score_work(app: App, fields: Mapping[str, str], tell: Tell) -> Outcome:
    """What every model says of every customer, told to the ledger where it has changed."""
    # It brings the engine of the lake, which no other page has use for.
    from aftersale.runtime.scoring import score  # noqa: PLC0415

    done = score(
        app,
        progress=lambda done, total: tell("events laid out", done, total),
        spoken=lambda done, total: tell("models heard", done, total),
    )
    used = [card.name for card in done.cards if card.verdict == "on"]
    return Outcome(
        f"{many(done.customers, 'customer')} scored; {many(len(used), 'model')} in use.",
        "/models",
        [
            ("Customers", grouped(done.customers)),
            ("Models in use", f"{len(used)} of {len(done.cards)}"),
            ("Changes told to the ledger", grouped(sum(done.told.values()))),
        ],
    )


def import_work(app: App, fields: Mapping[str, str], tell: Tell) -> Outcome:
    """Read an uploaded file to its end; goes on where it stopped."""
    folder = uploads(app) / fields["upload"]
    file = folder / fields["name"]
    if not file.is_file():
        raise Refusal("the uploaded file is not there any more", hint="upload it once more")
    kind = cast("Kind", fields["kind"])
    mapping = None
    if (given := folder / MAPPING).is_file():
        mapping = read_mapping(given, kind)
        if fields["consent"]:
            consent = consent_named(fields["consent"], "consent")
            mapping = msgspec.structs.replace(mapping, consent=consent)
    source = open_source(kind, file, mapping, "your mapping")
    name, trial = source.fingerprint(), fields["trial"] == "yes"
    before = None if trial else import_report(app, name)
    admit = admit_batch(app, name, history=fields["history"] == "yes", title=fields["title"])
    report = run_import(
        source,
        admit=None if trial else admit,
        progress=lambda done, total: tell("rows read", done, total),
        start_after=before,
    )
    figures = [
        ("Rows", grouped(report.rows)),
        ("Used", grouped(report.used)),
        ("Rejected", grouped(report.rejected)),
        *(
            (f"Ignored: {reason}", grouped(rows))
            for reason, rows in report.ignored_by_reason.items()
        ),
        ("Events", grouped(report.events)),
    ]
    if trial:
        said = f"{many(report.used, 'row')} can be read, {grouped(report.rejected)} cannot. "
        again = {**fields, "trial": "no"}
        return Outcome(f"{said}Nothing was kept.", "", figures, again)
    shutil.rmtree(folder, ignore_errors=True)
    figures += [("New events", grouped(report.new)), ("Known already", grouped(report.duplicates))]
    return Outcome(
        f"{many(report.new, 'event')} of {many(report.used, 'row')} came in.",
        f"/data/imports/{name}",
        figures,
    )


def sizes_work(app: App, fields: Mapping[str, str], tell: Tell) -> Outcome:
    """How large every segment was at the beginning of each of the last months."""
    found = work_out(app, progress=lambda done, total: tell("customers followed", done, total))
    return Outcome(
        f"Every segment was counted at {many(len(found), 'beginning')} of a month.",
        "/segments",
        [("From", min(found, default="")), ("To", max(found, default=""))],
    )


WORKS: dict[str, Work] = {
    "backtest": backtest_work,
    "score": score_work,
    "import": import_work,
    "sizes": sizes_work,
}
