"""What do providers send, and what do we make of it?"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from aftersale.cli.answer import DONE, IN_PART, Answer, Here, Table, command
from aftersale.kernel.errors import Refusal

if TYPE_CHECKING:
    from aftersale.kernel.instants import Instant

MOST_BYTES = 16 * 1024 * 1024

group = typer.Typer(help="What providers send by themselves.", no_args_is_help=True)


class Checked(msgspec.Struct, frozen=True):
    """What one file became."""

    file: str
    provider: str
    becomes: dict[str, int]
    """Type of event, or product → how many."""
    passed: list[str]
    understood: bool


@command(group, "check")
def check(
    here: Here,
    folder: Annotated[Path, typer.Argument(help="Folder of payloads, or one file.")],
    *,
    provider: Annotated[
        str,
        typer.Option("--provider", help="Whose they are (default: the name of their folder)."),
    ] = "",
) -> Answer:
    """Show what each payload of a folder would become; nothing is kept.

    A payload is a file with the body of one request, as `.json` or, of a form, `.form`. Whose it is
    says the nearest folder that is named like a provider.
    """
    from aftersale.adapters import clock

    root = folder if folder.is_dir() else folder.parent
    files = sorted(_files(folder))
    if not files:
        raise Refusal("there are no payloads", where=str(folder), hint="name a folder of .json")
    now = clock.now()
    checked = [_checked(path, root, provider, now) for path in files]
    rows = [
        (
            one.file,
            one.provider or "?",
            ", ".join(f"{kind} {n}" if n > 1 else kind for kind, n in one.becomes.items()),
            "; ".join(one.passed),
        )
        for one in checked
    ]
    done = sum(bool(one.becomes) for one in checked)
    unclear = [one.file for one in checked if not one.understood]
    sums = (
        f"{len(checked)} payloads: {done} translated, {len(checked) - done} refused with a reason,"
        f" of which {len(unclear)} a better translator could understand"
    )
    lines: list[str | Table] = [Table(("file", "provider", "becomes", "passed over"), rows), sums]
    return Answer(
        {
            "payloads": len(checked),
            "translated": done,
            "refused": len(checked) - done,
            "files": [msgspec.to_builtins(one) for one in checked],
        },
        lines,
        code=IN_PART if unclear else DONE,
    )


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
    else:
        yield from (path for path in folder.rglob("*") if path.suffix in {".json", ".form"})


def _checked(path: Path, root: Path, wanted: str, now: "Instant") -> Checked:
    from aftersale.translation.happening import REASONS, Delivery, Passed, told
    from aftersale.translation.providers import TRANSLATORS, translate

    shown = str(path.relative_to(root))
    folders = [root.name, *path.relative_to(root).parts[:-1]]
    known = {*TRANSLATORS, "segment"}
    provider = wanted or next((name for name in reversed(folders) if name in known), "")
    if path.stat().st_size > MOST_BYTES:
        raise Refusal("this is too large for the body of a request", where=shown)
    body = path.read_bytes()
    kind = "application/x-www-form-urlencoded" if path.suffix == ".form" else "application/json"
    delivery = Delivery(body, {"content-type": kind}, now)
    if provider == "segment":
        return _tracked(shown, body, now)
    if provider in TRANSLATORS:
        found = translate(provider, delivery)
    else:
        found = told(provider, delivery, [Passed("unknown", "no provider has such a name")])
    becomes = Counter(event.type for event in found.events)
    becomes.update({"product": len(found.products)} if found.products else {})
    unclear = any(not REASONS[passed.code].understood for passed in found.passed)
    return Checked(shown, provider, dict(becomes), [str(p) for p in found.passed], not unclear)


def _tracked(shown: str, body: bytes, now: "Instant") -> Checked:
    """A call of a tracking client, as /v1 takes it from a server of the shop's own.

    Samples are written as a page writes them: who it is, and which call, the client adds itself.
    """
    from aftersale.translation import segment
    from aftersale.translation.telling import Sender

    try:
        item: Any = segment.read_leniently(body)
        if isinstance(item, dict):
            item = {
                "anonymousId": "client",
                **({"type": "track"} if "event" in item else {}),
                **item,
            }
        event = segment.translate(item, received_at=now, sender=Sender(trusted=True))
    except Refusal as refusal:
        why = f"{refusal.what} ({refusal.where})" if refusal.where else refusal.what
        return Checked(shown, "segment", {}, [why], understood=True)
    return Checked(shown, "segment", {event.type: 1}, [], understood=True)


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    app.add_typer(group, name="webhooks")
