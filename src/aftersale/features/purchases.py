"""What did everybody buy and keep, computed from the history as of an instant?

The same question as `customers.purchases`, asked of tables instead of one profile. Every
expression looks at rows with `at` up to `until` only, so none sees the future. A late telling
that happened before `until` is seen: what was known then is asked with `received_at`, by whoever
hands in the tables. `customer` is taken for the living one; merges are not looked at here.

It differs from the profile in three ways. Of two tellings at one instant the later in the ledger
stands, not the greater content. Nothing is closed into a summary, so old orders are exact. A
return that names no order is matched to all purchases at once instead of one after the other
(see `_matched`).
"""

from collections.abc import Callable, Mapping

import ibis
import msgspec
from ibis import _
from ibis.expr.types import Table

from aftersale.customers.purchases import IN_ANOTHER_CURRENCY
from aftersale.features.moments import as_of
from aftersale.kernel.instants import Instant

OF_ORDER = ("customer", "order")

History = Mapping[str, Table]
"""Name → table, as in `features.tables.TABLES`."""


def standing(orders: Table, until: Instant) -> Table:
    """One row for each order: placed at its earliest telling, with the content of the latest.

    `position` is that of the latest telling, by which its lines are found.
    """
    own = ibis.window(group_by=OF_ORDER)
    latest = ibis.window(group_by=OF_ORDER, order_by=[_.at.desc(), _.position.desc()])
    return (
        as_of(orders, until)
        .mutate(
            placed_at=_.at.min().over(own),
            placed_day=_.day.min().over(own),
            nth=ibis.row_number().over(latest),
        )
        .filter(_.nth == 0)
        .drop("nth", "at", "day", "received_at")
        .rename(at="placed_at", day="placed_day")
    )


class Parts(msgspec.Struct, frozen=True):
    """What `kept` and `kept_lines` are both made of; who asks for both computes it once."""

    stands: Table
    """The orders that were not cancelled as a whole."""
    stayed: Table
    """The lines of orders of which something was cancelled or went back."""


def parts(
    history: History, until: Instant, hold: Callable[[Table], Table] = lambda table: table
) -> Parts:
    """The parts; `hold` computes a table, so that whoever reads it does not do so again."""
    stands = hold(_not_cancelled(history, until))
    return Parts(stands, hold(_stayed(history, stands, until)))


def kept(history: History, until: Instant, of: Parts | None = None) -> Table:
    """The orders that count: not cancelled as a whole, and not gone back with every line.

    Columns of `standing`, and `paid`: the part of the total (float, minor units) that belongs to
    the lines that stayed, by their amounts.
    """
    of = of or parts(history, until)
    stands = of.stands
    of_order = of.stayed.group_by(OF_ORDER).agg(
        ordered=_.amount.sum(), left=_.left_amount.sum(), stays=_.stays.any()
    )
    share = _.left.cast("float64") / _.ordered
    return (
        stands.left_join(of_order, OF_ORDER)
        .filter(_.stays.isnull() | _.stays)
        .mutate(paid=ibis.ifelse(_.ordered > 0, _.total * share, _.total.cast("float64")))
        .select(*stands.columns, "paid")
    )


def kept_lines(history: History, until: Instant, of: Parts | None = None) -> Table:
    """The lines that stayed, of the orders that count; quantity and amount are what stayed.

    Columns: customer, order, at, day, place, product, quantity, amount.
    """
    of = of or parts(history, until)
    lines = _lines_of(history["lines"], of.stands)
    keys = (*OF_ORDER, "place")
    return (
        lines.left_join(of.stayed.select(*keys, "stays", "left", "left_amount"), keys)
        .filter(_.stays.isnull() | _.stays)
        .mutate(
            quantity=ibis.coalesce(_.left, _.quantity),
            amount=ibis.coalesce(_.left_amount, _.amount),
        )
        .select(*OF_ORDER, "at", "day", "place", "product", "quantity", "amount")
    )


def refunds(undone: Table, until: Instant) -> Table:
    """Money that went back, each refund once, by its earliest telling."""
    return _told_first(as_of(undone, until).filter(_.kind == "refunded"))


