"""What is kept of one customer between two turns?

A record of the stages' own parts. It is encoded as a msgpack array: fields are only ever
appended, and an older record is read with the new fields at their defaults.
"""

import msgspec

from aftersale.customers.fold import close_oldest
from aftersale.customers.profile import Profile
from aftersale.gates.standing import Contact
from aftersale.journeys.run import Run
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import Instant

LAYOUT = 1
"""Raised when a field is appended."""

SOFT_LIMIT, HARD_LIMIT = 8_000, 64_000
"""Bytes of an encoded state: above the first doctor speaks of it, above the second it is cut."""

NOTHING: Instant = 0

KEPT_BEGUN = 200


class Armed(msgspec.Struct, array_like=True, gc=False):
    """The alarm of a journey that starts at a date."""

    at: Instant = NOTHING
    """The date as last read; NOTHING where there is none ahead."""
    done: Instant = NOTHING
    """The date for which it last rang."""


class Arm(msgspec.Struct, array_like=True, gc=False):
    """To which side of an experiment the customer was drawn, once, at first exposure."""

    side: str
    """treated, holdout, or mixed: a merge united both, so the customer leaves the reading."""
    at: Instant


class State(msgspec.Struct, array_like=True):
    """One customer. Mutable: the `advance` that holds it is its single owner."""

    layout: int = LAYOUT
    profile: Profile = msgspec.field(default_factory=Profile)
    runs: list[Run] = []
    contacts: list[Contact] = []
    dates: dict[str, Armed] = {}
    arms: dict[str, Arm] = {}
    begun: dict[str, Instant] = {}
    """Journey and key → when its last run began, where re-entry asks for it."""
    slot_at: Instant = NOTHING
    decided: int = 0
    """Number of the last decision."""
    programme: int = 0
    """Version of the programme under which the customer was last advanced."""
    alarm_at: Instant = NOTHING
    """The earliest alarm of all that the state holds."""
    advanced_at: Instant = NOTHING
    """When the last input was taken: with a driven clock no input is taken before it."""
    gone: bool = False
    """Merged into a customer of another shard, which will take this state over: nothing more is
    decided about it."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(State)


def encode(state: State) -> bytes:
    """The stored form."""
    return _ENCODER.encode(state)


def bounded(state: State) -> bytes:
    """The stored form within the hard limit: the oldest orders are closed until it fits."""
    blob = encode(state)
    while len(blob) > HARD_LIMIT and len(state.profile.orders) > 1:
        close_oldest(state.profile)
        blob = encode(state)
    return blob


def decode(data: bytes) -> State:
    """The state of its stored form; one of a newer release is refused."""
    state = _DECODER.decode(data)
    if state.layout > LAYOUT:
        raise Refusal(
            f"a customer's state has layout {state.layout}, this release knows {LAYOUT}",
            hint="run the release that wrote the store, or a newer one",
        )
    state.layout = LAYOUT
    return state
