"""When is an item bought again? Against the median gap of the shop.

Judged on the repeat gaps that end within 90 days after the cut. The goal: 5 % below the better of
two medians, that of the closed gaps and that which counts open ones too. Where the history is
shorter than a year nothing is forecast, and there is nothing to reach; the error is told all the
same. Where it is longer and the forecast loses, it is refused, and the goal is missed. A shop that
goes on for a month or more after those 90 days is judged on its own last 90 days too, where its
history may be long enough: `refill.*.end.mae`.
"""

from aftersale.models import run_out
from benchmarks.judge.rows import Figure, reaches
from benchmarks.judge.shops import Absent, Lines, Shop, date_of

_LATER = 30
"""Days that a shop must go on for its end to be another window."""


def figures(shop: Shop | Absent) -> list[Figure]:
    """The mean absolute error in days; no figure for a shop whose data names no items."""
    if isinstance(shop, Absent):
        return [Figure(f"refill.{shop.name}.mae", skipped=shop.reason)] if shop.has_items else []
    if shop.lines is None:
        return []
    last = int(shop.lines[2].max()) - run_out.HELD_OUT
    found = [_figure(f"refill.{shop.name}.mae", shop, shop.lines, shop.cut)]
    if last >= shop.cut + _LATER:
        found.append(_figure(f"refill.{shop.name}.end.mae", shop, shop.lines, last))
    return found


def _figure(name: str, shop: Shop, lines: Lines, cut: int) -> Figure:
    found = run_out.judge(*lines, until=cut + run_out.HELD_OUT, cut=cut, supply=shop.supply)
    if not found.median:
        return Figure(name, skipped=found.off)
    baseline = min(found.median, found.censored_median)
    goal = (1 - run_out.GAIN) * baseline
    reached = reaches(found.model, goal, "lower")
    short = found.history_days < run_out.LEAST_DAYS
    return Figure(
        name,
        found.model,
        baseline,
        goal=goal,
        reached=reached or (None if short else False),
        way="none" if found.off else "run-out",
        rows=found.judged,
        cut=date_of(found.cut),
        others={"median": found.median, "censored-median": found.censored_median},
        note=f"refused: {found.off}" if found.off else "",
    )
