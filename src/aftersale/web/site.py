"""Which address leads to which page?"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from secrets import token_hex

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from aftersale.kernel.errors import Operational, Refusal
from aftersale.runtime.app import App
from aftersale.runtime.elsewhere import Elsewhere
from aftersale.runtime.jobs import Begin, Runner
from aftersale.web import (
    backtests,
    customers,
    data,
    decisions,
    doubts,
    entrance,
    health,
    jobs,
    journeys,
    mailbox,
    messages,
    models,
    modes,
    needs,
    overview,
    probes,
    public,
    retention,
    search,
    segments,
    standing,
    templates,
    versions,
)
from aftersale.web.accounts import Accounts
from aftersale.web.acting import form, uploaded
from aftersale.web.guard import Guard, protect
from aftersale.web.pages import FOLDER, Pages, nonce_of, page, pages_of, showing
from aftersale.web.sign_in import SignIn
from aftersale.web.work import WORKS

ROUTES = (
    *page("/", overview.overview, twin="/overview"),
    form("/needs", needs.dismiss),
    *page("/search", search.search),
    *page("/customers/{customer:int}", customers.customer),
    *page("/customers", customers.customers),
    *page("/segments", segments.segments),
    *page("/segments/new", segments.try_segment),
    *page("/segments/{name}", segments.segment),
    *page("/retention", retention.retention),
    *page("/rfm", standing.rfm_page),
    *page("/lifecycle", standing.lifecycle_page),
    *page("/decisions", decisions.decisions),
    *page("/decisions/{customer:int}-{seq:int}", decisions.decision),
    *page("/journeys", journeys.journeys),
    *page("/journeys/{name}", journeys.journey),
    *page("/templates", templates.templates),
    Route("/templates/{name}/preview", showing(templates.preview)),
    *page("/templates/{name}", templates.template),
    *page("/messages", messages.messages),
    *page("/mailbox", mailbox.mailbox),
    *page("/mailbox/message", mailbox.message),
    Route("/mailbox/html", mailbox.message_html),
    *page("/doubts", doubts.doubts),
    form("/doubts", doubts.say),
    *page("/mode", modes.mode),
    form("/mode", modes.change_mode),
    form("/journeys/{name}/pause", modes.pause),
    *page("/versions", versions.versions),
    *page("/versions/{version:int}", versions.version),
    Route("/models", models.models),
    Route("/models.json", models.models_json),
    *page("/data", data.data),
    *page("/data/imports/{name}", data.one_import),
    *page("/jobs", jobs.all_jobs),
    form("/jobs/backtest", jobs.begin_backtest),
    form("/jobs/score", jobs.begin_score),
    form("/jobs/sizes", jobs.begin_sizes),
    Route("/jobs/import", uploaded(jobs.begin_import), methods=["POST"]),
    *page("/jobs/{name}", jobs.one_job),
    form("/jobs/{name}/stop", jobs.stop),
    form("/jobs/{name}/again", jobs.again),
    *page("/data/upload", jobs.upload_form),
    *page("/health", health.health),
    *page("/backtests/latest", backtests.latest),
    Route("/u/{token}", public.unsubscribe, methods=["GET"]),
    Route("/u/{token}", public.unsubscribe_now, methods=["POST"]),
    Route("/p/{token}", public.preferences, methods=["GET"]),
    Route("/p/{token}", public.preferences_now, methods=["POST"]),
    Route("/healthz", probes.healthz),
    Route("/readyz", probes.readyz),
    Route("/metrics", probes.metrics),
)


def create_site(
    app: App,
    *,
    secret: bytes,
    sign_in: SignIn,
    accounts: Accounts | None = None,
    begin: Begin | None = None,
    watched: probes.Probes | None = None,
) -> Starlette:
    """The pages over an installation. `secret` signs links, sessions and forms.

    `accounts`: who may sign in with a password; None: those of the store.
    `begin`: how long work is begun; None: in a process of its own.
    `watched`: what is answered to machines; None: probes, and no metrics.
    """
    site = Starlette(
        routes=[
            *ROUTES,
            Route("/sign-in", entrance.door, methods=["GET"]),
            Route("/sign-in", entrance.knock, methods=["POST"]),
            Route("/sign-in/{token}", entrance.offer, methods=["GET"]),
            Route("/sign-in/{token}", entrance.accept, methods=["POST"]),
            Route("/sign-out", entrance.leave, methods=["POST"]),
            Mount("/static", StaticFiles(directory=FOLDER / "static")),
        ],
        middleware=[Middleware(Guard, app=app, secret=secret)],
        exception_handlers={
            HTTPException: refused,
            Refusal: refused,
            Operational: refused,
            Exception: broken,
        },
        lifespan=_serving,
    )
    site.state.pages = Pages(
        app,
        secret=secret,
        sign_in=sign_in,
        accounts=accounts or Accounts(app.store),
        runner=Runner(
            app.store,
            WORKS,
            begin or partial(Elsewhere, app.anew),
            app.system_now,
            name=token_hex(8),
        ),
    )
    site.state.probes = watched or probes.Probes(app)
    return site


@asynccontextmanager
async def _serving(site: Starlette) -> AsyncIterator[None]:
    """While the pages are served, jobs are run; what is not done then waits for the next server."""
    runner: Runner = site.state.pages.runner
    runner.wake()
    yield
    await run_in_threadpool(runner.close)


def refused(request: Request, error: Exception) -> Response:
    """What cannot be shown, and what to do instead."""
    status, what, hint = 400, str(error), "Go back, or begin at the overview."
    match error:
        case HTTPException(status_code=status, detail=detail):
            known = HTTPStatus(status).phrase
            what = "There is nothing at this address." if detail == known else detail
        case Refusal():
            what = " ".join(part for part in (error.what, error.where, error.why) if part)
            hint = error.hint or hint
        case Operational():
            status, what, hint = 503, error.what, error.hint or "Try again in a moment."
        case _:
            pass
    if request.url.path.endswith((".json", ".csv")):
        return JSONResponse({"error": what, "hint": hint}, status)
    page = pages_of(request)
    return page.bare(request, "trouble.html", status=status, what=what, hint=hint)


def broken(request: Request, error: Exception) -> Response:
    """A fault of ours: said without its insides, which are in the server's log."""
    response = pages_of(request).bare(
        request,
        "trouble.html",
        status=500,
        what="This page has a fault.",
        hint="Nothing was changed. The log of aftersale serve says more; aftersale doctor may too.",
    )
    protect(MutableHeaders(raw=response.raw_headers), request.url.path, nonce_of(request))
    return response
