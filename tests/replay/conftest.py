"""Recorded runs that several tests look at; made once a session."""

import pytest

from aftersale.events.event import Event, Ref
from aftersale.events.vocabulary import MessageEvent, ProductEvent
from aftersale.kernel.instants import DAY, HOUR
from aftersale.runtime.app import App
from recordings import (
    END,
    LIVE,
    app_in_memory,
    events,
    programme,
    rounds,
    take_arrivals,
    take_history,
)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The starter programme as files."""
    return programme(tmp_path_factory.mktemp("programme"))


@pytest.fixture(scope="session")
def driven(files: dict[str, str]) -> App:
    """A shop driven through 75 days on its own clock, every input at its own instant."""
    app = app_in_memory(files)
    past, rows = events(80)
    take_history(app, past)
    app.worker.drive(LIVE)
    take_arrivals(app, rows)
    app.worker.drive(END)
    return app


@pytest.fixture(scope="session")
def eventful(files: dict[str, str]) -> App:
    """A shop run live by the hour: late events, a merge, a stop, receipts, a deploy half-way."""
    app = app_in_memory(files, batch=200)
    past, rows = events(130, seed=11)
    take_history(app, past)
    app.worker.once(LIVE)
    known = [e for e in past if any(ref.kind == "customer" for ref in e.refs)]
    email = next(ref for e in known for ref in e.refs if ref.kind == "email")
    stranger = Event(
        "look-1",
        "web",
        "product.viewed",
        LIVE + DAY,
        "lindenhof",
        ProductEvent(product="coffee"),
        (Ref("anonymous", "cookie-x"),),
    )
    revealed = Event(
        "look-2",
        "web",
        "product.viewed",
        LIVE + 9 * DAY,
        "lindenhof",
        ProductEvent(product="coffee"),
        (email, Ref("anonymous", "cookie-x")),
    )
    rows = sorted([*rows, (LIVE + DAY, stranger), (LIVE + 9 * DAY, revealed)], key=lambda r: r[0])
    late = {n for n, (_, e) in enumerate(rows) if e.type == "order.delivered" and n % 5 == 0}
    rows = sorted(
        ((at + 3 * DAY if n in late else at, e) for n, (at, e) in enumerate(rows)),
        key=lambda row: row[0],
    )
    for number, (now, arrived) in enumerate(rounds(rows, every=3 * HOUR)):
        take_arrivals(app, arrived)
        app.worker.once(now)
        if number % 16 == 0:
            _receipts(app, now)
        if number == 240:
            text = files["journeys/review-request.yaml"].replace("wait: 2 days", "wait: 4 days")
            text = text.replace("about: order\n", "about: order\nin_flight: migrate\n")
            app.deploy({**files, "journeys/review-request.yaml": text})
    return app


def _receipts(app: App, now: int) -> None:
    """The provider says that the newest messages were opened."""
    with app.store.read() as tx:
        sends = tx.outbox.newest(limit=5)
    rows = [
        (
            now,
            Event(
                f"open-{send.key}",
                "provider",
                "message.opened",
                now - 60_000_000,
                "",
                MessageEvent(message=send.key),
                (Ref("anonymous", f"ours-{send.customer}"),),
            ),
        )
        for send in sends
    ]
    for _, event in rows:
        with app.store.write() as tx:
            tx.identities.bind([(event.refs[0], int(event.refs[0].value.removeprefix("ours-")))])
    take_arrivals(app, rows)
