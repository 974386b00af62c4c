"""What stands between a decision and a mailbox?"""

from aftersale.delivery.ports import DROPPED, QUEUED, SENT
from aftersale.events.event import read_event
from aftersale.kernel.instants import HOUR, MINUTE, format_instant
from aftersale.runtime.app import App
from aftersale.runtime.intake import take_in
from recordings import LIVE, app_in_memory


def _app(files: dict[str, str], **policy: object) -> App:
    text = files["policies.yaml"]
    for name, value in policy.items():
        lines = [line for line in text.splitlines() if not line.startswith(f"{name}:")]
        text = "\n".join([*lines, f"{name}: {value}"]) + "\n"
    app = app_in_memory({**files, "policies.yaml": text})
    app.worker.once(LIVE)
    return app


def _order(app: App, number: int, now: int) -> None:
    raw = {
        "id": f"o-{number}",
        "source": "shop",
        "type": "order.completed",
        "at": format_instant(now),
        "customer": {"id": f"c{number}", "email": f"c{number}@example.com"},
        "data": {"order": str(number), "currency": "EUR", "total": 500},
    }
    with app.store.write() as tx:
        take_in(tx, [read_event(raw)], received_at=now)


def _statuses(app: App) -> dict[str, int]:
    with app.store.read() as tx:
        found: dict[str, int] = {}
        for send in tx.outbox.all():
            found[send.status] = found.get(send.status, 0) + 1
        return found


def _mode(app: App, mode: str, since: int) -> None:
    with app.store.write() as tx:
        tx.meta.set("mode", mode)
        tx.meta.set("live_since", since)


def test_a_stopped_installation_claims_nothing(files: dict[str, str]) -> None:
    """Stopped, decisions are made and recorded, and every message waits."""
    app = _app(files)
    _mode(app, "stopped", LIVE)
    _order(app, 1, LIVE + HOUR)
    assert app.worker.once(LIVE + HOUR).sends == 0
    assert _statuses(app) == {QUEUED: 1}


def test_going_live_begins_slowly(files: dict[str, str]) -> None:
    """In the first day no more messages go out in an hour than the policy says."""
    app = _app(files, startup_per_hour=3)
    _mode(app, "live", LIVE)
    for number in range(8):
        _order(app, number, LIVE + MINUTE)
    assert app.worker.once(LIVE + MINUTE).sends == 3
    assert app.worker.once(LIVE + 2 * MINUTE).sends == 0
    assert app.worker.once(LIVE + HOUR + 2 * MINUTE).sends == 3
    assert _statuses(app) == {SENT: 6, QUEUED: 2}


def test_a_journey_that_sends_far_more_than_expected_is_stopped(files: dict[str, str]) -> None:
    """Above a multiple of its busiest expected hour a journey's messages are held, and it shows."""
    app = _app(files, breaker_floor=0, breaker=2)
    _mode(app, "live", LIVE - 48 * HOUR)
    with app.store.write() as tx:
        tx.meta.set("expected_hour", {"order-confirmation": 2})
    for number in range(7):
        _order(app, number, LIVE + number * MINUTE)
        app.worker.once(LIVE + number * MINUTE)
    assert _statuses(app) == {SENT: 4, DROPPED: 3}
    with app.store.read() as tx:
        assert set(tx.meta.get("tripped")) == {"order-confirmation"}
        assert {send.reason for send in tx.outbox.in_state(DROPPED)} == {"breaker"}


def test_a_message_that_became_useless_while_nothing_ran_does_not_go(files: dict[str, str]) -> None:
    """The claim judges again: after a long stop an order is not confirmed any more."""
    app = _app(files)
    _mode(app, "stopped", LIVE)
    _order(app, 1, LIVE + HOUR)
    app.worker.once(LIVE + HOUR)
    _mode(app, "live", LIVE - 48 * HOUR)
    app.worker.once(LIVE + 72 * HOUR)
    with app.store.read() as tx:
        assert [send.reason for send in tx.outbox.in_state(DROPPED)] == ["too-late"]
