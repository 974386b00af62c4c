"""Which long work is being done, how far is it, and what did it come to?"""

import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from aftersale.adapters.sources.files import format_of
from aftersale.adapters.sources.mapping import mapping_of
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import SECOND
from aftersale.programme.ports import Transaction
from aftersale.runtime.app import App
from aftersale.runtime.backtest import REACTIONS, plan_of
from aftersale.runtime.jobs import Job, ask_for, ask_to_stop, job_of, jobs
from aftersale.web.pages import Pages, Shown
from aftersale.web.work import CONSENTS, KINDS, MAPPING, WORKS, uploads

STATES = {
    "waiting": "Waits for its turn",
    "running": "Running",
    "done": "Finished",
    "failed": "Failed",
    "stopped": "Stopped",
}
MOST_MAPPING = 1 << 20
"""Bytes of a mapping."""
_STRANGE = re.compile(r"[^\w.-]+", re.ASCII)


class Row(msgspec.Struct, frozen=True):
    """One job of the list."""

    id: str
    kind: str
    title: str
    state: str
    said: str
    asked_at: int
    ended_at: int


class JobList(msgspec.Struct, frozen=True):
    """Everything on the page of all jobs; the same as JSON."""

    jobs: list[Row]


class JobView(msgspec.Struct, frozen=True):
    """Everything on the page of one job; the same as JSON."""

    job: Job
    said: str
    """How it stands, in one sentence."""
    ahead: int
    """Jobs that come before it."""
    seconds_left: int | None
    can_go_on: bool
    """Whether it can be asked for again."""


class UploadForm(msgspec.Struct, frozen=True):
    """What an upload may say; the same as JSON."""

    kinds: tuple[str, ...]
    consents: tuple[str, ...]


