"""What do the models read of the history, as of an instant?

Only what had happened by then, so the same call tells what is known today and what could be known
in the past; and only as far as the scores that are wanted need it.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from itertools import accumulate, pairwise
from typing import Any

import ibis
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ibis.expr.types import Table
from numpy.typing import NDArray

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
from aftersale.models.contract_churn import Tellings
from aftersale.models.gammas import Numbers
from aftersale.models.leaning import Sums
from aftersale.models.scores import SCORES
from aftersale.models.sorting import Whole, order
from aftersale.programme.lake import Lake
from aftersale.runtime.past import past

PARTS_OF_HEALTH = ("churn", "satisfaction", "engagement")
"""Scores of which health is the mean."""
_OF_LINES = frozenset({"run_out", "affinity", "brand_affinity"})
ROWS_AT_ONCE = 20_000_000
"""Orders, lines and signals, for which the engine's thousand megabytes are enough."""
_TREE = pa.schema({"product": pa.string(), "node": pa.string()})
_CHOICES: dict[str, Callable[[Product], str]] = {
    "affinity": lambda product: product.category.strip("/"),
    "brand_affinity": lambda product: product.brand,
}

_OBSERVED: dict[str, Callable[[Table, Table, Instant], Table]] = {
    "engagement": leanings.active_weeks,
    "satisfaction": lambda _, signals, until: leanings.opinions(signals, until),
    "price_sensitivity": lambda stands, _, until: leanings.discounted(stands, until),
}
"""Score → what is observed of each customer, from the orders that stand and the signals."""


