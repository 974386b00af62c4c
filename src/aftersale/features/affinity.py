"""To which categories is a customer drawn?

Each order line counts 3, each product put into a basket 2, each look 0.5, over six months; what
was counted for a product counts for its category and for every category above it. A line is
counted once, whatever its quantity, and not if it was cancelled or went back with its order named.
"""

from collections.abc import Mapping

import ibis
from ibis.expr.types import Table

from aftersale.catalogue.product import Catalogue
from aftersale.features import moments
from aftersale.kernel.instants import DAY, Duration, Instant

WINDOW: Duration = 183 * DAY
ORDERED, IN_BASKET, LOOKED = 3.0, 2.0, 0.5


def branches(catalogue: Catalogue) -> dict[str, list[str]]:
    """Columns `product` and `node`: each product with its category and all above it."""
    found: dict[str, list[str]] = {"product": [], "node": []}
    for name, product in catalogue.products.items():
        parts = [part for part in product.category.split("/") if part]
        for depth in range(1, len(parts) + 1):
            found["product"].append(name)
            found["node"].append("/".join(parts[:depth]))
    return found


def affinities(
    history: Mapping[str, Table],
    tree: Table,
    *,
    as_of: Instant,
    window: Duration = WINDOW,
    weights: tuple[float, float, float] = (ORDERED, IN_BASKET, LOOKED),
) -> Table:
    """Columns customer, node, score, lines, baskets, looks; one row for each pair that counts.

    `history` has the tables of `features.tables`, `tree` the columns of `branches`. Of what
    happened after `as_of` nothing is seen. Customers are those of the rows: merges are resolved
    by whoever lays the history out.
    """
    lines = _known(history["lines"], as_of, window)
    # A line that is told again is the same line: by its order and place, the latest telling.
    lines = lines.filter(
        ibis.row_number().over(
            group_by=["order", "place"], order_by=[lines["at"].desc(), lines["position"].desc()]
        )
        == 0
    )
    undone = moments.as_of(history["undone"], as_of)
    gone = undone.filter(undone["kind"].isin(["cancelled", "returned"]) & (undone["order"] != ""))[
        ["order", "product"]
    ].distinct()
    whole = gone.filter(gone["product"] == "")
    part = gone.filter(gone["product"] != "")
    lines = lines.anti_join(whole, "order").anti_join(part, ["order", "product"])
    signals = _known(history["signals"], as_of, window)
    baskets = signals.filter(signals["type"] == "product.added_to_cart")
    looks = signals.filter(signals["type"] == "product.viewed")
    counted = ibis.union(
        *(
            table.filter(table["product"] != "").select(
                "customer",
                "product",
                **{name: ibis.literal(int(name == kind), "int64") for name in _KINDS},
            )
            for kind, table in zip(_KINDS, (lines, baskets, looks), strict=True)
        )
    )
    # Added up by product first: the tree then multiplies few rows.
    by_product = counted.group_by(["customer", "product"]).agg(
        **{name: counted[name].sum() for name in _KINDS}
    )
    joined = by_product.inner_join(tree, "product")
    found = joined.group_by(["customer", "node"]).agg(
        **{name: joined[name].sum() for name in _KINDS}
    )
    score = sum(
        (found[name] * weight for name, weight in zip(_KINDS, weights, strict=True)),
        start=ibis.literal(0.0),
    )
    return found.select("customer", "node", *_KINDS, score=score)


_KINDS = ("lines", "baskets", "looks")


def _known(table: Table, as_of: Instant, window: Duration) -> Table:
    return moments.as_of(table, as_of).filter(table["at"] > as_of - window)
