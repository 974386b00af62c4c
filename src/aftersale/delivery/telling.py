"""What may be told of a send to whoever watches over the machine?

No word of it names a person. The key is not told, for the number of an order may stand in it;
the name that the message bears at mail servers is, so that two logs can be laid side by side.
"""

import msgspec

from aftersale.delivery.ports import Send
from aftersale.delivery.reasons import SEND_REASONS
from aftersale.kernel.ids import digest16
from aftersale.turn.decision import decision_name

NOT_FILLED_IN = "template"
"""Reason of a message whose template could not be filled in; what was in it is not told."""


class Settled(msgspec.Struct, frozen=True, gc=False):
    """What became of one send."""

    decision: str
    """Customer and number: `42-7`."""
    message: str
    """What stands before the @ of its Message-ID, see `messages/compose.py`."""
    journey: str
    channel: str
    status: str
    reason: str = ""
    """A code of a closed list, where it helps followed by the code of a server's answer."""


def told_of(send: Send, status: str, reason: str) -> Settled:
    """What may be told of a send that became `status`."""
    code, _, _ = reason.partition(": ")
    return Settled(
        decision_name(send.customer, send.seq),
        digest16("message-id", send.key).hex(),
        send.journey,
        send.channel,
        status,
        reason if code in SEND_REASONS else code,
    )
