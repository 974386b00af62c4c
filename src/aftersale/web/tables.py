"""How does what a page shows as a table leave it, with the same numbers?"""

import csv
import io
from collections.abc import Sequence
from typing import Any

import msgspec

_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(rows: Sequence[Any]) -> str:
    """Structs of one kind as comma-separated values, headings first; parts of parts are left out.

    Text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    written = io.StringIO()
    out = csv.writer(written)
    if rows:
        names = [name for name in rows[0].__struct_fields__ if _is_plain(rows, name)]
        out.writerow(names)
        out.writerows([_cell(getattr(row, name)) for name in names] for row in rows)
    return written.getvalue()


def _is_plain(rows: Sequence[Any], name: str) -> bool:
    return not any(
        isinstance(getattr(row, name), (list, tuple, dict, msgspec.Struct)) for row in rows
    )


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_BEGINS_A_FORMULA):
        return f"'{value}"
    return "" if value is None else value
