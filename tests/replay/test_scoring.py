"""Are customers scored from what is known, and is the ledger told where it matters?"""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from aftersale.adapters.folder import read_folder
from aftersale.bootstrap import init, open_app
from aftersale.events.event import read_event
from aftersale.events.vocabulary import ScoreChanged
from aftersale.kernel.instants import DAY, WEEK, Instant, parse_instant
from aftersale.models.fit import Fitting
from aftersale.models.scores import SCORES, STEPS, moved
from aftersale.runtime.app import App
from aftersale.runtime.backtest import Plan, scoring_instants
from aftersale.runtime.calibrating import calibrate, calibrated
from aftersale.runtime.cards import kept_cards
from aftersale.runtime.estimating import estimate
from aftersale.runtime.facts import ROWS_AT_ONCE, facts
from aftersale.runtime.flowing import flow
from aftersale.runtime.intake import take_in
from aftersale.runtime.parallel import backtest_in_parts
from aftersale.runtime.said import said_of, table
from aftersale.runtime.scoring import (
    after,
    changes,
    facts_of,
    score,
    scored_then,
    told_before,
)
from aftersale.settings import Settings
from aftersale.testing.shop import simulate
from aftersale.turn.state import decode

BEGIN, END = parse_instant("2025-01-01T00:00:00Z"), parse_instant("2026-03-01T00:00:00Z")
LIVE = END - 60 * DAY
JOURNEY = """
journey: leaving
about: customer
start:
  on: score.changed
  if: event.score = 'churn' and event.band = 'high'
steps:
  - task: call
    owner: success
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with four hundred customers, fourteen months, and a journey that waits for scores."""
    home = tmp_path_factory.mktemp("scored")
    app, _ = init(Settings(home=home))
    simulated = simulate(seed=11, customers=400, start=BEGIN, end=END)
    (home / "products.csv").write_text(simulated.products_csv(), encoding="utf-8")
    (home / "journeys" / "leaving.yaml").write_text(JOURNEY, encoding="utf-8")
    app.deploy(read_folder(home))
    events = [(at, read_event(raw)) for at, raw in simulated.events()]
    with app.store.write() as tx:
        tx.meta.set("demo", {"until": END})
        past = [event for at, event in events if at < LIVE]
        take_in(tx, past, received_at=LIVE, history=True)
    app.worker.drive(LIVE)
    app.store.close()
    return home


@pytest.fixture
def app(shop: Path, tmp_path: Path) -> App:
    """The shop again, to change; its clock stands at LIVE."""
    shutil.copytree(shop, tmp_path / "home")
    return open_app(Settings(home=tmp_path / "home"))


def told(app: App) -> list[tuple[int, Instant, ScoreChanged]]:
    with app.store.read() as tx:
        entries = tx.ledger.read(0, 1_000_000)
    return [(e.customer, e.at, e.body) for e in entries if isinstance(e.body, ScoreChanged)]


@pytest.mark.slow
def test_tables_give_the_calibration_that_the_states_give(app: App) -> None:
    """Rhythms, cut points, supplies and currency of a shop whose profiles hold everything."""
    with app.store.read() as tx:
        world = app.worlds.now(tx)
        fitting = Fitting(world.catalogue, LIVE)
        for row in tx.states.page(0, 1_000):
            fitting.add(decode(row.blob).profile)
    flow(app.store, app.lake, world.programme.policy.zone)
    want = fitting.fitted("again")
    assert {rhythm.level for rhythm in want.rhythms.values()} >= {"segment", "shop"}
    assert want.supply
    assert calibrated(app.lake, world.catalogue, LIVE, "again") == want


