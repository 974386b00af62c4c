"""How does a process that serves no pages answer probes and monitoring?"""

import socket
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import msgspec

from aftersale.kernel.errors import Refusal

_PATIENCE = 10.0
"""Seconds after which a request that does not come is not waited for."""


class Reply(msgspec.Struct, frozen=True):
    """What is answered."""

    status: int
    content_type: str
    body: bytes


class Endpoint:
    """Answers GET requests of a few paths in threads of its own, until it is closed."""

    def __init__(self, host: str, port: int, answers: Mapping[str, Callable[[], Reply]]) -> None:
        """Begin to listen; a port that is taken is refused. Port 0: any free one."""
        kind = _Server6 if ":" in host else _Server
        try:
            self._server = kind((host, port), _handler(answers))
        except OSError as error:
            raise Refusal(
                f"probes and metrics cannot be served on {host} port {port}",
                where="AFTERSALE_METRICS_PORT",
                why=error.strerror or str(error),
                hint="name another port, a second worker on one machine needs its own; or 0: none",
            ) from None
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="endpoint"
        )
        self._thread.daemon = True
        self._thread.start()

    def __enter__(self) -> Self:
        """It listens already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take no further request."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _Server6(_Server):
    address_family = socket.AF_INET6


def _handler(answers: Mapping[str, Callable[[], Reply]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _PATIENCE
        server_version = "aftersale"
        sys_version = ""

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Probes come every few seconds; nobody wants to read of each."""

        def _answer(self, *, with_body: bool) -> None:
            make = answers.get(self.path.partition("?")[0])
            reply = make() if make else Reply(404, "text/plain", b"nothing is here\n")
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if with_body:
                self.wfile.write(reply.body)

    return Handler
