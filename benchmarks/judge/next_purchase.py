"""On which day does a customer buy again? Against the shop's median, the own gap and BG/NBD.

Judged among those who buy within 90 days. The bar: a mean absolute error 3 % below that of the
shop's median in the 90 days before, and 5 % below it for customers with four purchase days or
more.
"""

from aftersale.models import next_purchase
from benchmarks.judge.rows import Row
from benchmarks.judge.shops import Absent, Shop, shops

_LESS, _LESS_OFTEN = 0.03, 0.05
_BAR = "error 3 % below the shop's median, of frequent buyers 5 %"


def rows() -> list[Row]:
    """A row for each way on each shop."""
    return [row for shop in shops() for row in _of(shop)]


def _of(shop: Shop | Absent) -> list[Row]:
    if isinstance(shop, Absent):
        return [Row("next purchase", shop.name, "all", skipped=shop.reason)]
    chosen = next_purchase.learn(shop.purchases, shop.cut).way
    found = next_purchase.compare(shop.purchases, shop.cut)
    if chosen not in found:
        return [Row("next purchase", shop.name, "none", ours=True, bar=_BAR, reached=False)]
    flat = found["shop"]
    return [
        Row(
            "next purchase",
            shop.name,
            one.way,
            {
                "days off": (one.mae, one.error),
                "of 4 purchases or more": (one.mae_often, one.error_often),
                "over the shop's median": (round(one.mae / flat.mae, 3), 0.0),
                "of those, over it": (round(one.mae_often / flat.mae_often, 3), 0.0),
            },
            ours=one.way == chosen,
            bar=_BAR if one.way == chosen else "",
            reached=one.mae <= (1 - _LESS) * flat.mae
            and one.mae_often <= (1 - _LESS_OFTEN) * flat.mae_often
            if one.way == chosen
            else None,
            rows=one.rows,
        )
        for one in found.values()
    ]