@pytest.mark.slow
def test_a_scoring_fits_the_thresholds_where_it_is_time(app: App, tmp_path: Path) -> None:
    """Once; the worker wakes everybody for them, and a store without orders has none."""
    with app.store.read() as tx:
        world = app.worlds.now(tx)
        fits = len(tx.ledger.everybodys("calibration.fitted"))
        now = app.now(tx)
    flow(app.store, app.lake, world.programme.policy.zone)
    assert calibrate(app.store, app.lake, world.catalogue, 90 * DAY, now) is None
    found = calibrate(app.store, app.lake, world.catalogue, 1, now + 1)
    assert found is not None
    assert found.rhythms["/"].gaps > 100
    assert calibrate(app.store, app.lake, world.catalogue, 1, now + 1) is None
    app.worker.drive(now + DAY)
    with app.store.read() as tx:
        assert len(tx.ledger.everybodys("calibration.fitted")) == fits + 1
        assert app.worlds.now(tx).calibration.version == found.version
    empty, _ = init(Settings(home=tmp_path / "empty"))
    flow(empty.store, empty.lake, "UTC")
    assert calibrate(empty.store, empty.lake, world.catalogue, 1, now) is None


def test_scores_are_kept_told_once_and_begin_journeys(app: App) -> None:
    """All are kept, the ledger is told, a second scoring tells nothing, and journeys start."""
    done = score(app)
    names = {card.name for card in done.cards}
    assert names == SCORES.keys()
    assert {c.name for c in done.cards if c.verdict == "on"} >= {"churn", "next_order"}
    why = {card.name: card.why for card in done.cards}
    assert why["brand_affinity"] == "no product names a brand"
    points = app.lake.scores("category_points")
    assert points is not None
    rows = app.lake.run(points[0]).to_pylist()
    assert {row["node"] for row in rows} >= {"kitchen", "kitchen/knives"}
    assert all(
        row["score"] == 3 * row["lines"] + 2 * row["baskets"] + 0.5 * row["looks"] for row in rows
    )
    proof = {card.name: card.proof for card in done.cards}
    assert sum(one.rows for one in proof["churn"].bins) == proof["churn"].windows[0].rows > 0
    assert proof["next_order"].within is not None
    assert all(card.learnt[1] == "2025-12-31" for card in done.cards if card.learnt[0])
    found = told(app)
    assert len(found) == sum(done.told.values()) > 100
    assert {at for _, at, _ in found} == {done.until}
    for card in done.cards:
        kept = app.lake.scores(card.name)
        assert kept is not None
        rows_of = app.lake.run(kept[0])
        assert rows_of.num_rows == card.rows
        assert dict(Counter(rows_of["step"].to_pylist())) == card.steps
        assert rows_of["reason_1"].null_count == 0
    one = app.lake.columns(points[0].limit(1))["customer"].tolist()[0]
    mine = said_of(app.lake, one)
    assert {"churn", "next_order", "health"} <= {row.score for row in mine}
    assert [row for row in mine if not (row.reasons and row.low <= row.value <= row.high)] == []
    with app.store.read() as tx:
        cards = kept_cards(tx)
    assert cards is not None
    assert cards.cards == done.cards
    assert sum(done.fifths.values()) == done.customers
    assert done.moves == []
    again = score(app)
    assert sum(again.told.values()) == 0
    assert (again.fifths, again.moves) == (done.fifths, [])
    assert len(told(app)) == len(found)
    app.worker.drive(LIVE + DAY)
    high = {c for c, _, body in found if body.score == "churn" and body.band == "high"}
    with app.store.read() as tx:
        begun = {d.customer for d in tx.decisions.newest(kind="start", limit=10_000)
                 if d.journey == "leaving"}  # fmt: skip
    assert begun == high
    assert begun


