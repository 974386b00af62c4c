"""What has the merchant laid down for every message, whichever journey it comes from?"""

import msgspec

from aftersale.kernel.instants import DAY, HOUR, MINUTE, Duration


class Cap(msgspec.Struct, frozen=True, gc=False):
    """At most `most` messages of the purpose on the channel in any span of `per`."""

    most: int
    per: Duration
    channel: str = "*"
    purpose: str = "marketing"


class Quiet(msgspec.Struct, frozen=True, gc=False):
    """Minutes of the customer's day, [start, end), in which nothing of these purposes goes out."""

    start: int = 21 * 60
    end: int = 8 * 60
    purposes: tuple[str, ...] = ("marketing",)


class Policy(msgspec.Struct, frozen=True):
    """The settings of `policies.yaml`; every default is one of the reference page."""

    shop: str = ""
    zone: str = "UTC"
    """The shop's zone: serves where a customer's is not known."""
    currency: str = "EUR"
    consent_purposes: tuple[str, ...] = ("marketing",)
    """Purposes for which the customer must have allowed the channel."""
    caps: tuple[Cap, ...] = (Cap(1, DAY), Cap(3, 7 * DAY))
    quiet: Quiet = Quiet()
    slot_minute: int = 10 * 60
    """Minute of the customer's day for marketing, until the own best hour is known."""
    slot_spread: Duration = 30 * MINUTE
    helpful_share: float = 0.5
    """Share of the last ten marketing messages that helpful content may claim."""
    holdout: float = 0.05
    """Share of customers each journey leaves out, to measure what it brings."""
    seed: str = "aftersale"
    """Makes the draws of this merchant other than those of the next."""
    ticket_lasts: Duration = 14 * DAY
    """For how long an unresolved ticket, a bad rating or a late parcel stops promotion."""
    bad_rating: int = 2
    live_runs: int = 50
    restart_after: Duration = 90 * DAY
    calibrate_every: Duration = 90 * DAY
    late_after: Duration = 2 * HOUR
    """A send counts as decided before we knew, if what forbids it was this much earlier."""
    breaker: float = 5.0
    """A journey stops when an hour's sends exceed this multiple of its busiest backtested hour."""
    breaker_floor: int = 50
    startup_per_hour: int = 500
    """Messages an hour in the first day after going live."""
