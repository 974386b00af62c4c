"""How are many messages handed to a mail server, fast and each once?

A few connections are kept and used again by as many threads. A connection that the server closed
while it was idle is opened anew, for nothing had been said; every other fault is a result.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from aftersale.adapters.channels.smtp.mail import Address, address_of, mail_bytes, sender_of
from aftersale.adapters.channels.smtp.server import MailServer
from aftersale.adapters.channels.smtp.session import Refused, Session
from aftersale.adapters.channels.smtp.turnstile import Turnstile
from aftersale.delivery.channel import Outgoing, Result
from aftersale.delivery.pace import pace
from aftersale.delivery.ports import FAILED, QUEUED
from aftersale.delivery.reasons import BY_SMTP, NO_UNICODE, PACE, STOPPING
from aftersale.delivery.replies import SENDER, Reply, result_of
from aftersale.delivery.return_path import check_pattern, return_path
from aftersale.kernel.instants import SECOND, Instant

_A_CONNECTION = 25
"""Messages claimed at a time for each connection: enough to keep it busy."""
_IDLE = 60.0
"""Seconds after which an idle connection is not trusted any more."""


class Limits(msgspec.Struct, frozen=True):
    """How much at a time, and how long to wait."""

    connections: int = 4
    per_second: float = 0.0
    """Messages a second; 0: as many as the server takes."""
    domain_per_second: float = 0.0
    """Messages a second to the addresses of one domain."""
    timeout: float = 30.0
    """Seconds for an answer."""
    patience: float = 120.0
    """Seconds for the answer after a message's end: without it nobody knows what became of it."""


