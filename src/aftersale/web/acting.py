"""How does a form of a page change something, and nobody else's form?

A form comes from a page of the same session and carries its token; that another site cannot have
sent it is checked before (`guard`). What it does is done, then the browser is led to a page, so
that loading it again does nothing twice.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from aftersale.web.pages import Pages, pages_of
from aftersale.web.sign_in import form_allowed

Act = Callable[[Pages, Mapping[str, str], Mapping[str, str]], str]
"""Does what a form asks. Gets the parts of the address and the fields, gives where to go on."""

LONGEST = 10_000


def posted(act: Act) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of a form."""

    async def endpoint(request: Request) -> Response:
        form = await request.form(max_fields=20, max_files=0)
        session: str = request.scope["state"]["session"]
        pages = pages_of(request)
        if not form_allowed(pages.secret, session, str(form.get("form_token") or "")):
            raise HTTPException(403, "This form is not of your session; open the page again.")
        fields = {name: str(value)[:LONGEST] for name, value in form.items()}
        where = {name: str(value) for name, value in request.path_params.items()}
        return RedirectResponse(await run_in_threadpool(act, pages, where, fields), 303)

    return endpoint


def form(path: str, act: Act) -> Route:
    """The route of a form."""
    return Route(path, posted(act), methods=["POST"])
