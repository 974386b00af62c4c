"""What do providers send, and what do we make of it?"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from aftersale.cli.answer import DONE, IN_PART, Answer, Here, Table, command
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import Instant, format_instant

if TYPE_CHECKING:
    from aftersale.ledger.requests import Request
    from aftersale.runtime.requests import Retried

MOST_BYTES = 16 * 1024 * 1024
_AT_ONCE = 500
"""Requests that are translated again in one transaction."""

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


def _checked(path: Path, root: Path, wanted: str, now: Instant) -> Checked:
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


def _tracked(shown: str, body: bytes, now: Instant) -> Checked:
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


@command(group, "list")
def listed(
    here: Here,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Also what was understood (default: only what was not).")
    ] = False,
    provider: Annotated[str, typer.Option("--provider", help="Only of this provider.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
) -> Answer:
    """List what providers sent and could not be understood, with its reason.

    The newest first. What names people is not shown.
    """
    from aftersale.ledger.requests import REFUSED, STATES, WAITING
    from aftersale.runtime.certificates import wanted

    app = here.app()
    with app.store.read() as tx:
        states = STATES if every else (REFUSED, WAITING)
        found = tx.requests.newest(limit, states=states, provider=provider)
        counts = tx.requests.counts()
        certificates = wanted(tx)
    app.store.close()
    by_provider: dict[str, dict[str, int]] = {}
    for count in counts:
        by_provider.setdefault(count.provider, dict.fromkeys(STATES, 0))[count.state] = (
            count.requests
        )
    data = {
        "providers": by_provider,
        "certificates": certificates,
        "requests": [_told(one) for one in found],
    }
    rows = [
        (
            one.number,
            one.provider,
            one.shop,
            format_instant(one.received_at),
            one.times,
            one.state,
            "; ".join(str(passed) for passed in one.passed),
        )
        for one in found
    ]
    sums = [(name, *(states[state] for state in STATES)) for name, states in by_provider.items()]
    shown: list[str | Table] = [Table(("provider", *STATES), sums)] if sums else []
    headings = ("number", "provider", "shop", "arrived", "times", "state", "why")
    shown.append(
        Table(headings, rows) if rows else "There is nothing that could not be understood."
    )
    following = [here.line(f"webhooks trust {url}") for url in certificates]
    following += [
        here.line(f"webhooks confirm {one.number}")
        for one in found
        if any(passed.code == "to-confirm" for passed in one.passed)
    ]
    return Answer(data, shown, next=following)


def _told(one: "Request") -> dict[str, Any]:
    return {
        "number": one.number,
        "provider": one.provider,
        "shop": one.shop,
        "received_at": format_instant(one.received_at),
        "last_at": format_instant(one.last_at),
        "times": one.times,
        "state": one.state,
        "passed": [{"code": passed.code, "detail": passed.detail} for passed in one.passed],
    }


@command(group, "show")
def show_one(here: Here, number: Annotated[int, typer.Argument(help="Of `list`.")]) -> Answer:
    """Print one request as it arrived, to find out why it is not understood.

    It may name people: keep what you save of it as you keep your customer list.
    """
    app = here.app()
    with app.store.read() as tx:
        found = tx.requests.get(number)
    app.store.close()
    if found is None:
        raise _absent(here, number)
    body = found.body.decode("utf-8", "replace")
    if not body:
        here.warn("its body was forgotten with a person whom it named, or was empty")
    return Answer({**_told(found), "headers": found.headers, "body": body}, [body])


@command(group, "retry")
def retried(
    here: Here,
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="[NUMBER]...", help="Default: all of `list`.")
    ] = None,
) -> Answer:
    """Translate again what could not be understood, after a fix or an upgrade.

    What a request told already is told once, however often it is translated.
    """
    from aftersale.ledger.requests import TRANSLATED
    from aftersale.runtime.requests import retry

    app = here.app()
    done: list[Retried] = []
    if numbers:
        with app.store.write() as tx:
            kept = [tx.requests.get(number) for number in numbers]
            absent = [number for number, found in zip(numbers, kept, strict=True) if not found]
            if absent:
                raise _absent(here, absent[0])
            done = retry(tx, [found for found in kept if found and found.body], now=app.now(tx))
    else:
        after = 0
        while True:
            with app.store.write() as tx:
                some = tx.requests.open(after, _AT_ONCE)
                done += retry(tx, some, now=app.now(tx))
            if not some:
                break
            after = some[-1].number
    app.store.close()
    left = [one for one in done if one.state != TRANSLATED]
    for one in done:
        if one.fault is not None:
            here.warn(f"request {one.number}: the translator failed: {one.fault!r}")
    rows = [
        (one.number, one.provider, one.state, one.events, "; ".join(map(str, one.passed)))
        for one in done
    ]
    data = {
        "translated": len(done) - len(left),
        "left": len(left),
        "requests": [
            {
                "number": one.number,
                "provider": one.provider,
                "state": one.state,
                "events": one.events,
                "passed": [str(passed) for passed in one.passed],
            }
            for one in done
        ],
    }
    shown: list[str | Table] = [
        Table(("number", "provider", "state", "events", "why"), rows),
        f"{len(done)} translated again: {len(done) - len(left)} understood, {len(left)} not",
    ]
    return Answer(data, shown, code=IN_PART if left else DONE)


@command(group, "trust")
def trust_one(
    here: Here,
    url: Annotated[str, typer.Argument(help="Address of a certificate, of `list`.")],
    *,
    file: Annotated[
        Path | None, typer.Option("--file", help="The certificate; without it, it is fetched.")
    ] = None,
) -> Answer:
    """Trust a certificate with which Amazon SNS signs; messages that it signs are taken then.

    Without a file it is fetched from Amazon, over TLS.
    """
    from aftersale.adapters.amazon_sns import fetch
    from aftersale.runtime.certificates import is_certificate, trust

    if not is_certificate(url):
        raise Refusal(f"{url} is no address of a certificate of Amazon SNS")
    if file is None:
        text = fetch(url).decode("ascii", "replace")
    else:
        try:
            text = file.read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            raise Refusal("the certificate cannot be read", where=str(file)) from error
    app = here.app()
    with app.store.write() as tx:
        trust(tx, url, text)
    app.store.close()
    return Answer({"url": url}, [f"Messages signed with {url} are taken from now on."])


@command(group, "confirm")
def confirm(here: Here, number: Annotated[int, typer.Argument(help="Of `list`.")]) -> Answer:
    """Confirm a subscription that Amazon SNS asks about: its address is called, once.

    The request was proved to be of a topic that you named; nothing is confirmed without this.
    """
    from aftersale.adapters.amazon_sns import fetch
    from aftersale.ledger.requests import TRANSLATED
    from aftersale.translation.happening import Passed
    from aftersale.translation.requests import CONFIRM, confirmation_url

    app = here.app()
    with app.store.read() as tx:
        found = tx.requests.get(number)
    if found is None:
        raise _absent(here, number)
    url = confirmation_url(found.body)
    if not url:
        raise Refusal(f"request {number} asks for no confirmation", hint=here.line("webhooks list"))
    fetch(url)
    with app.store.write() as tx:
        tx.requests.settle(number, TRANSLATED, [Passed("set-up", CONFIRM)])
    app.store.close()
    return Answer({"number": number, "confirmed": True}, ["The subscription is confirmed."])


def _absent(here: Here, number: int) -> Refusal:
    return Refusal(f"there is no request {number}", hint=here.line("webhooks list --all"))


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    app.add_typer(group, name="webhooks")
