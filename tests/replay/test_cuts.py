"""Does it matter where one turn ends and the next begins?"""

import pytest

from aftersale.kernel.instants import DAY, HOUR
from aftersale.runtime.app import App
from aftersale.runtime.digest import digest
from recordings import (
    END,
    LIVE,
    app_in_memory,
    events,
    rounds,
    take_arrivals,
    take_history,
)


def _digest(app: App) -> tuple[str, int]:
    with app.store.read() as tx:
        return digest(tx.decisions.ordered()), tx.decisions.total()


def _driven(files: dict[str, str], batch: int, stops: tuple[int, ...]) -> tuple[str, int]:
    app = app_in_memory(files, batch=batch)
    past, rows = events(30, seed=3)
    take_history(app, past)
    app.worker.drive(LIVE)
    take_arrivals(app, rows)
    for stop in stops:
        app.worker.drive(stop)
    return _digest(app)


def _live(files: dict[str, str], batch: int) -> tuple[str, int]:
    app = app_in_memory(files, batch=batch)
    past, rows = events(30, seed=3)
    take_history(app, past)
    app.worker.once(LIVE)
    for now, arrived in rounds(rows, every=12 * HOUR):
        take_arrivals(app, arrived)
        app.worker.once(now)
    return _digest(app)


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_a_driven_run_cut_otherwise_decides_the_same(files: dict[str, str], batch: int) -> None:
    """With a driven clock neither the size of turns nor where it halts changes a decision."""
    whole = _driven(files, 2_000, (END,))
    assert whole[1] > 100
    assert _driven(files, batch, (LIVE + 9 * DAY, LIVE + 9 * DAY + 7 * HOUR, END)) == whole


@pytest.mark.parametrize("batch", [3, 50])
def test_a_live_run_cut_otherwise_decides_the_same(files: dict[str, str], batch: int) -> None:
    """With the same instant for the same inputs, the size of turns changes no decision."""
    assert _live(files, batch) == _live(files, 2_000)
