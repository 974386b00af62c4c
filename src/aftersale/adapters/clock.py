"""What time is it on this machine?"""

import time

from aftersale.kernel.instants import Instant


def now() -> Instant:
    """The instant by the system's clock. The only place that reads it."""
    return time.time_ns() // 1_000


def ticks() -> float:
    """Seconds that only ever grow, whatever happens to the time of day: to measure spans with."""
    return time.monotonic()
