"""What can a condition see at one moment of one customer?

A reading holds the profile and what is known beside it; costly parts (what was bought, the
segment) are worked out at most once. Fields of conditions are plain functions of a reading.
"""

from typing import Any

from aftersale.catalogue.product import Catalogue, Product
from aftersale.customers.fold import order_key
from aftersale.customers.profile import Order, Profile
from aftersale.customers.purchases import Purchases, by_product, purchases
from aftersale.customers.tiers import tier
from aftersale.customers.whereabouts import Whereabouts, whereabouts
from aftersale.events.event import Entry
from aftersale.events.vocabulary import Line
from aftersale.kernel.instants import Instant
from aftersale.models.calibration import DEFAULT_RHYTHM, Calibration, Rhythm
from aftersale.models.lifecycle import primary_category
from aftersale.models.refill import Refill, run_out


class Reading:
    """One customer at one instant, and the event and run that are looked at, where there are."""

    __slots__ = (
        "_bought",
        "_products",
        "_refills",
        "_segment",
        "_times",
        "_where",
        "calibration",
        "catalogue",
        "entry",
        "line",
        "now",
        "number",
        "profile",
        "run",
        "shop_zone",
    )

    def __init__(
        self,
        profile: Profile,
        catalogue: Catalogue,
        calibration: Calibration,
        *,
        now: Instant,
        shop_zone: str = "UTC",
    ) -> None:
        self.profile = profile
        self.catalogue = catalogue
        self.calibration = calibration
        self.now = now
        self.shop_zone = shop_zone
        self.entry: Entry | None = None
        self.line: Line | None = None
        self.run: Any = None
        """A run of a journey; only its `order`, `product`, `parcel` and so on are read."""
        self.number = ""
        """The event's order, as runs name it."""
        self._products: frozenset[str] | None = None
        self._where: Whereabouts | None = None
        self._bought: Purchases | None = None
        self._segment: tuple[str, str] | None = None
        self._refills: dict[str, Refill | None] | None = None
        self._times: dict[str, list[tuple[Instant, str, int]]] = {}

    def look_at(self, entry: Entry | None) -> None:
        """Take an event into view, or none."""
        self.entry = entry
        self._products = None
        number = getattr(entry.body, "order", "") if entry is not None else ""
        self.number = order_key(entry.shop, number) if entry is not None and number else ""

    @property
    def products(self) -> frozenset[str]:
        """The products that the event speaks of."""
        if self._products is None:
            body = self.entry.body if self.entry is not None else None
            found = {line.product for line in getattr(body, "lines", ())}
            found.add(getattr(body, "product", ""))
            self._products = frozenset(found - {""})
        return self._products

    def stand_at(self, now: Instant) -> None:
        """Move to another instant; what the customer told of its zone may have changed."""
        self.now = now
        self._where = None

    def changed(self) -> None:
        """Forget what was worked out: the profile has taken in an event."""
        self._bought = self._segment = self._refills = None
        self._times = {}

    def parcels_changed(self) -> None:
        """Forget what hangs on when parcels arrived; what was bought is as it was."""
        self._refills = None

    @property
    def bought(self) -> Purchases:
        """What the customer bought and kept."""
        if self._bought is None:
            self._bought = purchases(self.profile)
        return self._bought

    @property
    def segment(self) -> tuple[str, str]:
        """Tier and primary category."""
        if self._segment is None:
            self._segment = (tier(self.bought), primary_category(self.bought, self.catalogue))
        return self._segment

    @property
    def rhythm(self) -> Rhythm:
        """The rhythm of the customer's segment."""
        known = self.calibration
        # Until a calibration is fitted no segment has a rhythm of its own, so none is asked for.
        return known.rhythm(*self.segment) if known.rhythms else DEFAULT_RHYTHM

    @property
    def whereabouts(self) -> Whereabouts:
        """The customer's zones and their source."""
        if self._where is None:
            self._where = whereabouts(self.profile, self.shop_zone)
        return self._where

    @property
    def product(self) -> Product | None:
        """The product that the line or the run is about."""
        if self.line is not None:
            return self.catalogue.get(self.line.product)
        if self.run is not None and self.run.product:
            return self.catalogue.get(self.run.product)
        return None

    @property
    def order(self) -> Order | None:
        """The order that the run is about."""
        return self.profile.orders.get(self.run.order) if self.run is not None else None

    @property
    def refill(self) -> Refill | None:
        """The run-out of the product that the line or the run is about."""
        product = (
            self.line.product if self.line is not None else self.run.product if self.run else ""
        )
        if not product:
            return None
        if self._refills is None:
            self._refills = {}
        if product not in self._refills:
            if product not in self._times:
                self._times.update(by_product(self.profile, {product, *self.products}))
            times = self._times[product]
            self._refills[product] = run_out(
                self.profile, product, times, self.catalogue, self.calibration
            )
        return self._refills[product]
