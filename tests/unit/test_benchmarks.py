"""Do the benchmarks still run, and do they still measure what they say?"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def measured(*arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_small_measurement_decides_about_every_event_and_says_what_it_did() -> None:
    (line,) = measured("decide", "--quick", "--events", "72000")
    assert (line["name"], line["unit"]) == ("decide", "events/s")
    assert line["events"] == 3_600
    assert line["value"] > 0
    assert line["decisions"] > line["sends"] > 0
    assert line["live_runs"][-1]["median"] >= 3


def test_a_small_measurement_of_sending_says_what_its_rate_is_made_of() -> None:
    (line,) = measured("send-smtp", "--quick", "--events", "100000")
    assert (line["name"], line["unit"], line["messages"]) == ("send-smtp", "messages/s", 20)
    parts = ("claim_seconds", "hand_over_seconds", "settle_seconds")
    assert 0 < sum(line[part] for part in parts) <= line["seconds"] * 1.01
    assert min(line["bare_messages_per_second"].values()) > 0


def test_a_small_fit_of_customer_value_finds_what_was_put_in() -> None:
    (line,) = measured("value-fit-1m", "--quick", "--events", "200000")
    assert (line["customers"], line["unit"], line["flags"]) == (10_000, "customers/s", [])
    assert 0.4 < line["fitted"]["r"] < 0.9
    assert line["baseline"] is not None or "lifetimes" in line["no_baseline"]


def test_an_unknown_figure_is_refused_with_those_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "speed"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "live-sqlite" in done.stderr
