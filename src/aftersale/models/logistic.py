"""How likely is yes, given some numbers, and which number says so?

Logistic regression with a ridge penalty, by Newton's method (iteratively reweighted least squares,
McCullagh and Nelder 1989, section 4.4). Every number is centred and scaled, held within five
standard deviations, and its coefficient penalised alike; the intercept is not. What is not known
counts as the mean, and a second column says that it was not known. A step is cut to a length and
halved until the penalised likelihood grows, for a full step may overshoot where all probabilities
are near 0 or 1. Nothing is raised and nothing is NaN: what went wrong is a flag.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from aftersale.models.gammas import Numbers

PENALTY = 30.0
"""Half of it times the squared coefficients is taken off the log-likelihood. Chosen on twelve
cuts of two shops; from 10 to 100 the results differ by less than their errors."""

FLAGS = {
    "no-rows": "there is nothing to learn from",
    "one-outcome": "all did the same",
    "not-converged": "the fit did not settle",
}

_CHUNK = 1 << 13
"""Rows taken at once: they stay in the processor's cache."""
_MOST_STEPS = 50
_LONGEST = 2.0
_HALVINGS = 30
_SETTLED = 1e-8
_FARTHEST = 5.0
"""Standard deviations beyond which a number says no more."""
_MOST_LOGIT = 30.0
_DEAD = 1e300
"""Scale of a number that was the same for all, which makes it 0 for ever."""


class Logistic(msgspec.Struct, frozen=True):
    """A fitted model. Columns are the numbers, then a blank column for some of them."""

    means: tuple[float, ...] = ()
    scales: tuple[float, ...] = ()
    """Of the columns; the mean of a blank column is the share not known."""
    blanks: tuple[int, ...] = ()
    """Which numbers have a blank column."""
    intercept: float = 0.0
    """The logit of the mean customer, of whom everything is as the mean."""
    coefficients: tuple[float, ...] = ()
    """Change of the logit for one standard deviation more."""
    covariance: tuple[tuple[float, ...], ...] = ()
    """Of intercept and coefficients: the inverse of the penalised information."""
    flags: tuple[str, ...] = ()
    rows: int = 0
    yes: int = 0
    steps: int = 0

    @property
    def fitted(self) -> bool:
        """Whether something was learnt."""
        return bool(self.coefficients)


def sigmoid(logit: Numbers) -> Numbers:
    """The probability of a logit; never 0 or 1."""
    found: Numbers = 1 / (1 + np.exp(-np.clip(logit, -_MOST_LOGIT, _MOST_LOGIT)))
    return found


def fit(
    values: Numbers,
    came: NDArray[np.bool_],
    *,
    weight: Numbers | None = None,
    penalty: float = PENALTY,
) -> Logistic:
    """The model of greatest penalised likelihood.

    `values` is (rows, numbers), not a number where not known; `weight` is how often a row counts.
    With one outcome only the intercept is told, with half a row of each outcome added.
    """
    rows, numbers = values.shape
    weight = np.ones(rows) if weight is None else weight
    total, yes = float(weight.sum()), float(weight[came].sum())
    begun = Logistic(rows=rows, yes=int(came.sum()))
    if not total > 0:
        return msgspec.structs.replace(begun, flags=("no-rows",))
    start = float(np.log((yes + 0.5) / (total - yes + 0.5)))
    if not 0 < yes < total or not numbers:
        return msgspec.structs.replace(begun, intercept=start, flags=("one-outcome",))
    shaped_like = shaped(values)
    table = columns(shaped_like, values)
    at, information, steps, settled = _ascend(
        table, came.astype(np.float64), weight, start, penalty
    )
    covariance = np.linalg.inv(information)
    return msgspec.structs.replace(
        shaped_like,
        rows=begun.rows,
        yes=begun.yes,
        intercept=float(at[0]),
        coefficients=tuple(at[1:].tolist()),
        covariance=tuple(tuple(row) for row in covariance.tolist()),
        flags=() if settled else ("not-converged",),
        steps=steps,
    )


def shaped(values: Numbers) -> Logistic:
    """Means, scales and blank columns of the rows to learn from; nothing is learnt yet."""
    rows, numbers = values.shape
    means, scales = np.zeros(numbers), np.ones(numbers)
    blanks: list[int] = []
    seen: list[NDArray[np.bool_]] = []
    for n in range(numbers):
        known = np.isfinite(values[:, n])
        some = values[known, n]
        if some.size:
            means[n] = some.mean()
            spread = float(some.std())
            scales[n] = spread if spread > 1e-9 * (1 + abs(means[n])) else _DEAD
        if 0 < some.size < rows and not any((known == other).all() for other in seen):
            blanks.append(n)
            seen.append(known)
    shares = [1 - float(known.mean()) for known in seen]
    return Logistic(
        means=(*means.tolist(), *shares),
        scales=(*scales.tolist(), *((share * (1 - share)) ** 0.5 for share in shares)),
        blanks=tuple(blanks),
    )


