"""Which files are the lake? Only those that its manifest names, and it is replaced as a whole."""

from pathlib import Path
from typing import Any

import msgspec

from aftersale.adapters.disk import appear
from aftersale.kernel.errors import Refusal
from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import Instant

LAYOUT = 4
"""Of the folder, the tables and the scores; a lake of another layout is none and made again."""

MANIFEST = "manifest.json"


class Part(msgspec.Struct, frozen=True):
    """One file with the rows of the entries in (after, upto]."""

    path: str
    """Inside the lake's folder."""
    after: Position
    upto: Position
    rows: int
    bytes: int


class Scores(msgspec.Struct, frozen=True):
    """One file of scores."""

    path: str
    as_of: Instant
    rows: int
    bytes: int


class Manifest(msgspec.Struct, frozen=True):
    """What the lake is at one generation."""

    layout: int = LAYOUT
    generation: int = 0
    """Counts up with every change; part of the names of files, so that none is written over."""
    upto: Position = 0
    mark: str = ""
    zone: str = ""
    erased: list[CustomerId] = []
    pending: list[CustomerId] = []
    """Of the erased those whose rows are still in files."""
    parts: dict[str, list[Part]] = {}
    scores: dict[str, Scores] = {}

    def files(self) -> set[str]:
        """Every file that belongs to the lake."""
        parts = {part.path for some in self.parts.values() for part in some}
        return {MANIFEST, *parts, *(scores.path for scores in self.scores.values())}

    def next(self, **changes: Any) -> "Manifest":
        """The next generation."""
        return msgspec.structs.replace(self, generation=self.generation + 1, **changes)


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in the folder; None where there is no lake, or one of another layout.

    `Refusal` where there is something else under its name.
    """
    try:
        data = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        return None
    try:
        if msgspec.json.decode(data, type=_Head).layout != LAYOUT:
            return None
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise Refusal(
            "the history cannot be read",
            where=str(folder / MANIFEST),
            why=str(error),
            hint="aftersale history --rebuild   makes it again from the ledger",
        ) from None


class _Head(msgspec.Struct):
    layout: int = 0


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put it in the place of the older one; after a crash it is the one or the other."""
    partial = folder / f"{MANIFEST}.partial"
    partial.write_bytes(msgspec.json.encode(manifest))
    appear(partial, folder / MANIFEST)
