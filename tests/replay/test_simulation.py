"""Do the promises hold while everything breaks? See `aftersale.testing.simulation`."""

import pytest

from aftersale.testing.simulation.run import Outcome, Simulation

KEPT: tuple[int, ...] = ()
"""Seeds that failed once; what was wrong stands behind each."""


def lived(seed: int, days: int) -> Outcome:
    outcome = Simulation(seed, days=days).run()
    assert outcome.wrong == [], f"seed {seed}, {days} days"
    return outcome


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_month_in_which_everything_breaks_keeps_every_promise(seed: int) -> None:
    outcome = lived(seed, 30)
    assert min(outcome.kills, outcome.troubles, outcome.leases_lost) > 10
    assert outcome.messages > 20


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 4, *KEPT])
def test_three_months_in_which_everything_breaks_keep_every_promise(seed: int) -> None:
    outcome = lived(seed, 90)
    assert outcome.taken > 100
    assert outcome.twice > 0


def test_one_seed_is_one_run() -> None:
    assert lived(7, 5) == lived(7, 5)
