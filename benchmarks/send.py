"""How many messages a second go from the outbox to a mail server, each claimed, judged and settled?

Customers order, and turns decide their confirmations; then the clock starts, and rounds of sending
run until the outbox is empty: claim (judge again, render, commit with full synchronisation), hand
over on four connections, settle (commit again). The server is a process of its own on the same
machine (aiosmtpd, one thread), without TLS; nothing is signed. Beside it stands what the server
alone allows: the same mails, written before, on one connection and on four, with no store.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aftersale.adapters import clock
from aftersale.adapters.channels.smtp.channel import Limits, SmtpChannel
from aftersale.adapters.channels.smtp.mail import address_of, mail_bytes
from aftersale.adapters.channels.smtp.server import read_server
from aftersale.adapters.channels.smtp.session import Session
from aftersale.adapters.storage.sqlite.store import SqliteStore
from aftersale.bootstrap import build
from aftersale.delivery.channel import Outgoing, Result
from aftersale.delivery.ports import SENT
from aftersale.events.event import Event, Ref
from aftersale.events.vocabulary import Line, OrderCompleted
from aftersale.kernel.instants import DAY, SECOND
from aftersale.runtime.app import App
from aftersale.runtime.intake import take_in
from aftersale.settings import Settings
from aftersale.testing.mail_server import ScriptedMailServer
from benchmarks.decide import files
from benchmarks.events import START
from benchmarks.figures import Clock, mebibytes, peak_memory, told
from benchmarks.live import DURABILITY

EVENTS_OF_A_MESSAGE = 250
"""Of the number of events that is asked for: a million events, four thousand messages."""
CONNECTIONS = 4
TARGET = 400.0


@contextmanager
def server() -> Iterator[str]:
    """The address of a mail server in another process."""
    command = [sys.executable, "-m", "benchmarks.send"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdin is not None
        assert one.stdout is not None
        yield one.stdout.readline().strip()
        one.stdin.close()


class Kept(SmtpChannel):
    """The channel, with what it was given and how long it took."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.clock = Clock()
        self.given: list[Outgoing] = []

    def send(self, messages: Sequence[Outgoing]) -> list[Result]:
        """As the channel does it."""
        self.given += messages
        with self.clock.running():
            return super().send(messages)


def send_smtp(events: int, folder: Path) -> None:
    """The rate from a full outbox to an empty one, and what it is made of."""
    count = max(events // EVENTS_OF_A_MESSAGE, 20)
    with server() as url:
        app = _with_orders(folder / "send-smtp", count, url)
        limits = Limits(CONNECTIONS)
        channel = Kept(read_server(url), secret=b"s" * 32, clock=clock.now, limits=limits)
        app.sending.channels["email"] = channel  # type: ignore[index]
        claim, settle = _watched(app, "_claim"), _watched(app, "_settle")
        whole = Clock()
        sent = 0
        now = START + SECOND
        with whole.running():
            while (done := app.sending.round(now)).claimed:
                sent += done.sent
        memory = peak_memory()
        with app.store.read() as tx:
            assert len(tx.outbox.in_state(SENT, limit=count + 1)) == sent == count
        channel.close()
        app.store.close()
        mails, writing = _written(channel.given)
        bare = {n: count / _handed_over(url, mails, n) for n in (1, CONNECTIONS)}
    told(
        "send-smtp",
        sent / whole.seconds,
        "messages/s",
        baseline=bare[CONNECTIONS],
        target=TARGET,
        messages=sent,
        connections=CONNECTIONS,
        at_once=channel.at_once,
        seconds=whole.seconds,
        cpu_seconds=whole.cpu_seconds,
        claim_seconds=claim.seconds,
        hand_over_seconds=channel.clock.seconds,
        writing_mail_seconds=writing.seconds,
        settle_seconds=settle.seconds,
        bytes_of_a_mail=sum(map(len, mails.values())) / count,
        bare_messages_per_second={"1 connection": bare[1], "4 connections": bare[CONNECTIONS]},
        peak_mib=mebibytes(memory),
        durability=f"{DURABILITY}, one commit for the claim and one for settling a batch",
        server="aiosmtpd in another process of this machine, no TLS, nothing signed",
    )


def _with_orders(home: Path, count: int, url: str) -> App:
    """An installation that is live and has a confirmation to send for each order."""
    home.mkdir(parents=True)
    store = SqliteStore(home / "aftersale.db", create=True)
    app = build(store, Settings(home=home, smtp_url=url))
    app.deploy(files())
    app.worker.once(START - DAY)
    with store.write() as tx:
        tx.meta.set("mode", "live")
        tx.meta.set("expected_hour", {"order-confirmation": count})  # or the breaker stops it
    orders = [
        Event(
            f"o-{n}",
            "shop",
            "order.completed",
            START,
            "main",
            OrderCompleted(
                order=str(n), currency="EUR", total=2_400, lines=(Line("p001", 2, 2_400),)
            ),
            (Ref("customer", f"main/{n}"), Ref("email", f"customer{n}@mail.example")),
            {"email": f"customer{n}@mail.example", "name": f"Zoë Müller {n}"},
        )
        for n in range(1, count + 1)
    ]
    for first in range(0, count, 2_000):
        with store.write() as tx:
            take_in(tx, orders[first : first + 2_000], received_at=START)
    while app.turns.turn(START, own=False) is not None:
        pass
    return app


def _watched(app: App, method: str) -> Clock:
    """The clock of a method of sending."""
    watch, inner = Clock(), getattr(app.sending, method)

    def measured(*arguments: Any, **named: Any) -> Any:
        with watch.running():
            return inner(*arguments, **named)

    setattr(app.sending, method, measured)
    return watch


def _written(given: Sequence[Outgoing]) -> tuple[dict[str, bytes], Clock]:
    """The mails by their recipient, and what writing them took in one thread."""
    watch = Clock()
    mails = {}
    for item in given:
        to = address_of(item.message.to)
        assert to is not None
        with watch.running():
            mails[item.message.to] = mail_bytes(item.message, to, item.at)
    return mails, watch


def _handed_over(url: str, mails: dict[str, bytes], connections: int) -> float:
    """Seconds that the server needs for mails that are ready, with no store."""
    rows = list(mails.items())
    sessions = [Session(read_server(url), timeout=30, patience=30) for _ in range(connections)]

    def work(session: Session, some: list[tuple[str, bytes]]) -> None:
        for to, mail in some:
            address = address_of(to)
            assert address is not None
            assert session.deliver("hello@shop.example", address, mail).code == 250

    threads = [
        threading.Thread(target=work, args=(session, rows[n::connections]))
        for n, session in enumerate(sessions)
    ]
    watch = Clock()
    with watch.running():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for session in sessions:
        session.close()
    return watch.seconds


if __name__ == "__main__":
    with ScriptedMailServer() as started:
        print(started.url, flush=True)
        sys.stdin.read()
