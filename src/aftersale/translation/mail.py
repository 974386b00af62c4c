"""How is what mail providers say of messages put into our events?

Every provider ends in the same few words, so that sends, suppression and profiles heed them all
alike. Whose fault a return is decides: only an address that does not take mail is blocked.
"""

import re
from collections.abc import Mapping
from typing import Any

from aftersale.kernel.instants import Instant
from aftersale.translation.foreign import address, text
from aftersale.translation.happening import Happening, Passed

HARD, SOFT = "hard", "soft"

_KEYS = ("aftersale_key", "aftersale-key", "x-aftersale-key", "aftersalekey")
_STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_LONGEST = 500


def receipt(
    kind: str,
    at: Instant | None,
    email: str,
    names: tuple[str, ...],
    /,
    **told: Any,
) -> Happening | Passed:
    """One word on one message to one address.

    `names`, the surest first: our key, the Message-ID, the provider's id. `told`: `id`, the
    sender's own id of the event; `bounce`, hard or soft; `kind`; `detail` and `link` in the
    sender's words.
    """
    known = tuple(dict.fromkeys(bare(name) for name in names if name))
    to = address(email) or email
    if not known and not to:
        return Passed("missing", "neither a message nor a recipient")
    data = {
        "message": known[0] if known else "",
        "kind": told.get("bounce") or told.get("kind", ""),
        "detail": str(told.get("detail", ""))[:_LONGEST],
        "link": str(told.get("link", ""))[: 4 * _LONGEST],
    }
    return Happening(kind, at, {"email": to}, data, str(told.get("id", "")), known[1:])


def resubscribed(at: Instant | None, email: str, event_id: str = "") -> Happening | Passed:
    """The person took an unsubscription back at the provider."""
    if not email:
        return Passed("missing", "no recipient")
    return Happening("consent.given", at, {"email": email}, {"basis": "opt-in"}, event_id)


def letter(
    at: Instant | None, sender: str, message: str, *, subject: str = "", body: str = ""
) -> Happening | Passed:
    """A mail that a customer wrote to the shop."""
    email = address(sender)
    if not email:
        return Passed("missing", "no sender")
    data = {
        "message": bare(message),
        "subject": subject[:_LONGEST],
        "text": body[: 40 * _LONGEST],
    }
    return Happening("message.received", at, {"email": email}, data, names=())


def bare(name: str) -> str:
    """A Message-ID without what stands around it."""
    return name.strip().strip("<>").strip()[:_LONGEST]


def our_key(*told: Mapping[str, Any]) -> str:
    """The key of our send, where one of these objects carries it."""
    for fields in told:
        for name in fields:
            if name.lower() in _KEYS and (key := text(fields, name)):
                return key
    return ""


def blame(detail: str, *, hard: bool) -> str:
    """Whether the address is to blame, by the enhanced status in a server's words (RFC 3463).

    A full mailbox and a rule of the server are not the address's fault, whatever the provider
    calls them; without a status its word counts.
    """
    found = _STATUS.search(detail)
    if found is None:
        return HARD if hard else SOFT
    kind, subject, what = found.groups()
    if kind != "5" or (subject, what) == ("2", "2") or subject in {"3", "4", "7"}:
        return SOFT
    if subject == "1" or (subject, what) == ("2", "1"):
        return HARD
    return HARD if hard else SOFT