class SmtpChannel:
    """Hands e-mail to one server."""

    name = BY_SMTP

    def __init__(
        self,
        server: MailServer,
        *,
        secret: bytes,
        clock: Callable[[], Instant],
        return_pattern: str = "",
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        """`return_pattern`: an address for each message's return; empty: the sender's own."""
        self._server = server
        self._secret = secret
        self._pattern = check_pattern(return_pattern) if return_pattern else ""
        self._limits = limits
        self._clock = clock
        rates = pace(limits.per_second), pace(limits.domain_per_second)
        self._turnstile = Turnstile(*rates, clock)
        self._lock = threading.Lock()
        self._idle: list[tuple[float, Session]] = []
        self._hurried = False

    @property
    def where(self) -> str:
        """The server, without user and password."""
        return self._server.where

    @property
    def at_once(self) -> int:
        """What the connections, or the rate, need for about a second."""
        most = self._limits.connections * _A_CONNECTION
        rate = self._limits.per_second
        return min(most, max(int(rate), 1)) if rate > 0 else most

    def send(self, messages: Sequence[Outgoing]) -> list[Result]:
        """Hand them over on several connections; one result each, in order."""
        batch = _Batch(len(messages))
        letters = sorted(self._letters(messages, batch), key=lambda row: row[:2])
        batch.left.extend((number, letter) for _, number, letter in letters)
        threads = [
            threading.Thread(target=batch.guarded, args=(self._deliver,), name=f"smtp-{n}")
            for n in range(min(self._limits.connections, len(batch.left)) - 1)
        ]
        for thread in threads:
            thread.start()
        batch.guarded(self._deliver)
        for thread in threads:
            thread.join()
        if batch.left and batch.delivered:
            # A connection that could not be opened gave its message back when the others had
            # already gone home; one of theirs takes it.
            batch.guarded(self._deliver)
        return batch.all()

    def look_up(self, keys: Sequence[str]) -> Mapping[str, Result | None] | None:
        """A mail server cannot be asked."""
        return None

    def hurry(self) -> None:
        """Begin with no further message; those that were begun with get their answers."""
        self._hurried = True

    def close(self) -> None:
        """Say good-bye on every idle connection."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, session in idle:
            session.close()

    def _letters(
        self, messages: Sequence[Outgoing], batch: "_Batch"
    ) -> Iterator[tuple[Instant, int, "_Letter"]]:
        """What can go soon, with its place in time; of the rest the result is known."""
        for number, item in enumerate(messages):
            to = address_of(item.message.to)
            if to is None:
                batch.results[number] = Result(FAILED, reason=NO_UNICODE)
                continue
            at, soon = self._turnstile.place(item.message.key, to.domain)
            if soon:
                yield at, number, _Letter(item, to)
            else:
                batch.results[number] = _put_off(at)

    def _deliver(self, letter: "_Letter") -> Result:
        if self._hurried:
            return Result(QUEUED, reason=STOPPING, tried=False)
        item, to = letter.item, letter.to
        at, soon = self._turnstile.enter(item.message.key, to.domain)
        if not soon:
            return _put_off(at)
        wait = at - self._clock()
        if wait > 0:
            time.sleep(wait / SECOND)
        sender = (
            return_path(self._pattern, self._secret, item.customer, item.seq)
            if self._pattern
            else sender_of(item.message)
        )
        mail = mail_bytes(item.message, to, item.at)
        try:
            session = self._take()
            if to.unicode and not session.unicode:
                self._give_back(session)
                return Result(FAILED, reason=NO_UNICODE)
            used = session.taken > 0
            reply = session.deliver(sender, to, mail)
            if used and _was_closed(reply):
                session = self._open()
                reply = session.deliver(sender, to, mail)
        except Refused as refused:
            return result_of(refused.reply)
        self._give_back(session)
        return result_of(reply)

    def _take(self) -> Session:
        """An idle connection, or a new one; Refused where there is none to be had."""
        now = time.monotonic()
        while True:
            with self._lock:
                if not self._idle:
                    break
                since, session = self._idle.pop()
            if now - since <= _IDLE:
                return session
            session.close()
        return self._open()

    def _open(self) -> Session:
        limits = self._limits
        return Session(self._server, timeout=limits.timeout, patience=limits.patience)

    def _give_back(self, session: Session) -> None:
        session.rest()
        if session.alive:
            with self._lock:
                self._idle.append((time.monotonic(), session))


def _was_closed(reply: Reply) -> bool:
    """Whether an idle connection turned out to be gone, before anything was said."""
    return reply.step == SENDER and reply.code in {0, 421}


def _put_off(at: Instant) -> Result:
    return Result(QUEUED, reason=PACE, tried=False, not_before=at)


class _Letter(msgspec.Struct, frozen=True):
    """A message and where it goes."""

    item: Outgoing
    to: Address


class _Batch:
    """Messages that several threads take one by one, and what became of each."""

    def __init__(self, size: int) -> None:
        self.left: deque[tuple[int, _Letter]] = deque()
        self.delivered = False
        self.results: dict[int, Result] = {}
        self._size = size
        self._trouble: Result | None = None
        self._fault: BaseException | None = None

    def guarded(self, deliver: Callable[[_Letter], Result]) -> None:
        """Work until nothing is left or the channel is in trouble; a bug waits for `all`."""
        try:
            self._work(deliver)
        except BaseException as fault:  # noqa: BLE001 - raised in the thread that asked
            self._fault = fault

    def _work(self, deliver: Callable[[_Letter], Result]) -> None:
        while True:
            try:
                number, letter = self.left.popleft()
            except IndexError:
                return
            result = deliver(letter)
            if result.whole:
                self._trouble = result
                self.left.appendleft((number, letter))
                return
            self.results[number] = result
            self.delivered = self.delivered or result.reason != PACE

    def all(self) -> list[Result]:
        """In order; what was left has the trouble that ended the work."""
        if self._fault is not None:
            raise self._fault
        trouble = self._trouble
        assert trouble is not None or not self.left
        left = {number: trouble for number, _ in self.left if trouble is not None}
        found = self.results | left
        return [found[number] for number in range(self._size)]
