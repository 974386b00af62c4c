"""What are customers worth, and how far can that be trusted?"""

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from aftersale.cli.answer import Answer, Here, Table, command
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY, format_instant, parse_instant
from aftersale.kernel.money import format_money

if TYPE_CHECKING:
    from aftersale.models.judging import Guess, Judgement
    from aftersale.runtime.valuing import Group, InCurrency, Valued

QUIET_DAYS = 60
"""Days without an order after which it is asked whether the history has simply ended."""

ONCE = "P(alive) is 1 for whoever bought on one day only: it says nothing about them."

_WAYS = {"model": "model", "own": "own past rate", "shop": "shop's mean"}


def value(
    here: Here,
    *,
    customer: Annotated[
        str,
        typer.Option(
            "--customer", help="Our id, an e-mail address, the shop's id, or an order number."
        ),
    ] = "",
    margin: Annotated[
        float | None,
        typer.Option(
            "--margin",
            metavar="SHARE",
            help="Share of the revenue left when goods and delivery are paid: gives the budgets.",
        ),
    ] = None,
    discount: Annotated[
        float,
        typer.Option("--discount", metavar="SHARE", help="How much less money is worth in a year."),
    ] = 0.1,
    until: Annotated[
        str,
        typer.Option("--until", metavar="DATE", help="Today (default: the clock of the store)."),
    ] = "",
) -> Answer:
    """Say who is still there, and what customers will buy and spend in the next 12 months.

    First the forecast is judged on the store's own past; where it is no better than a plain
    average it is switched off, and the answer says why. The fitted models are kept for the pages
    of customers, unless --until names another day.
    """
    from aftersale.runtime.explaining import find_customer, world_now
    from aftersale.runtime.valuing import Terms, keep, value_customers

    if margin is not None and not 0 < margin <= 1:
        raise Refusal("a margin is a share above 0, at most 1", where="--margin", code=2)
    if not 0 <= discount < 1:
        raise Refusal("a discount is a share from 0 to below 1", where="--discount", code=2)
    app, terms = here.app(), Terms(discount, margin)
    with app.store.read() as tx:
        found = value_customers(
            tx,
            world_now(tx, app.worlds),
            parse_instant(until, zone="UTC") if until else app.now(tx),
            terms=terms,
            customer=find_customer(tx, customer) if customer else None,
        )
    if not until:
        with app.store.write() as tx:
            keep(tx, found, terms)
    quiet = found.until // DAY - found.newest_day
    if found.buyers and quiet > QUIET_DAYS:
        last = format_instant(found.newest_day * DAY)[:10]
        here.warn(
            f"the newest order is {quiet} days old, so most customers seem to have left; if the "
            f"history simply ends there, say {here.line(f'value --until {last}')}"
        )
    shown: list[str | Table] = []
    if found.off:
        shown.append(f"No customer is valued: {found.off}.")
    elif customer:
        shown += _shown_one(found)
    else:
        for part in found.currencies:
            shown += _shown_currency(part, margin)
        shown += [*_flags(found.buying.flags, "buying"), ONCE]
    shown += _shown_judgement(found.judgement)
    following = [here.line("value --margin 0.3")] if margin is None and not found.off else []
    return Answer(_data(found), shown, next=following)


def _data(found: "Valued") -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(found)
    judgement = found.judgement
    return {
        **data,
        "until": format_instant(found.until),
        "newest_day": format_instant(found.newest_day * DAY)[:10],
        "judgement": {
            **data["judgement"],
            "cut": format_instant(judgement.cut * DAY)[:10],
        },
    }


def _shown_currency(part: "InCurrency", margin: float | None) -> list[str | Table]:
    headings = [
        "customers of", "how many", "P(alive)", "buy in 12 months", "purchases",
        "12-month value", "from", "to", "x first order",
    ]  # fmt: skip
    if margin is not None:
        headings += ["winning may cost", "keeping may cost"]
    rows = [_row(group, part.currency, margin) for group in part.groups]
    title = f"Each on average, in {part.currency}; nine times of ten between from and to"
    alike = [f"Everybody is expected to spend the mean of all: {part.flat}."] if part.flat else []
    return [Table(headings, rows, title), *alike, *_flags(part.spending.flags, "spending")]


def _row(group: "Group", currency: str, margin: float | None) -> tuple[Any, ...]:
    name = group.name if group.kind in {"all", "newcomer"} else f"{group.kind} {group.name}"
    row = (
        name,
        group.customers or "",
        group.alive,
        group.buys,
        group.purchases,
        *(format_money(round(m), currency) for m in (group.value, group.low, group.high)),
        group.multiple,
    )
    if margin is None:
        return row
    budgets = (group.acquisition or 0.0, group.retention or 0.0)
    return (*row, *(format_money(round(budget), currency) for budget in budgets))


def _flags(flags: tuple[str, ...], what: str) -> list[str]:
    from aftersale.models import buying, spending

    words = buying.FLAGS if what == "buying" else spending.FLAGS
    return [f"The model of {what}: {words[flag]}." for flag in flags]


def _shown_one(found: "Valued") -> list[str | Table]:
    one = found.one
    assert one is not None
    times = "once" if one.frequency == 0 else f"on {one.frequency + 1} days"
    last = one.age - one.recency
    money = [format_money(round(m), one.currency) for m in (one.value, one.low, one.high)]
    rows = [
        ("bought", f"{times}, first {one.age} and last {last} days ago"),
        ("P(alive)", f"{one.alive:.2f}"),
        ("buys within 12 months", f"{one.buys:.2f}"),
        ("purchases in 12 months", f"{one.purchases:.2f}"),
        ("12-month value", f"{money[0]}; nine times of ten from {money[1]} to {money[2]}"),
        ("x first order", "" if one.multiple is None else f"{one.multiple:.2f}"),
    ]
    return [Table(("what", "expected"), rows, f"Customer {one.customer}")]


def _shown_judgement(judged: "Judgement") -> list[str | Table]:
    if not judged.purchases:
        return []
    cut = format_instant(judged.cut * DAY)[:10]
    spend = f"minor units of {judged.currency} a purchase day"
    tables: list[str | Table] = [
        Table(
            ("forecast", "by", "mean error", "root mean squared", "forecast / happened"),
            [
                *(_guess("purchases", guess) for guess in judged.purchases),
                *(_guess(spend, guess) for guess in judged.spend),
            ],
            f"Judged on the past: known up to {cut}, {judged.days} days forecast for "
            f"{judged.customers} customers",
        ),
        (
            f"Whether somebody buys: Brier score {judged.brier:.3f} (base rate "
            f"{judged.brier_base:.3f}), calibration error {judged.calibration:.3f}."
        ),
    ]
    if judged.spend:
        tables.append(
            f"What each spent lay within its bounds for {judged.within:.0%} of the customers "
            "(90% are aimed at)."
        )
    return tables


def _guess(what: str, guess: "Guess") -> tuple[Any, ...]:
    return what, _WAYS[guess.way], guess.mae, guess.rmse, guess.total


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    command(app, "value")(value)
