"""How are the pages opened, and who may see them?"""

import socket
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aftersale.cli.answer import Answer, Here, command, show
from aftersale.kernel.errors import Refusal

if TYPE_CHECKING:
    from aftersale.runtime.app import App

TRIED_PORTS = 50
_OF_ALL = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - told apart, not listened on
"""Who listens on every address of a machine is opened by that of the machine itself."""


class Pages:
    """The pages on an open port, ready to be served."""

    def __init__(self, here: Here, app: "App", listening: socket.socket) -> None:
        from aftersale.web.sign_in import SignIn

        self._here = here
        self._app = app
        self._listening = listening
        host, port = listening.getsockname()[:2]
        self.port: int = port
        self.url = _address(host, port)
        self._sign_in = SignIn(app.store)
        self.link = self.url + self._sign_in.offer(app.system_now())

    def tour(self, tour: dict[str, Any]) -> list[str]:
        """What is worth opening in a demo."""
        return [
            f"  Open    {self.link}   (works once, on this machine only)",
            f"  Try     1  why a message was held back   {self.url}/decisions/{tour['held']}",
            f"          2  the customer it was for       {self.url}/customers/{tour['customer']}",
            f"          3  the mailbox                   {self.url}/mailbox",
            f"          4  the backtest                  {self.url}/backtests/latest",
        ]

    def serve(self) -> None:
        """Answer until Ctrl-C."""
        import uvicorn

        from aftersale.api.front import Front
        from aftersale.bootstrap import intake_of, metrics_of, webhooks_of
        from aftersale.web.probes import LOOPBACK, Probes
        from aftersale.web.site import create_site

        with self._app.store.read() as tx:
            secret = bytes.fromhex(str(tx.meta.get("secret") or ""))
        watched = Probes(
            self._app,
            metrics=metrics_of(self._app),
            metrics_to_all=self._here.settings.metrics_host not in LOOPBACK,
        )
        site = create_site(self._app, secret=secret, sign_in=self._sign_in, watched=watched)
        intake = intake_of(self._app, self._here.settings)
        webhooks = webhooks_of(self._app, self._here.settings, intake)
        front = Front(site, intake, webhooks)
        config = uvicorn.Config(front, log_level="warning", access_log=False)
        self._here.say("Serving. Ctrl-C stops.")
        try:
            uvicorn.Server(config).run(sockets=[self._listening])
        except KeyboardInterrupt:
            self._here.say("stopped")
        finally:
            self._listening.close()
            intake.close()
            self._app.store.close()


def open_pages(here: Here, host: str = "", port: int | None = None) -> Pages:
    """The pages of the home on the first free port from the wanted one on."""
    app = here.app()
    address = host or here.settings.host
    listening = _listen(here, address, here.settings.port if port is None else port)
    return Pages(here, app, listening)


def _listen(here: Here, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, min(port + TRIED_PORTS, 65_536)):
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, candidate))
            listening.listen(128)
        except OSError as error:
            listening.close()
            if isinstance(error, socket.gaierror):
                raise Refusal(f"{host!r} is no address", where="--host", code=2) from None
            continue
        if candidate != port:
            here.warn(f"port {port} is in use; this is the next free one: {candidate}")
        return listening
    raise Refusal(
        f"no port from {port} on is free on {host}", where="--port", hint="name another one"
    )


def _address(host: str, port: int) -> str:
    """Where the pages are opened: they answer to names of this machine only."""
    host = _OF_ALL.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def serve(
    here: Here,
    *,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on (default: this machine only).")
    ] = "",
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65_535, help="Port; the next free one where it is in use."
        ),
    ] = None,
) -> None:
    """Open the pages and print a link to sign in with."""
    pages = open_pages(here, host, port)
    data = {"url": pages.url, "port": pages.port, "sign_in": pages.link}
    answer = Answer(data, [f"Open {pages.link}   (works once)"], warnings=here.warnings)
    show(answer, json=here.json)
    pages.serve()


def sign_in(here: Here) -> Answer:
    """Make a link that signs one browser in, for pages that are being served already."""
    from aftersale.web.sign_in import SignIn

    app = here.app()
    path = SignIn(app.store).offer(app.system_now())
    app.store.close()
    url = _address(here.settings.host, here.settings.port) + path
    return Answer({"path": path, "url": url}, [f"{url}   (works once)"])


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    command(app, "serve")(serve)
    command(app, "sign-in")(sign_in)
