"""What are the customers of this store worth over the next twelve months?

One pass over the states gives days and amounts; everything else is arithmetic on them. Currencies
are never added: each customer is valued in the one in which it bought most.
"""

from array import array

import msgspec
import numpy as np
from numpy.typing import NDArray

from aftersale.customers.profile import Profile
from aftersale.customers.purchases import IN_ANOTHER_CURRENCY
from aftersale.kernel.errors import Refusal
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import DAY, Instant, format_instant
from aftersale.kernel.zones import day_number
from aftersale.models import buying, judging, rfm, spending
from aftersale.models.buying import Buying
from aftersale.models.gammas import Numbers
from aftersale.models.judging import Judgement
from aftersale.models.paid import paid_days
from aftersale.models.sorting import Whole
from aftersale.models.spending import Spending
from aftersale.models.value import (
    TAIL,
    YEAR_DAYS,
    Buyers,
    Scoring,
    spread_of_estimates,
    summarise,
)
from aftersale.programme.ports import Transaction
from aftersale.turn.programme import World
from aftersale.turn.state import decode

DISCOUNT = 0.1
"""A year's discount: 1.10 a year from now are worth 1.00 today."""


_KEPT = "value"
_ORDER = {"all": 0, "tier": 1, "rfm": 2}


class Terms(msgspec.Struct, frozen=True):
    """What money is worth to the merchant."""

    discount: float = DISCOUNT
    margin: float | None = None
    """Share of the revenue that is left when goods and delivery are paid; None: not told."""


class Group(msgspec.Struct, frozen=True):
    """Customers of one kind, each on average; money in minor units of one currency."""

    kind: str
    """all, tier, rfm or newcomer."""
    name: str
    customers: int
    alive: float
    buys: float
    """Share of them expected to buy within twelve months."""
    purchases: float
    value: float
    low: float
    high: float
    """The mean of the group will lie between these in nine of ten cases."""
    multiple: float | None
    """Value over the mean first order."""
    acquisition: float | None
    """What winning such a customer may cost: margin x (spent so far + value)."""
    retention: float | None
    """What keeping such a customer may cost in twelve months: margin x value."""


class InCurrency(msgspec.Struct, frozen=True):
    """The customers of one currency."""

    currency: str
    spending: Spending
    groups: list[Group]
    flat: str = ""
    """Why everybody is expected to spend the shop's mean; empty where each has its own."""


class OfOne(msgspec.Struct, frozen=True):
    """One customer; money in minor units."""

    customer: CustomerId
    currency: str
    frequency: int
    recency: int
    age: int
    alive: float
    buys: float
    purchases: float
    value: float
    low: float
    high: float
    """What it spends will lie between these in nine of ten cases."""
    multiple: float | None


class Valued(msgspec.Struct, frozen=True):
    """The customers of a store who ever bought."""

    until: Instant
    buyers: int
    newest_day: int
    buying: Buying
    judgement: Judgement
    currencies: list[InCurrency]
    one: OfOne | None = None
    off: str = ""
    """Why nothing is forecast."""


