"""Is what a backtest says what live did?"""

from itertools import groupby
from operator import attrgetter

import msgspec

from aftersale.kernel.instants import DAY
from aftersale.runtime.app import App
from aftersale.runtime.backtest import Plan, backtest, calibrations_known, play
from aftersale.runtime.explaining import world_now
from aftersale.turn.decision import Decision
from recordings import END, LIVE


def _live(app: App) -> dict[int, list[Decision]]:
    with app.store.read() as tx:
        return {
            customer: list(group)
            for customer, group in groupby(tx.decisions.ordered(), key=attrgetter("customer"))
        }


def _plain(decision: Decision) -> bytes:
    """As stored, without the place in the log, which a backtest has none of."""
    return msgspec.msgpack.encode(msgspec.structs.replace(decision, cause=0))


def test_live_equals_backtest_for_everybody_whose_inputs_arrived_on_time(driven: App) -> None:
    """Decision by decision; customers with a late event or a merge are the only others."""
    live = _live(driven)
    with driven.store.read() as tx:
        world = world_now(tx, driven.worlds)
        plan = Plan(LIVE, END + 1, reactions="recorded", calibrations="recorded")
        known = calibrations_known(tx, world, plan)
        since = dict.fromkeys(world.since, LIVE)
        worlds = [
            (at, msgspec.structs.replace(world, calibration=fitted, since=since))
            for at, fitted in known
        ]
        compared, late = 0, []
        entries = tx.ledger.of_customers(1, tx.identities.last())
        for customer, group in groupby(entries, key=attrgetter("customer")):
            mine = list(group)
            if any(
                (not e.history and e.received_at != e.at) or e.type == "customer.merged"
                for e in mine
            ):
                late.append(customer)
                continue
            outcomes = play(customer, mine, worlds, plan)
            tested = [_plain(d) for outcome in outcomes for d in outcome.decisions]
            assert tested == [_plain(d) for d in live.get(customer, [])], customer
            compared += bool(tested)
    assert compared > 20
    assert len(late) < 30


def test_cutting_the_log_changes_no_decision_before_the_cut(driven: App) -> None:
    """A backtest up to an instant is the beginning of the backtest that goes on."""
    with driven.store.read() as tx:
        world = world_now(tx, driven.worlds)
        cut = LIVE + 40 * DAY
        whole = Plan(LIVE, END, calibrations="refitted", keep=10_000)
        short = msgspec.structs.replace(whole, end=cut)
        long_run = backtest(tx, world, whole, calibrations_known(tx, world, whole))
        short_run = backtest(tx, world, short, calibrations_known(tx, world, short))
    assert short_run.messages > 50
    for customer, decisions in short_run.samples.items():
        before = [_plain(d) for d in long_run.samples[customer] if d.now < cut]
        assert before == [_plain(d) for d in decisions], customer


def test_a_backtest_in_parts_is_the_whole(driven: App) -> None:
    """Two processes that take half of the customers each find what one finds."""
    from aftersale.runtime.backtest import added

    with driven.store.read() as tx:
        world = world_now(tx, driven.worlds)
        plan = Plan(LIVE, END)
        known = calibrations_known(tx, world, plan)
        last = tx.identities.last()
        whole = backtest(tx, world, plan, known)
        parts = added(
            [
                backtest(tx, world, plan, known, first=1, last=last // 2),
                backtest(tx, world, plan, known, first=last // 2 + 1, last=last),
            ]
        )
    assert (whole.digest, whole.messages, whole.held_back) == (
        parts.digest,
        parts.messages,
        parts.held_back,
    )
