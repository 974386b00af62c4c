"""How does a message look on the wire (RFC 5322, RFC 2045 to 2049)?

Written line by line with the pieces of the standard library's `email`: its newer classes encode
long links in List-Unsubscribe, which no mail program then understands, and take four times as
long. The boundary is made from the key, so the same message is the same bytes.
"""

import binascii
from email.header import Header
from email.utils import formataddr, formatdate, parseaddr
from functools import lru_cache

import msgspec

from aftersale.kernel.ids import digest16
from aftersale.kernel.instants import SECOND, Instant
from aftersale.messages.compose import Message

_FOLDED = frozenset({"Subject"})
_MAILBOXES = frozenset({"From", "Reply-To"})
_LONGEST_LINE = 998  # RFC 5322, section 2.1.1
_FOLDED_FROM = 76
"""What is longer, with its name, is folded; RFC 5322 asks for lines of no more than 78."""


class Address(msgspec.Struct, frozen=True):
    """An address as a server is told it."""

    text: str
    unicode: bool = False
    """Whether the server must know SMTPUTF8 (RFC 6531)."""

    @property
    def domain(self) -> str:
        """What stands behind the @."""
        return self.text.rpartition("@")[2].lower()


def address_of(address: str) -> Address | None:
    """The address with its domain in ASCII (RFC 3490); None where there is no such domain."""
    local, _, domain = address.rpartition("@")
    try:
        name = domain.encode("idna").decode("ascii") if not domain.isascii() else domain
    except UnicodeError:
        return None
    return Address(f"{local}@{name}", unicode=not local.isascii())


def sender_of(message: Message) -> str:
    """The bare address of its From."""
    return _mailbox(message.headers["From"])[0]


def mail_bytes(message: Message, to: Address, at: Instant) -> bytes:
    """The whole mail, dots at the beginning of lines not yet doubled."""
    boundary = f"=_{digest16('boundary', message.key).hex()}"
    lines = [f"Date: {formatdate(at // SECOND)}"]
    lines += [_line(name, value, to) for name, value in message.headers.items()]
    lines += [
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{boundary}"',
        "",
    ]
    head = "\r\n".join(lines).encode("utf-8")
    rim = f"\r\n--{boundary}".encode()
    plain, html = _part("plain", message.text), _part("html", message.html)
    return b"".join((head, rim, plain, rim, html, rim, b"--\r\n"))


def _line(name: str, value: str, to: Address) -> str:
    length = len(name) + len(value) + 2
    if name == "To":
        value = to.text
    elif name in _MAILBOXES:
        value = _mailbox(value)[1]
    elif not value.isascii() or length > (_FOLDED_FROM if name in _FOLDED else _LONGEST_LINE):
        value = Header(value, header_name=name).encode(linesep="\r\n")
    return f"{name}: {value}"


@lru_cache(maxsize=64)
def _mailbox(value: str) -> tuple[str, str]:
    """The bare address of a mailbox, and the mailbox in ASCII; a shop has few, and many mails."""
    shown, address = parseaddr(value)
    ascii_address = address_of(address)
    return address, formataddr((shown, ascii_address.text if ascii_address else address))


def _part(kind: str, text: str) -> bytes:
    unix = text.replace("\r\n", "\n").replace("\r", "\n")
    if not unix.endswith("\n"):
        unix += "\n"
    quoted = binascii.b2a_qp(unix.encode("utf-8", "replace"), istext=True)
    head = (
        f'\r\nContent-Type: text/{kind}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
    return head.encode("ascii") + quoted.replace(b"\n", b"\r\n")
