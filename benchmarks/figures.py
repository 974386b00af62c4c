"""How is a figure measured, and how is it printed?"""

import json
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_KIB = 1 << 10
_LARGEST_UNIT = 1 if sys.platform == "darwin" else _KIB  # ru_maxrss is in bytes there


class Clock:
    """Adds up what several stretches took: on the wall and of this process's processor time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what happens in the block."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.cpu_seconds += time.process_time() - cpu
            self.seconds += time.perf_counter() - wall


def middle(clocks: Sequence[Clock]) -> Clock:
    """The one of which as many took longer as took less, on the wall."""
    return sorted(clocks, key=lambda clock: clock.seconds)[len(clocks) // 2]


def told(
    name: str,
    value: float,
    unit: str,
    *,
    baseline: float | None = None,
    target: float | None = None,
    **further: Any,
) -> None:
    """Print one figure as a line of JSON; `baseline` is the rate of what it is compared with."""
    line = {
        "name": name,
        "value": tidy(value),
        "unit": unit,
        "baseline": tidy(baseline),
        "ratio": tidy(value / baseline) if baseline else None,
        "target": target,
        **{key: tidy(item) for key, item in further.items()},
    }
    print(json.dumps(line), flush=True)


def skipped(name: str, reason: str) -> None:
    """Print that a figure could not be measured here, and why."""
    print(json.dumps({"name": name, "value": None, "skipped": reason}), flush=True)


def tidy(item: Any) -> Any:
    """A number with as many places as mean something; anything else as it is."""
    if isinstance(item, dict):
        return {key: tidy(inner) for key, inner in item.items()}
    if not isinstance(item, float):
        return item
    return round(item) if abs(item) >= 1000 else float(f"{item:.4g}")


def spread(values: Sequence[int]) -> dict[str, int]:
    """Median, 99th percentile and largest of the values."""
    ordered = sorted(values) or [0]
    last = len(ordered) - 1
    return {
        "median": ordered[last // 2],
        "p99": ordered[last * 99 // 100],
        "largest": ordered[-1],
    }


def peak_memory() -> int:
    """Bytes of memory that this process held at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _LARGEST_UNIT


def mebibytes(count: float) -> float:
    """Bytes in MiB."""
    return round(count / _KIB**2, 1)


def shared_data() -> Path:
    """The folder of real data beside the repository."""
    return Path(__file__).parents[2] / "shared" / "data"
