"""Which thresholds does this merchant's own history give?

A calibration is fitted from what was known at an instant, enters the ledger as an event, and
every decision after it uses it. Its parts can be replaced one by one.
"""

import msgspec

from aftersale.kernel.instants import Instant


class Rhythm(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How long customers of a segment wait between two orders, in days."""

    gaps: int
    """Completed gaps it rests on."""
    mean: float
    p50: float
    p90: float
    level: str
    """segment, category, tier, shop or default: where the history was long enough."""


class Cuts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Cut points between the quintiles, ascending; empty where nobody bought yet."""

    recency_days: tuple[float, ...] = ()
    orders: tuple[float, ...] = ()
    revenue: tuple[float, ...] = ()
    average: tuple[float, ...] = ()
    """Of the revenue per order."""


DEFAULT_RHYTHM = Rhythm(0, 60.0, 45.0, 90.0, "default")


class Calibration(msgspec.Struct, frozen=True):
    """All fitted values of one day."""

    version: str = "default"
    fitted_at: Instant = 0
    currency: str = ""
    rhythms: dict[str, Rhythm] = {}
    """`tier/category`, `tier/`, `/category`, `/` (the shop) → rhythm."""
    cuts: Cuts = Cuts()
    supply: dict[str, float] = {}
    """Product → days that one order of it lasts, from repeat purchases; a guess."""

    def rhythm(self, tier: str, category: str) -> Rhythm:
        """The rhythm of the segment, else of the nearest larger group that has one."""
        rhythms = self.rhythms
        for key in (f"{tier}/{category}", f"/{category}", f"{tier}/", "/"):
            found = rhythms.get(key)
            if found is not None:
                return found
        return DEFAULT_RHYTHM


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Calibration)


def encode(calibration: Calibration) -> bytes:
    """The stored form."""
    return _ENCODER.encode(calibration)


def decode(data: bytes) -> Calibration:
    """The calibration of its stored form."""
    return _DECODER.decode(data)
