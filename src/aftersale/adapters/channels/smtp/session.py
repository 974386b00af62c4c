"""How does one connection to a mail server live?

Every step is kept apart, for what a broken connection means hangs on how far the conversation
had come: before the end of the message nothing was sent, after it nobody knows.
"""

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator

from aftersale.adapters.channels.smtp.mail import Address
from aftersale.adapters.channels.smtp.server import FROM_THE_START, STARTTLS, MailServer
from aftersale.delivery.replies import (
    BODY,
    CONNECT,
    END,
    LOGIN,
    RECIPIENT,
    SECURE,
    SENDER,
    Reply,
)

MOST_MESSAGES = 100
"""After so many messages a connection is left in peace; servers end longer ones themselves."""

_BROKEN = (OSError, smtplib.SMTPServerDisconnected)
_LONGEST_WORDS = 120


class Refused(Exception):
    """The server did not come as far as taking messages."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.step)
        self.reply = reply


class Session:
    """One connection, ready to take messages until it is not `alive`."""

    def __init__(self, server: MailServer, *, timeout: float, patience: float) -> None:
        """Connect, make it safe, log in; else Refused. Seconds for an answer, and after the end."""
        self._timeout = timeout
        self._patience = patience
        self.alive = True
        self.taken = 0
        """Messages for which it served so far."""
        self._smtp = self._connected(server)
        try:
            self._secured(server)
            self._open_door = self._logged_in(server)
        except BaseException:
            self.close()
            raise

    @property
    def unicode(self) -> bool:
        """Whether the server knows addresses with letters outside ASCII."""
        return self._smtp.has_extn("smtputf8")

    def deliver(self, sender: str, to: Address, mail: bytes) -> Reply:
        """Hand one message over: the answer that decided, and the step at which it came."""
        smtp = self._smtp
        self.taken += 1
        options = f" SIZE={len(mail)}" if smtp.has_extn("size") else ""
        if to.unicode:
            options += " SMTPUTF8 BODY=8BITMIME"
        smtp.command_encoding = "utf-8" if to.unicode else "ascii"
        steps: tuple[tuple[str, Callable[[], tuple[int, bytes]], int], ...] = (
            # Not `mail` and `rcpt`, which read each address anew: these are bare, and checked.
            (SENDER, lambda: smtp.docmd("MAIL", f"FROM:<{sender}>{options}"), 250),
            (RECIPIENT, lambda: smtp.docmd("RCPT", f"TO:<{to.text}>"), 250),
            (BODY, lambda: smtp.docmd("DATA"), 354),
        )
        for step, say, wanted in steps:
            reply = self._answer(step, say)
            if reply.code != wanted and not (step == RECIPIENT and reply.code == 251):
                return self._after(reply)
        if not self._say_body(mail):
            return self._after(Reply(BODY, 0))
        return self._after(self._answer(END, self._wait_for_the_end))

    def rest(self) -> None:
        """Make the connection ready for another message."""
        if self.alive and self.taken >= MOST_MESSAGES:
            self.close()

    def close(self) -> None:
        """Say good-bye where somebody still listens."""
        if self.alive:
            self.alive = False
            with contextlib.suppress(*_BROKEN, smtplib.SMTPException):
                if self._smtp.sock is not None:
                    self._smtp.sock.settimeout(min(self._timeout, 2.0))
                self._smtp.quit()
        self._smtp.close()

    def _connected(self, server: MailServer) -> smtplib.SMTP:
        # The name is set below: asking the system for a full one can take seconds.
        name, timeout = "localhost", self._timeout
        with _refusing(CONNECT):
            smtp: smtplib.SMTP
            if server.security == FROM_THE_START:
                smtp = smtplib.SMTP_SSL(
                    server.host, server.port, name, timeout=timeout, context=server.context()
                )
            else:
                smtp = smtplib.SMTP(server.host, server.port, name, timeout)
        assert isinstance(smtp.sock, socket.socket)
        smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        smtp.local_hostname = server.name or _own_name(smtp.sock)
        return smtp

    def _secured(self, server: MailServer) -> None:
        smtp = self._smtp
        self._hello()
        if server.security != STARTTLS:
            return
        if not smtp.has_extn("starttls"):
            raise Refused(Reply(SECURE, 0, "the server offers no STARTTLS"))
        with _refusing(SECURE):
            code, text = smtp.starttls(context=server.context())
        if code != 220:
            raise Refused(Reply(SECURE, code, _words(text)))
        self._hello()

    def _hello(self) -> None:
        with _refusing(CONNECT):
            code, text = self._smtp.ehlo()
            if not 200 <= code < 300:
                code, text = self._smtp.helo()
        if not 200 <= code < 300:
            raise Refused(Reply(CONNECT, code, _words(text)))

    def _logged_in(self, server: MailServer) -> bool:
        """Whether the door is open: we logged in, or nobody is asked to."""
        if not server.user:
            return not self._smtp.has_extn("auth")
        with _refusing(LOGIN):
            self._smtp.login(server.user, server.password)
        return True

    def _answer(self, step: str, say: Callable[[], tuple[int, bytes]]) -> Reply:
        try:
            code, text = say()
        except _BROKEN:
            return Reply(step, 0)
        # A negative code: something was answered that is no answer.
        return Reply(step, max(code, 0), _words(text), open_door=self._open_door)

    def _say_body(self, mail: bytes) -> bool:
        """Say the message and its end; False where not all of it could be said.

        The end is in the last piece: while that is not said, the server has no complete message.
        """
        dotted = mail.replace(b"\r\n.", b"\r\n..")
        if dotted.startswith(b"."):
            dotted = b"." + dotted
        try:
            self._smtp.send(dotted + (b".\r\n" if dotted.endswith(b"\r\n") else b"\r\n.\r\n"))
        except _BROKEN:
            return False
        return True

    def _wait_for_the_end(self) -> tuple[int, bytes]:
        assert self._smtp.sock is not None
        self._smtp.sock.settimeout(self._patience)
        answer = self._smtp.getreply()
        if self._smtp.sock is not None:
            self._smtp.sock.settimeout(self._timeout)
        return answer

    def _after(self, reply: Reply) -> Reply:
        """Leave the connection as the next message needs it."""
        if reply.code in {0, 421}:
            self.alive = False
            self._smtp.close()
        elif not (reply.step == END and reply.code < 300):
            again = self._answer(reply.step, self._smtp.rset)
            if again.code != 250:
                self.alive = False
                self._smtp.close()
        return reply


@contextlib.contextmanager
def _refusing(step: str) -> Iterator[None]:
    """Turn what goes wrong inside the block into Refused at that step."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise Refused(Reply(step, max(error.smtp_code, 0), _words(error.smtp_error))) from error
    except smtplib.SMTPNotSupportedError as error:
        raise Refused(Reply(step, 0, "the server offers no way to log in")) from error
    except ssl.SSLError as error:
        raise Refused(Reply(SECURE, 0, _why(error))) from error
    except (OSError, smtplib.SMTPException) as error:
        raise Refused(Reply(step, 0, _why(error))) from error


def _why(error: Exception) -> str:
    """The system's words for a fault; they name no person and no secret."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate was not accepted, {error.verify_message}"[:_LONGEST_WORDS]
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "the connection was closed"
    words = str(getattr(error, "strerror", "") or getattr(error, "reason", "") or "")
    return (words or type(error).__name__).lower()[:_LONGEST_WORDS]


def _words(text: bytes | str) -> str:
    """The answer's words as text; only codes and a queue id are ever taken from them."""
    return text if isinstance(text, str) else text.decode("ascii", "replace")


def _own_name(sock: socket.socket) -> str:
    """Our end of the connection as an address literal (RFC 5321, section 4.1.3)."""
    address = str(sock.getsockname()[0])
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
