"""What is checked before any page answers, and which headers go with every answer?

The merchant's pages answer only to a loopback name: another site cannot point a name of its own
at this machine and read them. Customers' pages answer to the public address too, probes to any.
"""

import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aftersale.runtime.app import App
from aftersale.web.probes import LOOPBACK, PATHS
from aftersale.web.sign_in import COOKIE, session_of

PUBLIC = ("/u/", "/p/")
"""Pages of customers, reached by signed links; their posts need no cookie (RFC 8058)."""
OPEN = (*PUBLIC, "/static/", "/sign-in")


class Guard:
    """Wraps the pages."""

    def __init__(self, inner: ASGIApp, *, app: App, secret: bytes) -> None:
        self._inner = inner
        self._app = app
        self._secret = secret
        self._public_host = (urlsplit(app.public_url).hostname or "").lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer at once what may not pass; else pass it on and add the headers."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["nonce"] = secrets.token_urlsafe(12)
        state["session"] = ""
        refused = self._refused(HTTPConnection(scope), scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                protect(MutableHeaders(scope=message), scope["path"], state["nonce"])
            await send(message)

        await (refused or self._inner)(scope, receive, with_headers)

    def _refused(self, connection: HTTPConnection, scope: Scope) -> Response | None:
        path, headers = scope["path"], connection.headers
        if path in PATHS:
            return None
        host = (urlsplit(f"//{headers.get('host', '')}").hostname or "").lower()
        public = path.startswith(PUBLIC)
        if host not in LOOPBACK and not (public and host == self._public_host):
            return PlainTextResponse(
                "These pages answer only on this machine: open them at http://127.0.0.1\n", 400
            )
        if public:
            return None
        if scope["method"] not in {"GET", "HEAD"} and not same_origin(headers):
            return PlainTextResponse("This form was sent by another site; nothing was done.\n", 403)
        cookie = connection.cookies.get(COOKIE, "")
        session = session_of(self._secret, cookie, self._app.system_now())
        scope["state"]["session"] = session
        if session or path.startswith(OPEN):
            return None
        if path.endswith((".json", ".csv")):
            return JSONResponse({"error": "sign in first", "hint": "aftersale sign-in"}, 401)
        return RedirectResponse("/sign-in", 303)


def same_origin(headers: Headers) -> bool:
    """Whether a browser says that one of our own pages sent this."""
    origin = headers.get("origin", "")
    if origin and origin != "null":
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    return headers.get("sec-fetch-site") == "same-origin"


def protect(headers: MutableHeaders, path: str, nonce: str) -> None:
    """Add what keeps browsers from doing more than a page needs."""
    headers.setdefault(
        "Content-Security-Policy",
        f"default-src 'self'; style-src 'self' 'nonce-{nonce}'; script-src 'self'; "
        "img-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'",
    )
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    # With no-referrer a browser sends `Origin: null` from our own forms, which could not be told
    # from another site's; same-origin tells other sites just as little.
    public = path.startswith(PUBLIC)
    headers.setdefault("Referrer-Policy", "no-referrer" if public else "same-origin")
    if public:
        headers.setdefault("X-Robots-Tag", "noindex")
    if not path.startswith("/static/"):
        headers.setdefault("Cache-Control", "no-store")
