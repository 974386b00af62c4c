"""Why is a send where it is?

A closed list beside the reasons of gates: those of messages that were held back at the claim are
in `gates/verdict.py`. After a colon some carry the answer of the server: `refused: 554 5.6.0`.
Only codes are kept, for the words of a server may name a person.
"""

import msgspec

from aftersale.delivery.ports import CLAIMED, FAILED, QUEUED, SENT, UNKNOWN
from aftersale.turn.words import reason_words

# queued, and why it waits
LATER = "later"
CONNECTION_LOST = "connection-lost"
PACE = "pace"
STOPPING = "stopping"
UNREACHABLE = "unreachable"
NO_LOGIN = "no-login"
NO_TLS = "no-tls"
NO_SENDER = "no-sender"
NEVER_WENT_OUT = "never-went-out"
REPEATED = "repeated"
# claimed
BY_MAILBOX = "mailbox"
BY_SMTP = "smtp"
# sent
RECEIPT = "receipt"
# failed
NO_RECIPIENT = "no-recipient"
MAILBOX_FULL = "mailbox-full"
POLICY = "policy"
REFUSED = "refused"
NO_UNICODE = "no-unicode"
BOUNCED = "bounced"
GAVE_UP = "gave-up"
RAN_OUT = "ran-out"
# unknown
NO_ANSWER = "no-answer"
CRASH = "crash"
RESTORED = "restored"
# by a person
RESOLVED = "resolved"


class SendReason(msgspec.Struct, frozen=True, gc=False):
    """One word of the closed list, as people read it."""

    statuses: tuple[str, ...]
    text: str


SEND_REASONS: dict[str, SendReason] = {
    LATER: SendReason((QUEUED,), "the server asked for another try later"),
    CONNECTION_LOST: SendReason(
        (QUEUED,), "the connection broke before the message was handed over"
    ),
    PACE: SendReason((QUEUED,), "the rate that is allowed was reached"),
    STOPPING: SendReason((QUEUED,), "the worker ended before it came to this one"),
    UNREACHABLE: SendReason((QUEUED,), "the server cannot be reached"),
    NO_LOGIN: SendReason((QUEUED,), "the server does not let us in with this user and password"),
    NO_TLS: SendReason((QUEUED,), "no safe connection could be made to the server"),
    NO_SENDER: SendReason((QUEUED,), "the server does not take mail from this sender"),
    NEVER_WENT_OUT: SendReason((QUEUED,), "the channel knows that it never went out"),
    REPEATED: SendReason((QUEUED,), "nobody knew whether it had gone out, and it is sent again"),
    BY_MAILBOX: SendReason((CLAIMED,), "the mailbox is catching it"),
    BY_SMTP: SendReason((CLAIMED,), "it is being handed to the mail server"),
    RECEIPT: SendReason((SENT,), "an event told that it had gone out"),
    NO_RECIPIENT: SendReason((FAILED,), "the server knows no such recipient"),
    MAILBOX_FULL: SendReason((FAILED,), "the recipient's mailbox takes nothing"),
    POLICY: SendReason((FAILED,), "the server's rules forbid it"),
    REFUSED: SendReason((FAILED,), "the server refused it"),
    NO_UNICODE: SendReason((FAILED,), "the server cannot write to an address with such letters"),
    BOUNCED: SendReason((FAILED,), "it came back"),
    GAVE_UP: SendReason((FAILED,), "it was tried as often as is allowed"),
    RAN_OUT: SendReason((FAILED, "dropped"), "it was no longer useful before a try succeeded"),
    NO_ANSWER: SendReason((UNKNOWN,), "the connection broke after all was said, without an answer"),
    CRASH: SendReason((UNKNOWN,), "the program ended in the middle of sending"),
    RESTORED: SendReason((UNKNOWN,), "it may have gone out after the backup that was restored"),
    RESOLVED: SendReason((SENT, FAILED, QUEUED), "a person said so"),
}


def send_words(reason: str) -> str:
    """The words of a send's reason, with the answer of the server in brackets."""
    code, colon, detail = reason.partition(": ")
    known = SEND_REASONS.get(code)
    text = known.text if known else reason_words(code)
    return f"{text} ({detail})" if colon else text
