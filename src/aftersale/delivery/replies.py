"""What does an answer of a mail server mean for a message?

By the step at which it came, its code (RFC 5321, section 4.2) and its enhanced code (RFC 3463).
Until the end of the message was said, nothing went out, and it can be tried again. After that, no
answer means that nobody knows.
"""

import re

import msgspec

from aftersale.delivery.channel import Result
from aftersale.delivery.ports import FAILED, QUEUED, SENT, UNKNOWN
from aftersale.delivery.reasons import (
    CONNECTION_LOST,
    LATER,
    MAILBOX_FULL,
    NO_ANSWER,
    NO_LOGIN,
    NO_RECIPIENT,
    NO_SENDER,
    NO_TLS,
    POLICY,
    REFUSED,
    UNREACHABLE,
)

CONNECT, SECURE, LOGIN, SENDER, RECIPIENT, BODY, END = STEPS = (
    "connect",
    "secure",
    "login",
    "sender",
    "recipient",
    "body",
    "end",
)
"""Of a conversation, in order. `body`: from DATA up to the end of the message; `end`: after it."""

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?!\S)")
_IDS = (
    re.compile(r"queued as ([\w.+=/-]{1,100})", re.IGNORECASE),
    re.compile(r"\bid[= ]<?([\w.+=/-]{1,100})", re.IGNORECASE),
    re.compile(r"^(?:ok[:,]? )?([\w.+=/-]{16,100})$", re.IGNORECASE),
)
_NO_MAILBOX = {"550", "551", "553"}


class Reply(msgspec.Struct, frozen=True, gc=False):
    """What was answered at a step."""

    step: str
    code: int
    """0: nothing was answered, for the connection broke or it took too long."""
    text: str = ""
    """The server's words; where nothing was answered, our own for why, which may be kept."""
    open_door: bool = True
    """Whether we logged in, or the server asks nobody to."""

    @property
    def enhanced(self) -> str:
        """The enhanced code, as 5.1.1; empty where there is none of the same class."""
        found = _ENHANCED.match(self.text)
        return found[1] if found and found[1][0] == str(self.code)[:1] else ""

    @property
    def codes(self) -> str:
        """Both codes, as they are kept; the words of a server may name a person."""
        return f"{self.code} {self.enhanced}".rstrip() if self.code else ""


def result_of(reply: Reply) -> Result:
    """What follows for the message, or for the whole channel."""
    if reply.step in _WHOLE_STEPS:
        return _whole(_WHOLE_STEPS[reply.step], reply)
    if reply.step == END and not 400 <= reply.code < 600:
        if 200 <= reply.code < 300:
            return Result(SENT, provider_id=queue_id(reply))
        return Result(UNKNOWN, reason=NO_ANSWER)
    if reply.code == 0:
        return Result(QUEUED, reason=CONNECTION_LOST)
    if not 500 <= reply.code < 600:
        return Result(QUEUED, reason=f"{LATER}: {reply.codes}")
    if reply.code == 530 or (not reply.open_door and "relay" in reply.text.lower()):
        return _whole(NO_LOGIN, reply)
    if reply.step == SENDER and reply.code != 552:
        return _whole(NO_SENDER, reply)
    return Result(FAILED, reason=f"{_refusal(reply)}: {reply.codes}")


_WHOLE_STEPS = {CONNECT: UNREACHABLE, SECURE: NO_TLS, LOGIN: NO_LOGIN}


def _whole(reason: str, reply: Reply) -> Result:
    detail = reply.codes if reply.code else reply.text
    return Result(QUEUED, reason=f"{reason}: {detail}".removesuffix(": "), tried=False, whole=True)


def _refusal(reply: Reply) -> str:
    """Why a message was refused for good: the person, the mailbox, a rule, or something else."""
    match reply.enhanced.split(".")[:2]:
        case [_, "1"]:
            return NO_RECIPIENT
        case [_, "2"]:
            return MAILBOX_FULL if reply.enhanced != "5.2.3" else REFUSED  # 5.2.3: too long
        case [_, "7"]:
            return POLICY
        case [_, _]:
            return REFUSED
        case _:
            pass
    if reply.step == RECIPIENT:
        if str(reply.code) in _NO_MAILBOX:
            return NO_RECIPIENT
        return MAILBOX_FULL if reply.code == 552 else REFUSED
    return POLICY if reply.code == 550 else REFUSED


def queue_id(reply: Reply) -> str:
    """Under which name the server keeps the message, where it says so in a known way."""
    text = reply.text.removeprefix(reply.enhanced).strip()
    for pattern in _IDS:
        found = pattern.search(text)
        if found:
            return found[1].rstrip(".")
    return ""