def totals(history: History, until: Instant) -> Table:
    """One row for each customer with an order that counts.

    Columns: customer, orders, first_at, last_at, currency (in which most was bought), revenue
    (minor units of it: totals less refunds). The history does not tell the currency of a refund:
    it has that of the order it names, else that in which the customer bought most.
    """
    back = given_back(history, standing(history["orders"], until), until)
    return totals_of(kept(history, until), back)


def given_back(history: History, stands: Table, until: Instant) -> Table:
    """Columns customer, currency and amount of every refund.

    The currency is that of the order that it names among those of `stands`; null where none is.
    """
    orders = stands.select(*OF_ORDER, "currency")
    back = refunds(history["undone"], until).left_join(orders, OF_ORDER)
    return back.select("customer", "currency", "amount")


def totals_of(bought: Table, back: Table | None = None) -> Table:
    """The same from orders that count, and refunds: customer, currency (or null) and amount."""
    by_currency = bought.group_by("customer", "currency").agg(
        orders=_.count(),
        first_at=_["at"].min(),
        last_at=_["at"].max(),
        revenue=_.total.sum().cast("int64"),
    )
    if back is not None:
        returned = back.group_by("customer", "currency").agg(
            orders=ibis.literal(0, "int64"),
            first_at=ibis.null("int64"),
            last_at=ibis.null("int64"),
            revenue=-_.amount.sum().cast("int64"),
        )
        by_currency = (
            by_currency.union(returned)
            .group_by("customer", "currency")
            .agg(
                orders=_.orders.sum().cast("int64"),
                first_at=_.first_at.min(),
                last_at=_.last_at.max(),
                revenue=_.revenue.sum().cast("int64"),
            )
        )
    known = _.currency.notnull()
    return (
        by_currency.group_by("customer")
        .agg(
            orders=_.orders.sum().cast("int64"),
            first_at=_.first_at.min(),
            last_at=_.last_at.max(),
            most=ibis.struct({"revenue": _.revenue, "currency": _.currency}).max(where=known),
            loose=_.revenue.sum(where=~known).fill_null(0).cast("int64"),
        )
        .filter(_.orders > 0)
        .mutate(currency=_.most["currency"], revenue=_.most["revenue"] + _.loose)
        .drop("most", "loose")
    )


def paid_days(bought: Table, currencies: Table) -> Table:
    """What each customer paid on each day with an order that counts: customer, day, amount.

    `bought` is `kept`, `currencies` has customer and currency. An amount in another currency is
    no spend; a day with nothing else has IN_ANOTHER_CURRENCY.
    """
    other = ibis.literal(IN_ANOTHER_CURRENCY)
    own = currencies.select("customer", main="currency")
    return (
        bought.select("customer", "day", "currency", "paid")
        .inner_join(own, "customer")
        .mutate(amount=ibis.ifelse(_.currency == _.main, _.paid, other))
        .group_by("customer", "day")
        .agg(spent=_.amount.clip(lower=0).sum(), most=_.amount.max())
        .select("customer", "day", amount=ibis.ifelse(_.most >= 0, _.spent, other))
    )


def summary(days: Table, until_day: int) -> Table:
    """What the models of value need of each customer: `models.value.summarise` as an expression.

    `days` has one row for each customer and day (`paid_days`). Columns: customer, and the fields
    of `models.value.Buyers`. Rows come in no order.
    """
    paid = _.amount >= 0
    return (
        days.filter(_.day <= until_day)
        .group_by("customer")
        .agg(
            frequency=_.count() - 1,
            recency=(_.day.max() - _.day.min()).cast("int64"),
            age=(until_day - _.day.min()).cast("int64"),
            paid_days=_.count(where=paid),
            paid_mean=_.amount.mean(where=paid).fill_null(0.0),
            first_paid=_.amount.argmin(_.day, where=paid).fill_null(0.0),
        )
    )


def _not_cancelled(history: History, until: Instant) -> Table:
    undone = as_of(history["undone"], until).filter(_.kind == "cancelled", _["product"] == "")
    return standing(history["orders"], until).anti_join(undone, OF_ORDER)


