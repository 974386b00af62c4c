"""Which mail server, and how safely is it spoken to?

`smtp://user:password@host:587?tls=starttls`, or `smtps://…` where the connection is safe from its
first byte. The password appears nowhere else: not in words, not in JSON, not in an error.
"""

import ssl
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from aftersale.kernel.errors import Refusal

STARTTLS, FROM_THE_START, NONE = "starttls", "tls", "none"
WHERE = "AFTERSALE_SMTP_URL"
_PORTS = {"smtp": 587, "smtps": 465}
_OWN = frozenset({"localhost", "127.0.0.1", "::1"})
_KNOWN = frozenset({"tls", "ca", "name"})


class MailServer(msgspec.Struct, frozen=True):
    """Where to connect, how, and as whom."""

    host: str
    port: int
    security: str = STARTTLS
    """starttls, tls (from the first byte) or none."""
    user: str = ""
    password: str = ""
    ca: str = ""
    """File of the certificates to trust in place of the system's."""
    name: str = ""
    """What we call ourselves; empty: the address of our end of the connection."""

    def __repr__(self) -> str:
        return f"MailServer({self.where!r})"

    @property
    def where(self) -> str:
        """In words for anybody."""
        words = {STARTTLS: "STARTTLS", FROM_THE_START: "TLS", NONE: "not encrypted"}
        return f"{self.host}:{self.port} ({words[self.security]})"

    def context(self) -> ssl.SSLContext:
        """For a safe connection: the certificate and the name in it are checked."""
        try:
            return ssl.create_default_context(cafile=self.ca or None)
        except (OSError, ssl.SSLError) as error:
            raise _wrong(
                "the file of trusted certificates cannot be read",
                hint="ca= names a file with certificates in PEM form",
            ) from error


def read_server(url: str) -> MailServer:
    """The server of an address; one that cannot be meant is refused without repeating it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _wrong("it is no address of a mail server") from None
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in {"", "/"}:
        raise _wrong("it is no address of a mail server")
    told = dict(parse_qsl(parts.query, keep_blank_values=True))
    if told.keys() - _KNOWN or parts.fragment:
        raise _wrong("something in it is not known", hint="after the ? stand tls=, ca= and name=")
    security = told.get("tls", STARTTLS)
    if parts.scheme == "smtps":
        security = FROM_THE_START
    if security not in {STARTTLS, FROM_THE_START, NONE}:
        raise _wrong("tls is starttls or none", hint="write smtps:// for TLS from the first byte")
    server = MailServer(
        parts.hostname,
        port or _PORTS["smtps" if security == FROM_THE_START else "smtp"],
        security,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        told.get("ca", ""),
        told.get("name", ""),
    )
    if bool(server.user) != bool(server.password):
        raise _wrong("a user and a password belong together")
    if server.user and security == NONE and server.host not in _OWN:
        raise _wrong("a password would cross the network unencrypted", hint="leave out tls=none")
    return server


def _wrong(what: str, *, hint: str = "") -> Refusal:
    return Refusal(
        f"the address of the mail server cannot be used: {what}",
        where=WHERE,
        hint=hint
        or "smtp://user:password@mail.example:587, with @ and / in a password as %40, %2F",
        code=2,
    )
