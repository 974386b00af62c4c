"""How does somebody get into the merchant's pages, and out again?"""

from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from aftersale.web.accounts import LINKS, TooManyGuesses, accounts, stamp_of
from aftersale.web.pages import pages_of
from aftersale.web.sign_in import COOKIE, SESSION_SECONDS, form_allowed, session_cookie

WRONG = "Name and password do not belong together."


def door(request: Request) -> Response:
    """Name and password, and how to get a link."""
    return _door(request, request.query_params.get("next", ""))


def _door(request: Request, wanted: str, problem: str = "", status: int = 200) -> Response:
    pages = pages_of(request)
    with pages.app.store.read() as tx:
        known = bool(accounts(tx))
    return pages.bare(
        request,
        "sign_in.html",
        status=status,
        token="",
        problem=problem,
        passwords=known,
        wanted=inside(wanted),
    )


async def knock(request: Request) -> Response:
    """Begin a session with a name and its password."""
    fields = await request.form(max_fields=5, max_files=0)
    return await run_in_threadpool(_knock, request, fields)


def _knock(request: Request, fields: FormData) -> Response:
    pages = pages_of(request)
    name, password, wanted = (str(fields.get(key) or "") for key in ("name", "password", "next"))
    now = pages.app.system_now()
    try:
        found = pages.accounts.check(name, password, now)
    except TooManyGuesses as refused:
        answer = _door(request, wanted, f"{refused.what} {refused.why}", status=429)
        answer.headers["Retry-After"] = str(refused.seconds)
        return answer
    if found is None:
        return _door(request, wanted, WRONG, status=403)
    return _opened(request, inside(wanted), found.name, found.stamp)


def offer(request: Request) -> Response:
    """A button; opening the link uses nothing up."""
    token: str = request.path_params["token"]
    return pages_of(request).bare(request, "sign_in.html", token=token, problem="")


async def accept(request: Request) -> Response:
    """Use the link up and begin a session."""
    return await run_in_threadpool(_accept, request)


def _accept(request: Request) -> Response:
    pages = pages_of(request)
    if not pages.sign_in.use(request.path_params["token"], pages.app.system_now()):
        problem = "This link was used already, or it is too old."
        return _door(request, "", problem, status=403)
    with pages.app.store.read() as tx:
        stamp = stamp_of(tx, LINKS) or ""
    return _opened(request, "/", LINKS, stamp)


def _opened(request: Request, to: str, account: str, stamp: str) -> Response:
    pages = pages_of(request)
    response = RedirectResponse(to, 303)
    response.set_cookie(
        COOKIE,
        session_cookie(pages.secret, pages.app.system_now(), account, stamp),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


async def leave(request: Request) -> Response:
    """End the session in this browser."""
    form = await request.form(max_fields=5, max_files=0)
    session: str = request.scope["state"]["session"]
    if not form_allowed(pages_of(request).secret, session, str(form.get("form_token") or "")):
        raise HTTPException(403, "This form is not of your session; open the page again.")
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(COOKIE)
    return response


def inside(wanted: str) -> str:
    """The address if it is one of our own pages, else the overview: no link leads out of here."""
    parts = urlsplit(wanted)
    ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\", "/sign-"))
    clean = wanted.isprintable() and wanted.isascii() and "\\" not in wanted
    return wanted if ours and clean and not parts.scheme and not parts.netloc else "/"
