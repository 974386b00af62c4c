"""Does it matter how many workers share the customers out among them?"""

import pytest

from aftersale.kernel.draw import draw
from aftersale.kernel.instants import DAY, HOUR
from aftersale.runtime.app import App
from aftersale.runtime.digest import digest
from aftersale.runtime.replay import replay
from aftersale.runtime.verify import verify
from aftersale.turn.shards import Lease
from recordings import (
    LIVE,
    app_in_memory,
    events,
    guests_revealed,
    rounds,
    take_arrivals,
    take_history,
)

DAYS = 40


def _lived(files: dict[str, str], *, shards: int, workers: int, batch: int = 2_000) -> App:
    """Forty days, hour by hour, with the shards dealt out to so many workers in turns."""
    app = app_in_memory(files, batch=batch, shards=shards)
    past, rows = events(40, seed=3)
    take_history(app, past)
    app.worker.once(LIVE)
    rows = sorted([*rows, *guests_revealed(past)], key=lambda row: row[0])
    for now, arrived in rounds(rows, every=12 * HOUR):
        if now > LIVE + DAYS * DAY:
            break
        take_arrivals(app, arrived)
        leases = [app.store.lease(f"worker-{n}", 1e9) for n in range(workers)] * 2
        _share(app, now, leases[workers:])
    return app


def _share(app: App, now: int, leases: list[Lease]) -> None:
    """Turns of the workers in drawn order until none of them finds anything to do."""
    idle, n = 0, 0
    while idle < 3 * len(leases):
        n += 1
        lease = leases[int(draw("worker", now, n) * len(leases))]
        turned = app.turns.turn(now, own=False, lease=lease)
        idle = 0 if turned is not None else idle + 1
    for lease in leases:
        app.worker.once(now, lease=lease)


def _digest(app: App) -> tuple[str, int]:
    with app.store.read() as tx:
        return digest(tx.decisions.ordered()), tx.decisions.total()


@pytest.fixture(scope="module")
def alone(files: dict[str, str]) -> tuple[str, int]:
    """What one worker decides on a store of one shard."""
    return _digest(_lived(files, shards=1, workers=1))


@pytest.mark.parametrize(("shards", "workers", "batch"), [(4, 1, 2_000), (5, 2, 2_000), (7, 3, 3)])
def test_shards_and_workers_change_no_decision(
    files: dict[str, str], alone: tuple[str, int], shards: int, workers: int, batch: int
) -> None:
    """However customers are dealt out, merged ones included, the same is decided."""
    app = _lived(files, shards=shards, workers=workers, batch=batch)
    with app.store.read() as tx:
        merges = [e for e in tx.ledger.read(0, 10**6) if e.type == "customer.merged"]
        across = [e for e in merges if (e.customer - e.body.absorbed) % shards]  # type: ignore[attr-defined]
        assert len(across) > 20
        assert verify(tx, app.worlds).violations == ()
        found = replay(tx, app.worlds)
        assert (found.different, found.states_different) == (0, 0)
        assert {state.customer for state in tx.states.page(0, 10**6)} == {
            tx.identities.living(customer) for customer in range(1, tx.identities.last() + 1)
        }
    assert alone[1] > 100
    assert _digest(app) == alone
