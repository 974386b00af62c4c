"""What do the models say today, and what of that enters the ledger?

Every score of everybody is kept in the lake. The ledger gets those that the programme in force
looks at, where they have changed enough (`models.scores`): decisions see only the ledger, so they
can be repeated, and a backtest finds the scores as they were known then.
"""

from collections.abc import Callable, Collection, Iterator

import ibis
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aftersale.events.event import Entry
from aftersale.events.vocabulary import ScoreChanged, encode_body
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import DAY, Instant
from aftersale.ledger.ports import NewEntry
from aftersale.models import fifths
from aftersale.models.scores import SCORES, Card, moved
from aftersale.programme.lake import Lake
from aftersale.programme.ports import Store
from aftersale.runtime.app import App
from aftersale.runtime.calibrating import calibrate
from aftersale.runtime.cards import keep_cards
from aftersale.runtime.collector import without_collector
from aftersale.runtime.estimating import estimate
from aftersale.runtime.facts import Facts, facts
from aftersale.runtime.flowing import flow
from aftersale.runtime.intake import is_past, own_entry
from aftersale.runtime.past import past
from aftersale.runtime.said import table
from aftersale.turn.programme import World

TOLD_AT_ONCE = 10_000
"""Events of one transaction."""
WINDOWS = 4
"""Stretches of the past on which a model is looked at: about a year of 90 days each."""
_FIFTHS = "rfm"
_POINTS = "category_points"
"""Everybody's points for every category and all above it (`features.affinity`)."""
_KEYS = ("customer", "product")


class Scored(msgspec.Struct, frozen=True):
    """What one scoring did."""

    until: Instant
    customers: int
    """That bought something and kept it."""
    cards: list[Card]
    told: dict[str, int]
    """Score → events that entered the ledger."""
    fifths: dict[str, int]
    """Name of the recency x frequency grid → customers."""
    moves: list[tuple[str, str, int]]
    """From which name to which so many customers went since the last scoring, most first; from or
    to nothing are those who were not known before, or are not any more."""
    gaps: int = 0
    """Gaps between orders from which thresholds were fitted anew; 0: it was not time yet."""


def score(
    app: App,
    *,
    until: Instant | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    spoken: Callable[[int, int], None] = lambda done, total: None,
) -> Scored:
    """Bring the lake up to date, let every model speak, keep all and tell what has changed.

    `until`: score as of that instant and keep nothing (None: now, and keep). `progress`: takes the
    events that were laid out, and of how many; `spoken`: the models that have spoken.
    """
    store, lake = app.store, app.lake
    with store.read() as tx:
        world = app.worlds.now(tx)
        wanted = app.worlds.compiled(tx, world.programme.version).scores
        now = app.now(tx) if until is None else until
        past_only = is_past(tx)
    policy = world.programme.policy
    flow(store, lake, policy.zone, progress=progress)
    fitted = None
    if until is None:
        fitted = calibrate(store, lake, world.catalogue, policy.calibrate_every, now)
    known = facts_of(lake, world, now)
    said = estimate(known, windows=WINDOWS, spoken=spoken)
    told: dict[str, int] = {}
    if until is None:
        before = told_before(lake, now)
        for one in said:
            kept = table(one, known.items)
            lake.put_scores(one.card.name, kept, now)
            if one.card.name in wanted:
                changed = changes(one.card.name, before, kept)
                told[one.card.name] = _tell(store, one.card, changed, now, history=past_only)
        with store.write() as tx:
            keep_cards(tx, now, [one.card for one in said])
        if known.categories is not None:
            lake.put_scores(_POINTS, known.categories, now)
    named, moves = _fifths(lake, known, keep=until is None)
    gaps = sum(r.gaps for key, r in fitted.rhythms.items() if key == "/") if fitted else 0
    cards = [one.card for one in said]
    return Scored(now, len(known.totals[0]), cards, told, named, moves, gaps)


