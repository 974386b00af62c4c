"""Is this server alive, can it do its work, and what may monitoring know of it?

These answer without a session and under any name, so they say nothing that names a person or an
address. `/metrics` answers other machines only where a setting says so.
"""

from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from aftersale.kernel.instants import SECOND
from aftersale.programme.telemetry import METRICS_TYPE
from aftersale.runtime.app import App
from aftersale.runtime.probes import KEPT_SECONDS, WELL, Probe, ready
from aftersale.runtime.vitals import Latest

PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Probes:
    """What is answered to machines that watch."""

    def __init__(
        self, app: App, *, metrics: Callable[[], bytes] | None = None, metrics_to_all: bool = False
    ) -> None:
        """`metrics`: the page of metrics; None: there is none."""
        self.ready = Latest(
            lambda: ready(app), lambda: app.system_now() / SECOND, seconds=KEPT_SECONDS
        )
        self.metrics = metrics
        self.metrics_to_all = metrics_to_all


def healthz(request: Request) -> Response:
    """It answers, so it is alive."""
    return _told(WELL)


def readyz(request: Request) -> Response:
    """Whether the store can be read and a programme is in force."""
    return _told(_probes(request).ready())


def metrics(request: Request) -> Response:
    """The numbers of the store."""
    probes = _probes(request)
    if probes.metrics is None:
        return PlainTextResponse("There are no metrics here.\n", 404)
    client = request.client.host if request.client else ""
    if not probes.metrics_to_all and not is_from_here(client, request.headers):
        return PlainTextResponse(
            "Metrics are for this machine only; AFTERSALE_METRICS_HOST lets others in.\n", 403
        )
    return Response(probes.metrics(), media_type=METRICS_TYPE)


def is_from_here(client: str, headers: Headers) -> bool:
    """Whether a program of this machine asks, by a loopback name and not through a proxy."""
    host = (urlsplit(f"//{headers.get('host', '')}").hostname or "").lower()
    if host not in LOOPBACK or "x-forwarded-for" in headers or "forwarded" in headers:
        return False
    try:
        return ip_address(client).is_loopback
    except ValueError:
        return False


def _probes(request: Request) -> Probes:
    found = request.app.state.probes
    assert isinstance(found, Probes)
    return found


def _told(probe: Probe) -> Response:
    return Response(msgspec.json.encode(probe) + b"\n", probe.status, media_type="application/json")
