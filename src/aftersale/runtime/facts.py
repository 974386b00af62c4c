"""What do the models read of the history, as of an instant?

Only what had happened by then, so the same call tells what is known today and what could be known
in the past; and only as far as the scores that are wanted need it.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from typing import Any

import ibis
import msgspec
import numpy as np
import pyarrow as pa
from ibis.expr.types import Table

from aftersale.catalogue.product import Catalogue, Product
from aftersale.features import affinity, contracts, leanings
from aftersale.features.purchases import (
    given_back,
    kept,
    kept_lines,
    paid_days,
    parts,
    totals_of,
)
from aftersale.kernel.instants import Instant
from aftersale.kernel.zones import day_number
from aftersale.models import contract_churn
from aftersale.models.affinity import Points
from aftersale.models.buying import Whole
from aftersale.models.contract_churn import Tellings
from aftersale.models.gammas import Numbers
from aftersale.models.leaning import Sums
from aftersale.models.scores import SCORES
from aftersale.programme.lake import Lake
from aftersale.runtime.past import past

PARTS_OF_HEALTH = ("churn", "satisfaction", "engagement")
"""Scores of which health is the mean."""
_OF_LINES = frozenset({"run_out", "affinity", "brand_affinity"})
_TREE = pa.schema({"product": pa.string(), "node": pa.string()})
_CHOICES: dict[str, Callable[[Product], str]] = {
    "affinity": lambda product: product.category.strip("/"),
    "brand_affinity": lambda product: product.brand,
}


class Facts(msgspec.Struct, frozen=True):
    """What the models read, as of an instant."""

    until: Instant
    day: int
    """The last day that counts, on the calendar of the shop's zone."""
    zone: str
    purchases: tuple[Whole, Whole, Numbers]
    """Customer, day and amount (`features.purchases.paid_days`)."""
    totals: tuple[Whole, Whole, Whole, Whole]
    """Customer (ascending), orders, when the latest was placed, and revenue in minor units of the
    customer's main currency."""
    currencies: dict[str, Whole]
    """Currency → customers whose main currency it is, ascending."""
    lines: tuple[Whole, Whole, Whole, Whole]
    """Customer, item, day and quantity of each line that was kept."""
    items: tuple[str, ...]
    """Item → product."""
    observed: dict[str, tuple[Whole, Sums, Sums]]
    """Score → customers, and what was observed of each in two halves (`features.leanings`)."""
    points: dict[str, Points]
    """Score → what was counted of each customer and category or brand (`features.affinity`)."""
    contracts: Tellings
    """What was told of contracts; nothing where nobody asked."""
    categories: pa.Table | None
    """Points of each customer for each category and all above it; None where nobody asked."""
    supply: Numbers
    """Item → days that a unit lasts by the catalogue, 0 where it does not say."""
    windows: int = 1
    """On how many stretches of the past a model is looked at."""


