"""When does what this customer bought run out?

Quantity times the days that one unit lasts, by the catalogue or, where it does not say, by the
median repeat gap of the product's buyers. A customer who bought the product before is drawn to
its own rhythm: the shrinkage (n own gaps against weight 2 for the product) follows the
empirical-Bayes form for few observations per unit. Where the model of `run_out` has told this
customer's days (a score), those count.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import msgspec

from aftersale.catalogue.product import Catalogue
from aftersale.customers.fold import score_key
from aftersale.customers.profile import NEVER, Profile
from aftersale.customers.purchases import Purchases
from aftersale.kernel.instants import DAY, Duration, Instant
from aftersale.models.calibration import Calibration

PRIOR_WEIGHT = 2
LONGEST_LEAD = 10 * DAY
LEAD_SHARE = 6
LONGEST_SUPPLY = 3650.0
"""Days; what lasts longer lasts for ever."""
ENOUGH_REPEATS = 20
"""Repeat gaps of a product below which its supply is not guessed."""


class Refill(msgspec.Struct, frozen=True, gc=False):
    """The expected end of a supply."""

    due: Instant
    lead: Duration
    """How long before it the customer is reminded: min(10 days, a sixth of the supply)."""
    supply_days: float
    confidence: float
    """0 to 1: 0.5 by the catalogue alone, growing with the customer's own repeats."""
    own_gaps: int


def run_out(
    profile: Profile,
    product: str,
    times: Sequence[tuple[Instant, str, int]],
    catalogue: Catalogue,
    calibration: Calibration,
) -> Refill | None:
    """When the latest of the product's purchases (`by_product`) runs out; None: nothing tells."""
    if not times:
        return None
    last, key, quantity = times[-1]
    unit = catalogue.get(product).supply_days
    prior = unit * quantity if unit else calibration.supply.get(product, 0.0)
    gaps = [(after[0] - before[0]) / DAY for before, after in pairwise(times)]
    gaps = [gap for gap in gaps if gap > 0]
    said = profile.scores.get(score_key("run_out", product))
    if said is not None and said.value is not None:
        days = said.value
    elif not prior and len(gaps) < 2:
        return None
    else:
        weight = PRIOR_WEIGHT if prior else 0
        days = (len(gaps) * median(gaps) + weight * prior) / (len(gaps) + weight) if gaps else prior
    days = min(days, LONGEST_SUPPLY)
    order = profile.orders[key]
    arrived = max((p.delivered_at for p in order.parcels.values()), default=NEVER)
    start = arrived if arrived != NEVER else last
    confidence = (0.5 if unit else 0.3) + 0.5 * len(gaps) / (len(gaps) + PRIOR_WEIGHT + 1)
    lead = min(LONGEST_LEAD, round(days * DAY) // LEAD_SHARE)
    return Refill(start + round(days * DAY), lead, days, min(confidence, 0.95), len(gaps))


class Repeats:
    """Gaps between purchases of one product by one customer, over all customers."""

    def __init__(self) -> None:
        self._gaps: dict[str, list[float]] = defaultdict(list)

    def add(self, bought: Purchases) -> None:
        """Take in one customer."""
        last: dict[str, Instant] = {}
        for purchase in bought.kept:
            for line in purchase.lines:
                before = last.get(line.product)
                if before is not None and purchase.at > before:
                    self._gaps[line.product].append((purchase.at - before) / DAY)
                last[line.product] = purchase.at

    def supply(self) -> dict[str, float]:
        """Product → median repeat gap in days, where enough repeats were seen."""
        return {
            product: round(median(gaps), 1)
            for product, gaps in sorted(self._gaps.items())
            if len(gaps) >= ENOUGH_REPEATS
        }
