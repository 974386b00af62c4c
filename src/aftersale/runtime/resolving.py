"""What becomes of messages of which nobody knows whether they went out, when a person says?"""

from aftersale.delivery.ports import FAILED, QUEUED, SENT, UNKNOWN, Send
from aftersale.delivery.reasons import RESOLVED
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import Instant
from aftersale.programme.ports import Transaction

WENT_OUT, DID_NOT, AGAIN = ANSWERS = ("sent", "not-sent", "again")
"""It went out; it did not, and shall not; it is to be judged and sent again."""
_STATUS = {WENT_OUT: SENT, DID_NOT: FAILED, AGAIN: QUEUED}
_ALL = 1_000_000


def in_doubt(tx: Transaction, *, journey: str = "", limit: int = _ALL) -> list[Send]:
    """Sends that are unknown, oldest first."""
    if not journey:
        return tx.outbox.in_state(UNKNOWN, limit=limit)
    found = tx.outbox.in_state(UNKNOWN, limit=_ALL)
    return [send for send in found if send.journey == journey][:limit]


def resolve(tx: Transaction, answer: str, now: Instant, *, key: str = "", journey: str = "") -> int:
    """Settle the send of that key, or all of the journey, as a person says; how many."""
    if answer not in _STATUS:
        raise Refusal(f"{answer!r} is no answer", hint=f"one of {', '.join(ANSWERS)}", code=2)
    if key:
        send = tx.outbox.get(key)
        if send is None or send.status != UNKNOWN:
            raise Refusal(
                "this message is not in doubt" if send else "there is no message of this key",
                where=key,
                why=f"it is {send.status}" if send else "",
                hint="aftersale resolve   lists those that are",
            )
        sends = [send]
    else:
        sends = in_doubt(tx, journey=journey)
    return sum(
        tx.outbox.move(
            send.key,
            _STATUS[answer],
            now,
            reason=RESOLVED,
            repeated=int(answer == AGAIN),
        )
        for send in sends
    )