@pytest.mark.slow
def test_no_score_sees_the_future(app: App, tmp_path: Path) -> None:
    """Scores as of an instant are the same with and without what happened after it."""
    with app.store.read() as tx:
        world = app.worlds.now(tx)
    zone = world.programme.policy.zone
    flow(app.store, app.lake, zone)
    cut = LIVE - 30 * DAY
    whole = scored_then(app.lake, world, [cut])
    other, _ = init(Settings(home=tmp_path / "cut"))
    simulated = simulate(seed=11, customers=400, start=BEGIN, end=END)
    known = [read_event(raw) for at, raw in simulated.events() if read_event(raw).at <= cut]
    with other.store.write() as tx:
        take_in(tx, known, received_at=LIVE, history=True)
    flow(other.store, other.lake, zone)
    part = scored_then(other.lake, world, [cut])
    here, there = (facts_of(a.lake, world, cut) for a in (app, other))
    assert np.array_equal(np.sort(here.purchases[1]), np.sort(there.purchases[1]))
    mine, theirs = (
        sorted((e.body.score, e.body.band, e.body.value) for es in some.values() for e in es)
        for some in (whole, part)
    )
    assert mine == theirs
    assert len(mine) > 100


@pytest.mark.slow
def test_customers_who_are_read_in_parts_are_told_the_same(app: App) -> None:
    """A history that is too large for the engine at once gives the same scores."""
    with app.store.read() as tx:
        world = app.worlds.now(tx)
    zone = world.programme.policy.zone
    flow(app.store, app.lake, zone)
    extent = app.lake.extent()
    assert extent is not None
    some = sum(extent.rows.values()) // 3
    whole, in_parts = (
        facts(app.lake, LIVE, zone, world.catalogue, at_once=rows) for rows in (ROWS_AT_ONCE, some)
    )
    for one, other in zip(estimate(whole), estimate(in_parts), strict=True):
        mine, theirs = (
            table(said, known.items).sort_by([("customer", "ascending"), ("product", "ascending")])
            for said, known in ((one, whole), (other, in_parts))
        )
        told = ["customer", "product", "band", "step", "reason_1"]
        assert mine.select(told) == theirs.select(told)
        assert mine["value"].to_numpy() == pytest.approx(theirs["value"].to_numpy(), rel=1e-6)


@pytest.mark.slow
def test_a_backtest_times_journeys_by_scores_as_they_could_be_known(app: App) -> None:
    """Runs begin at the instants of scoring, the first of which begins nothing; parts add up."""
    with app.store.read() as tx:
        world = app.worlds.now(tx)
    plan = Plan(LIVE - 12 * WEEK, LIVE)
    found = backtest_in_parts(app, world, plan)
    runs = found.journeys["leaving"].runs
    assert runs > 0
    then = scored_then(app.lake, world, scoring_instants(plan))
    rose = [
        e.at for es in then.values() for e in es
        if e.body.score == "churn" and e.body.band == "high" and e.at >= plan.start
    ]  # fmt: skip
    assert runs <= len(rose)
    starts = {
        d.at for some in found.samples.values() for d in some
        if d.kind == "start" and d.journey == "leaving"
    }  # fmt: skip
    assert starts <= set(rose)


@pytest.mark.slow
def test_a_programme_that_looks_at_no_score_tells_none(app: App) -> None:
    """What no journey names is kept for people, and the ledger stays as it is."""
    unwanted = ("journeys/", "segments.yaml")
    files = {p: text for p, text in app.files().items() if not p.startswith(unwanted)}
    files["journeys/hello.yaml"] = JOURNEY.replace("leaving", "hello").replace(
        "on: score.changed\n  if: event.score = 'churn' and event.band = 'high'",
        "on: order.completed",
    )
    app.deploy(files)
    before = len(told(app))
    assert score(app).told == {}
    assert len(told(app)) == before