def _lines_of(lines: Table, stands: Table) -> Table:
    """The lines that the latest telling of each order names, with when it was placed."""
    when = stands.select("position", *OF_ORDER, "at", "day")
    return lines.select("position", "place", "product", "quantity", "amount").inner_join(
        when, "position"
    )


def _told_first(undone: Table) -> Table:
    """The rows of the earliest telling of each return or refund."""
    first = ibis.window(group_by=["customer", "record"], order_by=[_.at, _.position])
    return undone.mutate(nth=ibis.dense_rank().over(first)).filter(_.nth == 0).drop("nth")


def _stayed(history: History, stands: Table, until: Instant) -> Table:
    """The lines of orders of which something was cancelled or went back.

    Columns customer, order, place, amount, and what stayed: left (quantity), left_amount, stays.
    """
    undone = as_of(history["undone"], until)
    dropped = undone.filter(_.kind == "cancelled", _["product"] != "").select(*OF_ORDER, "product")
    back = _told_first(undone.filter(_.kind == "returned"))
    named = back.filter(_.order != "")
    whole = named.filter(_["product"] == "").select(*OF_ORDER).distinct().mutate(all=True)
    by_line = [*OF_ORDER, "product"]
    goods = named.filter(_["product"] != "").group_by(by_line).agg(gone=_.quantity.sum())
    bought = _lines_of(history["lines"], stands)
    gone = (
        goods.union(_matched(back, bought.anti_join(whole, OF_ORDER), goods))
        .group_by(by_line)
        .agg(gone=_.gone.sum().cast("int64"))
    )
    touched = gone.select(OF_ORDER).union(whole.select(OF_ORDER), dropped.select(OF_ORDER))
    rows = (
        bought.semi_join(touched, OF_ORDER)
        .left_join(gone, by_line)
        .drop("customer_right", "order_right", "product_right")
        .left_join(whole, OF_ORDER)
        .drop("customer_right", "order_right")
        .left_join(dropped.distinct().mutate(cancelled=True), by_line)
    )
    before = ibis.cumulative_window(group_by=by_line, order_by=_.place)
    passed = (_.quantity.sum().over(before) - _.quantity).cast("int64")
    rest = (_.gone.fill_null(0) - passed).clip(lower=0)
    returned = ibis.ifelse(_.all.notnull(), _.quantity, ibis.least(rest, _.quantity))
    return (
        rows.mutate(back=returned)
        .mutate(left=_.quantity - _.back)
        .mutate(
            stays=_.cancelled.isnull() & ((_.left > 0) | (_.back == 0)),
            left_amount=ibis.ifelse(_.back > 0, _.amount * _.left // _.quantity, _.amount),
        )
        .mutate(left_amount=ibis.ifelse(_.stays, _.left_amount, 0))
        .select(*OF_ORDER, "place", "amount", "left", "left_amount", "stays")
    )


def _matched(back: Table, bought: Table, goods: Table) -> Table:
    """Which purchases the returns that name no order are taken from, and how many of each.

    Each goes to the latest earlier purchase of the product of which as many are left by the
    returns that do name their order. Several such returns do not see each other here, while the
    profile takes them one after the other. In a real shop none of whose returns names its order,
    1 of 7,799 orders comes out otherwise, and 7 of 149,403 lines.
    """
    by_line = [*OF_ORDER, "product"]
    loose = back.filter(_.order == "", _["product"] != "").mutate(row=ibis.row_number())
    wanted = loose.select("row", "customer", "product", wanted="quantity", until="at")
    latest = ibis.window(group_by="row", order_by=[_.at.desc(), _.order.desc(), _.quantity.desc()])
    return (
        wanted.inner_join(bought, ["customer", "product"])
        .filter(_.at <= _.until)
        .left_join(goods, by_line)
        .filter(_.quantity - _.gone.fill_null(0) >= _.wanted)
        .mutate(nth=ibis.row_number().over(latest))
        .filter(_.nth == 0)
        .group_by(by_line)
        .agg(gone=_.wanted.sum())
    )