def columns(model: Logistic, values: Numbers) -> Numbers:
    """The rows as the model sees them: centred, scaled, held within bounds, blanks at the end."""
    numbers = values.shape[1]
    table = np.empty((len(values), numbers + len(model.blanks)))
    means, scales = np.array(model.means), np.array(model.scales)
    for begin in range(0, len(values), _CHUNK):
        part = values[begin : begin + _CHUNK]
        known = np.isfinite(part)
        held = np.where(known, part, means[:numbers])
        out = table[begin : begin + _CHUNK]
        np.subtract(held, means[:numbers], out=out[:, :numbers])
        out[:, :numbers] /= scales[:numbers]
        np.clip(out, -_FARTHEST, _FARTHEST, out=out)
        if model.blanks:
            out[:, numbers:] = (~known[:, model.blanks] - means[numbers:]) / scales[numbers:]
    return table


def logits(model: Logistic, table: Numbers) -> Numbers:
    """The logit of each row of `columns`."""
    if not model.fitted:
        return np.full(len(table), model.intercept)
    found: Numbers = table @ np.array(model.coefficients) + model.intercept
    return found


def errors(model: Logistic, table: Numbers) -> Numbers:
    """The standard error of each of the logits, for the coefficients are estimates."""
    found = np.zeros(len(table))
    if not model.covariance:
        return found
    # The squared length of each row times the root of the covariance.
    root = np.linalg.cholesky(np.array(model.covariance) + 1e-15 * np.eye(len(model.covariance)))
    for begin in range(0, len(table), _CHUNK):
        rows = table[begin : begin + _CHUNK] @ root[1:] + root[0]
        found[begin : begin + _CHUNK] = np.sqrt((rows**2).sum(1))
    return found


def _ascend(
    table: Numbers, came: Numbers, weight: Numbers, start: float, penalty: float
) -> tuple[Numbers, Numbers, int, bool]:
    """Intercept and coefficients, the information there, steps, and whether they settled."""
    toll = np.full(table.shape[1] + 1, penalty)
    toll[0] = 0.0
    at = np.zeros(table.shape[1] + 1)
    at[0] = start
    value, slope, information = _shape(table, came, weight, at, toll)
    for step_number in range(1, _MOST_STEPS + 1):
        step = np.linalg.solve(information, slope)
        step *= min(1.0, _LONGEST / max(float(np.abs(step).max()), 1e-300))
        for _ in range(_HALVINGS):
            there = at + step
            found = _shape(table, came, weight, there, toll)
            if found[0] >= value - 1e-12 * abs(value):
                break
            step = step / 2
        else:
            return at, information, step_number, False
        at, (value, slope, information) = there, found
        if float(np.abs(step).max()) < _SETTLED:
            return at, information, step_number, True
    return at, information, _MOST_STEPS, False


def _shape(
    table: Numbers, came: Numbers, weight: Numbers, at: Numbers, toll: Numbers
) -> tuple[float, Numbers, Numbers]:
    """Penalised log-likelihood, its gradient and minus its second derivatives."""
    size = len(at)
    value, slope, bend = -0.5 * float(toll @ at**2), -toll * at, np.diag(toll)
    bend[np.diag_indices(size)] += 1e-9
    for begin in range(0, len(table), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        rows, outcome, count = table[part], came[part], weight[part]
        logit = np.clip(rows @ at[1:] + at[0], -_MOST_LOGIT, _MOST_LOGIT)
        small = np.exp(-np.abs(logit))
        chance = np.where(logit > 0, 1.0, small) / (1 + small)
        losses = np.maximum(logit, 0) + np.log1p(small) - outcome * logit
        value -= float(count @ losses)
        rest = count * (outcome - chance)
        slope[0] += rest.sum()
        slope[1:] += rest @ rows
        curve = count * np.maximum(chance * (1 - chance), 1e-12)
        weighed = rows * curve[:, None]
        bend[0, 0] += curve.sum()
        across = weighed.sum(0)
        bend[0, 1:] += across
        bend[1:, 0] += across
        bend[1:, 1:] += rows.T @ weighed
    return value, slope, bend