def all_jobs(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """The jobs, the latest first, and what can be begun."""
    pages.runner.wake()
    rows = [
        Row(job.id, job.kind, job.title, job.state, _said(job), job.asked_at, job.ended_at)
        for job in jobs(tx)
    ]
    return Shown("jobs.html", "jobs", JobList(rows), ("jobs",), {"reactions": REACTIONS})


def one_job(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """One job: how far it is, or what it came to."""
    pages.runner.wake()
    job = job_of(tx, request.path_params["name"])
    if job is None:
        raise HTTPException(404, "There is no such job; the last fifty are kept.")
    ahead = sum(not one.over and one.asked_at < job.asked_at for one in jobs(tx))
    left = job.left(pages.app.system_now())
    view = JobView(
        job,
        _said(job),
        ahead,
        None if left is None else -(-left // SECOND),
        job.state in {"failed", "stopped"},
    )
    return Shown("job.html", "jobs", view, also={"states": STATES})


def upload_form(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """A file and what its columns mean."""
    return Shown("upload.html", "data", UploadForm(KINDS, CONSENTS))


def begin_backtest(pages: Pages, where: Mapping[str, str], fields: Mapping[str, str]) -> str:
    """Ask for a backtest of the programme in force."""
    asked = {name: fields.get(name, "").strip() for name in ("from", "to")}
    reactions = fields.get("reactions") or "none"
    if reactions not in REACTIONS:
        raise HTTPException(400, f"Reactions are {', '.join(REACTIONS)}, not {reactions}.")
    with pages.app.store.read() as tx:
        plan_of(tx, asked["from"], asked["to"])
    period = " to ".join(part for part in asked.values() if part) or "half a year"
    return _begin(pages, "backtest", f"Backtest, {period}", {**asked, "reactions": reactions})


def begin_score(pages: Pages, where: Mapping[str, str], fields: Mapping[str, str]) -> str:
    """Ask for a scoring of everybody."""
    return _begin(pages, "score", "Score every customer", {})


def begin_sizes(pages: Pages, where: Mapping[str, str], fields: Mapping[str, str]) -> str:
    """Ask for the sizes of segments on earlier days."""
    return _begin(pages, "sizes", "Work out earlier sizes of segments", {})


def begin_import(pages: Pages, fields: Mapping[str, str], files: Mapping[str, UploadFile]) -> str:
    """Keep an uploaded file, and ask that it be read."""
    kind, consent = fields.get("kind", ""), fields.get("consent", "")
    file = files.get("file")
    if file is None or not file.filename:
        raise HTTPException(400, "Choose a file.")
    if kind not in KINDS or consent not in CONSENTS:
        raise HTTPException(400, "Say what the file holds, and which consent there is.")
    title = Path(file.filename.replace("\\", "/")).name[:200]
    name = _STRANGE.sub("-", title)[-100:].strip(".-") or "file"
    mapping = ""
    if (given := files.get("mapping")) is not None:
        mapping = given.file.read(MOST_MAPPING).decode("utf-8-sig", "replace")
        mapping_of(mapping, kind, given.filename or "mapping")
    elif kind != "events":
        raise Refusal(
            "nothing says what the columns mean",
            hint="give a mapping, too; docs/how-to/import-orders.md shows how to write one",
        )
    _sweep(pages.app)
    upload = secrets.token_hex(8)
    folder = uploads(pages.app) / upload
    folder.mkdir(parents=True, mode=0o700)
    with (folder / name).open("wb") as kept:
        shutil.copyfileobj(file.file, kept, 1 << 20)
    if mapping:
        (folder / MAPPING).write_text(mapping, encoding="utf-8")
    try:
        format_of(folder / name)
    except Refusal:
        shutil.rmtree(folder)
        raise
    asked = {
        "upload": upload,
        "name": name,
        "title": title,
        "kind": kind,
        "consent": consent,
        "trial": "no" if fields.get("trial") == "no" else "yes",
        "history": "no" if fields.get("history") == "no" else "yes",
    }
    return _begin(pages, "import", _import_title(asked), asked)


def stop(pages: Pages, where: Mapping[str, str], fields: Mapping[str, str]) -> str:
    """Let a job go on no longer."""
    if ask_to_stop(pages.app.store, where["name"], pages.app.system_now()) is None:
        raise HTTPException(404, "There is no such job.")
    return f"/jobs/{where['name']}"


def again(pages: Pages, where: Mapping[str, str], fields: Mapping[str, str]) -> str:
    """Ask once more for what came to no end, or for what makes sense after a trial."""
    with pages.app.store.read() as tx:
        job = job_of(tx, where["name"])
    if job is None:
        raise HTTPException(404, "There is no such job.")
    following = job.outcome.again if job.outcome else {}
    if job.state not in {"failed", "stopped"} and not following:
        raise HTTPException(400, "There is nothing to do again.")
    asked = following or job.fields
    title = _import_title(asked) if job.kind == "import" else job.title
    return _begin(pages, job.kind, title, asked)


def _import_title(asked: Mapping[str, str]) -> str:
    return f"{'Try' if asked['trial'] == 'yes' else 'Import'} {asked['title']}"


def _begin(pages: Pages, kind: str, title: str, fields: dict[str, str]) -> str:
    """The page of the job; of one that is under way already if it is the same."""
    assert kind in WORKS
    with pages.app.store.read() as tx:
        same = [job for job in jobs(tx) if (job.kind, job.fields) == (kind, fields)]
    going = next((job for job in same if not job.over), None)
    if going is None:
        name = secrets.token_hex(6)
        going = Job(name, kind, title, fields, pages.app.system_now())
        ask_for(pages.app.store, going)
    pages.runner.wake()
    return f"/jobs/{going.id}"


def _said(job: Job) -> str:
    match job.state:
        case "done":
            return f"Finished. {job.outcome.said}" if job.outcome else "Finished."
        case "failed":
            return f"Failed. {job.problem}"
        case "stopped":
            return "Stopped. What was kept before stays."
        case "running" if job.to_stop:
            return "Is being stopped."
        case "running":
            return f"Running: {job.phase}." if job.phase else "It has begun."
        case "waiting":
            return "Waits for its turn."


def _sweep(app: App) -> None:
    """Remove what was uploaded for jobs that nobody is told of any more."""
    with app.store.read() as tx:
        known = {job.fields.get("upload") for job in jobs(tx)}
    folder = uploads(app)
    for old in folder.iterdir() if folder.is_dir() else ():
        if old.name not in known:
            shutil.rmtree(old, ignore_errors=True)