class Facts(msgspec.Struct, frozen=True):
    """What the models read, as of an instant."""

    until: Instant
    day: int
    """The last day that counts, on the calendar of the shop's zone."""
    zone: str
    purchases: tuple[Whole, Whole, Numbers]
    """Customer, day and amount (`features.purchases.paid_days`), by customer and day."""
    totals: tuple[Whole, Whole, Whole, Whole]
    """Customer (ascending), orders, when the latest was placed, and revenue in minor units of the
    customer's main currency."""
    currencies: dict[str, Whole]
    """Currency → customers whose main currency it is, ascending."""
    lines: tuple[Whole, Whole, Whole, Whole]
    """Customer, item, day and quantity of each line that was kept, by the first three."""
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
    at_once: int = ROWS_AT_ONCE,
) -> Facts:
    """Read what happened up to the instant, as far as the scores that are wanted need it.

    `at_once`: rows of the history from which on the customers are read in parts.
    """
    history = past(lake, until)
    extent = lake.extent()
    rows = sum(extent.rows.values()) if extent is not None else 0
    needed = {*wanted, *(PARTS_OF_HEALTH if "health" in wanted else ())}
    some = [
        _read(lake, part, until, catalogue, needed)
        for part in _parts(lake, history, max(1, -(-rows // at_once)))
    ]
    of_days, of_lines = (_stretches([one[name] for one in some]) for name in ("days", "lines"))
    read = {name: pa.concat_tables([one.pop(name) for one in some]) for name in list(some[0])}
    days, main, lines = read["days"], read["totals"], read["lines"]
    main = main.take(pc.sort_indices(main["customer"]))
    product = lines["product"].unify_dictionaries().combine_chunks()
    items = tuple(product.dictionary.to_pylist())
    currency = main["currency"].combine_chunks().dictionary_encode()
    codes, customers = currency.indices.to_numpy(zero_copy_only=False), main["customer"].to_numpy()
    return Facts(
        until=until,
        day=day_number(until, zone),
        zone=zone,
        purchases=_sorted(
            (
                days["customer"].to_numpy().astype(np.int64, copy=False),
                days["day"].to_numpy().astype(np.int64),
            ),
            days["amount"].to_numpy().astype(np.float64, copy=False),
            of_days,
        ),
        totals=(customers, *(main[name].to_numpy() for name in ("orders", "last_at", "revenue"))),
        currencies={
            name: customers[codes == code]
            for code, name in enumerate(currency.dictionary.to_pylist())
        },
        lines=_sorted(
            (
                lines["customer"].to_numpy(),
                product.indices.to_numpy(zero_copy_only=False).astype(np.int64),
                lines["day"].to_numpy().astype(np.int64),
            ),
            lines["quantity"].to_numpy(),
            of_lines,
        ),
        items=items,
        observed={name: _sums(read[name]) for name in _OBSERVED if name in read},
        points={name: _points(read.get(name)) for name in _CHOICES if name in needed},
        contracts=_contracts(read["contracts"], zone),
        categories=read.get("categories"),
        supply=np.array([catalogue.get(item).supply_days for item in items]),
    )


def _sorted(
    columns: tuple[Whole, ...], further: NDArray[Any], stretches: Sequence[slice]
) -> tuple[Any, ...]:
    """The columns in their order and one more with them: every model wants them so.

    Each stretch of rows is put in order; the customers of one come after those before it.
    """
    found = tuple(np.empty_like(column) for column in (*columns, further))
    for rows in stretches:
        by = order(*(column[rows] for column in columns))
        for to, column in zip(found, (*columns, further), strict=True):
            to[rows] = column[rows][by]
    return found


def _stretches(parts: Sequence[pa.Table]) -> list[slice]:
    """The rows of each part in all of them together."""
    ends = accumulate((part.num_rows for part in parts), initial=0)
    return [slice(first, end) for first, end in pairwise(ends)]


def _parts(lake: Lake, history: "dict[str, Table]", number: int) -> "list[dict[str, Table]]":
    """The history by stretches of customers: all that is asked is asked of one customer.

    Stretches of ids, and not each so manieth: customers who came at one time lie together.
    """
    if number == 1:
        return [history]
    last = max(
        int(lake.columns(table.customer.max().fill_null(0).name("last"))["last"][0])
        for table in history.values()
    )
    ends = [last * n // number for n in range(number + 1)]
    return [
        {
            name: table.filter((table.customer > after) & (table.customer <= upto))
            for name, table in history.items()
        }
        for after, upto in pairwise(ends)
    ]


def _read(
    lake: Lake, history: "dict[str, Table]", until: Instant, catalogue: Catalogue, needed: set[str]
) -> dict[str, pa.Table]:
    """What the facts are made of, as the engine gives it."""
    found: dict[str, pa.Table] = {}
    with ExitStack() as stack:
        of = parts(history, until, lambda table: stack.enter_context(lake.held(table)))
        told = kept(history, until, of)
        bought = stack.enter_context(
            lake.held(told.select("customer", "at", "day", "currency", "total", "paid"))
        )
        found["totals"] = lake.run(totals_of(bought, given_back(history, of.stands, until)))
        currencies = ibis.memtable(found["totals"].select(["customer", "currency"]))
        found["days"] = lake.run(paid_days(bought, currencies))
        bought_lines = kept_lines(history, until, of)
        if not _OF_LINES.isdisjoint(needed):
            bought_lines = stack.enter_context(
                lake.held(bought_lines.select("customer", "at", "product", "day", "quantity"))
            )
        else:
            bought_lines = bought_lines.limit(0)
        lines = lake.run(bought_lines.select("customer", "product", "day", "quantity"))
        place = lines.schema.get_field_index("product")
        found["lines"] = lines.set_column(place, "product", lines["product"].dictionary_encode())
        signals = history["signals"]
        for name, observe in _OBSERVED.items():
            if name in needed:
                found[name] = lake.run(observe(of.stands, signals, until))
        counted = affinity.acts(bought_lines, signals, until)
        for name, choice in _CHOICES.items():
            chosen = {p.id: word for p in catalogue.products.values() if (word := choice(p))}
            if name in needed and chosen:
                found[name] = _halves(lake, counted, chosen)
        promised = contracts.tellings(signals if "contract_churn" in needed else signals.limit(0))
        found["contracts"] = lake.run(promised)
        if "affinity" in needed:
            tree = ibis.memtable(pa.table(affinity.branches(catalogue), schema=_TREE))
            found["categories"] = lake.run(
                affinity.affinities(counted, tree).order_by("customer", "node")
            )
    return found


def _halves(lake: Lake, told: Table, chosen: dict[str, str]) -> pa.Table:
    """What was counted for the categories or brands, by product → its category or brand."""
    choices = ibis.memtable(
        pa.table({"product": pa.array(chosen, pa.string()), "choice": list(chosen.values())})
    )
    found = lake.run(affinity.halves(told, choices))
    place = found.schema.get_field_index("choice")
    return found.set_column(place, "choice", found["choice"].dictionary_encode())


def _points(found: pa.Table | None) -> Points:
    """The same as arrays; of None, of nobody."""
    nothing = np.zeros(0)
    if found is None:
        return Points(nothing.astype(np.int64), nothing.astype(np.int64), nothing, nothing, ())
    word = found["choice"].unify_dictionaries().combine_chunks()
    # Names in their own order, so that the engine's order of rows makes no difference.
    names, place = np.unique(np.array(word.dictionary.to_pylist(), object), return_inverse=True)
    code = place[word.indices.to_numpy(zero_copy_only=False)] if len(names) else place[:0]
    customer = found["customer"].to_numpy()
    by = order(customer, code)
    first, second = (found[half].to_numpy()[by] for half in ("first", "second"))
    return Points(customer[by], code[by].astype(np.int64), first, second, tuple(names))


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


def _sums(found: pa.Table) -> tuple[Whole, Sums, Sums]:
    """The halves as they come from the engine, by customer."""
    customer = found["customer"].to_numpy()
    by = order(customer)
    first, second = (
        Sums(*(found[f"{what}_{half}"].to_numpy()[by] for what in ("count", "total", "squares")))
        for half in (0, 1)
    )
    return customer[by].astype(np.int64), first, second
