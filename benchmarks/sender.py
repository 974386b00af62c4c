"""How fast does a server answer requests that were made beforehand, and how long does each wait?

Raw sockets in one thread of a process of its own, on a processor of its own where there are two,
so that what is measured is the server. Without a rate a connection sends its next request when the
last one was answered; with a rate, requests are due at their instants whatever the server does,
and waiting counts from there.
"""

import multiprocessing
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

_PROCESSES = multiprocessing.get_context("fork")
_LAST_WAIT = 30.0
"""Seconds after which an answer is not waited for any more."""
_LOOKED_AT = 0.1
_HUNG_UP = 599
"""In place of a status."""


class Sent(msgspec.Struct, frozen=True):
    """What became of the requests."""

    seconds: float
    waits: list[float]
    """Seconds until each was answered, ascending."""
    sent_at: list[float]
    """When each was sent, by the clock on the wall, in the order of the requests."""
    refused: int
    """How many were answered otherwise than with 2xx, or not at all."""

    def within(self, share: float) -> float:
        """Seconds within which that share of the requests was answered."""
        return self.waits[int(share * (len(self.waits) - 1))] if self.waits else float("nan")


@contextmanager
def on_processor(number: int) -> Iterator[None]:
    """What is started in the block runs on that processor, where there are as many."""
    free = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if number not in free or len(free) == 1:
        yield
        return
    os.sched_setaffinity(0, {number})
    try:
        yield
    finally:
        os.sched_setaffinity(0, free)


def request(path: str, body: bytes, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """A request as it goes over the wire."""
    told = [("host", "127.0.0.1"), ("content-type", "application/json"), *headers]
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told)]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


def send(port: int, requests: list[bytes], connections: int, rate: float = 0.0) -> Sent:
    """Send them all; `rate`: requests a second, 0 for as many as are answered."""
    answers: Any = _PROCESSES.Queue()
    with on_processor(1):
        process = _PROCESSES.Process(
            target=_send, args=(port, requests, connections, rate, answers)
        )
        process.start()
    while process.is_alive() and answers.empty():
        time.sleep(_LOOKED_AT)
    sent: Sent = answers.get(timeout=1)
    process.join()
    return sent


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self.heard = b""

    def answered(self) -> int:
        """The status, once the whole answer is there; 0 before."""
        heard = self.socket.recv(65_536)
        if not heard:
            return _HUNG_UP
        self.heard += heard
        head, found, body = self.heard.partition(b"\r\n\r\n")
        if not found:
            return 0
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        if len(body) < int(length or 0):
            return 0
        self.heard = b""
        return int(head.split(b" ", 2)[1])


def _send(port: int, requests: list[bytes], connections: int, rate: float, answers: Any) -> None:
    selector = selectors.DefaultSelector()
    # The one that has rested longest is next, so that none rests until the server hangs up.
    free = deque(_Connection(port) for _ in range(connections))
    for one in free:
        selector.register(one.socket, selectors.EVENT_READ, one)
    waits: list[float] = []
    sent_at: list[float] = []
    refused, begun = 0, time.monotonic()
    while len(waits) < len(requests):
        now = time.monotonic()
        while free and len(sent_at) < len(requests):
            due = begun + len(sent_at) / rate if rate else now
            if due > now:
                break
            one = free.popleft()
            one.due = due
            one.socket.sendall(requests[len(sent_at)])
            sent_at.append(time.time())
        pause = _LAST_WAIT
        if rate and free and len(sent_at) < len(requests):
            pause = max(begun + len(sent_at) / rate - time.monotonic(), 0.0)
        heard = selector.select(pause)
        if not heard and pause == _LAST_WAIT:
            refused += len(requests) - len(waits)
            break
        for key, _ in heard:
            one = key.data
            status = one.answered()
            if status == _HUNG_UP:
                raise ConnectionError("the server hung up")
            if status:
                waits.append(time.monotonic() - one.due)
                refused += not 200 <= status < 300
                free.append(one)
    answers.put(Sent(time.monotonic() - begun, sorted(waits), sent_at, refused))
