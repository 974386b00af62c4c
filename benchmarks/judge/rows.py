"""What is a figure of the judgement, and how are figures shown?"""

from collections.abc import Mapping, Sequence

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """How good one score is on one set of data; or why it could not be judged there."""

    name: str
    """What, where and by which measure: `churn.retail.auc`."""
    value: float | None = None
    """Of what aftersale answers with."""
    baseline: float | None = None
    """Of the best simple way."""
    peer: float | None = None
    """Of the strongest named method; none where there is none."""
    goal: float | None = None
    """What the value must reach, in its unit."""
    reached: bool | None = None
    """None where there is nothing to reach, or nothing was judged."""
    better: str = "lower"
    """lower, higher or equal: where the value must lie of the goal."""
    way: str = ""
    """Which of its ways aftersale chose."""
    error: float | None = None
    """Standard error of the value."""
    rows: int = 0
    cut: str = ""
    """The last day that was known."""
    others: dict[str, float] = {}
    """Every way it is compared with, and the value of each."""
    note: str = ""
    skipped: str = ""


def reaches(value: float, goal: float, better: str) -> bool:
    """Whether the value lies where it must."""
    return value <= goal if better == "lower" else value >= goal


def best(ways: Mapping[str, float], better: str) -> float | None:
    """The best of some ways; none of none."""
    if not ways:
        return None
    return min(ways.values()) if better == "lower" else max(ways.values())


def as_json(figure: Figure) -> str:
    """The figure as a line of JSON: always the first five names, others where they say something.

    A goal that is not reached is told as false, and one that cannot be judged is left out.
    """
    told = msgspec.to_builtins(figure)
    always = {"name", "value", "baseline", "peer", "goal"}
    kept = {key: item for key, item in told.items() if key in always or _says(item)}
    return msgspec.json.encode(kept).decode()


def as_page(figures: Sequence[Figure]) -> str:
    """The figures as a table in Markdown, the ways compared with and what was not judged below."""
    judged = [figure for figure in figures if not figure.skipped]
    lines = [_line("", "value", "±", "baseline", "peer", "goal", "reached", "rows", "answered by")]
    lines.append("|---" * 9 + "|")
    for one in judged:
        reached = {None: "", True: "yes", False: "**no**"}[one.reached]
        sign = {"lower": "≤ ", "higher": "≥ ", "equal": "= "}[one.better]
        goal = sign + _number(one.goal) if one.goal is not None else ""
        numbers = [_number(one.value), _number(one.error), _number(one.baseline), _number(one.peer)]
        rows = f"{one.rows:,}" if one.rows else ""
        lines.append(_line(one.name, *numbers, goal, reached, rows, one.way))
    below = [_beside(one) for one in judged if one.others or one.note]
    below += [f"- {one.name} was not judged: {one.skipped}." for one in figures if one.skipped]
    return "\n".join([*(lines if judged else []), *(["", *below] if below else [])]) + "\n"


def _beside(one: Figure) -> str:
    ways = ", ".join(f"{way} {_number(value)}" for way, value in one.others.items())
    cut = f" (as of {one.cut})" if one.cut else ""
    return f"- {one.name}{cut}: " + "; ".join(part for part in (ways, one.note) if part) + "."


def _says(item: object) -> bool:
    return item is False or item not in (None, "", 0, {})


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:.6f}"
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.4f}"
