"""Is it told who ends a contract, only where it can be known, and never from the future?"""

import numpy as np
import pytest

from aftersale.events.event import Entry
from aftersale.events.vocabulary import Subscription
from aftersale.features import contracts as expressions
from aftersale.kernel.instants import DAY
from aftersale.models.contract_churn import (
    ENOUGH_KNOWN,
    ENOUGH_OUTCOMES,
    NAMES,
    Tellings,
    contracts,
    ended,
    learn,
    score,
    statuses,
)
from histories import history_of

NOBODY = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
UNTIL = 400


def tellings(rows: list[tuple[int, int, str, float]]) -> Tellings:
    """Contract (of the customer of that number), day, status and days until it renews."""
    rows = sorted(rows, key=lambda row: (row[0], row[1]))
    contract, day, status, renews = (list(c) for c in zip(*rows, strict=True)) if rows else [[]] * 4
    days = np.array(day, np.int64)
    who = np.array(contract, np.int64)
    return Tellings(who // 10, who, days, statuses(status), days + np.array(renews, float))


def shop(number: int, *, hurts: float, seed: int = 2) -> Tellings:
    """Contracts of a month; one in five payments fails, which ends so many of them."""
    dice = np.random.default_rng(seed)  # noqa: TID251  # a fixed seed
    rows: list[tuple[int, int, str, float]] = []
    for contract in range(number):
        at = int(dice.integers(0, 300))
        while at <= UNTIL:
            rows.append((10 * contract, at, "active", 30))
            if dice.random() < 0.2:
                rows.append((10 * contract, at + 1, "past_due", 29))
                if dice.random() < hurts:
                    rows.append((10 * contract, at + 40, "cancelled", float("nan")))
                    break
            if dice.random() < 0.03:
                rows.append((10 * contract, at + 20, "ended", float("nan")))
                break
            at += 30
    return tellings(rows)


def test_a_contract_runs_until_it_is_told_as_over() -> None:
    """What is told after the day makes no difference, and an unknown word is no end."""
    told = tellings([(10, 0, "trialing", 14), (10, 14, "active", 30), (10, 50, "cancelled", 0),
                     (20, 5, "whatever", 30)])  # fmt: skip
    some = contracts(told, NOBODY, 40)
    assert some.contract.tolist() == [10, 20]
    assert ended(told, some, 40, 9).tolist() == [False, False]
    assert ended(told, some, 40, 10).tolist() == [True, False]
    assert contracts(told, NOBODY, 50).contract.tolist() == [20]
    row = dict(zip(NAMES, some.values[0].tolist(), strict=True))
    assert np.expm1(row["age"]) == pytest.approx(40)
    assert np.expm1(row["renewals"]) == pytest.approx(1)
    assert np.expm1(row["to_renewal"]) == pytest.approx(4)
    assert np.isnan(row["silence"])


def test_what_its_customer_bought_by_then_is_known_of_a_contract() -> None:
    """Days since the last purchase, and how many there were."""
    bought = (np.array([1, 1, 1]), np.array([3, 30, 60]), np.ones(3))
    some = contracts(tellings([(10, 0, "active", 30)]), bought, 40)
    row = dict(zip(NAMES, np.expm1(some.values[0]).tolist(), strict=True))
    assert (row["silence"], row["orders"]) == (pytest.approx(10), pytest.approx(2))


def test_a_payment_that_is_due_is_learnt_as_a_risk_and_said_as_the_reason() -> None:
    """Judged on the last window it is nearer than the share; bounds hold the value."""
    told = shop(600, hurts=0.8)
    model = learn(told, NOBODY, UNTIL, windows=2)
    assert (model.way, model.why, len(model.windows)) == ("learned", "", 2)
    assert model.baseline is not None
    assert model.windows[0].measured.brier < model.baseline
    assert model.windows[0].measured.ece < 0.1
    found = score(model, told, NOBODY)
    assert ((found.low <= found.churn) & (found.churn <= found.high)).all()
    due = found.push[:, list(NAMES).index("past_due")] > 0.1
    assert 0 < due.sum() < len(due) / 2
    assert found.churn[due].mean() > 2 * found.churn[~due].mean()


def test_whatever_comes_later_changes_no_answer() -> None:
    """The same parameters from a past that ends on the day, and from one that goes on."""
    told = shop(300, hurts=0.8)
    cut = UNTIL - 60
    assert learn(told, NOBODY, cut) == learn(told.upto(cut), NOBODY, cut)


def test_the_likeliest_of_several_contracts_speaks_for_a_customer() -> None:
    """One row a customer."""
    told = shop(300, hurts=0.8)
    two = Tellings(told.customer // 2, told.contract, told.day, told.status, told.renews)
    model = learn(two, NOBODY, UNTIL)
    found, each = score(model, two, NOBODY), score(model, told, NOBODY)
    assert (np.diff(found.customer) > 0).all()
    assert found.churn.max() == each.churn.max()
    for customer, chance in zip(each.customer.tolist(), each.churn.tolist(), strict=True):
        assert found.churn[found.customer == customer // 2][0] >= chance


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (tellings([]), "no contract was told yet"),
        (tellings([(10, 5, "ended", 0)]), "none of 1 contracts is running"),
        (tellings([(10, 5, "active", 30)]), f"1 contracts ran 90 days ago, {ENOUGH_KNOWN}"),
        (tellings([(10, 390, "active", 30)]), f"0 contracts ran 90 days ago, {ENOUGH_KNOWN}"),
    ],
    ids=["none", "all over", "one", "new"],
)
def test_what_is_missing_is_said_with_how_much(told: Tellings, why: str) -> None:
    """And then nobody has a score."""
    model = learn(told, NOBODY, UNTIL)
    assert model.way == "none"
    assert model.why.startswith(why)
    assert not score(model, told, NOBODY).customer.size


def test_with_too_few_ends_everybody_has_the_share_that_ended() -> None:
    """With how many are missing; and where nothing sets contracts apart, learning loses."""
    told = tellings([(10 * n, n, "active", 30) for n in range(50)]
                    + [(10 * n, 330 + n, "ended", 0) for n in range(10)])  # fmt: skip
    model = learn(told, NOBODY, UNTIL)
    assert model.way == "share"
    assert f"10 of 50 contracts ended within 90 days, {ENOUGH_OUTCOMES} are needed" in model.why
    found = score(model, told, NOBODY)
    assert found.churn.tolist() == pytest.approx([10.5 / 51] * 40)
    assert (found.push == 0).all()


def test_the_tellings_of_a_contract_come_from_the_history_by_time() -> None:
    """Whatever order the ledger has them in; what is nobody's contract is left out."""

    def told(position: int, at: int, status: str, name: str = "S-1") -> Entry:
        body = Subscription(subscription=name, status=status, renews_at=at + 30 * DAY)
        return Entry(position, 7, "subscription.updated", at, at, body, source="t", shop="main")

    history = history_of([told(1, 9 * DAY, "cancelled"), told(2, DAY, "active"),
                          told(3, 2 * DAY, "active", "S-0")])  # fmt: skip
    rows = expressions.tellings(history["signals"]).to_pyarrow().to_pydict()
    assert rows["contract"] == ["main/S-0", "main/S-1", "main/S-1"]
    assert rows["status"] == ["active", "active", "cancelled"]
    assert rows["renews_at"][1:] == [31 * DAY, 39 * DAY]
