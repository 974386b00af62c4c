"""Does a lake keep what `programme/lake.py` promises?

Inherit from `LakeSuite` in a test class of your own and give pytest a fixture `lake` that makes
an empty lake of the adapter in question, whichever engine reads it; each test is one sentence.
"""

from typing import Any

import pyarrow as pa

from aftersale.events.event import Entry
from aftersale.events.vocabulary import CustomerMerged, Line, OrderCompleted, ProductEvent
from aftersale.features.rows import Rows, lay_out, no_rows
from aftersale.features.tables import TABLES
from aftersale.kernel.instants import DAY, Instant
from aftersale.programme.lake import Lake
from aftersale.testing.storage_examples import raises

ZONE = "Europe/Berlin"
START: Instant = 20_000 * DAY


def order(position: int, customer: int) -> Entry:
    """An order of two lines."""
    body = OrderCompleted(
        order=f"o{position}",
        currency="EUR",
        total=300,
        lines=(Line("tea", 1, 100), Line("cup", 2, 200)),
    )
    at = START + position
    return Entry(position, customer, "order.completed", at, at + 5, body, "main")


def look(position: int, customer: int) -> Entry:
    """A look at a product."""
    at = START + position
    return Entry(position, customer, "product.viewed", at, at, ProductEvent(product="tea"))


def merge(position: int, survivor: int, absorbed: int) -> Entry:
    """Two customers turned out to be one."""
    at, body = START + position, CustomerMerged(absorbed=absorbed)
    return Entry(position, survivor, "customer.merged", at, at, body)


def rows_of(*entries: Entry) -> Rows:
    """What the entries give."""
    rows = no_rows()
    lay_out(entries, ZONE, rows)
    return rows


