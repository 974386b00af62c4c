"""How does each message look, and what is wrong with its template?"""

from collections.abc import Mapping

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from aftersale.journeys.definition import Send
from aftersale.kernel.errors import Refusal
from aftersale.messages.bounded import Problem
from aftersale.messages.compose import Message
from aftersale.messages.template import Templates
from aftersale.programme.load import TEMPLATES
from aftersale.programme.ports import Transaction
from aftersale.runtime.sampling import sample_of
from aftersale.web.mailbox import PREVIEW
from aftersale.web.pages import Pages, Shown

SAMPLE_ADDRESS = "somebody@example.com"


class TemplateRow(msgspec.Struct, frozen=True):
    """One message of the list."""

    name: str
    subject: str
    languages: str
    used_by: str
    problems: int


class TemplateList(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    templates: list[TemplateRow]
    problems: list[Problem]


class TemplateView(msgspec.Struct, frozen=True):
    """Everything on the page of one message; the same as JSON."""

    name: str
    locale: str
    locales: list[str]
    subject: str
    text: str
    failed: str
    """Why it cannot be shown; empty where it can."""
    hint: str
    problems: list[Problem]
    files: dict[str, str]
    used_by: str


def templates(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """All messages."""
    files, known, problems = _known(pages, tx)
    used = _used(pages, tx)
    rows = []
    for name in known.names():
        message, _ = _sample(pages, tx, name, "")
        mine = [problem for problem in problems if problem.file in _files_of(files, name)]
        rows.append(
            TemplateRow(
                name,
                message.subject if message else "",
                ", ".join(_locales(files, name)),
                used.get(name, ""),
                len(mine),
            )
        )
    view = TemplateList(rows, problems)
    return Shown("templates.html", "templates", view, ("templates", "problems"))


def template(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """One message with a preview."""
    name, locale = request.path_params["name"], request.query_params.get("locale", "")
    files, known, problems = _known(pages, tx)
    if name not in known.names():
        raise HTTPException(404, f"There is no template {name}.")
    mine = _files_of(files, name)
    locales = _locales(files, name)
    locale = locale if locale in locales else ""
    message, refusal = _sample(pages, tx, name, locale)
    view = TemplateView(
        name,
        locale,
        locales,
        message.subject if message else "",
        message.text if message else "",
        refusal.what if refusal else "",
        refusal.hint if refusal else "",
        [problem for problem in problems if problem.file in mine],
        mine,
        _used(pages, tx).get(name, ""),
    )
    return Shown("template.html", "templates", view, ("problems",))


def preview(pages: Pages, tx: Transaction, request: Request) -> Response:
    """The HTML alone, for the frame; it runs nothing and loads nothing."""
    name, locale = request.path_params["name"], request.query_params.get("locale", "")
    message, _ = _sample(pages, tx, name, locale)
    if message is None:
        raise HTTPException(404, f"The template {name} cannot be shown.")
    return Response(
        message.html,
        media_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": PREVIEW, "Referrer-Policy": "no-referrer"},
    )


def _known(pages: Pages, tx: Transaction) -> tuple[Mapping[str, str], Templates, list[Problem]]:
    latest = tx.deployments.latest()
    if latest is None:
        return {}, Templates({}), []
    files = latest.files

    def read() -> tuple[Templates, list[Problem]]:
        known = Templates(files)
        return known, known.check()

    known, problems = pages.once(("templates", latest.version), read)
    return files, known, problems


def _sample(
    pages: Pages, tx: Transaction, name: str, locale: str
) -> tuple[Message | None, Refusal | None]:
    def sample() -> tuple[Message | None, Refusal | None]:
        try:
            return sample_of(pages.app, tx, SAMPLE_ADDRESS, template=name, locale=locale), None
        except Refusal as refusal:
            return None, refusal

    return pages.once(("sample", pages.app.worlds.newest(tx), name, locale), sample)


def _files_of(files: Mapping[str, str], name: str) -> dict[str, str]:
    """The files of a message: every language, shop and text part."""
    return {
        path: text
        for path, text in files.items()
        if path.startswith(TEMPLATES)
        and path.removeprefix(TEMPLATES).partition(".")[0] in {name, f"{name}-text"}
    }


def _locales(files: Mapping[str, str], name: str) -> list[str]:
    """Languages in the names of its files; the one without a language is not among them."""
    parts = [
        path.removeprefix(TEMPLATES).removesuffix(".liquid").split(".")[1:]
        for path in _files_of(files, name)
    ]
    return sorted({part[-1] for part in parts if part and len(part[-1]) in {2, 5}})


def _used(pages: Pages, tx: Transaction) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for name, journey in pages.world(tx).programme.journeys.items():
        for step in journey.steps:
            if isinstance(step, Send) and name not in found.setdefault(step.template, []):
                found[step.template].append(name)
    return {template: ", ".join(names) for template, names in found.items()}
