"""How are very many rows of whole numbers brought into order and told apart, fast?

One sort of one number a row is far faster than one by several columns, and rows that are in order
already are not sorted at all: whoever reads the history sorts it once. What is different is found
by sorting too, as with tens of millions of rows a table of hashes leaves the processor's cache.
"""

from math import prod

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]


def order(*columns: Whole) -> Whole:
    """The places of the rows by their columns, the first of which counts most.

    Rows that are the same in all of them come in any order.
    """
    least = [int(column.min(initial=0)) for column in columns]
    width = [int(c.max(initial=0)) - low + 1 for c, low in zip(columns, least, strict=True)]
    if prod(width) >= 1 << 63:
        return np.lexsort(columns[::-1])
    key = np.zeros(len(columns[0]), np.int64)
    for column, low, wide in zip(columns, least, width, strict=True):
        key *= wide
        key += column
        key -= low
    return np.argsort(key)


def in_order(*columns: Whole) -> bool:
    """Whether the rows are in the order of their columns, the first of which counts most."""
    fit = np.ones(max(len(columns[0]) - 1, 0), np.bool_)
    for column in columns[::-1]:
        before, after = column[:-1], column[1:]
        fit &= before == after
        fit |= before < after
    return bool(fit.all())


def differs(column: Whole) -> NDArray[np.bool_]:
    """Where a value is not the one before it; the first is new."""
    found = np.ones(len(column), np.bool_)
    found[1:] = column[1:] != column[:-1]
    return found


def distinct(column: Whole) -> Whole:
    """The different values, ascending."""
    ordered = column if in_order(column) else np.sort(column)
    return ordered[differs(ordered)]


def tally(column: Whole) -> tuple[Whole, Whole]:
    """The different values, ascending, and how often there is each."""
    ordered = column if in_order(column) else np.sort(column)
    starts = np.flatnonzero(differs(ordered))
    return ordered[starts], np.diff(starts, append=len(ordered))


def numbered(column: Whole) -> tuple[Whole, Whole]:
    """The different values, ascending, and the place of each row's among them."""
    if in_order(column):
        new = differs(column)
        return column[new], np.cumsum(new) - 1
    found = distinct(column)
    return found, places(column, found)


def places(column: Whole, among: Whole) -> Whole:
    """The place of each row's value among some that are ascending and have it."""
    low, wide = int(among.min(initial=0)), int(among.max(initial=-1)) + 1
    if wide - low > 4 * len(column):
        return np.searchsorted(among, column)
    table = np.zeros(wide - low, np.int64)
    table[among - low] = np.arange(len(among))
    return table[column - low]