def content(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, in one order whatever the engine does."""
    found = {}
    for name, table in lake.tables().items():
        rows = lake.run(table).to_pylist()
        found[name] = sorted(rows, key=lambda row: (row["position"], row.get("place", 0), str(row)))
    return found


class LakeSuite:
    """One test a sentence; every adapter passes all of them."""

    def test_a_lake_that_was_never_begun_has_no_extent(self, lake: Lake) -> None:
        """There is nothing, and asking how far it has come is no error."""
        assert lake.extent() is None

    def test_a_new_lake_has_every_table_with_its_columns(self, lake: Lake) -> None:
        """Names and types are those of the history, also where there are no rows."""
        lake.begin(ZONE)
        assert {name: table.schema() for name, table in lake.tables().items()} == TABLES
        assert all(rows == [] for rows in content(lake).values())

    def test_what_is_held_is_a_table_until_the_block_ends(self, lake: Lake) -> None:
        """It can be read several times; two at once do not mix, and afterwards it is gone."""
        lake.begin(ZONE)
        lake.append(rows_of(order(1, 1), order(2, 2)), after=0, upto=2, mark="m")
        orders = lake.tables()["orders"]
        with (
            lake.held(orders.filter(orders.customer == 1)) as one,
            lake.held(orders.select("customer")) as other,
        ):
            assert lake.columns(one.select("customer"))["customer"].tolist() == [1]
            assert sorted(lake.columns(other)["customer"].tolist()) == [1, 2]
        with raises(Exception):
            lake.run(one)

    def test_what_is_appended_is_there_with_its_types(self, lake: Lake) -> None:
        """A row comes back as it was laid out."""
        lake.begin(ZONE)
        assert lake.append(rows_of(order(1, 7), look(2, 8)), after=0, upto=2, mark="m")
        assert {name: table.schema() for name, table in lake.tables().items()} == TABLES
        found = content(lake)
        assert [row["order"] for row in found["orders"]] == ["main/o1"]
        assert [row["product"] for row in found["lines"]] == ["tea", "cup"]
        assert [row["score"] for row in found["signals"]] == [1]
        extent = lake.extent()
        assert extent is not None
        assert (extent.upto, extent.mark, extent.zone) == (2, "m", ZONE)
        assert extent.rows == {
            "orders": 1,
            "lines": 2,
            "undone": 0,
            "signals": 1,
            "scored": 0,
            "merges": 0,
        }

    def test_what_is_appended_again_is_not_added(self, lake: Lake) -> None:
        """A stretch of positions acts once; a gap before it is a mistake."""
        lake.begin(ZONE)
        rows = rows_of(order(1, 7))
        assert lake.append(rows, after=0, upto=1, mark="m")
        assert not lake.append(rows, after=0, upto=1, mark="m")
        with raises(ValueError):
            lake.append(rows_of(order(5, 7)), after=4, upto=5, mark="m")
        assert len(content(lake)["orders"]) == 1

    def test_compacting_changes_nothing_that_is_read(self, lake: Lake) -> None:
        """Many small parts become fewer."""
        lake.begin(ZONE)
        for n in range(1, 6):
            lake.append(rows_of(order(n, n)), after=n - 1, upto=n, mark=str(n))
        before = content(lake)
        lake.compact()
        lake.compact()
        assert content(lake) == before

    def test_tables_show_the_lake_as_it_was_when_they_were_asked_for(self, lake: Lake) -> None:
        """What is appended later is in later tables."""
        lake.begin(ZONE)
        lake.append(rows_of(order(1, 7)), after=0, upto=1, mark="m")
        earlier = lake.tables()["orders"]
        lake.append(rows_of(order(2, 7)), after=1, upto=2, mark="m")
        assert lake.columns(earlier.count().name("n"))["n"].tolist() == [1]
        assert len(content(lake)["orders"]) == 2

    def test_whoever_is_forgotten_is_seen_no_more(self, lake: Lake) -> None:
        """At once, after compacting, and in what comes later; scores too."""
        lake.begin(ZONE)
        lake.append(rows_of(order(1, 7), order(2, 8)), after=0, upto=2, mark="m")
        lake.put_scores("churn", pa.table({"customer": [7, 8], "score": [0.5, 0.6]}), START)
        lake.forget([7])
        for _ in range(2):
            assert {row["customer"] for row in content(lake)["lines"]} == {8}
            scores = lake.scores("churn")
            assert scores is not None
            assert lake.columns(scores[0])["customer"].tolist() == [8]
            lake.compact()
        lake.append(rows_of(look(3, 7)), after=2, upto=3, mark="m")
        assert content(lake)["signals"] == []
        extent = lake.extent()
        assert extent is not None
        assert (extent.erased, extent.rows["orders"]) == (1, 1)

    def test_the_newest_scores_of_a_name_are_kept(self, lake: Lake) -> None:
        """Those of an earlier instant do not take the place of later ones."""
        lake.begin(ZONE)
        assert lake.scores("churn") is None
        for as_of, score in ((START, 0.1), (START + DAY, 0.2), (START, 0.3)):
            lake.put_scores("churn", pa.table({"customer": [1], "score": [score]}), as_of)
        found = lake.scores("churn")
        assert found is not None
        assert (lake.columns(found[0])["score"].tolist(), found[1]) == ([0.2], START + DAY)

    def test_what_scores_have_of_one_customer(self, lake: Lake) -> None:
        """By name, with the instant of each; nothing of the erased and of the unknown."""
        lake.begin(ZONE)
        assert lake.scores_of(7) == {}
        lake.put_scores("churn", pa.table({"customer": [7, 8, 7], "score": [0.1, 0.2, 0.3]}), START)
        lake.put_scores("value", pa.table({"customer": [8], "score": [5.0]}), START + DAY)
        lake.put_scores("shop", pa.table({"score": [1.0]}), START)
        mine = [{"customer": 7, "score": 0.1}, {"customer": 7, "score": 0.3}]
        assert lake.scores_of(7) == {"churn": (mine, START)}
        assert lake.scores_of(8).keys() == {"churn", "value"}
        assert lake.scores_of(9) == {}
        lake.forget([7])
        assert lake.scores_of(7) == {}

    def test_beginning_again_leaves_nothing(self, lake: Lake) -> None:
        """Rows, scores and erasures are gone."""
        lake.begin(ZONE)
        lake.append(rows_of(order(1, 7)), after=0, upto=1, mark="m")
        lake.put_scores("churn", pa.table({"customer": [1]}), START)
        lake.forget([7])
        lake.begin("UTC")
        extent = lake.extent()
        assert extent is not None
        assert (extent.upto, extent.zone, extent.erased) == (0, "UTC", 0)
        assert content(lake)["orders"] == []
        assert lake.scores("churn") is None
