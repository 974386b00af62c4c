"""Which requests come from programs that send, and which go on to the pages?

Programs are answered before anything that concerns browsers is asked: they have no session, and
reach this installation under whatever name its proxy gives it.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from aftersale.api.cloud_events import PATH, CloudEvents
from aftersale.api.intake import Intake
from aftersale.api.reading import DESCRIPTION, READS, Reads
from aftersale.api.tracking import Tracking, call_at
from aftersale.api.webhooks import PREFIX, Webhooks


class Front:
    """Stands before the pages."""

    def __init__(self, pages: ASGIApp, intake: Intake, webhooks: Webhooks) -> None:
        self._pages = pages
        self._webhooks = webhooks
        self._tracking = Tracking(intake)
        self._cloud_events = CloudEvents(intake)
        self._reads = Reads(intake)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request to whoever answers it."""
        if scope["type"] == "http":
            path: str = scope["path"]
            if path == PATH:
                await self._cloud_events(scope, receive, send)
                return
            if path.startswith(READS) or path == DESCRIPTION:
                await self._reads(scope, receive, send)
                return
            if path.startswith(PREFIX):
                await self._webhooks(scope, receive, send)
                return
            if "/v1/" in path and call_at(path):
                await self._tracking(scope, receive, send)
                return
        await self._pages(scope, receive, send)
