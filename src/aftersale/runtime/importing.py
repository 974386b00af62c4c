"""How does a source become facts, so that a killed import goes on where it stopped?

The place to go on from belongs to the same transaction as the events, so it is `admit` who keeps
it. The rejected rows are written at the end, from the source and not from this run: an import
that was killed and went on has the same file of rejects as one that was not.
"""

import csv
import os
from collections.abc import Callable
from pathlib import Path

from aftersale.ledger.importing import Admitted, Batch, ImportReport, Source
from aftersale.runtime.collector import without_collector

Admit = Callable[[Batch, ImportReport], Admitted]
"""Commits the events and products of a batch together with `report.after(batch, admitted)`.

The report given is that of everything before the batch.
"""


def run_import(
    source: Source,
    *,
    admit: Admit | None,
    progress: Callable[[int, int], None],
    start_after: ImportReport | None = None,
) -> ImportReport:
    """Read the source to its end; the report counts from its beginning, resumed or not.

    Without `admit` (a dry run) everything is read and nothing kept.
    """
    report = start_after or ImportReport()
    with without_collector():
        for batch in source.batches(report.upto):
            admitted = admit(batch, report) if admit else Admitted()
            report = report.after(batch, admitted)
            progress(report.done, batch.total_rows)
    return report


def write_rejects(source: Source, path: Path) -> int:
    """Write every rejected row as CSV (row, reason, text, file); rows written.

    The file appears complete or not at all; without a rejected row there is none.
    """
    count = 0
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "reason", "text", "file"])
        for reject in source.rejects():
            writer.writerow([reject.row, reject.reason, reject.text, reject.file])
            count += 1
    if count:
        os.replace(partial, path)  # noqa: PTH105 - atomic on every system, and says so
    else:
        partial.unlink()
        path.unlink(missing_ok=True)
    return count
