"""What is a row of the judgement, and how are rows shown?"""

from collections.abc import Sequence

import msgspec


class Row(msgspec.Struct, frozen=True):
    """How one method did on one set of data; or why it could not be judged there."""

    score: str
    data: str
    method: str
    figures: dict[str, tuple[float, float]] = {}
    """Name → figure and its standard error; an error of 0 means that there is none."""
    ours: bool = False
    """Whether this is what aftersale answers with."""
    bar: str = ""
    """What must be reached, in words; empty for what is only compared with."""
    reached: bool | None = None
    skipped: str = ""
    rows: int = 0


def as_json(row: Row) -> str:
    """The row as a line of JSON."""
    return msgspec.json.encode(row).decode()


def as_page(rows: Sequence[Row]) -> str:
    """The rows as tables in Markdown, one for each score and set of data."""
    parts: list[str] = []
    for score, data in dict.fromkeys((row.score, row.data) for row in rows):
        mine = [row for row in rows if (row.score, row.data) == (score, data)]
        skipped = [row.skipped for row in mine if row.skipped]
        parts.append(f"## {score}, {data}\n")
        if skipped:
            parts.append(f"Not judged: {skipped[0]}.\n")
            continue
        names = list(dict.fromkeys(name for row in mine for name in row.figures))
        parts.append(_line("method", *names, "must", "reached"))
        parts.append("|---" * (len(names) + 3) + "|")
        for row in mine:
            cells = [_cell(row.figures.get(name)) for name in names]
            method = f"**{row.method}**" if row.ours else row.method
            reached = {None: "", True: "yes", False: "**no**"}[row.reached]
            parts.append(_line(method, *cells, row.bar, reached))
        parts.append(f"\n{mine[0].rows:,} rows.\n" if mine[0].rows else "")
    return "\n".join(parts).rstrip() + "\n"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(pair: tuple[float, float] | None) -> str:
    if pair is None:
        return ""
    figure, error = pair
    if not error:
        return f"{figure:.10g}"
    places = 2 if error >= 0.1 else 4
    return f"{figure:.{places}f} ± {error:.{places}f}"
