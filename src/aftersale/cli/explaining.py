"""Why did this customer get this, and not that?"""

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from aftersale.cli.answer import Answer, Here, Table, command
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import format_instant

if TYPE_CHECKING:
    from aftersale.programme.ports import Transaction
    from aftersale.runtime.app import App


def explain(
    here: Here,
    decision: Annotated[str, typer.Argument(help="A decision as 42-7: customer and number.")] = "",
    *,
    customer: Annotated[
        str,
        typer.Option(
            "--customer", help="Our id, an e-mail address, the shop's id, or an order number."
        ),
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Newest decisions shown.")] = 20,
) -> Answer:
    """Say why a message was sent or not, or everything about one customer."""
    if bool(decision) == bool(customer):
        raise Refusal(
            "name a decision or a customer",
            hint=f"{here.line('explain 42-7')}   or   {here.line('explain --customer ada')}",
            code=2,
        )
    app = here.app()
    with app.store.read() as tx:
        if decision:
            return _decision(app, tx, decision)
        return _customer(app, tx, customer, limit)


def _decision(app: "App", tx: "Transaction", name: str) -> Answer:
    from aftersale.runtime.explaining import reading_of, world_now
    from aftersale.turn.state import State, decode
    from aftersale.turn.words import explain as in_words
    from aftersale.turn.words import moment

    customer, dash, number = name.partition("-")
    if not (dash and customer.isdigit() and number.isdigit()):
        raise Refusal(
            f"{name!r} is no decision",
            hint="a decision is written as 42-7: customer, number",
            code=2,
        )
    found = tx.decisions.get(int(customer), int(number))
    if found is None:
        raise Refusal(
            f"there is no decision {name}", hint=f"aftersale explain --customer {customer}"
        )
    row = tx.states.load([found.customer]).get(found.customer)
    state = decode(row.blob) if row is not None else State()
    zone = reading_of(state, world_now(tx, app.worlds), found.now).whereabouts.zone
    told = in_words(found, zone)
    gates = [(line.gate, line.verdict, line.text) for line in told.gates]
    shown: list[str | Table] = [
        told.sentence,
        f"  decided {moment(told.now, zone)} ({zone})"
        + (f", version {told.version} of {told.journey}" if told.journey else ""),
    ]
    if gates:
        shown.append(Table(("gate", "verdict", "why"), gates))
    if told.facts:
        shown.append(Table(("fact", "value"), list(told.facts.items())))
    data = {
        **msgspec.to_builtins(told),
        "at": format_instant(told.at),
        "now": format_instant(told.now),
        "zone": zone,
    }
    return Answer(data, shown)


def _customer(app: "App", tx: "Transaction", words: str, limit: int) -> Answer:
    from aftersale.runtime.explaining import explain_customer, find_customer
    from aftersale.turn.words import moment

    customer = find_customer(tx, words)
    told = explain_customer(tx, app.worlds, customer, app.now(tx), limit=limit)
    decisions = [(line.name, moment(line.now, told.zone), line.sentence) for line in told.decisions]
    journeys = [(line.journey, line.standing, line.sentence) for line in told.journeys]
    data = {
        **msgspec.to_builtins(told),
        "decisions": [
            {
                **msgspec.to_builtins(line),
                "at": format_instant(line.at),
                "now": format_instant(line.now),
            }
            for line in told.decisions
        ],
    }
    shown: list[str | Table] = [
        f"Customer {customer}; times in {told.zone} (from the customer's {told.zone_source}).",
        Table(("decision", "when", "what and why"), decisions, "Decisions, newest first"),
        Table(("journey", "standing", "in words"), journeys, "Journeys"),
    ]
    return Answer(data, shown)


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    command(app, "explain")(explain)
