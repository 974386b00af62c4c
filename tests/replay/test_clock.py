"""What happens when the clock does not behave?"""

import pytest

from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY, HOUR
from aftersale.runtime.replay import replay
from aftersale.runtime.verify import verify
from recordings import END, LIVE, app_in_memory, events, rounds, take_arrivals, take_history


def test_a_clock_that_jumps_back_stands_still(files: dict[str, str]) -> None:
    """A live worker whose machine sets its clock back goes on at the latest instant it knew."""
    app = app_in_memory(files)
    past, rows = events(40, seed=2)
    take_history(app, past)
    app.worker.once(LIVE)
    for number, (now, arrived) in enumerate(rounds(rows, every=6 * HOUR)):
        take_arrivals(app, arrived)
        app.worker.once(now - 5 * DAY if number % 7 == 3 else now)
    with app.store.read() as tx:
        clocks = [record.now for record in tx.journal.read()]
        assert clocks == sorted(clocks)
        assert verify(tx, app.worlds).violations == ()
        found = replay(tx, app.worlds)
    assert found.decisions > 50
    assert (found.different, found.states_different) == (0, 0)


def test_a_driven_clock_is_not_driven_back(files: dict[str, str]) -> None:
    """Asked for an earlier instant, the driven worker refuses and says where the clock stands."""
    app = app_in_memory(files)
    take_history(app, events(5)[0])
    app.worker.drive(LIVE + DAY)
    with pytest.raises(Refusal, match="stands at"):
        app.worker.drive(LIVE)
    assert app.worker.drive(END).turns >= 0
