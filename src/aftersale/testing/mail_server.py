"""How does a mail server behave on a bad day?

A real SMTP server in a thread of this process (aiosmtpd, of the development requirements), whose
answers are scripted. It keeps what it took and counts every Message-ID that arrived whole, also
of messages that it refused or of which it broke the connection: so a test can compare its log
with the store.
"""

import asyncio
import email
import email.policy
import re
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

import msgspec
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^>]*>)", re.IGNORECASE | re.MULTILINE)
TAKEN = "250 2.0.0 Ok: queued as {number}"


class Answer(msgspec.Struct, frozen=True):
    """What the server does at one step."""

    text: str = TAKEN
    """The answer; `{number}` is the number of the message."""
    wait: float = 0.0
    """Seconds before it."""
    hang_up: bool = False
    """Break the connection instead of answering."""
    taken: bool | None = None
    """Of a message's end: whether it is kept as delivered; None: where the answer says so."""


class Letter(msgspec.Struct, frozen=True):
    """A message that arrived whole."""

    sender: str
    recipient: str
    content: bytes
    connection: int
    """Counted from 1."""

    @property
    def mail(self) -> EmailMessage:
        """Its headers and parts."""
        found = email.message_from_bytes(self.content, policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        return found

    @property
    def message_id(self) -> str:
        """As it stands in the mail; empty where there is none."""
        found = _MESSAGE_ID.search(self.content)
        return found[1].decode("ascii", "replace") if found else ""


Recipient = Callable[[str], Answer]
End = Callable[[Letter], Answer]


class ScriptedMailServer:
    """Listens on a free port of this machine while the `with` block runs."""

    def __init__(
        self,
        *,
        recipient: Recipient = lambda address: Answer("250 2.1.5 Ok"),
        end: End = lambda letter: Answer(),
        users: dict[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        from_the_start: bool = False,
        unicode: bool = True,
        idle_seconds: float = 60.0,
    ) -> None:
        """`users`: who may log in, and who does not gets nothing; `tls`: offer STARTTLS with it."""
        self.recipient = recipient
        self.end = end
        self.delivered: list[Letter] = []
        self.arrived: Counter[str] = Counter()
        """How often each Message-ID arrived whole, delivered or not."""
        self.senders: list[str] = []
        self.connections = 0
        self.port = 0
        self.users = users
        self._tls = tls
        self._from_the_start = from_the_start
        self._unicode = unicode
        self._idle_seconds = idle_seconds
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mail-server")
        self._open: set[asyncio.BaseTransport] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Its address as a setting, without a user."""
        return f"smtp://127.0.0.1:{self.port}?tls=none"

    @property
    def copies(self) -> Counter[str]:
        """How often each Message-ID was delivered."""
        return Counter(letter.message_id for letter in self.delivered)

    def __enter__(self) -> Self:
        self._thread.start()
        self.listen()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run(self._go_away())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def listen(self) -> None:
        """Take connections, again on the same port after `go_away`."""
        self._run(self._listen())

    def go_away(self) -> None:
        """Break every connection and take no new one."""
        self._run(self._go_away())

    def hang_up(self) -> None:
        """Close every connection, as servers do with idle ones."""
        self._run(self._hang_up())

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(
            self._protocol,
            "127.0.0.1",
            self.port,
            ssl=self._tls if self._from_the_start else None,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _go_away(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._hang_up()
            await self._server.wait_closed()
            self._server = None

    async def _hang_up(self) -> None:
        for transport in list(self._open):
            transport.close()
        await asyncio.sleep(0.01)  # until the other end has been told

    def _protocol(self) -> SMTP:
        offered = None if self._from_the_start else self._tls
        return _Protocol(
            self,
            _Handler(self),
            hostname="mail.example",
            enable_SMTPUTF8=self._unicode,
            timeout=self._idle_seconds,
            tls_context=offered,
            require_starttls=offered is not None,
            auth_require_tls=self._tls is not None,
            auth_exclude_mechanism=() if self.users is not None else ("LOGIN", "PLAIN"),
            authenticator=self._knows,
            loop=self._loop,
        )

    def _knows(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        known = self.users or {}
        right = isinstance(data, LoginPassword) and (
            known.get(data.login.decode()) == data.password.decode()
        )
        return AuthResult(success=right, handled=False)

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


class _Protocol(SMTP):
    """One connection, known to its server."""

    def __init__(self, owner: ScriptedMailServer, handler: object, **settings: Any) -> None:
        self.owner = owner
        self.number = 0
        super().__init__(handler, **settings)
        # As an argument it warns where there is no TLS; that is what a test may want to see.
        self._auth_required = owner.users is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self.number:
            self.owner.connections += 1
            self.number = self.owner.connections
        self.owner._open.add(transport)  # noqa: SLF001 - one thing in two classes
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.owner._open.difference_update(  # noqa: SLF001
            [one for one in self.owner._open if one.is_closing()]  # noqa: SLF001
        )
        super().connection_lost(error)


class _Handler:
    """Asks the script at each step."""

    def __init__(self, owner: ScriptedMailServer) -> None:
        self._owner = owner

    async def handle_RCPT(  # noqa: N802 - aiosmtpd finds it by this name
        self,
        server: _Protocol,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        answer = self._owner.recipient(address)
        if answer.text.startswith("2"):
            envelope.rcpt_tos.append(address)
        return await _said(server, answer)

    async def handle_DATA(  # noqa: N802 - aiosmtpd finds it by this name
        self, server: _Protocol, session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        letter = Letter(
            str(envelope.mail_from), envelope.rcpt_tos[0], envelope.content, server.number
        )
        owner = self._owner
        owner.arrived[letter.message_id] += 1
        owner.senders.append(letter.sender)
        answer = owner.end(letter)
        if answer.taken if answer.taken is not None else answer.text.startswith("2"):
            owner.delivered.append(letter)
        return await _said(server, answer, number=len(owner.delivered))


async def _said(server: _Protocol, answer: Answer, *, number: int = 0) -> str:
    if answer.wait:
        await asyncio.sleep(answer.wait)
    if answer.hang_up and server.transport is not None:
        server.transport.close()
        raise asyncio.CancelledError  # the connection's task ends, and nothing is said
    return answer.text.replace("{number}", f"{number:06d}")
