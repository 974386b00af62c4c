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
    moves = [f"{number} {_moved(one, other)}" for one, other, number in done.moves[:5]]
    data = {**msgspec.to_builtins(done), "until": format_instant(done.until)}
    shown: list[str | Table] = [
        *_shown(done.cards),
        f"{done.customers} customers, as of {format_instant(done.until)[:10]}.",
    ]
    if done.gaps:
        shown.append(f"Thresholds of lifecycle and fifths fitted anew, from {done.gaps} gaps.")
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


def _moved(one: str, other: str) -> str:
    if not one:
        return f"new as {other}"
    return f"from {one} to {other}" if other else f"gone from {one}"


def models(
    here: Here,
    name: Annotated[
        str, typer.Argument(metavar="[SCORE]", help="One score, with everything its card holds.")
    ] = "",
) -> Answer:
    """Show the cards of the models: what they are, how good they were, whether they are in use."""
    from aftersale.runtime.cards import kept_cards

    app = here.app()
    with app.store.read() as tx:
        kept = kept_cards(tx)
    app.store.close()
    if kept is None:
        raise Refusal("nothing was scored yet", hint=here.line("score"))
    cards = [card for card in kept.cards if name in {"", card.name}]
    if not cards:
        known = ", ".join(card.name for card in kept.cards)
        raise Refusal(f"there is no score {name!r}", hint=f"one of {known}")
    data = {"until": format_instant(kept.until), "cards": msgspec.to_builtins(cards)}
    shown = _shown(cards)
    if name:
        shown += _proof(cards[0])
    return Answer(data, [*shown, f"As of {format_instant(kept.until)[:10]}."])


def _proof(card: "Card") -> list[str | Table]:
    """What a card holds beside its line."""
    from aftersale.models.scores import STEPS

    proof = card.proof
    shown: list[str | Table] = []
    if card.learnt[0]:
        shown.append(f"Learnt from {card.learnt[0]} to {card.learnt[1]}.")
    if card.steps:
        steps = ", ".join(f"{STEPS[step]} for {number}" for step, number in card.steps.items())
        shown.append(f"It rests mostly on {steps}.")
    if proof.bins:
        rows = [(f"{b.said:.1%}", f"{b.came:.1%}", f"{b.error:.1%}", b.rows) for b in proof.bins]
        shown += [f"Said and came ({proof.of}):", Table(("said", "came", "chance", "rows"), rows)]
    if proof.gains:
        tenths = ", ".join(f"{share:.0%}" for share in proof.gains)
        shown.append(f"Of all that came, in the first tenth, two tenths and so on: {tenths}.")
    if proof.windows:
        past = [
            (f"{w.first} to {w.last}", w.rows, f"{w.said:.1%}", f"{w.came:.1%}", round(w.error, 4))
            for w in proof.windows
        ]
        shown.append(Table(("days", "rows", "said", "came", card.measure), past))
    if proof.drifted:
        shown.append("It drifted: on the newest of them it was off by more than chance.")
    if proof.within is not None and proof.within_goal is not None:
        shown.append(
            f"Its bounds held {proof.within:.0%} of what came; {proof.within_goal:.0%} are meant."
        )
    return shown


def _shown(cards: "list[Card]") -> list[str | Table]:
    rows: list[tuple[Any, ...]] = [
        (c.name, c.rows, c.measure, c.baseline, c.model, c.verdict, round(c.seconds, 1))
        for c in cards
    ]
    headings = ("score", "rows", "judged by", "simple way", "model", "verdict", "seconds")
    told = [(card.name, text) for card in cards for text in (card.why, card.season) if text]
    return [Table(headings, rows), *(f"{name}: {text}." for name, text in told)]


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    command(app, "score")(score)
    command(app, "models")(models)
