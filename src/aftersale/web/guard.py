"""What is checked before any page answers, and which headers go with every answer?

The merchant's pages answer only to a loopback name: another site cannot point a name of its own
at this machine and read them. Customers' pages answer to the public address too, probes to any.
"""

import secrets
from urllib.parse import urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aftersale.kernel.errors import Operational
from aftersale.runtime.app import App
from aftersale.web.probes import LOOPBACK, PATHS
from aftersale.web.sign_in import COOKIE, Session, session_of

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
        state["session"] = state["account"] = ""
        refused = await self._refused(HTTPConnection(scope), scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                protect(MutableHeaders(scope=message), scope["path"], state["nonce"])
            await send(message)

        await (refused or self._inner)(scope, receive, with_headers)

    async def _refused(self, connection: HTTPConnection, scope: Scope) -> Response | None:
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
        if session is not None and not path.startswith("/static/"):
            try:
                holds = await run_in_threadpool(self._holds, session)
            except Operational as error:
                return PlainTextResponse(f"{error.what}\n{error.hint or 'Try again.'}\n", 503)
            if holds:
                scope["state"]["session"], scope["state"]["account"] = session.id, session.account
                return None
        return None if path.startswith(OPEN) else to_the_door(scope)

    def _holds(self, session: Session) -> bool:
        with self._app.store.read() as tx:
            return session.holds(tx)


def to_the_door(scope: Scope) -> Response:
    """How to sign in; who has, comes to the page that was wanted."""
    path = scope["path"]
    if path.endswith((".json", ".csv")):
        return JSONResponse({"error": "sign in first", "hint": "aftersale sign-in"}, 401)
    if path == "/" or scope["method"] not in {"GET", "HEAD"}:
        return RedirectResponse("/sign-in", 303)
    query = scope["query_string"].decode("latin-1")
    wanted = f"{path}?{query}" if query else path
    return RedirectResponse("/sign-in?" + urlencode({"next": wanted}), 303)


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