class Gathered:
    """What the pass over the states found."""

    def __init__(self, world: World, until: Instant) -> None:
        self._world = world
        self._zone = world.programme.policy.zone
        self._looked_at = max(until, world.calibration.fitted_at)
        self._rows = (array("q"), array("q"))
        self._amounts = array("d")
        self._kinds = (array("q"), array("q"), array("q"), array("q"))
        self._names: list[dict[str, int]] = [{}, {}, {}]
        self.until = day_number(until, self._zone)

    def add(self, customer: CustomerId, blob: bytes) -> None:
        """Take in one customer's state."""
        state = decode(blob)
        if state.gone or not (state.profile.orders or state.profile.closed):
            return
        reading = self._world.reading(state.profile, self._looked_at)
        bought = reading.bought
        if not bought.count:
            return
        for day, amount in paid_days(state.profile, bought, self._zone):
            self._rows[0].append(customer)
            self._rows[1].append(day)
            self._amounts.append(amount)
        cuts = self._world.calibration.cuts
        name = rfm.named(
            rfm.recency_score((self._looked_at - bought.last_at) // DAY, cuts),
            rfm.frequency_score(bought.count, cuts),
        )
        self._kinds[0].append(customer)
        told = (bought.currency, reading.segment[0], name)
        for column, names, word in zip(self._kinds[1:], self._names, told, strict=True):
            column.append(names.setdefault(word, len(names)))

    @property
    def purchases(self) -> tuple[Whole, Whole, Numbers]:
        """Customer, day and amount of each order."""
        customer, day = self._rows
        return (
            np.frombuffer(customer, np.int64),
            np.frombuffer(day, np.int64),
            np.frombuffer(self._amounts, np.float64),
        )

    def judged(self) -> Judgement:
        """How well the past of everybody forecasts; spend in the currency most have."""
        customer, day, amount = self.purchases
        codes, names = self.kinds(0, customer)
        if not names:
            return judging.judge(customer, day, amount, self.until)
        most = int(np.bincount(np.frombuffer(self._kinds[1], np.int64)).argmax())
        amount = np.where(codes == most, amount, IN_ANOTHER_CURRENCY)
        found = judging.judge(customer, day, amount, self.until)
        return msgspec.structs.replace(found, currency=names[most])

    def kinds(self, number: int, customers: Whole) -> tuple[Whole, list[str]]:
        """Currency (0), tier (1) or RFM name (2) of the customers, as places in the names."""
        place = np.searchsorted(np.frombuffer(self._kinds[0], np.int64), customers)
        return np.frombuffer(self._kinds[number + 1], np.int64)[place], list(self._names[number])


def gather(tx: Transaction, world: World, until: Instant) -> Gathered:
    """Everybody who bought."""
    found, after = Gathered(world, until), 0
    while rows := tx.states.page(after, 5_000):
        for row in rows:
            found.add(row.customer, row.blob)
        after = rows[-1].customer
    return found


def value_customers(
    tx: Transaction,
    world: World,
    until: Instant,
    *,
    terms: Terms,
    customer: CustomerId | None = None,
) -> Valued:
    """Judge, fit and value everybody who bought, as seen at the end of the day of `until`.

    A Refusal where somebody bought after that day, or the customer never bought.
    """
    gathered = gather(tx, world, until)
    columns = gathered.purchases
    newest = int(columns[1].max(initial=0))
    if newest > gathered.until:
        raise Refusal(
            f"there are orders after {format_instant(until)[:10]}",
            where="--until",
            hint=f"name {format_instant(newest * DAY)[:10]} or a later day",
            code=2,
        )
    judgement = gathered.judged()
    customers, buyers = summarise(*columns, gathered.until)
    if customer is not None and customer not in customers:
        raise Refusal(f"customer {customer} never bought anything that it kept")
    model, currencies, one = Buying(), [], None
    if not judgement.off:
        rows = buying.distinct(buyers.frequency, buyers.recency, buyers.age)
        model = buying.fit(rows)
        codes, names = gathered.kinds(0, customers)
        for code, currency in sorted(enumerate(names), key=lambda pair: pair[1]):
            mine = codes == code
            flat = judgement.spend_off
            part = _Part(currency, customers[mine], buyers.some(mine), model, terms, flat=flat)
            if customer is not None and customer in part.customers:
                one = part.one(customer)
            currencies.append(part.told(gathered))
    return Valued(until, len(customers), newest, model, judgement, currencies, one, judgement.off)


class Kept(msgspec.Struct, frozen=True):
    """The fitted models that the pages of customers use until they are fitted again."""

    fitted_at: Instant
    discount: float
    buying: Buying
    spending: dict[str, Spending]
    """Currency → model."""


def keep(tx: Transaction, found: Valued, terms: Terms) -> None:
    """Keep the models in the store, or that there are none."""
    kept = Kept(
        found.until,
        terms.discount,
        found.buying,
        {part.currency: part.spending for part in found.currencies},
    )
    tx.meta.set(_KEPT, None if found.off else msgspec.to_builtins(kept))


def kept_worth(
    tx: Transaction, world: World, customer: CustomerId, profile: Profile, now: Instant
) -> tuple[OfOne, Instant] | None:
    """What one customer is worth by the kept models, and when those were fitted."""
    told = tx.meta.get(_KEPT)
    if told is None:
        return None
    kept = msgspec.convert(told, Kept)
    bought = world.reading(profile, now).bought
    spend = kept.spending.get(bought.currency)
    if not bought.count or spend is None:
        return None
    zone = world.programme.policy.zone
    days = paid_days(profile, bought, zone)
    _, buyer = summarise(
        np.full(len(days), customer),
        np.array([day for day, _ in days]),
        np.array([amount for _, amount in days]),
        max(day_number(now, zone), *(day for day, _ in days)),
    )
    terms = Terms(kept.discount)
    return of_one(customer, bought.currency, buyer, (kept.buying, spend), terms), kept.fitted_at


class _Part:
    """The customers of one currency."""

    def __init__(
        self,
        currency: str,
        customers: Whole,
        buyers: Buyers,
        model: Buying,
        terms: Terms,
        *,
        flat: str,
    ) -> None:
        self.currency = currency
        self.customers = customers
        self.buyers = buyers
        self.model = model
        self.terms = terms
        self.spend, self.flat = spending.either(buyers.paid_days, buyers.paid_mean, flat)

    def told(self, gathered: Gathered) -> InCurrency:
        scoring = Scoring(self.buyers)
        worth = scoring.worth(self.model, self.spend, discount=self.terms.discount)
        kinds = [("all", np.zeros_like(self.customers), ["all"])]
        for number, kind in ((1, "tier"), (2, "rfm")):
            kinds.append((kind, *gathered.kinds(number, self.customers)))

        def means(values: Numbers) -> Numbers:
            """The mean of each group, one kind after the other."""
            return np.concatenate(
                [
                    np.bincount(codes, values, minlength=len(names))
                    / np.maximum(np.bincount(codes, minlength=len(names)), 1)
                    for _, codes, names in kinds
                ]
            )

        labels = [(kind, name) for kind, _, names in kinds for name in names]
        counts = np.concatenate([np.bincount(c, minlength=len(names)) for _, c, names in kinds])
        guessed = spread_of_estimates(
            self.model,
            self.spend,
            lambda model, spend: means(scoring.values(model, spend, discount=self.terms.discount)),
        )
        half = TAIL * np.sqrt(guessed + means(worth.variance) / np.maximum(counts, 1))
        facts = [means(v) for v in (worth.alive, worth.buys, worth.purchases, worth.value)]
        first = means(self.buyers.first_paid)
        so_far = means(self.buyers.paid_days * self.buyers.paid_mean)
        groups = [
            self._group(
                *labels[n],
                int(counts[n]),
                (*(float(fact[n]) for fact in facts), float(half[n])),
                (float(first[n]), float(so_far[n])),
            )
            for n in sorted(range(len(labels)), key=lambda n: (_ORDER[labels[n][0]], labels[n]))
            if counts[n] and labels[n][1]
        ]
        return InCurrency(self.currency, self.spend, [*groups, self._newcomer()], self.flat)

    def _group(
        self,
        kind: str,
        name: str,
        customers: int,
        facts: tuple[float, ...],
        paid: tuple[float, float],
    ) -> Group:
        alive, buys, purchases, value, half = facts
        first, so_far = paid
        margin = self.terms.margin
        return Group(
            kind=kind,
            name=name,
            customers=customers,
            alive=alive,
            buys=buys,
            purchases=purchases,
            value=value,
            low=max(value - half, 0.0),
            high=value + half,
            multiple=value / first if first > 0 else None,
            acquisition=None if margin is None else margin * (so_far + value),
            retention=None if margin is None else margin * value,
        )

    def _newcomer(self) -> Group:
        """A customer who has just placed a first order of the mean size."""
        first = float(self.buyers.first_paid.mean())
        nothing = np.zeros(1, np.int64)
        scoring = Scoring(
            Buyers(nothing, nothing, nothing, nothing + 1, np.array([first]), np.array([first]))
        )
        discount = self.terms.discount
        worth = scoring.worth(self.model, self.spend, discount=discount)
        guessed = spread_of_estimates(
            self.model,
            self.spend,
            lambda model, spend: scoring.values(model, spend, discount=discount),
        )
        facts = tuple(
            float(fact[0])
            for fact in (
                worth.alive,
                worth.buys,
                worth.purchases,
                worth.value,
                TAIL * np.sqrt(guessed),
            )
        )
        return self._group("newcomer", "a new customer", 0, facts, (first, first))

    def one(self, customer: CustomerId) -> OfOne:
        chosen: NDArray[np.bool_] = self.customers == customer
        return of_one(
            customer, self.currency, self.buyers.some(chosen), (self.model, self.spend), self.terms
        )


def of_one(
    customer: CustomerId,
    currency: str,
    buyer: Buyers,
    models: tuple[Buying, Spending],
    terms: Terms,
) -> OfOne:
    """One customer by fitted models."""
    worth = Scoring(buyer).worth(*models, discount=terms.discount, days=YEAR_DAYS)
    first, value = float(buyer.first_paid[0]), float(worth.value[0])
    low, high = worth.bounds()
    return OfOne(
        customer,
        currency,
        int(buyer.frequency[0]),
        int(buyer.recency[0]),
        int(buyer.age[0]),
        float(worth.alive[0]),
        float(worth.buys[0]),
        float(worth.purchases[0]),
        value,
        float(low[0]),
        float(high[0]),
        value / first if first > 0 else None,
    )
