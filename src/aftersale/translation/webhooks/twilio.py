"""What do Twilio's callbacks on messages say, and messages that come in?

docs: twilio.com/docs/messaging/guides/track-outbound-message-status. Forms; no order is promised.
"""

from collections.abc import Iterator

from aftersale.kernel.instants import Instant
from aftersale.translation.foreign import Tree, compact_moment, first, text
from aftersale.translation.happening import Delivery, Happening, Part, Passed
from aftersale.translation.keywords import HELP, START, STOP, keyword

_PLAIN = {
    "sent": "message.sent",
    "delivered": "message.delivered",
    "partially_delivered": "message.delivered",
    "read": "message.opened",
    "undelivered": "message.bounced",
    "failed": "message.bounced",
    "canceled": "message.failed",
}
_BEFORE = {"accepted", "scheduled", "queued", "sending", "receiving"}
_OPTED_OUT = {"21610"}
_NO_NUMBER = {"21211", "21214", "21217", "21408", "21612", "21614", "30005", "30006", "63024"}
"""No such number, or one that takes no text messages."""
_FILTERED = {"30007", "30034", "30032", "63018", "21611", "30022"}
"""The carrier's or the provider's rules."""
_OPT_OUT = {"STOP": STOP, "START": START, "HELP": HELP}


def translate(delivery: Delivery) -> Iterator[Part]:
    """The status of a message, or a message with what it asks for."""
    found = delivery.content()
    form = found if isinstance(found, dict) else {}
    status = first(form, "MessageStatus", "SmsStatus").lower()
    message = first(form, "MessageSid", "SmsSid", "SmsMessageSid")
    if not message:
        yield Passed("missing", "MessageSid")
    elif "Body" in form and status in {"", "received"}:
        yield from _letter(form, message)
    elif status in _BEFORE:
        yield Passed("not-yet", status)
    else:
        yield _status(form, status, message)


def _status(form: Tree, status: str, message: str) -> Part:
    kind, error = _PLAIN.get(status, ""), text(form, "ErrorCode")
    if not kind:
        return Passed("unknown", status)
    bounce = status if kind == "message.failed" else ""
    if kind == "message.bounced":
        bounce = "hard" if error in _NO_NUMBER else "soft"
        if error in _OPTED_OUT:
            kind, bounce = "message.unsubscribed", ""
        elif error in _FILTERED:
            kind, bounce = "message.failed", "filtered"
    data = {"message": message, "channel": _channel(form, "To"), "kind": bounce, "detail": error}
    return Happening(kind, _at(form), _who(form, "To"), data, f"{message}:{status}")


def _letter(form: Tree, message: str) -> Iterator[Part]:
    said = _OPT_OUT.get(text(form, "OptOutType").upper()) or keyword(text(form, "Body"))
    who, channel = _who(form, "From"), _channel(form, "From")
    if not who:
        yield Passed("missing", "From")
        return
    data = {"message": message, "channel": channel, "kind": said, "text": text(form, "Body")}
    yield Happening("message.received", None, who, data, message)
    word = {STOP: "consent.withdrawn", START: "consent.given"}.get(said)
    if word:
        basis = "opt-in" if said == START else "reply"
        yield Happening(word, None, who, {"channel": channel, "basis": basis}, message)


def _who(form: Tree, field: str) -> dict[str, str]:
    number = text(form, field).rpartition(":")[2]
    return {"phone": number} if number else {}


def _channel(form: Tree, field: str) -> str:
    before, colon, _ = text(form, field).partition(":")
    return before if colon else "sms"


def _at(form: Tree) -> Instant | None:
    return compact_moment(text(form, "RawDlrDoneDate"))
