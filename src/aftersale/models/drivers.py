"""What moved a score of one customer most, in a few words?

Reasons are kept as places in a list of words, three a customer: a million customers have few
different ones.
"""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from aftersale.models.gammas import Numbers
from aftersale.models.sorting import Whole, numbered

MOST = 3
"""Reasons of one customer."""
_SLIGHT = 1e-9


class Drivers(msgspec.Struct, frozen=True):
    """The reasons of each row, the weightiest first."""

    words: tuple[str, ...] = ()
    place: Whole = np.zeros((0, MOST), np.int64)
    """(rows, 3): places in `words`, -1 for none."""

    def of(self, row: int) -> list[str]:
        """Those of one row."""
        return [self.words[place] for place in self.place[row].tolist() if place >= 0]


def pushed(push: Numbers, raises: Sequence[str], lowers: Sequence[str]) -> Drivers:
    """By what each of some facts adds to a score, (rows, facts), against the mean of all.

    `raises` and `lowers` say of each fact what it does where it adds, and where it takes away.
    """
    rows, facts = push.shape
    found = np.full((rows, MOST), -1)
    number = min(MOST, facts)
    if rows and number:
        size = np.abs(push)
        order = np.argsort(-size, axis=1, kind="stable")[:, :number]
        mine = np.take_along_axis(push, order, 1)
        found[:, :number] = np.where(np.abs(mine) > _SLIGHT, order + facts * (mine < 0), -1)
    return Drivers((*raises, *lowers), found)


def together(parts: Numbers, names: Sequence[str]) -> tuple[tuple[str, ...], Numbers]:
    """The different names in their order, and by row the sum of the parts of each."""
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    found = np.zeros((len(parts), len(places)))
    for column, name in enumerate(names):
        found[:, places[name]] += parts[:, column]
    return tuple(places), found


def counted(columns: Sequence[Whole], say: Callable[..., str]) -> tuple[tuple[str, ...], Whole]:
    """Words for each row of some whole numbers, each different row put into words once.

    The words, and the place of each row's in them.
    """
    code = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        if len(column):
            least = int(column.min())
            code = code * (int(column.max()) - least + 1) + (column - least)
    codes, which = numbered(code)
    one = np.zeros(len(codes), np.int64)
    one[which] = np.arange(len(code))
    rows = zip(*(column[one].tolist() for column in columns), strict=True)
    return tuple(say(*row) for row in rows), which


def told(*facts: tuple[tuple[str, ...], Whole]) -> Drivers:
    """Of facts in words, at most three, each with the place of every row's (-1: none).

    Where a fact says nothing of a row, the next takes its place.
    """
    words: list[str] = []
    columns = []
    for some, place in facts:
        columns.append(np.where(place >= 0, place + len(words), -1))
        words += some
    if not columns:
        return Drivers()
    table = np.column_stack(columns)[:, :MOST]
    order = np.argsort(table < 0, axis=1, kind="stable")
    found = np.full((len(table), MOST), -1)
    found[:, : table.shape[1]] = np.take_along_axis(table, order, 1)
    return Drivers(tuple(words), found)


def where(chosen: NDArray[np.bool_], words: str) -> tuple[tuple[str, ...], Whole]:
    """One fact that is said of the chosen rows alone."""
    return (words,), np.where(chosen, 0, -1)
