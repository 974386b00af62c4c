"""At which parameters is a likelihood greatest, and how sure is that?

Newton's method on the logarithms of the parameters, so they stay above 0, with the exact second
derivatives. Where the likelihood is not concave the direction is that of the absolute eigenvalues
(Nocedal and Wright 2006, section 3.4); a step is halved until the likelihood grows (Armijo). A
parameter that runs to the edge of its range stays there while it is pushed outwards. Nothing is
raised: what went wrong is in the result.
"""

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from aftersale.models.gammas import Numbers

Shape = tuple[float, Numbers, Numbers]
"""Log-likelihood, its gradient and its second derivatives at some parameters."""

EDGE = 8.0
"""Natural logarithm of the largest parameter, and of the inverse of the smallest."""

_MOST_STEPS = 100
_GAIN = 1e-13
_NEAR = EDGE - 1e-9
"""From where on a logarithm counts as being at the edge."""
_LONGEST = 2.0
_HALVINGS = 40


class Peak(msgspec.Struct, frozen=True):
    """Where the ascent ended."""

    at: tuple[float, ...]
    """The parameters."""
    log_likelihood: float
    covariance: tuple[tuple[float, ...], ...]
    """Of the logarithms of the parameters: the inverse of the observed information, with zeros
    for those at an edge. Empty where the information has no inverse."""
    low: tuple[bool, ...]
    """Which parameters lie at the lower edge."""
    high: tuple[bool, ...]
    steps: int
    converged: bool
    """Whether the last step, which was taken, was to gain less than the share of the log-likelihood
    that was asked for."""


def climb(
    shape: Callable[[Numbers], Shape],
    start: Numbers,
    *,
    gain: float = _GAIN,
    most: int = _MOST_STEPS,
) -> Peak:
    """The highest point found from the start; `shape` is asked for parameters, not logarithms.

    It has come there when a step would gain less than the share `gain` of the log-likelihood; after
    `most` steps it gives up.
    """
    place = np.clip(np.log(start), -EDGE, EDGE)
    value, slope, bend = _in_logs(shape, place)
    steps, converged = 0, False
    while steps < most and not converged:
        steps += 1
        step, whole = _step(place, slope, bend)
        converged = whole and bool(0.5 * slope @ step <= gain * (1 + abs(value)))
        found = _line_search(shape, (place, value, slope), step)
        if found is None:
            break
        place, (value, slope, bend) = found
    low, high = place <= -_NEAR, place >= _NEAR
    return Peak(
        at=tuple(np.exp(place).tolist()),
        log_likelihood=value,
        covariance=_covariance(bend, ~(low | high)),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
        steps=steps,
        converged=converged,
    )


def _in_logs(shape: Callable[[Numbers], Shape], place: Numbers) -> Shape:
    at = np.exp(place)
    value, slope, bend = shape(at)
    slope = slope * at
    return value, slope, bend * np.outer(at, at) + np.diag(slope)


def _step(place: Numbers, slope: Numbers, bend: Numbers) -> tuple[Numbers, bool]:
    """The step within the edges, and whether no edge shortened it.

    What lies at an edge and would go beyond it stays, and the others step without it.
    """
    low, high = place <= -_NEAR, place >= _NEAR
    free = ~((low & (slope < 0)) | (high & (slope > 0)))
    while True:
        step = np.zeros_like(place)
        step[free] = _direction(slope[free], bend[np.ix_(free, free)])
        beyond = (low & (step < 0)) | (high & (step > 0))
        if not beyond.any():
            break
        free &= ~beyond
    room = np.where(step > 0, EDGE - place, EDGE + place)
    share = float(np.divide(room, np.abs(step), out=np.ones_like(room), where=step != 0).min())
    return step * min(share, 1.0), share >= 1


def _direction(slope: Numbers, bend: Numbers) -> Numbers:
    if not slope.size:
        return slope
    values, vectors = np.linalg.eigh(bend)
    size = np.abs(values)
    size = np.maximum(size, max(float(size.max()) * 1e-12, 1e-300))
    step: Numbers = vectors @ ((vectors.T @ slope) / size)
    longest = float(np.abs(step).max())
    return step * (_LONGEST / longest) if longest > _LONGEST else step


def _line_search(
    shape: Callable[[Numbers], Shape], here: tuple[Numbers, float, Numbers], step: Numbers
) -> tuple[Numbers, Shape] | None:
    place, value, slope = here
    rounding = 1e-12 * (1 + abs(value))
    for _ in range(_HALVINGS):
        there = np.clip(place + step, -EDGE, EDGE)
        found = _in_logs(shape, there)
        if found[0] >= value + 1e-4 * float(slope @ (there - place)) - rounding:
            return there, found
        step = step / 2
    return None


def _covariance(bend: Numbers, free: NDArray[np.bool_]) -> tuple[tuple[float, ...], ...]:
    covariance = np.zeros_like(bend)
    if free.any():
        information = -bend[np.ix_(free, free)]
        values = np.linalg.eigvalsh(information)
        if not values[0] > 1e-10 * values[-1]:
            return ()
        covariance[np.ix_(free, free)] = np.linalg.inv(information)
    return tuple(tuple(row) for row in covariance.tolist())
