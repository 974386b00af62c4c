"""What exactly does this customer get to read?

A function of the template, the facts and the envelope, so the same message can be made again.
The Message-ID is made from the key, so a message that leaves twice is recognised as one. Header
fields: RFC 5322; List-Unsubscribe: RFC 2369 and RFC 8058. `Date` belongs to the channel.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from liquid import Markup

from aftersale.kernel.errors import Refusal
from aftersale.kernel.ids import digest16
from aftersale.messages.bounded import fill
from aftersale.messages.facts import clean, clean_text, is_web_address
from aftersale.messages.reading import Reading, read
from aftersale.messages.template import Template
from aftersale.messages.wording import direction

TRANSACTIONAL = "transactional"
"""The one purpose that needs no way out: the customer asked for this by ordering."""

EMAIL = "email"
_LONGEST_SUBJECT = 250
_ADDRESS = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+@[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_SPACES = re.compile(r"\s+")
_SCHEMES = ("http://", "https://", "mailto:", "tel:", "cid:", "#")


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """From whom, to whom, and what goes on the outside."""

    key: str
    """Of the send, unique for ever."""
    sender_name: str
    sender_address: str
    to: str
    message_id_domain: str
    purpose: str
    reply_to: str = ""
    unsubscribe_url: str = ""
    """Needed for everything that is not transactional."""
    preferences_url: str = ""
    channel: str = EMAIL
    locale: str = ""
    shop: str = ""


class Message(msgspec.Struct, frozen=True, gc=False):
    """What goes out, complete but for its date."""

    key: str
    to: str
    subject: str
    html: str
    text: str
    headers: dict[str, str]
    """For e-mail in the order of the mail; values are str, not yet encoded for the wire."""


def compose(template: Template, *, facts: Mapping[str, Any], envelope: Envelope) -> Message:
    """The message; a template that cannot be filled in, or an unsafe address, is refused."""
    optional = envelope.purpose != TRANSACTIONAL
    if optional and not is_web_address(envelope.unsubscribe_url):
        raise Refusal(
            f"a message for {envelope.purpose or 'no purpose'} needs an unsubscribe address",
            where=template.file,
            hint="set the public address of this installation",
        )
    known = _with_links(clean(facts), envelope, optional=optional)
    about: dict[str, Any] = {
        "purpose": envelope.purpose,
        "locale": template.locale,
        "direction": direction(template.locale),
    }
    known["message"] = about
    subject = _one_line(fill(template.subject, known), _LONGEST_SUBJECT)
    if not subject:
        raise Refusal("the subject came out empty", where=template.file)
    preheader = _one_line(fill(template.preheader, known), 2_000) if template.preheader else ""
    about |= {"subject": subject} | ({"preheader": preheader} if preheader else {})
    html = _page(template, known, Markup(fill(template.body, known)))
    reading = read(html)
    _check_addresses(template, reading, envelope.unsubscribe_url if optional else "")
    if template.text is None:
        text = reading.text
    else:
        own = Markup("<pre>{}</pre>").format(fill(template.text, known))
        text = read(_page(template, known, own)).text
    return Message(
        envelope.key, envelope.to, subject, html, text, _headers(envelope, subject, optional)
    )


def _with_links(facts: dict[str, Any], envelope: Envelope, *, optional: bool) -> dict[str, Any]:
    given = facts.get("links")
    links = dict(given) if isinstance(given, dict) else {}
    links |= {
        "unsubscribe": envelope.unsubscribe_url if optional else "",
        "preferences": envelope.preferences_url,
    }
    return {**facts, **clean({"links": links})}


def _page(template: Template, known: dict[str, Any], body: Markup) -> str:
    if template.layout is None:
        return f"<!doctype html>\n{body}"
    message = {**known["message"], "body": body}
    return fill(template.layout, {**known, "message": message})


def _check_addresses(template: Template, reading: Reading, unsubscribe: str) -> None:
    for address in reading.addresses:
        if address and not address.strip().lower().startswith(_SCHEMES):
            raise Refusal(
                f"the template {template.file} points to {address[:80]!r}",
                where=template.file,
                why="a mail can only point to a complete address",
                hint="begin it with https://",
            )
    if unsubscribe and unsubscribe not in reading.addresses:
        raise Refusal(
            f"the template {template.file} shows no unsubscribe link",
            where=template.file,
            hint='put <a href="{{ links.unsubscribe }}"> into templates/layout.liquid',
        )


def _one_line(text: str, longest: int) -> str:
    line = _SPACES.sub(" ", clean_text(text)).strip()
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _address(what: str, address: str) -> str:
    if not _ADDRESS.fullmatch(address) or not address.isprintable():
        raise Refusal(f"{address!r} is no e-mail address", where=what)
    return address


def _mailbox(name: str, address: str) -> str:
    """`"Name" <address>`; the name in quotes, where commas and brackets are harmless."""
    name = _one_line(name, 200)
    if not name:
        return address
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{address}>'


def _headers(envelope: Envelope, subject: str, optional: bool) -> dict[str, str]:  # noqa: FBT001
    key = quote(envelope.key, safe=":-_./~@+=")
    if envelope.channel != EMAIL:
        return {"X-Aftersale-Key": key}
    if not _DOMAIN.fullmatch(envelope.message_id_domain):
        raise Refusal(f"{envelope.message_id_domain!r} is no domain", where="message_id_domain")
    headers = {
        "From": _mailbox(envelope.sender_name, _address("sender_address", envelope.sender_address)),
        "To": _address("to", envelope.to),
    }
    if envelope.reply_to:
        headers["Reply-To"] = _address("reply_to", envelope.reply_to)
    headers["Subject"] = subject
    name = digest16("message-id", envelope.key).hex()
    headers["Message-ID"] = f"<{name}@{envelope.message_id_domain}>"
    if optional:
        headers["List-Unsubscribe"] = f"<{quote(envelope.unsubscribe_url, safe=_URL_SAFE)}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    headers["X-Aftersale-Key"] = key
    return headers


_URL_SAFE = ":/?#[]@!$&'()*+;=-._~%"
"""The comma is missing on purpose: in List-Unsubscribe it separates addresses."""
