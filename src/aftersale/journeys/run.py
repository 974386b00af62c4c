"""Where does one customer stand in one journey?"""

import msgspec

from aftersale.kernel.instants import Instant

NOT_DUE: Instant = 0


class Run(msgspec.Struct, array_like=True):
    """One passage of a customer through a journey. Mutable: one `advance` owns it."""

    journey: str
    version: int
    key: str
    """What it is about, so that one thing has one run: order, order#parcel, product or nothing."""
    step: int
    """Index in the graph of that version."""
    entered_at: Instant
    """Nominal instant at which the step was entered."""
    started_at: Instant
    due: Instant = NOT_DUE
    order: str = ""
    product: str = ""
    parcel: str = ""
    shop: str = ""
    pending: bool = False
    """A message waits at this step for its slot or for a gate."""
    came: bool = False
    """Whether the last wait for an event ended because the event came."""
    visit: int = 1
    """How often the present step was entered."""
    note: str = ""
    """Reason of the last deferral, so that it is recorded once."""
    called_off: dict[int, Instant] = {}
    """Step → instant of the event that makes its message needless."""
    cause: int = 0
    """Position of the event that started it, 0 where a date did."""
