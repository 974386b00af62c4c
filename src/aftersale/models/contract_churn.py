"""Will this contract end within the next 90 days, and why do we think so?

A contract (a subscription) ends by a word and not by silence: it is over when it is told as
cancelled or ended. So it is asked of every contract that runs on a day whether it is over 90 days
later; what is known of it on that day (its age, renewals, status, and how its customer buys) is
weighed by a logistic regression, learnt where the answer is known.

It is judged on the last 90 days of the shop's own past against the share that ended in the 90 days
before those. Where it is no better, or there is too little to learn from, everybody has that
share; where too few contracts are known even for this, nothing is told, and what is missing.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from aftersale.kernel.ids import digest16
from aftersale.models import logistic
from aftersale.models.chances import measure
from aftersale.models.churn import HORIZON, Purchases, Window
from aftersale.models.gammas import Numbers
from aftersale.models.logistic import Logistic, sigmoid
from aftersale.models.sorting import Whole
from aftersale.models.value import TAIL

STATUSES = ("active", "trialing", "past_due", "paused", "cancelled", "ended")
"""What a contract may be told as; any other word counts as active."""
_OVER = STATUSES.index("cancelled")
"""From here on it is over."""
HIGH, LOW = 0.3, 0.1
"""Above HIGH the band is high, up to LOW it is low."""
WAYS = ("learned", "share", "none")
"""The ladder, best first."""

ENOUGH_KNOWN = 30
"""Contracts that ran a horizon ago, below which nothing is told."""
ENOUGH_OUTCOMES = 20
"""Contracts that ended, and that did not, below which nothing is learnt."""
_APART = 30
"""Days by which the days that are learnt from lie apart."""
_VIEWS = 13
"""At most so many of them: a year, for more of it says less of today."""
_PENALTY = 5.0
"""As if one knew beforehand that no number says much; a shop has hundreds of contracts, not many
thousands of customers."""

NAMES = {
    "age": "how long the contract runs",
    "renewals": "how often it was renewed",
    "to_renewal": "how soon it renews",
    "overdue": "a renewal that nobody told",
    "trialing": "it is on trial",
    "past_due": "a payment is due",
    "paused": "it is paused",
    "trouble": "payments that were due before",
    "silence": "how long its customer has bought nothing",
    "orders": "what its customer bought so far",
}
"""Every number, and what it says of a contract, in plain words."""


class Tellings(msgspec.Struct, frozen=True):
    """What was told of contracts; those of one contract together and by time."""

    customer: Whole
    contract: Whole
    """A number for each contract."""
    day: Whole
    status: Whole
    """Place in STATUSES."""
    renews: Numbers
    """Day of the next renewal; not a number where nobody said."""

    def upto(self, cut: int) -> "Tellings":
        """Those up to the day."""
        known = self.day <= cut
        return Tellings(*(getattr(self, name)[known] for name in self.__struct_fields__))


class Contracts(msgspec.Struct, frozen=True):
    """Contracts that run on a day, one row each."""

    customer: Whole
    contract: Whole
    values: Numbers
    """(contracts, NAMES); not a number where not known."""


class ContractChurn(msgspec.Struct, frozen=True):
    """A way to tell chances, as of a day."""

    way: str
    until: int
    horizon: int
    why: str = ""
    """What keeps it from the first step of the ladder: what is missing, and by how much."""
    learnt: Logistic = Logistic()
    share: float = 0.0
    """Of the contracts that ran a horizon ago, those that ended since; how many ran."""
    known: int = 0
    running: int = 0
    windows: tuple[Window, ...] = ()
    """What was learnt, on the last horizon, on the one before it, and so on."""
    baseline: float | None = None
    """Brier score on the last horizon of the share that was known before it."""

    @property
    def version(self) -> str:
        """Twelve letters that change when any parameter does."""
        told = msgspec.structs.replace(self, windows=(), why="", baseline=None)
        return digest16(msgspec.json.encode(told)).hex()[:12]


class Scores(msgspec.Struct, frozen=True):
    """Chances of customers with a running contract, ascending: of the one likeliest to end."""

    customer: Whole
    churn: Numbers
    low: Numbers
    """The bounds that hold it nine times of ten, for parameters are estimates."""
    high: Numbers
    band: Whole
    """0 low, 1 medium, 2 high."""
    push: Numbers
    """(customers, NAMES): what each number adds, in logits, against the mean contract."""


def contracts(told: Tellings, purchases: Purchases, cut: int) -> Contracts:
    """The contracts that run on the day `cut`, as known on it."""
    told = told.upto(cut)
    contract, first = np.unique(told.contract, return_index=True)
    last = np.append(first[1:], len(told.contract))[: len(first)] - 1
    of = np.searchsorted(contract, told.contract)
    # A later day of renewal than any before it is a renewal.
    moves = np.zeros(len(told.day))
    if len(moves):
        same = told.contract[1:] == told.contract[:-1]
        moves[1:] = same & (told.renews[1:] > told.renews[:-1])
    due = told.status == STATUSES.index("past_due")
    renewals, trouble = (np.bincount(of, each, len(contract)) for each in (moves, due))
    status, renews, who = told.status[last], told.renews[last], told.customer[last]
    since, orders = _bought(who, purchases, cut)
    left = renews - cut
    columns = (
        np.log1p(cut - told.day[first]),
        np.log1p(renewals),
        np.log1p(np.maximum(left, 0)),
        np.log1p(np.maximum(-left, 0)),
        *(status == STATUSES.index(name) for name in ("trialing", "past_due", "paused")),
        np.log1p(trouble),
        np.log1p(since),
        np.log1p(orders),
    )
    runs = status < _OVER
    return Contracts(who[runs], contract[runs], np.column_stack(columns)[runs].astype(np.float64))


def _bought(who: Whole, purchases: Purchases, cut: int) -> tuple[Numbers, Numbers]:
    """Days since the last purchase of each of them (not a number for none), and purchases."""
    customer, day, _ = purchases
    known = (day <= cut) & np.isin(customer, who)
    customers, place = np.unique(who, return_inverse=True)
    of = np.searchsorted(customers, customer[known])
    last = np.full(len(customers), -np.inf)
    np.maximum.at(last, of, day[known].astype(np.float64))
    since = np.where(np.isinf(last), np.nan, cut - last)
    return since[place], np.bincount(of, minlength=len(customers)).astype(np.float64)[place]


def ended(told: Tellings, some: Contracts, cut: int, horizon: int) -> NDArray[np.bool_]:
    """Which of the contracts that ran at the cut are over a horizon later."""
    later = told.upto(cut + horizon)
    contract, first = np.unique(later.contract, return_index=True)
    last = np.append(first[1:], len(later.contract))[: len(first)] - 1
    place = np.searchsorted(contract, some.contract)
    found: NDArray[np.bool_] = later.status[last][place] >= _OVER
    return found


def learn(
    told: Tellings, purchases: Purchases, until: int, *, horizon: int = HORIZON, windows: int = 1
) -> ContractChurn:
    """The best way that is known up to `until`, judged on its last horizon.

    `windows`: on how many past horizons it is looked at.
    """
    told = told.upto(until)
    found = _learn(told, purchases, until, horizon)
    if found.way != "learned":
        return found
    looked: list[Window] = []
    lost: float | None = None
    for number in range(1, windows + 1):
        cut = until - number * horizon
        before = _learn(told.upto(cut), purchases, cut, horizon)
        if before.way != "learned":
            if not looked:
                return msgspec.structs.replace(found, way="share", why=_unjudged(before))
            break
        some = contracts(told, purchases, cut)
        came = ended(told, some, cut, horizon)
        looked.append(Window(cut, measure("learned", sigmoid(_logits(before, some)), came)))
        if lost is None:
            lost = float(((before.share - came) ** 2).mean())
    assert lost is not None
    found = msgspec.structs.replace(found, windows=tuple(looked), baseline=lost)
    if looked[0].measured.brier < lost:
        return found
    why = f"in the last {horizon} days the share that ended was as near as what was learnt"
    return msgspec.structs.replace(found, way="share", why=f"{why}, so everybody has that share")


def _unjudged(before: ContractChurn) -> str:
    days = f"{before.horizon} days ago"
    why = before.why or "nothing could be learnt"
    return f"it cannot be judged yet, so everybody has the share that ended ({days}: {why})"


def _learn(told: Tellings, purchases: Purchases, until: int, horizon: int) -> ContractChurn:
    """What was known up to the day, not judged; `told` ends there."""
    begun = ContractChurn("none", until, horizon)
    if not len(told.contract):
        return msgspec.structs.replace(begun, why="no contract was told yet")
    running = len(contracts(told, purchases, until).contract)
    begun = msgspec.structs.replace(begun, running=running)
    if not running:
        number = len(np.unique(told.contract))
        return msgspec.structs.replace(begun, why=f"none of {number} contracts is running")
    cut = until - horizon
    some = contracts(told, purchases, cut)
    came = ended(told, some, cut, horizon)
    over, known = int(came.sum()), len(came)
    if known < ENOUGH_KNOWN:
        why = f"{known} contracts ran {horizon} days ago, {ENOUGH_KNOWN} are needed"
        return msgspec.structs.replace(begun, why=why)
    begun = msgspec.structs.replace(
        begun, way="share", share=(over + 0.5) / (known + 1), known=known
    )
    fewer, word = min((over, "ended"), (known - over, "went on"))
    if fewer < ENOUGH_OUTCOMES:
        why = f"{fewer} of {known} contracts {word} within {horizon} days, {ENOUGH_OUTCOMES} are"
        return msgspec.structs.replace(begun, why=f"{why} needed to learn who")
    tables, outcomes = [some.values], [came]
    for earlier in range(_APART, _APART * _VIEWS, _APART):
        other = contracts(told, purchases, cut - earlier)
        if not len(other.contract):
            break
        came = ended(told, other, cut - earlier, horizon)
        tables.append(other.values)
        outcomes.append(came)
    # As many days as lie within one horizon see the same ends: together they count as one.
    overlap = min(len(outcomes), horizon // _APART)
    weight = np.full(sum(map(len, outcomes)), 1 / overlap)
    learnt = logistic.fit(
        np.vstack(tables), np.concatenate(outcomes), weight=weight, penalty=_PENALTY
    )
    return msgspec.structs.replace(begun, way="learned", learnt=learnt)


def score(model: ContractChurn, told: Tellings, purchases: Purchases) -> Scores:
    """The chances of every customer with a contract that runs; nobody's without a way."""
    some = contracts(told, purchases, model.until)
    rows = len(some.contract) if model.way != "none" else 0
    customer = some.customer[:rows]
    push = np.zeros((rows, len(NAMES)))
    if model.way == "learned":
        table = logistic.columns(model.learnt, some.values[:rows])
        logit = logistic.logits(model.learnt, table)
        error = logistic.errors(model.learnt, table)
        parts = table * np.array(model.learnt.coefficients)
        push = _by_name(model.learnt, parts - parts.mean(0))
    else:
        share = min(max(model.share, 1e-9), 1 - 1e-9)
        logit = np.full(rows, np.log(share / (1 - share)))
        error = np.full(rows, (max(model.known, 1) * share * (1 - share)) ** -0.5)
    # The likeliest of a customer's contracts comes last, and the last of each is taken.
    order = np.lexsort((logit, customer))
    mine = order[np.append(np.diff(customer[order]) != 0, True)[:rows]]
    chance = sigmoid(logit[mine])
    return Scores(
        customer=customer[mine],
        churn=chance,
        low=sigmoid(logit[mine] - TAIL * error[mine]),
        high=sigmoid(logit[mine] + TAIL * error[mine]),
        band=(chance > LOW).astype(np.int64) + (chance > HIGH),
        push=push[mine],
    )


def _logits(model: ContractChurn, some: Contracts) -> Numbers:
    return logistic.logits(model.learnt, logistic.columns(model.learnt, some.values))


def _by_name(learnt: Logistic, parts: Numbers) -> Numbers:
    """What each number adds, its not being known included."""
    found = parts[:, : len(NAMES)].copy()
    for column, name in enumerate(learnt.blanks, len(NAMES)):
        found[:, name] += parts[:, column]
    return found


def statuses(words: Sequence[str]) -> Whole:
    """Places in STATUSES."""
    place = {word: number for number, word in enumerate(STATUSES)}
    return np.array([place.get(word, 0) for word in words], np.int64)
