"""Which text belongs to a message, and is it sound?

A template is a file `templates/NAME.liquid`: front matter between two lines of three dashes
(`subject`, and if wanted `preheader` and `locale`), then a body in Liquid that makes simple
HTML. `NAME.txt.liquid` beside it replaces the text that is otherwise derived from the HTML. A
shop and a language stand after the name: `NAME.SHOP.de-AT.liquid`. The most particular file wins.
`layout.liquid` is put around every body. A file whose name begins with `_` is a piece that
others take in with `{% render '_piece' %}`.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from liquid import Environment
from liquid.exceptions import LiquidError

from aftersale.kernel.errors import Refusal
from aftersale.messages.bounded import (
    Part,
    Problem,
    environment,
    fill,
    parse,
    piece_file,
    pieces_of,
)
from aftersale.messages.facts import FIELDS, SAMPLE, clean
from aftersale.messages.wording import split_locale

LAYOUT = "layout"
_FOLDER = "templates/"
_ENDING = ".liquid"
_TEXT = ".txt"
_LONGEST_FILE = 200_000
_KEYS = ("subject", "preheader", "locale")
_NAME = re.compile(r"_?[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")


class Template(msgspec.Struct, frozen=True):
    """A message before its facts are known, with the layout that goes around it."""

    name: str
    file: str
    locale: str
    """Of the words in the file, so that dates and amounts can be written to match."""
    subject: Part
    body: Part
    preheader: Part | None = None
    text: Part | None = None
    layout: Part | None = None


class _File(msgspec.Struct):
    """One file, parsed; a part is None where it is absent or unsound."""

    file: str
    stem: str
    matter: dict[str, tuple[int, str]] = {}
    subject: Part | None = None
    preheader: Part | None = None
    body: Part | None = None
    problems: list[Problem] = []

    @property
    def is_message(self) -> bool:
        """Whether it is neither a piece, nor a layout, nor the text part of another."""
        name = self.stem.partition(".")[0]
        return not self.stem.startswith("_") and name != LAYOUT and not self.is_text

    @property
    def is_text(self) -> bool:
        return self.stem.endswith(_TEXT)


class Templates:
    """All templates of a programme, parsed once; unsound ones wait in `check`."""

    def __init__(self, files: Mapping[str, str]) -> None:
        """Files by path inside the programme; those outside `templates/` are not looked at."""
        stems = {
            path: path.removeprefix(_FOLDER).removesuffix(_ENDING)
            for path in sorted(files)
            if path.endswith(_ENDING) and (path.startswith(_FOLDER) or "/" not in path)
        }
        pieces = {stem: files[path] for path, stem in stems.items() if stem.startswith("_")}
        self._html = environment(pieces, html=True)
        self._plain = environment(pieces, html=False)
        self._files = {stem: self._read(path, stem, files[path]) for path, stem in stems.items()}

    def names(self) -> list[str]:
        """Names of messages, each once, in order."""
        return sorted(
            {stem.partition(".")[0] for stem, file in self._files.items() if file.is_message}
        )

    def find(self, name: str, shop: str = "", locale: str = "") -> Template | None:
        """The template that fits best; unsound ones are refused, none is None.

        For (name, shop, de-AT): NAME.shop.de-AT, NAME.shop.de, NAME.shop, NAME.de-AT, NAME.de,
        NAME. The layout is looked up in the same way, in the language of the file found.
        """
        found, suffix = self._look_up(name, shop, locale)
        if found is None or not found.is_message:
            return None
        layout, _ = self._look_up(LAYOUT, shop, suffix)
        text = self._files.get(found.stem + _TEXT)
        for file in (found, layout, text):
            if file is not None and file.problems:
                raise file.problems[0].refusal()
        if found.subject is None or found.body is None:
            raise Refusal(f"the template {found.file} is not complete")
        return Template(
            name,
            found.file,
            suffix or found.matter.get("locale", (0, "en"))[1],
            found.subject,
            found.body,
            found.preheader,
            text.body if text else None,
            layout.body if layout else None,
        )

    def check(self) -> list[Problem]:
        """What the author should change, by file and line; each message is filled in once."""
        problems = [problem for file in self._files.values() for problem in file.problems]
        if self.names() and LAYOUT not in self._files:
            problems.append(
                Problem(
                    f"{_FOLDER}{LAYOUT}{_ENDING}",
                    1,
                    "there is no layout",
                    "copy the one of the starter programme; it holds the unsubscribe link",
                )
            )
        for file in self._files.values():
            if file.is_text and file.stem.removesuffix(_TEXT) not in self._files:
                what = "this text part belongs to no template"
                problems.append(
                    Problem(file.file, 1, what, f"write {file.stem.removesuffix(_TEXT)}{_ENDING}")
                )
            problems += self._trial(file)
        return sorted(set(problems), key=lambda problem: (problem.file, problem.line))

    def _look_up(self, name: str, shop: str, locale: str) -> tuple[_File | None, str]:
        """The best file and the locale in its name."""
        language, region = split_locale(locale)
        suffixes = [f"{language}-{region}"] if region else []
        suffixes += [language, ""]
        for owner in (shop, "") if shop else ("",):
            for suffix in suffixes:
                stem = ".".join(part for part in (name, owner, suffix) if part)
                if stem in self._files:
                    return self._files[stem], suffix
        return None, ""

    def _read(self, path: str, stem: str, source: str) -> _File:
        file = _File(path, stem)
        if not _NAME.fullmatch(stem):
            what = "a template lies directly in templates/ and has a plain name"
            file.problems.append(Problem(path, 1, what, "use letters, digits, - and _"))
            return file
        if len(source) > _LONGEST_FILE:
            file.problems.append(Problem(path, 1, f"longer than {_LONGEST_FILE} characters"))
            return file
        matter, line, body = _split(source.replace("\r\n", "\n").removeprefix("\ufeff"), file)
        file.matter = matter
        file.body = self._part(self._plain if file.is_text else self._html, file, body, line)
        for key in ("subject", "preheader"):
            if key in matter:
                at, text = matter[key]
                setattr(file, key, self._part(self._plain, file, text, at))
        if stem.startswith("_") and matter:
            what = "a piece has no front matter"
            file.problems.append(Problem(path, 1, what, "begin with its first words"))
        if file.is_message and not matter.get("subject", (0, ""))[1]:
            file.problems.append(
                Problem(
                    path,
                    1,
                    "the message has no subject",
                    "begin the file with a line of three dashes, subject: ..., three dashes",
                )
            )
        return file

    @staticmethod
    def _part(where: Environment, file: _File, text: str, line: int) -> Part | None:
        part = parse(where, file.file, text, line=line)
        if isinstance(part, Problem):
            file.problems.append(part)
            return None
        return part

    def _trial(self, file: _File) -> Iterator[Problem]:
        """Names that do not exist, and what fails even with every fact there."""
        if file.stem.startswith("_"):
            return  # a piece is tried within the files that render it
        for part in (file.subject, file.preheader, file.body):
            if part is None:
                continue
            found = list(_unknown_names(part))
            yield from found
            if not found:
                facts = clean({**SAMPLE, "message": _SAMPLE_MESSAGE})
                try:
                    fill(part, facts)
                except Refusal as refusal:
                    where, _, line = refusal.where.rpartition(":")
                    yield Problem(where, int(line), refusal.why, refusal.hint)


_SAMPLE_MESSAGE: dict[str, Any] = {
    "subject": "Subject",
    "preheader": "Preheader",
    "body": "Body",
    "purpose": "marketing",
    "locale": "en",
    "direction": "ltr",
}


def _split(source: str, file: _File) -> tuple[dict[str, tuple[int, str]], int, str]:
    """Front matter (key → line, text), the line on which the body begins, the body."""
    if not source.startswith("---\n"):
        return {}, 1, source
    matter: dict[str, tuple[int, str]] = {}
    lines = source.split("\n")
    for number, text in enumerate(lines[1:], start=2):
        if text.rstrip() == "---":
            return matter, number + 1, "\n".join(lines[number:])
        if not text.strip() or text.startswith("#"):
            continue
        key, colon, value = text.partition(":")
        if not colon or key.strip() not in _KEYS:
            what = f"{key.strip()!r} is not known here"
            file.problems.append(Problem(file.file, number, what, f"use {', '.join(_KEYS)}"))
            continue
        matter[key.strip()] = number, _unquoted(value.strip())
    file.problems.append(
        Problem(file.file, 1, "the front matter does not end", "close it with three dashes")
    )
    return matter, len(lines), ""


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value


def _unknown_names(part: Part) -> Iterator[Problem]:
    """Facts and fields that no message ever has, at their places, pieces included."""
    try:
        analysis = part.bound.analyze(include_partials=True)
    except (LiquidError, RecursionError):
        return  # filling it in says the same with its line
    pieces = pieces_of(part)
    for variable in (use for uses in analysis.globals.values() for use in uses):
        name, *fields = map(str, variable.segments)
        origin = variable.span.template_name
        file = piece_file(origin) if origin in pieces else part.file
        line = pieces.get(origin, part.source).count("\n", 0, variable.span.index) + 1
        if name not in FIELDS:
            yield Problem(file, line, f"there is no fact {name}", _nearest(name, [*FIELDS]))
        elif fields and fields[0] not in FIELDS[name]:
            what = f"{name} has no field {fields[0]}"
            yield Problem(file, line, what, _nearest(fields[0], sorted(FIELDS[name])))


def _nearest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"known are {', '.join(known)}" if known else "it is a text and has no fields"
