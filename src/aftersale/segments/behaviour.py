"""Which segments of behaviour is a customer in, and what shows it?

A segment is a list of tests that must all hold. What is not known of a customer is None: a test
of it is neither met nor failed, and a segment is then unknown unless another test fails. Names
begin with their space (`segment.`), so that "at risk" by behaviour is never taken for the stage.
"""

import operator
from collections.abc import Mapping
from math import isfinite

import msgspec

SPACES = ("stage", "segment", "tier")
"""Of the lifecycle, of behaviour, of loyalty: no name is in two of them."""

COMPARE = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
}


class Comparison(msgspec.Struct, frozen=True, gc=False):
    """One comparison of a measure with a threshold."""

    measure: str
    compare: str
    threshold: float


class Definition(msgspec.Struct, frozen=True):
    """A segment: its name with its space, and the tests that must all hold."""

    name: str
    tests: tuple[Comparison, ...]

    def __post_init__(self) -> None:
        """A name outside the spaces, or a comparison that nobody knows, is a bug."""
        space, _, rest = self.name.partition(".")
        if space not in SPACES or not rest or not self.tests:
            raise ValueError(f"{self.name!r} is no name of a segment with tests")
        if any(test.compare not in COMPARE for test in self.tests):
            raise ValueError(f"{self.name} compares by an unknown sign")


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """What came out of one test; `met` is None where the value is not known."""

    measure: str
    value: float | None
    compare: str
    threshold: float
    met: bool | None


class Membership(msgspec.Struct, frozen=True):
    """Whether a customer is in a segment (None: unknown), and the evidence."""

    name: str
    met: bool | None
    evidence: tuple[Evidence, ...]


MEASURES = {
    "engagement": "0 to 1",
    "satisfaction": "1 to 5",
    "price_sensitivity": "0 to 1",
    "purchases": "orders that count",
    "purchases_a_year": "orders that count per year since the first",
    "days_since_purchase": "days since the latest order that counts",
    "days_since_first_purchase": "days since the first order that counts",
    "order_value_standing": "0 to 1: share of customers of the same main currency with a lower "
    "mean order value",
    "value_standing": "0 to 1: share of customers of the same main currency with a lower value "
    "over the next 12 months",
}
"""Measure → its range or unit. Whoever calls gives each, or None where it is not known."""


def _segment(name: str, *tests: tuple[str, str, float]) -> Definition:
    return Definition(f"segment.{name}", tuple(Comparison(*test) for test in tests))


SEGMENTS = (
    _segment("champion", ("engagement", ">", 0.8), ("satisfaction", ">", 4.5)),
    _segment("loyal", ("purchases", ">", 3), ("engagement", ">", 0.6)),
    _segment("at_risk", ("days_since_purchase", ">", 60), ("engagement", "<", 0.4)),
    _segment("new", ("days_since_first_purchase", "<=", 30)),
    _segment("price_sensitive", ("price_sensitivity", ">", 0.7)),
    _segment("premium", ("order_value_standing", ">=", 0.8), ("satisfaction", ">", 4.0)),
    _segment("first_time", ("purchases", "=", 1)),
    _segment("repeat", ("purchases", ">=", 2)),
    _segment("high_clv", ("value_standing", ">=", 0.8)),
    _segment("occasional", ("purchases", ">=", 2), ("purchases_a_year", "<=", 2)),
)
"""The defaults; a merchant's own may take the place of any of them."""


def judge(definition: Definition, measures: Mapping[str, float | None]) -> Membership:
    """Whether a customer of these measures is in the segment; all tests are told."""
    evidence = tuple(_evidence(test, measures.get(test.measure)) for test in definition.tests)
    met = [found.met for found in evidence]
    return Membership(
        definition.name, False if False in met else None if None in met else True, evidence
    )


def memberships(
    measures: Mapping[str, float | None], definitions: tuple[Definition, ...] = SEGMENTS
) -> tuple[Membership, ...]:
    """Every segment in the given order, those that the customer is not in too."""
    return tuple(judge(definition, measures) for definition in definitions)


def _evidence(test: Comparison, value: float | None) -> Evidence:
    known = value if value is not None and isfinite(value) else None
    met = None if known is None else bool(COMPARE[test.compare](known, test.threshold))
    return Evidence(test.measure, known, test.compare, test.threshold, met)
