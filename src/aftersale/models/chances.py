"""How good are probabilities, and how sure is that?

Three questions, each with a standard error: are those who did it ranked before those who did not
(area under the curve; DeLong, DeLong and Clarke-Pearson 1988), how far are probability and outcome
apart (Brier 1950), and does it happen as often as was said (expected calibration error over bins
of about equally many customers, Naeini, Cooper and Hauskrecht 2015). Beside them what a picture
shows: the bins themselves, and how much of what happened is found among those ranked first. Where
probabilities were off in one window, `correction` says how to move them in the next (Cox 1958,
"Two further applications of a model for binary regression", Biometrika 45).
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from aftersale.models import logistic
from aftersale.models.gammas import Numbers

BINS = 10
"""Of the calibration error; with fewer than 20 rows a bin, fewer."""
_LEAST_IN_BIN = 20
_TENTHS = 10
_SMALLEST = 1e-9
_PENALTY = 1e-3
"""Of the correction: as good as none, but a window in which all did the same has an answer."""

Correction = tuple[float, float]
"""What is added to a logit, and what it is multiplied with before."""
NO_CORRECTION: Correction = (0.0, 1.0)


class Bin(msgspec.Struct, frozen=True):
    """Customers of about the same probability."""

    said: float
    """The mean of what was said."""
    came: float
    """How often it happened."""
    error: float
    """Standard error of `came`, were `said` true."""
    rows: int


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
    bins: tuple[Bin, ...] = ()
    """By probability, ascending."""
    gains: tuple[float, ...] = ()
    """Which share of all to whom it happened is among the first tenth by probability, the first
    two tenths, and so on to 1."""


def measure(way: str, chance: Numbers, came: NDArray[np.bool_]) -> Measured:
    """The three of them; without rows all are 0, with one outcome the area is 0.5."""
    if not len(chance):
        return Measured(way, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
    losses = (chance - came) ** 2
    found = bins(chance, came)
    return Measured(
        way,
        *area(chance, came),
        float(losses.mean()),
        float(losses.std() / np.sqrt(len(losses))),
        *calibration_error(found),
        float(chance.mean()),
        float(came.mean()),
        len(chance),
        found,
        gains(chance, came.astype(np.float64)),
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


def bins(chance: Numbers, came: NDArray[np.bool_]) -> tuple[Bin, ...]:
    """Bins of about equally many customers; equal probabilities are in the same bin."""
    most = min(BINS, max(len(chance) // _LEAST_IN_BIN, 1))
    ordered = np.sort(chance)
    # Equal probabilities share a bin, or the order of customers would make a difference.
    which = np.searchsorted(ordered, chance, "left") * most // max(len(chance), 1)
    counts = np.bincount(which, minlength=most)
    some = np.maximum(counts, 1)
    rate = np.bincount(which, came, minlength=most) / some
    said = np.bincount(which, chance, minlength=most) / some
    error = np.sqrt(said * (1 - said) / some)
    columns = (column.tolist() for column in (said, rate, error, counts))
    return tuple(Bin(*row) for row in zip(*columns, strict=True) if row[-1])


def calibration_error(found: tuple[Bin, ...]) -> tuple[float, float]:
    """The mean distance between what was said and what happened, and its standard error."""
    rows = max(sum(one.rows for one in found), 1)
    distance = sum(one.rows * abs(one.said - one.came) for one in found) / rows
    variance = sum(one.rows * one.came * (1 - one.came) for one in found) / rows**2
    return distance, float(np.sqrt(variance))


def gains(rank: Numbers, amount: Numbers) -> tuple[float, ...]:
    """The share of all `amount` among the first tenth by rank, two tenths, and so on to 1.

    Those with equal ranks have the mean amount of their like, so their order says nothing. Empty
    where there is no amount, or fewer than ten rows.
    """
    total = float(amount.sum())
    if len(rank) < _TENTHS or total <= 0:
        return ()
    _, like, number = np.unique(-rank, return_inverse=True, return_counts=True)
    mean = np.bincount(like, amount) / number
    upto = np.concatenate(([0.0], np.cumsum(np.repeat(mean, number)))) / total
    ends = [len(rank) * n // _TENTHS for n in range(1, _TENTHS + 1)]
    return tuple(upto[ends].tolist())


def correction(chance: Numbers, came: NDArray[np.bool_]) -> Correction:
    """What would have made these probabilities come true on the whole, in logits."""
    logit = _logit(chance)
    found = logistic.fit(logit[:, None], came, penalty=_PENALTY)
    if not found.fitted or len(found.coefficients) != 1:
        return NO_CORRECTION
    slope = found.coefficients[0] / found.scales[0]
    # A window that turns the ranking over says something of its customers, not of the scale.
    return (found.intercept - slope * found.means[0], slope) if slope > 0 else NO_CORRECTION


def corrected(chance: Numbers, by: Correction) -> Numbers:
    """The probabilities, moved."""
    return logistic.sigmoid(by[0] + by[1] * _logit(chance))


def _logit(chance: Numbers) -> Numbers:
    held = np.clip(chance, _SMALLEST, 1 - _SMALLEST)
    found: Numbers = np.log(held / (1 - held))
    return found
