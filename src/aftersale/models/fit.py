"""How is a calibration fitted from customers?"""

from aftersale.catalogue.product import Catalogue
from aftersale.customers.profile import Profile
from aftersale.customers.purchases import purchases
from aftersale.customers.tiers import tier
from aftersale.kernel.instants import DAY, Instant
from aftersale.models import rfm
from aftersale.models.calibration import Calibration
from aftersale.models.lifecycle import Gaps, primary_category
from aftersale.models.refill import Repeats


class Fitting:
    """Collects customers one by one; `fitted` is the calibration of all of them."""

    def __init__(self, catalogue: Catalogue, as_of: Instant) -> None:
        self._catalogue = catalogue
        self._as_of = as_of
        self._gaps = Gaps()
        self._repeats = Repeats()
        self._rows: list[tuple[float, float, float]] = []
        self._currencies: dict[str, int] = {}

    def add(self, profile: Profile) -> None:
        """Take in one customer as known at the instant of the fit."""
        bought = purchases(profile)
        if not bought.count:
            return
        segment = (tier(bought), primary_category(bought, self._catalogue))
        self._gaps.add(bought, segment, self._as_of)
        self._repeats.add(bought)
        currency = bought.currency
        self._currencies[currency] = self._currencies.get(currency, 0) + 1
        self._rows.append(
            ((self._as_of - bought.last_at) // DAY, bought.count, bought.revenue.get(currency, 0))
        )

    def fitted(self, version: str) -> Calibration:
        """The calibration of everybody added."""
        return Calibration(
            version=version,
            fitted_at=self._as_of,
            currency=max(self._currencies, key=lambda c: (self._currencies[c], c), default=""),
            rhythms=self._gaps.rhythms(),
            cuts=rfm.fit(self._rows),
            supply=self._repeats.supply(),
        )
