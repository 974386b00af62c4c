"""Which figures are wanted? `python -m benchmarks [NAME ...] [--events N] [--quick]`.

Each is measured in a process of its own, so that the peak of memory is its own too, and printed
as a line of JSON.
"""

import argparse
import cProfile
import pstats
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.churn import churn_all
from benchmarks.database import due, latency, live_postgres
from benchmarks.decide import BUYING_EVENTS_OF_ONE, buyers, decide, decide_encoded
from benchmarks.features import lifecycle_10m, rfm_10m
from benchmarks.flowing import lake_flow
from benchmarks.forecasts import next_order, run_outs
from benchmarks.http import http_batch, http_single, intake_to_decision, webhooks_in
from benchmarks.imports import import_olist, import_uci
from benchmarks.live import live_sqlite, live_sqlite_backfill, live_sqlite_buying, memory_sqlite
from benchmarks.pages import pages_1m, pages_demo
from benchmarks.scoring import score_1m, score_5m
from benchmarks.send import send_smtp
from benchmarks.value import value_all, value_cdnow, value_fit

EVENTS = 1_000_000
QUICK = 20
"""How many times smaller everything is for a smoke test."""
BUYING: dict[str, Any] = {"crowd": buyers, "events_of_one": BUYING_EVENTS_OF_ONE}

MEASURES: dict[str, Callable[[int, Path], None]] = {
    "decide": lambda events, folder: decide(events),
    "decide-encoded": lambda events, folder: decide_encoded(events),
    "decide-buying": lambda events, folder: decide(events, name="decide-buying", **BUYING),
    "decide-encoded-buying": lambda events, folder: decide_encoded(
        events, name="decide-encoded-buying", **BUYING
    ),
    "live-sqlite": live_sqlite,
    "live-sqlite-buying": live_sqlite_buying,
    "live-sqlite-backfill": live_sqlite_backfill,
    "live-postgres-1": partial(live_postgres, workers=1, target=8_000),
    "live-postgres-2": partial(live_postgres, workers=2, target=14_000),
    "latency": latency,
    "due": due,
    "send-smtp": send_smtp,
    "import-uci": lambda events, folder: import_uci(folder),
    "import-olist": lambda events, folder: import_olist(folder),
    "http-batch": http_batch,
    "http-single": http_single,
    "webhooks-in": webhooks_in,
    "intake-to-decision": intake_to_decision,
    "pages-demo": pages_demo,
    "pages-1m": pages_1m,
    "lake-flow": lake_flow,
    "value-fit-1m": value_fit,
    "value-cdnow": value_cdnow,
    "memory-sqlite": memory_sqlite,
    "value-10m": value_all,
    "churn-1m": churn_all,
    "next-order-1m": next_order,
    "run-out-1m": run_outs,
    "lifecycle-10m": lambda events, folder: lifecycle_10m(events),
    "rfm-10m": lambda events, folder: rfm_10m(events),
    "score-1m": score_1m,
    "score-5m": score_5m,
}
SLOW = (
    "memory-sqlite",
    "value-10m",
    "churn-1m",
    "next-order-1m",
    "run-out-1m",
    "lifecycle-10m",
    "rfm-10m",
    "score-1m",
    "score-5m",
    "pages-1m",
)
"""Measured only where they are named."""


def main() -> int:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASURES))
    parser.add_argument("--events", type=int, default=EVENTS, help=f"default {EVENTS:,}")
    parser.add_argument("--quick", action="store_true", help=f"a {QUICK}th of the events")
    parser.add_argument("--profile", type=Path, help="write where the time went into this file")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in MEASURES]
    if unknown:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(MEASURES)}")
    names = given.names or [name for name in MEASURES if name not in SLOW]
    events = max(given.events // QUICK if given.quick else given.events, 1)
    if given.folder:
        _measure(names[0], events, given.folder, given.profile)
        return 0
    with tempfile.TemporaryDirectory(prefix="aftersale-bench-") as folder:
        for name in names:
            command = [sys.executable, "-m", "benchmarks", name]
            command += ["--events", str(events), "--folder", folder]
            command += ["--profile", str(given.profile)] if given.profile else []
            code = subprocess.run(command, check=False).returncode
            if code:
                return code
    return 0


def _measure(name: str, events: int, folder: Path, profile: Path | None) -> None:
    if profile is None:
        MEASURES[name](events, folder)
        return
    profiler = cProfile.Profile()
    profiler.runcall(MEASURES[name], events, folder)
    with profile.open("a", encoding="utf-8") as file:
        file.write(f"{name}, {events:,} events\n")
        pstats.Stats(profiler, stream=file).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    sys.exit(main())
