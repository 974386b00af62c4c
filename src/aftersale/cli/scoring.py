"""What do the models say of every customer, and which of them earn their place?"""

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from aftersale.cli.answer import Answer, Here, Table, command
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import format_instant, parse_instant

if TYPE_CHECKING:
    from aftersale.models.scores import Card


def score(
    here: Here,
    *,
    until: Annotated[
        str,
        typer.Option(
            "--until", metavar="DATE", help="As it was known then; shown, and nothing is kept."
        ),
    ] = "",
) -> Answer:
    """Score every customer by its history, and tell the ledger what has changed.

    Each model is first judged on the shop's own past. One that is no better than a simple way,
    or has too little to learn from, says nothing, and its card says why.
    """
    from aftersale.runtime.scoring import score as run

    app = here.app()
    with here.bar("events") as progress:
        done = run(
            app, until=parse_instant(until, zone="UTC") if until else None, progress=progress
        )
    app.store.close()
    moves = [f"{number} from {one} to {other}" for one, other, number in done.moves[:5]]
    data = {**msgspec.to_builtins(done), "until": format_instant(done.until)}
    shown: list[str | Table] = [
        *_shown(done.cards),
        f"{done.customers} customers, as of {format_instant(done.until)[:10]}.",
    ]
    if done.fifths:
        named = ", ".join(f"{number} {name}" for name, number in done.fifths.items())
        shown.append(f"By recency and frequency: {named}.")
    if moves:
        shown.append(f"Moved since the last scoring: {', '.join(moves)}.")
    if done.told:
        told = ", ".join(f"{number} of {name}" for name, number in done.told.items())
        shown.append(f"Changes that the programme looks at, told to the ledger: {told}.")
    elif not until:
        shown.append("The programme looks at no score, so the ledger was told nothing.")
    return Answer(data, shown, next=[here.line("worker --once")] if done.told else [])


def models(here: Here) -> Answer:
    """Show the cards of the models: what they are, how good they were, whether they are in use."""
    from aftersale.runtime.cards import kept_cards

    app = here.app()
    with app.store.read() as tx:
        kept = kept_cards(tx)
    app.store.close()
    if kept is None:
        raise Refusal("nothing was scored yet", hint=here.line("score"))
    data = {"until": format_instant(kept.until), "cards": msgspec.to_builtins(kept.cards)}
    return Answer(data, [*_shown(kept.cards), f"As of {format_instant(kept.until)[:10]}."])


def _shown(cards: "list[Card]") -> list[str | Table]:
    rows: list[tuple[Any, ...]] = [
        (c.name, c.rows, c.measure, c.baseline, c.model, c.verdict, round(c.seconds, 1))
        for c in cards
    ]
    headings = ("score", "rows", "judged by", "simple way", "model", "verdict", "seconds")
    why = [f"{card.name}: {card.why}." for card in cards if card.why]
    return [Table(headings, rows), *why]


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    command(app, "score")(score)
    command(app, "models")(models)
