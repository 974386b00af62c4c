"""Which histories do the tests of replay and parity run on?"""

from collections.abc import Iterator
from pathlib import Path

from aftersale import bootstrap
from aftersale.adapters.folder import write_starter
from aftersale.adapters.storage.memory import MemoryStore
from aftersale.events.event import Event, Ref, read_event
from aftersale.events.vocabulary import (
    Body,
    Line,
    OrderCompleted,
    OrderDelivered,
    ProductEvent,
)
from aftersale.kernel.instants import DAY, HOUR, Instant, parse_instant
from aftersale.runtime.app import App
from aftersale.runtime.intake import take_in
from aftersale.settings import Settings
from aftersale.testing.shop import simulate

START = parse_instant("2025-01-01T00:00:00Z")
LIVE = parse_instant("2026-04-01T00:00:00Z")
END = LIVE + 75 * DAY


def programme(folder: Path, *, seed: int = 7) -> dict[str, str]:
    """The starter programme with the products of the simulated shop."""
    from aftersale.adapters.folder import read_folder

    write_starter(folder, overwrite=True)
    shop = simulate(seed=seed, customers=0, start=START, end=END)
    (folder / "products.csv").write_text(shop.products_csv(), encoding="utf-8")
    return read_folder(folder)


def app_in_memory(files: dict[str, str], *, batch: int = 2_000, shards: int = 1) -> App:
    """An installation on a store in memory, with the programme in force."""
    store = MemoryStore(shards=shards)
    with store.write() as tx:
        tx.meta.set("secret", "5e" * 32)
    app = bootstrap.build(store, Settings(batch=batch), reopen=lambda: store)
    app.deploy(files)
    return app


def events(customers: int, *, seed: int = 7) -> tuple[list[Event], list[tuple[Instant, Event]]]:
    """A simulated shop as history up to LIVE, and as arrivals from then on."""
    shop = simulate(seed=seed, customers=customers, start=START, end=END)
    read = [(at, read_event(raw)) for at, raw in shop.events()]
    prompt = sorted(
        ((event.at if at - event.at < HOUR else at, event) for at, event in read),
        key=lambda row: row[0],
    )
    return [event for at, event in prompt if at < LIVE], [row for row in prompt if row[0] >= LIVE]


def take_history(app: App, past: list[Event]) -> None:
    """The past comes in at once and is read as history."""
    with app.store.write() as tx:
        take_in(tx, past, received_at=LIVE, history=True)


def take_arrivals(app: App, rows: list[tuple[Instant, Event]]) -> None:
    """Events come in, each at its own arrival."""
    if rows:
        with app.store.write() as tx:
            take_in(tx, [event for _, event in rows], received_at=[at for at, _ in rows])


def rounds(
    rows: list[tuple[Instant, Event]], *, every: Instant = HOUR
) -> Iterator[tuple[Instant, list[tuple[Instant, Event]]]]:
    """(now, what arrived since the round before), hour by hour, with a stop of six hours."""
    n, now = 0, LIVE
    while now < END:
        stopped = LIVE + 20 * DAY <= now < LIVE + 20 * DAY + 6 * HOUR
        now += 6 * HOUR if stopped else every
        arrived = []
        while n < len(rows) and rows[n][0] <= now:
            arrived.append(rows[n])
            n += 1
        yield now, arrived


def guests_revealed(past: list[Event]) -> list[tuple[int, Event]]:
    """Guests who order, and turn out to be customers just when something is due for them."""
    emails = sorted({ref for e in past for ref in e.refs if ref.kind == "email"})
    found = []
    for n, email in enumerate(emails):
        guest = Ref("anonymous", f"cookie-{n}")
        ordered = LIVE + (n % 9) * DAY + HOUR
        order, lines = f"guest-{n}", (Line("coffee", 1, 900),)
        told: list[tuple[str, int, Body, tuple[Ref, ...]]] = [
            ("order.completed", 0, OrderCompleted(order=order, lines=lines, total=900), (guest,)),
            ("order.delivered", DAY, OrderDelivered(order=order), (guest,)),
            ("product.viewed", 3 * DAY, ProductEvent(product="coffee"), (email, guest)),
        ]
        for kind, after, body, refs in told:
            at = ordered + after
            found.append((at, Event(f"{kind}-{n}", "web", kind, at, "lindenhof", body, refs)))
    return found
