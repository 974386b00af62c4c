"""What is as often exceeded as not, given some numbers?

Median regression with a ridge penalty, by weighted least squares with the distances inverted
(Schlossmacher 1973, "An Iterative Technique for Absolute Deviations Curve Fitting"). Numbers are
centred, scaled and filled in as for the logistic regression; the intercept is not penalised.
"""

import numpy as np

from aftersale.models import logistic
from aftersale.models.gammas import Numbers
from aftersale.models.logistic import Logistic

PENALTY = 30.0
"""Half of it times the squared coefficients is added to the sum of the distances."""
_STEPS = 60
_NARROWEST = 0.05
"""A nearer distance counts as this, for its inverse is a weight."""


def fit(values: Numbers, told: Numbers, weight: float) -> tuple[Logistic, tuple[float, ...]]:
    """How the columns are shaped, and intercept and coefficients of the median of `told`.

    `values` has a row for each of `told`; `weight` is what each of the rows counts for.
    """
    shaped = logistic.shaped(values)
    table = np.column_stack([np.ones(len(values)), logistic.columns(shaped, values)])
    toll = np.full(table.shape[1], PENALTY)
    toll[0] = 1e-9
    line = np.zeros(table.shape[1])
    line[0] = float(np.median(told))
    for _ in range(_STEPS):
        near = weight * 0.5 / np.maximum(np.abs(told - table @ line), _NARROWEST)
        weighed = table * near[:, None]
        line = np.linalg.solve(weighed.T @ table + np.diag(toll), weighed.T @ told)
    return shaped, tuple(line.tolist())
