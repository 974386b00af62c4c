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


def test_a_small_measurement_of_churn_is_learnt_and_compared() -> None:
    (line,) = measured("churn-1m", "--quick", "--events", "100000")
    assert (line["name"], line["unit"]) == ("churn-1m", "s")
    assert line["way"] in {"learned", "closed-form"}
    assert line["orders"] > 5 * line["customers"] > 0
    assert "regression_ratio" in line or "scikit-learn" in line["no_baseline"]


@pytest.mark.real_data
def test_the_scores_reach_what_they_must_on_real_shops(shared_data: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.judge", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    missed = [(row["score"], row["data"]) for row in rows if row["reached"] is False]
    assert (done.returncode, missed) == (0, []), done.stderr
    assert {row["score"] for row in rows if row["ours"]} == {"churn", "next purchase", "value"}
