"""How good are probabilities, and how sure is that?

Three questions, each with a standard error: are those who did it ranked before those who did not
(area under the curve; DeLong, DeLong and Clarke-Pearson 1988), how far are probability and outcome
apart (Brier 1950), and does it happen as often as was said (expected calibration error over bins
of about equally many customers, Naeini, Cooper and Hauskrecht 2015).
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from aftersale.models.gammas import Numbers

BINS = 10
"""Of the calibration error; with fewer than 20 rows a bin, fewer."""
_LEAST_IN_BIN = 20


class Measured(msgspec.Struct, frozen=True):
    """How one way of telling chances did on one set of outcomes."""

    way: str
    auc: float
    """0.5 says nothing, 1 ranks without fault."""
    auc_error: float
    brier: float
    brier_error: float
    ece: float
    ece_error: float
    mean: float
    """The mean of what was said."""
    rate: float
    """How often it happened."""
    rows: int


def measure(way: str, chance: Numbers, came: NDArray[np.bool_]) -> Measured:
    """The three of them; without rows all are 0, with one outcome the area is 0.5."""
    if not len(chance):
        return Measured(way, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
    losses = (chance - came) ** 2
    ece, ece_error = _calibration(chance, came)
    return Measured(
        way,
        *area(chance, came),
        float(losses.mean()),
        float(losses.std() / np.sqrt(len(losses))),
        ece,
        ece_error,
        float(chance.mean()),
        float(came.mean()),
        len(chance),
    )


def area(score: Numbers, came: NDArray[np.bool_]) -> tuple[float, float]:
    """The probability that one who did it scores above one who did not, ties half; its error."""
    yes, no = np.sort(score[came]), np.sort(score[~came])
    if not len(yes) or not len(no):
        return 0.5, 0.0
    above = _below(no, yes) / len(no)
    beneath = 1 - _below(yes, no) / len(yes)
    variance = above.var() / len(yes) + beneath.var() / len(no)
    return float(above.mean()), float(np.sqrt(variance))


def _below(sorted_values: Numbers, of: Numbers) -> Numbers:
    """How many of the values lie below each of `of`, those equal to it half."""
    left = np.searchsorted(sorted_values, of, "left")
    right = np.searchsorted(sorted_values, of, "right")
    found: Numbers = (left + right) / 2
    return found


def _calibration(chance: Numbers, came: NDArray[np.bool_]) -> tuple[float, float]:
    bins = min(BINS, max(len(chance) // _LEAST_IN_BIN, 1))
    ordered = np.sort(chance)
    # Equal probabilities share a bin, or the order of customers would make a difference.
    which = np.searchsorted(ordered, chance, "left") * bins // len(chance)
    counts = np.bincount(which, minlength=bins)
    some = np.maximum(counts, 1)
    rate = np.bincount(which, came, minlength=bins) / some
    told = np.bincount(which, chance, minlength=bins) / some
    share = counts / len(chance)
    variance = share**2 * rate * (1 - rate) / some
    return float(share @ np.abs(told - rate)), float(np.sqrt(variance.sum()))
