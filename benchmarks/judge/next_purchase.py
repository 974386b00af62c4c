"""On which day does a customer buy again? Against the shop's median, gaps and BG/NBD.

Judged among those who buy within 90 days, in days that the answer was off. The goal: 3 % below
the shop's median of the 90 days before, and 5 % below it for customers with four purchase days or
more. The customer's own gap, which many tools go by, is shown beside; a constant beats it.
"""

from aftersale.models import next_purchase
from benchmarks.judge.rows import Figure, reaches
from benchmarks.judge.shops import Absent, Shop, date_of

_LESS = {"mae": 0.03, "mae_often": 0.05}


def figures(shop: Shop | Absent) -> list[Figure]:
    """The mean absolute error of all who came back, and of frequent buyers."""
    names = {measured: f"next_date.{shop.name}.{measured}" for measured in _LESS}
    if isinstance(shop, Absent):
        return [Figure(name, skipped=shop.reason) for name in names.values()]
    model = next_purchase.learn(shop.purchases, shop.cut)
    ways = next_purchase.compare(shop.purchases, shop.cut)
    if model.way not in ways:
        why = "; ".join(next_purchase.FLAGS[flag] for flag in model.flags)
        return [Figure(name, skipped=why or "nobody came back") for name in names.values()]
    found: list[Figure] = []
    for measured, name in names.items():
        told = {way: getattr(one, measured) for way, one in ways.items()}
        ours = ways[model.way]
        often = measured == "mae_often"
        goal = (1 - _LESS[measured]) * told["shop"]
        found.append(
            Figure(
                name,
                told[model.way],
                min(told["shop"], told["own-gap"]),
                told["closed-form"],
                goal,
                reaches(told[model.way], goal, "lower"),
                way=model.way,
                error=ours.error_often if often else ours.error,
                rows=ours.rows_often if often else ours.rows,
                cut=date_of(shop.cut),
                others={way: value for way, value in told.items() if way != model.way},
            )
        )
    return found
