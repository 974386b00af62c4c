"""To which categories and brands is a customer drawn?

Each order line counts 3, each product put into a basket 2, each look 0.5, over six months; what
was counted for a product counts for its category and for every category above it. A line is
counted once, whatever its quantity, and not if it was cancelled or went back with its order named.
"""

import ibis
from ibis import _
from ibis.expr.types import Table

from aftersale.catalogue.product import Catalogue
from aftersale.features import moments
from aftersale.kernel.instants import DAY, Duration, Instant

WINDOW: Duration = 183 * DAY
ORDERED, IN_BASKET, LOOKED = 3.0, 2.0, 0.5
_KINDS = ("lines", "baskets", "looks")
_BEFORE = {"product.added_to_cart": "baskets", "product.viewed": "looks"}


def branches(catalogue: Catalogue) -> dict[str, list[str]]:
    """Columns `product` and `node`: each product with its category and all above it."""
    found: dict[str, list[str]] = {"product": [], "node": []}
    for name, product in catalogue.products.items():
        parts = [part for part in product.category.split("/") if part]
        for depth in range(1, len(parts) + 1):
            found["product"].append(name)
            found["node"].append("/".join(parts[:depth]))
    return found


def acts(lines: Table, signals: Table, as_of: Instant, window: Duration = WINDOW) -> Table:
    """Columns customer, at, product, kind (lines, baskets, looks): what counts, one row each.

    `lines` are those that stayed (`purchases.kept_lines`). Of what happened after `as_of` nothing
    is seen. Customers are those of the rows: merges are resolved by whoever lays the history out.
    """
    ordered = lines.filter(_["at"] > as_of - window, _["at"] <= as_of)
    before = moments.as_of(signals, as_of).filter(
        _["at"] > as_of - window, _.type.isin(list(_BEFORE))
    )
    kind = ibis.cases(*((before.type == name, word) for name, word in _BEFORE.items()))
    columns = ("customer", "at", "product")
    told = ordered.select(*columns, kind=ibis.literal("lines")).union(
        before.select(*columns, kind=kind)
    )
    return told.filter(_["product"] != "")


def affinities(
    told: Table,
    tree: Table,
    *,
    weights: tuple[float, float, float] = (ORDERED, IN_BASKET, LOOKED),
) -> Table:
    """Columns customer, node, score, lines, baskets, looks; one row for each pair that counts.

    `told` has the columns of `acts`, `tree` those of `branches`.
    """
    # Added up by product first: the tree then multiplies few rows.
    by_product = told.group_by("customer", "product").agg(
        **{kind: (_.kind == kind).cast("int64").sum() for kind in _KINDS}
    )
    joined = by_product.inner_join(tree, "product")
    found = joined.group_by("customer", "node").agg(**{kind: _[kind].sum() for kind in _KINDS})
    score = sum(
        (found[kind] * weight for kind, weight in zip(_KINDS, weights, strict=True)),
        start=ibis.literal(0.0),
    )
    return found.select("customer", "node", *_KINDS, score=score)


def halves(told: Table, choices: Table) -> Table:
    """Points of every second act, and of the others: customer, choice, first, second.

    `choices` has the columns product and choice, one row a product at most. Acts are taken in turn
    by time, so that both halves cover the same past.
    """
    chosen = told.inner_join(choices, "product")
    own = ibis.window(group_by="customer", order_by=[_["at"], _["product"], _.kind])
    points = ibis.cases(
        (chosen.kind == "lines", ORDERED), (chosen.kind == "baskets", IN_BASKET), else_=LOOKED
    )
    split = chosen.mutate(points=points, half=ibis.row_number().over(own) % 2)
    return split.group_by("customer", "choice").agg(
        first=ibis.ifelse(_.half == 0, _.points, 0.0).sum(),
        second=ibis.ifelse(_.half == 1, _.points, 0.0).sum(),
    )