def events_of(count: int, *, customers: int, days: int, amount: str = "10.00") -> list[object]:
    return [
        read_event(
            {
                "id": f"order.completed/{n}",
                "type": "order.completed",
                "source": "test",
                "at": BEGIN + (n * 7 % days) * DAY,
                "customer": {"id": str(n % customers)},
                "data": {
                    "order": str(n),
                    "currency": "EUR" if n % 3 else "JPY",
                    "total": amount,
                    "lines": [{"product": f"p{n % 4}", "quantity": 1, "amount": amount}],
                },
            }
        )
        for n in range(count)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "customers", "days", "amount"),
    [
        (0, 1, 1, "10.00"),
        (1, 1, 1, "10.00"),
        (400, 1, 300, "10.00"),
        (300, 300, 300, "10.00"),
        (300, 40, 1, "10.00"),
        (300, 40, 300, "0.00"),
        (300, 40, 300, "-5.00"),
        (300, 40, 900, "10.00"),
        (20_000, 1, 300, "10.00"),
    ],
    ids=[
        "nothing",
        "one order",
        "one customer",
        "one order each",
        "one day",
        "free",
        "negative",
        "in the future",
        "all by one",
    ],
)
def test_whatever_the_shop_there_are_scores_or_reasons(
    tmp_path: Path, count: int, customers: int, days: int, amount: str
) -> None:
    """Never a traceback and never a number that is none; who is off says why."""
    app, _ = init(Settings(home=tmp_path / "home"))
    with app.store.write() as tx:
        take_in(tx, events_of(count, customers=customers, days=days, amount=amount),
                received_at=END, history=True)  # fmt: skip
    done = score(app, until=None)
    for card in done.cards:
        kept = app.lake.scores(card.name)
        assert kept is not None
        rows = app.lake.run(kept[0])
        assert rows.num_rows == card.rows
        value, low, high = (rows[name].to_numpy() for name in ("value", "low", "high"))
        assert np.isfinite(value).all()
        assert (low <= value).all()
        assert (value <= high).all()
        assert set(rows["step"].to_pylist()) <= STEPS.keys()
        assert card.verdict == "on" or (card.why and not card.rows)


def rows(*told: tuple[int, float | None, str]) -> pa.Table:
    return pa.table(
        {
            "customer": pa.array([row[0] for row in told], pa.int64()),
            "product": pa.array(["" for _ in told], pa.string()),
            "value": pa.array([row[1] for row in told], pa.float64()),
            "band": pa.array([row[2] for row in told], pa.string()),
        }
    )


def test_what_has_not_moved_by_a_step_is_not_told() -> None:
    """A new band, a step, a first value and a last one are told; telling them settles it."""
    before = {
        "churn": rows((1, 0.5, "medium"), (2, 0.69, "medium"), (3, 0.5, "medium"), (4, 0.9, "high"))
    }
    now = rows((1, 0.55, "medium"), (2, 0.71, "high"), (3, 0.61, "medium"), (5, 0.1, "low"))
    changed = changes("churn", before, now)
    assert changed.to_pylist() == [
        {"customer": 2, "product": "", "value": 0.71, "band": "high"},
        {"customer": 3, "product": "", "value": 0.61, "band": "medium"},
        {"customer": 4, "product": "", "value": None, "band": ""},
        {"customer": 5, "product": "", "value": 0.1, "band": "low"},
    ]
    settled = after(before, "churn", changed)
    assert changes("churn", settled, now).num_rows == 0
    assert after({}, "churn", changed) == {"churn": changed}


def test_a_share_is_a_step_of_what_was_told() -> None:
    """A fifth of 100 is a step, a fifth of 10 too; nothing is a move from nothing."""
    nothing = float("nan")
    before = np.array([100.0, 100.0, 10.0, 0.0, 0.0, nothing, nothing])
    now = np.array([119.0, 121.0, 12.5, 0.0, 0.1, nothing, 1.0])
    assert moved(SCORES["value"], before, now).tolist() == [
        False, True, True, False, True, False, True,
    ]  # fmt: skip


@pytest.mark.slow
def test_what_was_told_last_is_read_from_the_history(app: App) -> None:
    """The lake gives each score of each customer as the ledger told it last."""
    score(app)
    with app.store.read() as tx:
        zone = app.worlds.now(tx).programme.policy.zone
    flow(app.store, app.lake, zone)
    found = told_before(app.lake, LIVE)
    want = {(c, body.band) for c, _, body in told(app) if body.score == "churn"}
    rows = found["churn"]
    assert set(zip(rows["customer"].to_pylist(), rows["band"].to_pylist(), strict=True)) == want