def facts(
    lake: Lake,
    until: Instant,
    zone: str,
    catalogue: Catalogue,
    *,
    wanted: Collection[str] = SCORES.keys(),
) -> Facts:
    """Read what happened up to the instant, as far as the scores that are wanted need it."""
    history = past(lake, until)
    with ExitStack() as stack:
        of = parts(history, until, lambda table: stack.enter_context(lake.held(table)))
        told = kept(history, until, of)
        bought = stack.enter_context(
            lake.held(told.select("customer", "at", "day", "currency", "total", "paid"))
        )
        totals = totals_of(bought, given_back(history, of.stands, until))
        main = lake.run(totals.order_by("customer"))
        currencies = ibis.memtable(main.select(["customer", "currency"]))
        days = lake.columns(paid_days(bought, currencies))
        bought_lines = kept_lines(history, until, of)
        if not _OF_LINES.isdisjoint(wanted):
            bought_lines = stack.enter_context(
                lake.held(bought_lines.select("customer", "at", "product", "day", "quantity"))
            )
        else:
            bought_lines = bought_lines.limit(0)
        lines = lake.run(bought_lines.select("customer", "product", "day", "quantity"))
        signals = history["signals"]
        observed: dict[str, Callable[[], Table]] = {
            "engagement": lambda: leanings.active_weeks(of.stands, signals, until),
            "satisfaction": lambda: leanings.opinions(signals, until),
            "price_sensitivity": lambda: leanings.discounted(of.stands, until),
        }
        needed = {*wanted, *(PARTS_OF_HEALTH if "health" in wanted else ())}
        sums = {
            name: _sums(lake.columns(read())) for name, read in observed.items() if name in needed
        }
        counted = affinity.acts(bought_lines, signals, until)
        points = {
            name: _points(lake, counted, catalogue, name) for name in _CHOICES if name in needed
        }
        promised = contracts.tellings(signals if "contract_churn" in needed else signals.limit(0))
        told_of = lake.run(promised)
        categories = None
        if "affinity" in needed:
            tree = ibis.memtable(pa.table(affinity.branches(catalogue), schema=_TREE))
            categories = lake.run(affinity.affinities(counted, tree).order_by("customer", "node"))
    product = lines["product"].combine_chunks().dictionary_encode()
    items = tuple(product.dictionary.to_pylist())
    currency = main["currency"].combine_chunks().dictionary_encode()
    codes, customers = currency.indices.to_numpy(zero_copy_only=False), main["customer"].to_numpy()
    return Facts(
        until=until,
        day=day_number(until, zone),
        zone=zone,
        purchases=(
            days["customer"].astype(np.int64),
            days["day"].astype(np.int64),
            days["amount"].astype(np.float64),
        ),
        totals=(customers, *(main[name].to_numpy() for name in ("orders", "last_at", "revenue"))),
        currencies={
            name: customers[codes == code]
            for code, name in enumerate(currency.dictionary.to_pylist())
        },
        lines=(
            lines["customer"].to_numpy(),
            product.indices.to_numpy(zero_copy_only=False).astype(np.int64),
            lines["day"].to_numpy().astype(np.int64),
            lines["quantity"].to_numpy(),
        ),
        items=items,
        observed=sums,
        points=points,
        contracts=_contracts(told_of, zone),
        categories=categories,
        supply=np.array([catalogue.get(item).supply_days for item in items]),
    )


def _points(lake: Lake, told: Table, catalogue: Catalogue, name: str) -> Points:
    """What was counted for the categories or brands of the catalogue."""
    chosen = {p.id: _CHOICES[name](p) for p in catalogue.products.values() if _CHOICES[name](p)}
    nothing = np.zeros(0)
    if not chosen:
        return Points(nothing.astype(np.int64), nothing.astype(np.int64), nothing, nothing, ())
    choices = ibis.memtable(
        pa.table({"product": pa.array(chosen, pa.string()), "choice": list(chosen.values())})
    )
    found = lake.run(affinity.halves(told, choices))
    word = found["choice"].combine_chunks().dictionary_encode()
    # Names in their own order, so that the engine's order of rows makes no difference.
    names, place = np.unique(np.array(word.dictionary.to_pylist(), object), return_inverse=True)
    code = place[word.indices.to_numpy(zero_copy_only=False)] if len(names) else place[:0]
    customer = found["customer"].to_numpy()
    order = np.lexsort((code, customer))
    first, second = (found[half].to_numpy()[order] for half in ("first", "second"))
    return Points(customer[order], code[order].astype(np.int64), first, second, tuple(names))


def _contracts(told: pa.Table, zone: str) -> Tellings:
    """What was told of contracts, as the engine gives it by contract and time."""
    contract = told["contract"].combine_chunks().dictionary_encode()
    renews = np.full(told.num_rows, np.nan)
    for place, at in enumerate(told["renews_at"].to_pylist()):
        if at is not None:
            renews[place] = day_number(at, zone)
    return Tellings(
        told["customer"].to_numpy(),
        contract.indices.to_numpy(zero_copy_only=False).astype(np.int64),
        told["day"].to_numpy().astype(np.int64),
        contract_churn.statuses(told["status"].to_pylist()),
        renews,
    )


def _sums(columns: Mapping[str, Any]) -> tuple[Whole, Sums, Sums]:
    """The halves as they come from the engine, by customer."""
    order = np.argsort(columns["customer"], kind="stable")
    first, second = (
        Sums(*(columns[f"{what}_{half}"][order] for what in ("count", "total", "squares")))
        for half in (0, 1)
    )
    return columns["customer"][order].astype(np.int64), first, second
