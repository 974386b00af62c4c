"""What can a gate say, and what may it give as the reason?

Allow
Defer(until, reason)   not now; at `until` the same gate allows, if nothing else happens
Deny(reason)           not this message
"""

from typing import Any

import msgspec

from aftersale.kernel.instants import Instant


class Allow(msgspec.Struct, frozen=True, gc=False):
    """The gate has nothing against it; `saw` is what it looked at."""

    saw: Any = None


class Defer(msgspec.Struct, frozen=True, gc=False):
    """Not before `until`."""

    until: Instant
    reason: str
    saw: Any = None


class Deny(msgspec.Struct, frozen=True, gc=False):
    """Not at all."""

    reason: str
    saw: Any = None


Verdict = Allow | Defer | Deny


class Reason(msgspec.Struct, frozen=True, gc=False):
    """One word of the closed list, as people read it."""

    text: str
    healthy: bool = True
    """Whether it is how things should be; else somebody should look."""


REASONS: dict[str, Reason] = {
    "no-consent": Reason("nobody allowed this channel for this purpose"),
    "consent-withdrawn": Reason("the customer withdrew the consent"),
    "address-blocked": Reason("the address bounced for good or its owner complained"),
    "no-benefit": Reason("the message names no benefit to the customer", healthy=False),
    "no-evidence": Reason("nothing shows that it would help this customer"),
    "product-returned": Reason("the customer sent the product back"),
    "product-disliked": Reason("the customer rated the product badly"),
    "open-ticket": Reason("a support ticket is open"),
    "bad-experience": Reason("a bad rating is fresh"),
    "late-parcel": Reason("a parcel is late"),
    "daily-cap": Reason("the limit of messages per day is reached"),
    "weekly-cap": Reason("the limit of messages per week is reached"),
    "cap": Reason("a limit of messages is reached"),
    "quiet-hours": Reason("it is the customer's quiet time"),
    "outranked": Reason("other messages were worth more until it was too late"),
    "too-late": Reason("it was no longer useful"),
    "called-off": Reason("what it asks for has happened"),
    "not-met": Reason("the condition of the step was not met"),
    "holdout": Reason("the customer is in the holdout of this journey"),
    "paused": Reason("the journey is paused", healthy=False),
    "no-address": Reason("no address is known", healthy=False),
    "template": Reason("the template could not be rendered", healthy=False),
    "not-listed": Reason("in test mode only listed addresses get mail"),
    "erased": Reason("the customer was erased"),
    "breaker": Reason(
        "the journey sent far more than its backtest, so it was stopped", healthy=False
    ),
}
