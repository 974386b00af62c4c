"""What does a running installation consist of?

Everything the commands and pages need, as fields: they ask the App and never an adapter.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from aftersale.kernel.instants import Instant
from aftersale.ledger.importing import Admitted, Batch, ImportReport, Reject
from aftersale.programme.lake import Lake
from aftersale.programme.load import digest
from aftersale.programme.ports import Deployment, Store, Transaction
from aftersale.runtime.intake import describe_products, is_past, take_in
from aftersale.runtime.sending import Sending
from aftersale.runtime.turns import Turns
from aftersale.runtime.worker import Worker
from aftersale.runtime.worlds import Worlds


class App(msgspec.Struct, frozen=True):
    """One store with everything that works on it."""

    home: Path
    store: Store
    worlds: Worlds
    turns: Turns
    sending: Sending
    worker: Worker
    system_now: Callable[[], Instant]
    public_url: str
    reopen: Callable[[], Store]
    """Opens the same store again, for another process."""
    anew: Callable[[], "App"]
    """Opens the same installation again, for another process."""
    lake: Lake
    """The history as tables; it need not be there."""
    providers: Callable[[], Sequence[str]]
    """Addresses below /webhooks/ at which a provider may send; Refusal where nobody can know."""

    def now(self, tx: Transaction) -> Instant:
        """The clock of the store: the driven one where it is driven, else the machine's."""
        if tx.meta.get("driven"):
            last = tx.journal.last()
            return int(max(tx.meta.get("clock") or 0, last.now if last else 0))
        return self.system_now()

    def deploy(self, files: dict[str, str], *, note: str = "") -> Deployment | None:
        """Put a programme into force; None where it is the one that is."""
        with self.store.write() as tx:
            latest = tx.deployments.latest()
            if latest is not None and latest.digest == digest(files):
                return None
            version = (latest.version if latest else 0) + 1
            deployment = Deployment(version, digest(files), self.now(tx), files, note)
            tx.deployments.add(deployment)
            self.worlds.compiled(tx, version)
            if latest is not None:
                tx.shards.sweep(None, wanted=True)
            return deployment

    def files(self) -> dict[str, str]:
        """The programme in force, as files."""
        with self.store.read() as tx:
            latest = tx.deployments.latest()
            return dict(latest.files) if latest else {}


KEPT_IMPORTS, KEPT_REJECTS = 50, 100
"""Imports that are told of, and rejected rows of each that are kept with their text."""
_IMPORTS = "imports"


class Imported(msgspec.Struct, frozen=True):
    """One import, as it is told of afterwards."""

    name: str
    """Of the input with its mapping."""
    title: str
    """Of the file, for people."""
    began_at: Instant
    at: Instant
    """Of its latest batch, on the machine's clock."""
    report: ImportReport
    rejects: list[Reject] = []
    """The first rejected rows."""


def imports(tx: Transaction) -> list[Imported]:
    """The imports of this store, the latest first."""
    kept = msgspec.convert(tx.meta.get(_IMPORTS) or [], list[Imported])
    return sorted(kept, key=lambda one: -one.at)


def _tell(
    tx: Transaction,
    name: str,
    title: str,
    now: Instant,
    batch: Batch,
    after: ImportReport,
) -> None:
    others = [one for one in imports(tx) if one.name != name]
    mine = next((one for one in imports(tx) if one.name == name), None)
    rejects = [*(mine.rejects if mine else ()), *batch.rejects][:KEPT_REJECTS]
    began = mine.began_at if mine else now
    told = Imported(name, title, began, now, after, rejects)
    tx.meta.set(_IMPORTS, msgspec.to_builtins([told, *others][:KEPT_IMPORTS]))


def admit_batch(
    app: App, name: str, *, history: bool, title: str = ""
) -> Callable[[Batch, ImportReport], Admitted]:
    """Commits a batch of an import with its report, so that a killed import goes on after it.

    Before the engine first ran everything is history; after that `history` says so. A store with
    a driven clock takes live events at their own time, one with the machine's clock at arrival.
    """

    def admit(batch: Batch, report: ImportReport) -> Admitted:
        with app.store.write() as tx:
            kept = tx.meta.get(f"import:{name}")
            if kept is not None and kept["upto"] > report.upto:
                return Admitted()
            past = history or is_past(tx)
            driven = bool(tx.meta.get("driven"))
            now = app.now(tx)
            received: Instant | list[Instant] = now
            if driven and not past:
                received, latest = [], now
                for event in batch.events:
                    latest = max(latest, event.at)
                    received.append(latest)
            taken = take_in(tx, batch.events, received_at=received, history=past)
            if batch.products:
                # Of the past, for a driven clock begins at the newest event that is known.
                at = (tx.ledger.newest_at() or 0) if past else now
                describe_products(tx, batch.products, at, history=past)
            admitted = Admitted(taken.new, taken.duplicates, taken.conflicts)
            after = report.after(batch, admitted)
            tx.meta.set(f"import:{name}", msgspec.to_builtins(after))
            _tell(tx, name, title or name, app.system_now(), batch, after)
            return admitted

    return admit


def import_report(app: App, name: str) -> ImportReport | None:
    """How far an import of that name came, None where it never began."""
    with app.store.read() as tx:
        kept = tx.meta.get(f"import:{name}")
    return None if kept is None else msgspec.convert(kept, ImportReport)
