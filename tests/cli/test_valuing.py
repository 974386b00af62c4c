"""Does `aftersale value` say what customers are worth, and what that rests on?"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aftersale.bootstrap import init
from aftersale.cli import run
from aftersale.events.event import Event, Ref
from aftersale.events.vocabulary import Line, OrderCompleted
from aftersale.kernel.draw import draw
from aftersale.kernel.instants import DAY, parse_instant
from aftersale.runtime.intake import take_in
from aftersale.runtime.valuing import kept_worth
from aftersale.settings import Settings
from aftersale.turn.state import decode

Said = tuple[int, dict[str, Any]]
Ask = Callable[..., Said]
BEGIN = parse_instant("2025-01-01T12:00:00Z")
END = parse_instant("2026-01-01T00:00:00Z")
PEOPLE = 180


@pytest.fixture(scope="module")
def trading(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of customers who differ in rate and spend; a third of them pay in dollars."""
    home = tmp_path_factory.mktemp("trading")
    run(["init", str(home)])
    run(["--home", str(home), "deploy", "--yes"])
    app, _ = init(Settings(home=home))
    with app.store.write() as tx:
        events = sorted(orders(), key=lambda event: event.at)
        take_in(tx, events, received_at=END, history=True)
        tx.meta.set("driven", value=True)
        tx.meta.set("clock", END)
    while app.turns.turn(END, own=False) is not None:
        pass
    app.store.close()
    return home


def orders() -> list[Event]:
    found = []
    for n in range(PEOPLE):
        day, gap = draw("first", n) * 150, 8 + 150 * draw("gap", n) ** 2
        spend, stays = 1000 + 9000 * draw("spend", n) ** 2, 0.5 + 0.5 * draw("stays", n)
        currency = "USD" if n % 3 == 0 else "EUR"
        for k in range(1000):
            total = round(spend * (0.8 + 0.4 * draw("total", n, k)))
            body = OrderCompleted(
                order=f"{n}-{k}", currency=currency, total=total, lines=(Line("x", 1, total),)
            )
            at = BEGIN + round(day * DAY)
            refs = (Ref("customer", f"/c{n}"),)
            found.append(Event(f"{n}-{k}", "test", "order.completed", at, "", body, refs))
            day += gap * (0.4 + 1.2 * draw("next", n, k))
            if day > 364 or (k and draw("leaves", n, k) > stays):
                break
    return found


def test_each_currency_has_its_segments_and_what_a_new_customer_is_worth(
    trading: Path, ask: Ask
) -> None:
    """Groups of one currency add up to all of it; bounds enclose the value; budgets follow."""
    code, answer = ask("--home", trading, "value", "--margin", "0.25")
    data = answer["data"]
    assert (code, data["off"], data["buyers"]) == (0, "", PEOPLE)
    assert data["buying"]["customers"] == PEOPLE
    assert [part["currency"] for part in data["currencies"]] == ["EUR", "USD"]
    assert data["judgement"]["currency"] == "EUR"
    assert [guess["way"] for guess in data["judgement"]["purchases"]] == ["model", "own", "shop"]
    for part, people in zip(data["currencies"], (PEOPLE * 2 // 3, PEOPLE // 3), strict=True):
        groups = part["groups"]
        whole, newcomer = groups[0], groups[-1]
        assert (whole["kind"], whole["customers"]) == ("all", people)
        assert (newcomer["kind"], newcomer["alive"]) == ("newcomer", 1)
        tiers = [group for group in groups if group["kind"] == "tier"]
        assert sum(group["customers"] for group in tiers) == people
        total = sum(group["customers"] * group["value"] for group in tiers)
        assert total == pytest.approx(people * whole["value"])
        for group in groups:
            assert 0 <= group["low"] < group["value"] < group["high"]
            assert 0 < group["alive"] <= 1
            assert group["retention"] == pytest.approx(group["value"] / 4)
            assert group["acquisition"] > group["retention"]


def test_one_customer_is_told_with_its_bounds(trading: Path, ask: Ask) -> None:
    """By any id; somebody unknown is refused."""
    _, answer = ask("--home", trading, "value", "--customer", "c1")
    one = answer["data"]["one"]
    assert one["currency"] == "EUR"
    assert 0 <= one["buys"] <= one["alive"] <= 1
    assert one["low"] <= one["value"] <= one["high"]
    code, answer = ask("--home", trading, "value", "--customer", "nobody")
    assert (code, answer["error"]["what"]) == (1, "no customer is known as 'nobody'")


def test_people_read_tables_and_why(trading: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The judgement stands below the values, and below it how far to trust it."""
    assert run(["--home", str(trading), "value"]) == 0
    shown = capsys.readouterr().out
    for words in ("12-month value", "a new customer", "own past rate", "bought on one day only"):
        assert words in shown
    assert run(["--home", str(trading), "value", "--customer", "c1"]) == 0
    assert "nine times of ten" in capsys.readouterr().out


def test_what_cannot_be_is_refused(trading: Path, ask: Ask) -> None:
    """A margin of nothing, a discount of all, a day before the newest order."""
    for words in (("--margin", "0"), ("--discount", "1"), ("--until", "2025-06-01")):
        code, answer = ask("--home", trading, "value", *words)
        assert (code, answer["ok"]) == (2, False)


def test_silence_since_the_newest_order_is_pointed_out(trading: Path, ask: Ask) -> None:
    """A history that simply ends is not a shop that everybody left."""
    _, answer = ask("--home", trading, "value", "--until", "2026-12-01")
    assert "the history simply ends" in answer["warnings"][0]


def test_a_small_shop_gets_a_reason_and_no_value(filled: Path, ask: Ask) -> None:
    """Forty customers of whom few bought again are not valued."""
    code, answer = ask("--home", filled, "value")
    assert code == 0
    assert answer["data"]["off"] == "fewer than 30 customers bought again"
    assert answer["data"]["currencies"] == []


def test_the_models_are_kept_for_the_pages_of_customers(trading: Path, ask: Ask) -> None:
    """By them one customer is worth what the command said; another day's are not kept."""
    app, _ = init(Settings(home=trading))
    _, answer = ask("--home", trading, "value", "--customer", "c1")
    ask("--home", trading, "value", "--until", "2026-03-01")
    one = answer["data"]["one"]
    with app.store.read() as tx:
        row = tx.states.load([one["customer"]])[one["customer"]]
        world, now = app.worlds.now(tx), app.now(tx)
        found = kept_worth(tx, world, row.customer, decode(row.blob).profile, now)
    app.store.close()
    assert found is not None
    kept, _ = found
    assert (kept.currency, kept.frequency) == ("EUR", one["frequency"])
    assert kept.value == pytest.approx(one["value"], rel=1e-9)
