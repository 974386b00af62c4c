"""How does a form of a page change something, and nobody else's form?

A form comes from a page of the same session and carries its token; that another site cannot have
sent it is checked before (`guard`). What it does is done, then the browser is led to a page, so
that loading it again does nothing twice.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from aftersale.web.pages import Pages, pages_of
from aftersale.web.sign_in import form_allowed

Act = Callable[[Pages, Mapping[str, str], Mapping[str, str]], str]
"""Does what a form asks. Gets the parts of the address and the fields, gives where to go on."""
Take = Callable[[Pages, Mapping[str, str], Mapping[str, UploadFile]], str]
"""Takes a form with files. Gets the fields and the files, gives where to go on."""

LONGEST = 10_000
MOST_UPLOADED = 1 << 30
"""Bytes of a form with its files."""


def posted(act: Act) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of a form."""

    async def endpoint(request: Request) -> Response:
        form = await request.form(max_fields=20, max_files=0)
        fields = _fields(request, form)
        where = {name: str(value) for name, value in request.path_params.items()}
        return RedirectResponse(await run_in_threadpool(act, pages_of(request), where, fields), 303)

    return endpoint


def uploaded(take: Take) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of a form with files."""

    async def endpoint(request: Request) -> Response:
        told = request.headers.get("content-length", "")
        if not told.isdigit() or int(told) > MOST_UPLOADED:
            most = f"More than {MOST_UPLOADED >> 20} MB are not taken through a page;"
            raise HTTPException(413, f"{most} aftersale import reads a file of any size.")
        async with request.form(max_fields=20, max_files=2) as form:
            fields = _fields(request, form)
            files = {
                name: value
                for name, value in form.items()
                if isinstance(value, UploadFile) and value.filename
            }
            there = await run_in_threadpool(take, pages_of(request), fields, files)
        return RedirectResponse(there, 303)

    return endpoint


def _fields(request: Request, form: FormData) -> dict[str, str]:
    """The fields of a form that came from a page of this session."""
    session: str = request.scope["state"]["session"]
    token = str(form.get("form_token") or "")
    if not form_allowed(pages_of(request).secret, session, token):
        raise HTTPException(403, "This form is not of your session; open the page again.")
    return {name: value[:LONGEST] for name, value in form.items() if isinstance(value, str)}


def form(path: str, act: Act) -> Route:
    """The route of a form."""
    return Route(path, posted(act), methods=["POST"])