def _fifths(
    lake: Lake, known: Facts, *, keep: bool
) -> tuple[dict[str, int], list[tuple[str, str, int]]]:
    """Recency, frequency and monetary fifths: how many have each name, and who has moved."""
    customer, orders, last_at, revenue = known.totals
    columns = (
        ((known.until - last_at) // DAY).astype(np.float64),
        orders.astype(np.float64),
        revenue.astype(np.float64),
    )
    found = fifths.score(*columns, fifths.fit(*columns))
    counts = np.bincount(found.name, minlength=len(fifths.NAMES)).tolist()
    before = lake.scores(_FIFTHS)
    went: dict[tuple[str, str], int] = {}
    if before is not None:
        earlier = lake.columns(before[0].order_by("customer"))
        went = fifths.moves(customer, found.name, earlier["customer"], earlier["name"])
    if keep:
        scores = {name: getattr(found, name) for name in found.__struct_fields__}
        lake.put_scores(_FIFTHS, pa.table({"customer": customer, **scores}), known.until)
    moved_on = [(*pair, number) for pair, number in went.items() if pair[0] != pair[1]]
    named = dict(zip(fifths.NAMES, counts, strict=True))
    return {n: c for n, c in named.items() if c}, sorted(moved_on, key=lambda row: -row[2])


def facts_of(
    lake: Lake, world: World, until: Instant, wanted: Collection[str] = SCORES.keys()
) -> Facts:
    """What the models of these scores read of this store as of the instant."""
    return facts(lake, until, world.programme.policy.zone, world.catalogue, wanted=set(wanted))


def told_before(lake: Lake, until: Instant) -> dict[str, pa.Table]:
    """Score → what the ledger told last: customer, product, value and band."""
    scored = past(lake, until)["scored"]
    latest = ibis.window(
        group_by=["customer", "score", "product"],
        order_by=[scored.at.desc(), scored.position.desc()],
    )
    newest = scored.mutate(nth=ibis.row_number().over(latest))
    rows = newest.filter(newest.nth == 0).select("score", *_KEYS, "value", "band")
    found = lake.run(rows)
    return {
        name: found.filter(pc.equal(found["score"], name)).drop_columns(["score"])
        for name in SCORES
    }


def changes(name: str, before: dict[str, pa.Table], now: pa.Table) -> pa.Table:
    """The rows that are to be told: customer, product, value (null: nothing more) and band."""
    now = now.select([*_KEYS, "value", "band"])
    old = before.get(name, now.slice(0, 0)).rename_columns([*_KEYS, "old_value", "old_band"])
    both = now.join(old, keys=list(_KEYS), join_type="full outer")
    value = pc.fill_null(both["value"], float("nan")).to_numpy()
    old_value = pc.fill_null(both["old_value"], float("nan")).to_numpy()
    band = pc.fill_null(both["band"], "")
    other = pc.not_equal(band, pc.fill_null(both["old_band"], "")).to_numpy(zero_copy_only=False)
    chosen = pa.array(moved(SCORES[name], old_value, value) | other)
    return both.set_column(both.schema.get_field_index("band"), "band", band).select(
        [*_KEYS, "value", "band"]
    ).filter(chosen).sort_by([(key, "ascending") for key in _KEYS])  # fmt: skip


def after(before: dict[str, pa.Table], name: str, told: pa.Table) -> dict[str, pa.Table]:
    """What was told last, once these rows have been told too."""
    old = before.get(name)
    if old is None or not old.num_rows:
        return {**before, name: told}
    kept = old.join(told.select(list(_KEYS)), keys=list(_KEYS), join_type="left anti")
    return {**before, name: pa.concat_tables([kept.select(told.column_names), told])}


def bodies(card: Card, changed: pa.Table) -> Iterator[tuple[CustomerId, ScoreChanged]]:
    """The events of the rows, by customer."""
    columns = (changed[name].to_pylist() for name in (*_KEYS, "value", "band"))
    for customer, product, value, band in zip(*columns, strict=True):
        told = None if value is None else float(f"{value:.17g}" if value > 1e9 else f"{value:.6g}")
        yield (
            customer,
            ScoreChanged(
                score=card.name, product=product, value=told, band=band, version=card.version
            ),
        )


def _tell(store: Store, card: Card, changed: pa.Table, now: Instant, *, history: bool) -> int:
    number = 0
    for start in range(0, changed.num_rows, TOLD_AT_ONCE):
        with without_collector(), store.write() as tx:
            entries = [
                _entry(customer, body, now, history=history)
                for customer, body in bodies(card, changed.slice(start, TOLD_AT_ONCE))
            ]
            seen = tx.ledger.seen([entry.key for entry in entries])
            new = [entry for entry in entries if entry.key not in seen]
            tx.ledger.append(new)
            number += len(new)
    return number


def _entry(customer: CustomerId, body: ScoreChanged, at: Instant, *, history: bool) -> NewEntry:
    name = f"score:{body.score}:{body.product}:{customer}:{at}"
    return own_entry(
        "score.changed", name, encode_body(body), at, customer=customer, history=history
    )


def scored_then(
    lake: Lake,
    world: World,
    instants: Collection[Instant],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[CustomerId, list[Entry]]:
    """Customer → what would have been told it at these instants, by time.

    At each instant only what had happened by then is read. The lake must reach that far.
    `progress`: takes how many of the instants are done.
    """
    wanted = world.programme.scores
    found: dict[CustomerId, list[Entry]] = {}
    before: dict[str, pa.Table] = {}
    for done, at in enumerate(sorted(instants) if wanted else ()):
        progress(done, len(instants))
        known = facts_of(lake, world, at, wanted)
        for one in estimate(known, only=wanted):
            changed = changes(one.card.name, before, table(one, known.items))
            before = after(before, one.card.name, changed)
            for customer, body in bodies(one.card, changed):
                found.setdefault(customer, []).append(
                    Entry(0, customer, "score.changed", at, at, body, source="aftersale")
                )
    return found
