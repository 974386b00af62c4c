"""Does the log give back every decision, and exactly the changed ones when it is altered?"""

import msgspec
import pytest

from aftersale.events.event import Entry
from aftersale.gates.policy import Policy
from aftersale.runtime.app import App
from aftersale.runtime.replay import replay
from aftersale.runtime.verify import verify
from aftersale.turn.programme import Programme, World


@pytest.mark.parametrize("recording", ["driven", "eventful"])
def test_replay_gives_the_same_decisions_and_states(
    recording: str, request: pytest.FixtureRequest
) -> None:
    """From empty states the log gives every decision and every state again, to the byte."""
    app: App = request.getfixturevalue(recording)
    with app.store.read() as tx:
        found = replay(tx, app.worlds)
        kinds = {decision.kind for decision in tx.decisions.ordered()}
    assert found.decisions > 300
    assert {"start", "send", "hold", "branch", "would-send"} <= kinds
    assert (found.different, found.states_different) == (0, 0)
    assert found.digest == found.stored_digest


def test_eventful_recording_holds_what_it_promises(eventful: App) -> None:
    """The recording has late events, a merge, receipts and two versions of the programme."""
    with eventful.store.read() as tx:
        entries = tx.ledger.read(0, 1_000_000)
        versions = {record.programme for record in tx.journal.read()}
        kinds = {(d.kind, d.reason) for d in tx.decisions.ordered()}
    assert any(e.received_at - e.at > 86_400_000_000 for e in entries if not e.history)
    assert any(e.type == "customer.merged" for e in entries)
    assert any(e.type == "message.opened" and e.source == "provider" for e in entries)
    assert versions == {1, 2}
    assert ("wait", "migrated") in kinds


@pytest.mark.parametrize("recording", ["driven", "eventful"])
def test_every_invariant_holds(recording: str, request: pytest.FixtureRequest) -> None:
    """Verify finds nothing in a store that nobody tampered with."""
    app: App = request.getfixturevalue(recording)
    with app.store.read() as tx:
        found = verify(tx, app.worlds)
    assert found.violations == ()


def test_an_altered_event_changes_the_decisions_of_its_customer_only(driven: App) -> None:
    """Dropping one delivery changes decisions of its own customer and of nobody else."""
    with driven.store.read() as tx:
        sent = next(d for d in tx.decisions.ordered() if d.kind == "send" and d.cause)
        dropped = sent.cause

        def without(entry: Entry) -> Entry | None:
            return None if entry.position == dropped else entry

        found = replay(tx, driven.worlds, alter=without)
    assert found.different > 0
    names = {d.name.partition("-")[0] for d in found.differences}
    assert names == {str(sent.customer)}


def test_an_altered_policy_changes_what_it_touches(driven: App) -> None:
    """Without a holdout what would have been sent is sent, and nobody else is touched."""

    def no_holdout(world: World) -> World:
        programme = world.programme
        altered = Programme(
            programme.version,
            msgspec.structs.replace(programme.policy, holdout=0.0),
            programme.journeys.values(),
            catalogue=programme.catalogue,
            archive=[graph.journey for graph in programme.graphs.values()],
        )
        return msgspec.structs.replace(world, programme=altered)

    with driven.store.read() as tx:
        held = {d.customer for d in tx.decisions.ordered() if d.kind == "would-send"}
        found = replay(tx, driven.worlds, alter_world=no_holdout)
    assert held
    assert found.different >= len(held)
    touched = {int(d.name.partition("-")[0]) for d in found.differences}
    assert touched <= held
    assert Policy().holdout > 0
