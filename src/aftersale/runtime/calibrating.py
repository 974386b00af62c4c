"""Which thresholds do the tables of the history give, as of an instant?

The same calibration as that of the pass over states (`models.fit`), for a history of which no
customer's state holds everything: a profile closes its oldest orders into a summary, tables do not.
"""

from contextlib import ExitStack

import ibis
import msgspec
import numpy as np
import pyarrow as pa

from aftersale.catalogue.product import Catalogue
from aftersale.events.vocabulary import CalibrationFitted, encode_body
from aftersale.features import gaps
from aftersale.features.purchases import given_back, kept, kept_lines, parts, totals_of
from aftersale.kernel.instants import DAY, Duration, Instant
from aftersale.models import fifths, waiting
from aftersale.models.calibration import Calibration, encode
from aftersale.models.lifecycle import Gaps
from aftersale.models.refill import ENOUGH_REPEATS
from aftersale.models.waiting import Segments
from aftersale.programme.lake import Lake
from aftersale.programme.ports import Store, Transaction
from aftersale.runtime.intake import own_entry
from aftersale.runtime.past import past

_TOPS = pa.schema({"product": pa.string(), "category": pa.string()})


def calibrated(lake: Lake, catalogue: Catalogue, until: Instant, version: str) -> Calibration:
    """Rhythms, cut points and supplies of what had happened by then."""
    history = past(lake, until)
    known = {product: name for product, name in catalogue.roots.items() if name}
    tops = ibis.memtable(
        pa.table({"product": list(known), "category": list(known.values())}, schema=_TOPS)
    )
    with ExitStack() as stack:
        of = parts(history, until, lambda table: stack.enter_context(lake.held(table)))
        told = kept(history, until, of)
        bought = stack.enter_context(lake.held(told.select("customer", "at", "currency", "total")))
        lines = stack.enter_context(
            lake.held(kept_lines(history, until, of).select("customer", "at", "product", "amount"))
        )
        totals = stack.enter_context(
            lake.held(totals_of(bought, given_back(history, of.stands, until)))
        )
        spent = lines.inner_join(tops, "product").select("customer", "category", "amount")
        segments = lake.run(gaps.segments(totals, spent).order_by("customer"))
        orders = lake.columns(bought.select("customer", "at"))
        supply = lake.run(gaps.repeats(lines).filter(ibis._.gaps >= ENOUGH_REPEATS))
        sums = lake.columns(totals.select("orders", "last_at", "revenue"))
        currencies = lake.run(totals.group_by("currency").agg(customers=ibis._.count()))
    found = Gaps()
    counts = waiting.count(orders["customer"], orders["at"], segments_of(segments), until=until)
    found.take(counts.rows())
    most = [(row["customers"], row["currency"]) for row in currencies.to_pylist()]
    return Calibration(
        version=version,
        fitted_at=until,
        currency=max(most, default=(0, ""))[1],
        rhythms=found.rhythms(),
        cuts=fifths.fit(
            ((until - sums["last_at"]) // DAY).astype(float),
            sums["orders"].astype(float),
            sums["revenue"].astype(float),
        ),
        supply={
            row["product"]: round(row["days"], 1)
            for row in sorted(supply.to_pylist(), key=lambda row: row["product"])
        },
    )


def segments_of(people: pa.Table) -> Segments:
    """What `gaps.segments` gave, by customer: with a number for each tier and category."""
    tier, category = (
        people[name].combine_chunks().dictionary_encode() for name in ("tier", "category")
    )
    one, other = (part.indices.to_numpy(zero_copy_only=False) for part in (tier, category))
    size = max(len(category.dictionary), 1)
    codes, segment = np.unique(one.astype(np.int64) * size + other, return_inverse=True)
    names = [
        (tier.dictionary[code // size].as_py(), category.dictionary[code % size].as_py())
        for code in codes.tolist()
    ]
    return Segments(people["customer"].to_numpy(), segment.astype(np.int64), names)


def calibrate(
    store: Store, lake: Lake, catalogue: Catalogue, every: Duration, now: Instant
) -> Calibration | None:
    """Fit and tell everybody where it is time, unless nobody bought yet; None where it is not.

    The worker does the same from states where nobody scores; whoever comes first tells it.
    """
    with store.read() as tx:
        if not _is_due(tx, every, now):
            return None
    found = calibrated(lake, catalogue, now, f"calibration:{now}")
    if not found.cuts.orders:
        return None
    payload = encode_body(
        CalibrationFitted(version=found.version, tables=msgspec.Raw(encode(found)))
    )
    with store.write() as tx:
        if not _is_due(tx, every, now):
            return None
        tx.ledger.append([own_entry("calibration.fitted", found.version, payload, now)])
    return found


def _is_due(tx: Transaction, every: Duration, now: Instant) -> bool:
    fits = tx.ledger.everybodys("calibration.fitted")
    return not fits or fits[-1].at + every <= now
