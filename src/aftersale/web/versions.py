"""What was in force when, and what changed from one version to the next?"""

from collections.abc import Mapping
from difflib import SequenceMatcher

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import Instant
from aftersale.programme.changes import Change, diff
from aftersale.programme.load import compile_programme
from aftersale.programme.ports import Deployment, Transaction
from aftersale.web.graph import Drawn, draw_journey
from aftersale.web.journeys import text_of
from aftersale.web.pages import Pages, Shown

AROUND = 3
"""Lines shown around a change."""


class VersionRow(msgspec.Struct, frozen=True):
    """One version of the programme."""

    version: int
    deployed_at: Instant
    note: str
    digest: str
    in_force: bool


class Versions(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    versions: list[VersionRow]


class Line(msgspec.Struct, frozen=True):
    """One line of a file, side by side."""

    kind: str
    """same, gone, come or gap."""
    text: str
    old: int | None = None
    new: int | None = None


class FileDiff(msgspec.Struct, frozen=True):
    """What changed in one file."""

    file: str
    kind: str
    lines: list[Line]


class Sides(msgspec.Struct, frozen=True):
    """A journey before and after, as graphs."""

    journey: str
    before: Drawn | None
    after: Drawn | None
    come: list[str]
    """Ids of steps that are new."""
    gone: list[str]
    other: list[str]
    """Ids of steps that are not what they were."""


class Differences(msgspec.Struct, frozen=True):
    """Everything on the page of one version; the same as JSON."""

    version: int
    before: int
    deployed_at: Instant
    note: str
    changes: list[Change]
    graphs: list[Sides]
    files: list[FileDiff]


def versions(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """Every version that was in force, newest first."""
    history = tx.deployments.history()
    rows = [
        VersionRow(one.version, one.deployed_at, one.note, one.digest, number == 0)
        for number, one in enumerate(history)
    ]
    return Shown("versions.html", "versions", Versions(rows), ("versions",))


def version(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """What one version changed, against the one before or another."""
    number: int = request.path_params["version"]
    asked = request.query_params.get("against", str(number - 1))
    after = tx.deployments.get(number)
    if after is None:
        raise HTTPException(404, f"There is no version {number} of the programme.")
    if not asked.isdigit():
        raise HTTPException(404, f"There is no version {asked} of the programme.")
    before = tx.deployments.get(int(asked))
    if before is None and int(asked):
        raise HTTPException(404, f"There is no version {asked} of the programme.")
    view = pages.once(("version", number, int(asked)), lambda: differences(before, after))
    return Shown("version.html", "versions", view)


def differences(before: Deployment | None, after: Deployment) -> Differences:
    """What the page of one version shows."""
    old = dict(before.files) if before else {}
    return Differences(
        after.version,
        before.version if before else 0,
        after.deployed_at,
        after.note,
        _changes(old, after.files),
        _graphs(before, after),
        file_diffs(old, after.files),
    )


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    if not old:
        return []
    try:
        return diff(old, new)
    except Refusal:
        return []  # of a version that today's reader does not take; the files are still shown


def _graphs(before: Deployment | None, after: Deployment) -> list[Sides]:
    try:
        new = compile_programme(after.files, version=after.version).programme.journeys
        old = {}
        if before is not None:
            old = compile_programme(before.files, version=before.version).programme.journeys
    except Refusal:
        return []
    found = []
    for name in sorted(old.keys() | new.keys()):
        one, other = old.get(name), new.get(name)
        texts = [text_of(d.files, name)[1] if d else "" for d in (before, after)]
        if texts[0] == texts[1] or not old:
            continue
        steps = [
            {step.id: _plain(step) for step in journey.steps} if journey else {}
            for journey in (one, other)
        ]
        found.append(
            Sides(
                name,
                draw_journey(one) if one else None,
                draw_journey(other) if other else None,
                [key for key in steps[1] if key not in steps[0]],
                [key for key in steps[0] if key not in steps[1]],
                [key for key in steps[1] if key in steps[0] and steps[0][key] != steps[1][key]],
            )
        )
    return found


def _plain(step: msgspec.Struct) -> str:
    """A step as text, without where it stands in the file and in the order."""
    kept = {
        name: str(getattr(step, name))
        for name in step.__struct_fields__
        if name not in {"line", "next", "text_digest"}
    }
    return str(kept)


def file_diffs(old: Mapping[str, str], new: Mapping[str, str]) -> list[FileDiff]:
    """Every file that is not what it was, with the lines that differ."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        kind = "added" if before is None else "removed" if after is None else "changed"
        found.append(FileDiff(name, kind, _lines(before or "", after or "")))
    return found


def _lines(before: str, after: str) -> list[Line]:
    old, new = before.splitlines(), after.splitlines()
    found: list[Line] = []
    for group in SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(AROUND):
        if found:
            found.append(Line("gap", ""))
        for tag, first, last, begin, end in group:
            if tag == "equal":
                found += [
                    Line("same", text, first + n + 1, begin + n + 1)
                    for n, text in enumerate(old[first:last])
                ]
                continue
            found += [Line("gone", text, first + n + 1) for n, text in enumerate(old[first:last])]
            found += [
                Line("come", text, None, begin + n + 1) for n, text in enumerate(new[begin:end])
            ]
    return found
