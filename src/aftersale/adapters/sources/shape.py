"""How do rows of lines become orders, returns and what follows them, in SQL?

`Shape` leaves these tables behind: one for the rows of each file (`tables`), `orders` (one row an
order or return, `oid`), `timeline` (one row an event, `seq` ascending by time and then number)
and `pieces` (lines by `seq`).
The law holds here: each row of each file is used, rejected (`bad`) or ignored (`ign`).
"""
# ruff: noqa: S608 - names are quoted by `ident` and texts by `literal`

from functools import partial
from typing import TYPE_CHECKING

from aftersale.adapters.sources.columns import (
    LONGEST_NAME,
    MOST_PIECES,
    Reader,
    instant,
    known_time,
)
from aftersale.adapters.sources.files import field, ident, literal
from aftersale.adapters.sources.layout import Layout
from aftersale.adapters.sources.mapping import Mapping
from aftersale.kernel.money import exponent

if TYPE_CHECKING:
    import duckdb

ORDER, CONSENT, SHIPPED, DELIVERED, CANCELLED, RETURN, REFUND, REVIEW = range(1, 9)
"""Kinds of the timeline, in the order in which they stand at one instant."""

TEXTS = ("customer", "email", "phone", "country", "locale", "code", "channel", "payment", "carrier",
         "parcel", "reason", "returned_order")  # fmt: skip
TIMES = ("shipped_at", "promised_at", "delivered_at", "approved_at", "cancelled_at")
MONEYS = ("total", "discount", "shipping")
DUPLICATE = "equals an earlier row"
ORPHAN = "belongs to an order that is not imported"

_GOOD = "ign is null and bad is null"

_Chain = list[tuple[str, str]]
"""Reason → condition; the first true one is the reason."""


class Shape:
    """Makes the tables of one import of orders."""

    def __init__(
        self, connection: "duckdb.DuckDBPyConnection", layout: Layout, mapping: Mapping
    ) -> None:
        self._connection = connection
        self._layout = layout
        self._mapping = mapping
        self._rows = mapping.rows
        self.tables: dict[str, str] = {}
        """Root → the table that says what becomes of its rows."""
        self._readers: dict[str, Reader] = {}
        self._pieces = "1"
        self._one_file = layout.lines == ""
        self._make_main()
        self._make_lines()
        self._make_reviews()
        self._make_orders()
        self._make_timeline()

    def _run(self, sql: str) -> None:
        self._connection.execute(sql)

    def _reader(self, root: str) -> Reader:
        if root not in self._readers:
            self._readers[root] = Reader(self._mapping, self._layout.wide[root])
        return self._readers[root]

    def _make_main(self) -> None:
        read, columns = self._reader(""), partial(self._layout.columns, "")
        order = read.text(columns("order"))
        select = [f"{order} as ord"]
        bad: _Chain = [
            ("the order number is missing", f"{order} is null"),
            ("the order number is too long", f"length({order}) > {LONGEST_NAME}"),
        ]
        self._known: set[str] = set()
        self._add_time("", "at", select, bad)
        bad.insert(2, ("the date is missing", read.missing(columns("at")[0])))
        for word in TIMES:
            if columns(word):
                self._known.add(word)
                self._add_time("", word, select, bad)
        for word in TEXTS:
            if names := columns(word):
                self._known.add(word)
                select.append(f"{read.text(names)} as {word}")
                if word in {"customer", "email", "phone"}:
                    bad.append((f"the {word} is too long", f"length({word}) > {LONGEST_NAME}"))
        self._personal(select)
        self._currency(select, bad)
        for word in MONEYS:
            if names := columns(word):
                self._known.add(word)
                number = read.number(names[0])
                select.append(f"{read.minor(f'abs({number})', self._factor)} as {word}")
                unread = f"not ({read.missing(names[0])}) and {word} is null"
                bad.append((f"the {word} cannot be read", unread))
        own = self._layout.rules
        returns = read.condition(own("", self._rows.returns, "rows.returns"))
        cancelled = read.condition(own("", self._rows.cancelled, "rows.cancelled"))
        select += [f"{returns} as ret", f"{cancelled} as can"]
        if self._one_file:
            self._add_lines(select, bad)
        self._classify("", select, bad)

    def _personal(self, select: list[str]) -> None:
        self.personal: list[str] = []
        for what, name in self._mapping.personal.items():
            if names := self._layout.local("", [name], f"personal.{what}"):
                self.personal.append(what)
                select.append(f"{self._reader('').text(names)} as {ident(f'personal {what}')}")

    def _currency(self, select: list[str], bad: _Chain) -> None:
        """The factor from amounts to minor units depends on the currency of the row."""
        names = self._layout.columns("", "currency")
        if not names:
            self._factor = str(10 ** exponent(self._mapping.currency))
            return
        self._known.add("currency")
        text = f"upper({self._reader('').text(names)})"
        if self._mapping.currency:
            text = f"coalesce({text}, {literal(self._mapping.currency)})"
        rows = self._reader("").steps.over(self._layout.wide[""].name)
        found = self._connection.execute(f"select distinct {text} from {rows}").fetchall()
        odd = [(c, exponent(c)) for (c,) in found if c and exponent(c) != 2]
        cases = " ".join(f"when {literal(c)} then {10**places}" for c, places in odd)
        self._factor = f"(case {text} {cases} else 100 end)" if odd else "100"
        select.append(f"{text} as currency")
        bad.append(("the currency is missing", "currency is null"))
        bad.append(
            (
                "the currency is no code of three letters",
                "not regexp_full_match(currency, '[A-Z]{3}')",
            )
        )

    def _add_time(self, root: str, word: str, select: list[str], bad: _Chain) -> None:
        (name,) = self._layout.columns(root, word)
        wall, utc = self._reader(root).time(name)
        missing = self._reader(root).missing(name)
        label = "date" if word == "at" else word
        word = "placed" if word == "at" else word  # AT is a word of SQL
        select += [f"{wall} as {word}_wall", f"{utc} as {word}_utc"]
        wall, utc = f"{word}_wall", f"{word}_utc"
        bad += [
            (f"the {label} cannot be read", f"not ({missing}) and coalesce({wall}, {utc}) is null"),
            (
                f"the {label} is outside 1990 to 2069",
                f"coalesce({wall}, {utc}) is not null and not {known_time(wall, utc)}",
            ),
        ]

    def _add_lines(self, select: list[str], bad: _Chain) -> None:
        root = self._layout.lines
        read, columns = self._reader(root), partial(self._layout.columns, root)
        if not columns("product") and not columns("price") and not columns("amount"):
            select += [
                "0 as kind",
                "null::varchar as product",
                "1 as quantity",
                "null::bigint as amount",
            ]
            return
        own = self._layout.rules
        shipping = read.condition(own(root, self._rows.shipping, "rows.shipping"))
        discount = read.condition(own(root, self._rows.discount, "rows.discount"))
        select.append(f"case when {shipping} then 1 when {discount} then 2 else 0 end as kind")
        product = read.text(columns("product")) if columns("product") else "''"
        select.append(f"{product} as product")
        bad += [
            ("the product is missing", "kind = 0 and product is null"),
            ("the product's number is too long", f"length(product) > {LONGEST_NAME}"),
        ]
        self._quantity(select, bad)
        self._amounts(select, bad)
        for word in ("name", "category"):
            if columns(word):
                select.append(f"left({read.text(columns(word))}, {LONGEST_NAME}) as {word}")

    def _quantity(self, select: list[str], bad: _Chain) -> None:
        root = self._layout.lines
        names = self._layout.columns(root, "quantity")
        if not names:
            select.append("1 as quantity")
            return
        read = self._reader(root)
        asked = read.number(names[0])
        self._pieces = read.steps.let(2, f"try_cast(abs({asked}) as bigint)")
        select += [f"{asked} as asked", f"{self._pieces} as quantity"]
        returned = "ret" if self._one_file else "false"
        bad += [
            ("the quantity is missing", read.missing(names[0])),
            ("the quantity cannot be read", "asked is null"),
            ("the quantity is no whole number", "asked <> trunc(asked)"),
            ("the quantity is zero", "asked = 0"),
            ("the quantity is over a million", f"abs(asked) > {MOST_PIECES}"),
            (
                "the quantity is negative and the row is no return",
                f"asked < 0 and kind = 0 and not ({returned})",
            ),
        ]

    def _amounts(self, select: list[str], bad: _Chain) -> None:
        root = self._layout.lines
        read, returned = self._reader(root), "ret" if self._one_file else "false"
        price, amount = self._layout.columns(root, "price"), self._layout.columns(root, "amount")
        shipping = self._layout.columns(root, "line_shipping")
        for word, names in (("price", price), ("amount", amount), ("line_shipping", shipping)):
            if not names:
                continue
            number = read.number(names[0])
            bad += [
                (f"the {word} is missing", f"{read.missing(names[0])}"),
                (f"the {word} cannot be read", f"{number} is null"),
                (f"the {word} is negative", f"{number} < 0 and kind = 0 and not ({returned})"),
            ]
        if price:
            select.append(f"{read.minor(f'abs({read.number(price[0])})', self._factor)} as unit")
        if amount:
            whole = f"abs({read.number(amount[0])})"
        elif price:
            few = f"case when {self._pieces} <= {MOST_PIECES} then {self._pieces} end"
            whole = f"abs({read.number(price[0])}) * try_cast({few} as integer)"
        else:
            whole = "0::decimal(18, 6)"
        select.append(f"{read.minor(whole, self._factor)} as amount")
        bad.append(("the amount is too large", "amount is null"))
        if shipping:
            number = f"abs({read.number(shipping[0])})"
            select.append(f"{read.minor(number, self._factor)} as line_shipping")

    def _make_lines(self) -> None:
        root = self._layout.lines
        if self._one_file or root not in self._layout.opened:
            return
        select: list[str] = []
        bad: _Chain = []
        self._link(root, select, bad)
        self._add_lines(select, bad)
        self._classify(root, select, bad)

    def _make_reviews(self) -> None:
        root = self._layout.reviews
        if not root or root not in self._layout.opened:
            return
        read, columns = self._reader(root), partial(self._layout.columns, root)
        select: list[str] = []
        bad: _Chain = []
        self._link(root, select, bad)
        select.append(f"{read.text(columns('review'))} as review")
        bad.append(("the review's number is missing", "review is null"))
        bad.append(("the review's number is too long", f"length(review) > {LONGEST_NAME}"))
        bad.append(("the date is missing", read.missing(columns("reviewed_at")[0])))
        self._add_time(root, "reviewed_at", select, bad)
        if names := columns("rating"):
            select.append(f"try_cast({read.number(names[0])} as double) as rating")
            bad.append(
                (
                    "the rating is no whole number from 1 to 5",
                    "coalesce(rating not in (1, 2, 3, 4, 5), true)",
                )
            )
        words = ("review_product", "review_title", "review_text")
        select += [f"{read.text(columns(w))} as {w}" for w in words if columns(w)]
        self._classify(root, select, bad)

    def _link(self, root: str, select: list[str], bad: _Chain) -> None:
        text = self._reader(root).text([self._mapping.related[root].on])
        select.append(f"{text} as ord")
        bad.append(("the order number is missing", "ord is null"))

    def _classify(self, root: str, select: list[str], bad: _Chain) -> None:
        """One row for each readable row of the file, with its fate."""
        wide, name = self._layout.wide[root], ident(f"rows {root}")
        read = self._reader(root)
        rules = self._layout.rules(root, self._rows.ignore, "rows.ignore")
        ignored = " ".join(f"when {read.condition([r])} then {literal(r.reason)}" for r in rules)
        reasons = " ".join(f"when {condition} then {literal(reason)}" for reason, condition in bad)
        columns = [field(c) for c in self._layout.opened[root].columns]
        once = self._rows.duplicates == "ignore"
        mark = f"hash({', '.join(columns)})" if once and columns else ""
        told = [*select, f"{f'case {ignored} end' if ignored else 'null::varchar'} as ign"]
        told += [f"{mark} as mark"] if mark else []
        names = ", ".join(expression.rpartition(" as ")[2] for expression in told)
        self._run(
            f"create temp table {name} as select rn, {names}, case when ign is not null then null"
            f" {reasons} end as bad from (select *, {', '.join(told)}"
            f" from {read.steps.over(wide.name)})"
        )
        self.tables[root] = name
        if mark:
            self._ignore_duplicates(name, self._layout.opened[root].name, columns)

    def _ignore_duplicates(self, name: str, file: str, columns: list[str]) -> None:
        # Few rows share a hash, so only those are compared in full.
        shared = f"select mark from {name} where {_GOOD} group by mark having count(*) > 1"
        if not self._connection.execute(f"{shared} limit 1").fetchall():
            return
        self._run(
            f"update {name} set ign = {literal(DUPLICATE)} where rn in (select rn from {file}"
            f" where rn in (select rn from {name} where mark in ({shared}) and {_GOOD}) qualify"
            f" row_number() over (partition by {', '.join(columns)} order by rn) > 1)"
        )

    def _make_orders(self) -> None:
        main = self.tables[""]
        times = ["placed", *(t for t in TIMES if t in self._known)]
        firsts = [w for w in (*TEXTS, *MONEYS, "currency") if w in self._known]
        firsts += [ident(f"personal {field}") for field in self.personal]
        picked = [f"min({t}_{side}) as {t}_{side}" for t in times for side in ("wall", "utc")]
        picked += [f"arg_min({w}, rn) as {w}" for w in firsts]
        select = [f"{at} as {time}" for time, at in self._instants(main, times).items()]
        latest = ", ".join(
            t for t in ("placed", "approved_at", "shipped_at", "delivered_at") if t in times
        )
        own = "cancelled_at" if "cancelled_at" in times else "null"
        country, join = "''", ""
        if "country" in self._known:
            self._make_countries(main)
            country, join = (
                "countries.code",
                " left join countries on found.country = countries.name",
            )
        self._run(
            "create temp table orders as with found as (select ord, ret, count(*) as rows,"
            f" bool_or(can) as cancelled, {', '.join(picked)} from {main} where {_GOOD}"
            f" group by ord, ret), told as ({self._sums()})"
            " select row_number() over (order by placed, ord, ret) as oid, * from (select ord, ret,"
            f" coalesce(cancelled, false) as can, {', '.join([*select, *firsts])},"
            f" {country} as code2, coalesce({own}, greatest({latest})) as gone_at,"
            " goods, coalesce(sent, 0) as sent, coalesce(less, 0) as less,"
            f" {'' if self._one_file else 'rows + '}coalesce(lines, 0) as n"
            f" from found left join told using (ord, ret){join})"
        )
        self._ignore_orphans(self._layout.lines)

    def _make_countries(self, main: str) -> None:
        """Spelling → code, for every spelling that occurs; '' where it is no country."""
        self._run("create temp table countries (name varchar, code varchar)")
        found = self._connection.execute(
            f"select distinct country from {main} where {_GOOD}"
        ).fetchall()
        known = self._mapping.countries
        for (name,) in found:
            if name is None:
                continue
            plain = name.upper() if len(name) == 2 and name.isascii() and name.isalpha() else None
            code = known.get(name, plain)
            self._connection.execute("insert into countries values (?, ?)", [name, code])

    def _sums(self) -> str:
        """What the lines of each order or return add up to."""
        lines = self.tables.get(self._layout.lines)
        if lines is None:
            return (
                "select null::varchar as ord, false as ret, null::bigint as goods, 0 as sent,"
                " 0 as less, 0 as lines where false"
            )
        shipping = self._layout.columns(self._layout.lines, "line_shipping")
        sent = "coalesce(sum(line_shipping), 0)" if shipping else "0"
        return (
            f"select ord, {'ret' if self._one_file else 'false'} as ret,"
            " try_cast(sum(amount) filter (kind = 0) as bigint) as goods,"
            f" try_cast(coalesce(sum(amount) filter (kind = 1), 0) + {sent} as bigint) as sent,"
            " try_cast(coalesce(sum(amount) filter (kind = 2), 0) as bigint) as less,"
            f" count(*) as lines from {lines} where {_GOOD} group by all"
        )

    def _ignore_orphans(self, root: str) -> None:
        """Rows beside the main file that speak of none of its orders."""
        if root and root in self.tables:
            self._run(
                f"update {self.tables[root]} set ign = {literal(ORPHAN)} where {_GOOD} and"
                " ord not in (select ord from orders where not ret)"
            )

    def _instants(self, table: str, words: list[str]) -> dict[str, str]:
        """The instants of times that the table's good rows have as wall times or as instants."""
        ends = ", ".join(f"min({word}_wall), max({word}_wall)" for word in words)
        (found,) = self._connection.execute(f"select {ends} from {table} where {_GOOD}").fetchall()
        known = [wall for wall in found if wall is not None]
        if not known:
            return {word: f"{word}_utc" for word in words}
        span = min(known), max(known)
        zone = self._mapping.zone
        return {w: f"least({instant(f'{w}_wall', zone, *span)}, {w}_utc)" for w in words}

    def _make_timeline(self) -> None:
        events = [
            (
                f"select placed as moment, {ORDER} as kind, ord as num, oid, n, 0 as rn"
                " from orders where not ret"
            ),
            f"select gone_at, {CANCELLED}, ord, oid, 0, 0 from orders where can and not ret",
            f"select placed, {RETURN}, ord, oid, n, 0 from orders where ret",
            (
                f"select placed, {REFUND}, ord, oid, 0, 0 from orders where ret and"
                " coalesce(goods, 0) + sent - less > 0"
            ),
        ]
        for word, kind in (("shipped_at", SHIPPED), ("delivered_at", DELIVERED)):
            if word in self._known:
                events.append(
                    f"select {word}, {kind}, ord, oid, 0, 0 from orders"
                    f" where {word} is not null and not ret"
                )
        events += self._consents() + self._review_events()
        self._run(
            "create temp table timeline as select"
            " row_number() over (order by moment, kind, num, rn) as"
            f" seq, moment, kind, oid, n, rn from ({' union all '.join(events)}) order by seq"
        )
        self._make_pieces()

    def _make_pieces(self) -> None:
        """The lines in the order of the timeline."""
        lines = self.tables.get(self._layout.lines)
        if lines is None:
            self._run(
                "create temp table pieces (seq bigint, product varchar, quantity bigint,"
                " amount bigint)"
            )
            return
        here = " and rows.ret = orders.ret" if self._one_file else " and not orders.ret"
        self._run(
            "create temp table pieces as select seq, product, quantity, amount from"
            f" {lines} rows join orders on rows.ord = orders.ord{here} join timeline"
            f" on timeline.oid = orders.oid and timeline.kind in ({ORDER}, {RETURN})"
            f" where {_GOOD} and rows.kind = 0 and rows.product is not null"
            " order by seq, rows.rn"
        )

    def _consents(self) -> list[str]:
        """One consent for each customer who qualifies, at the first such order."""
        consent = self._mapping.consent
        person = [w for w in ("customer", "email", "phone") if w in self._known]
        if consent is None or not person:
            return []
        who = f"coalesce({', '.join(person)})"
        only = [f"not ret and {who} is not null"]
        if consent.countries:
            only.append(f"code2 in ({', '.join(map(literal, consent.countries))})")
        if (since := self._mapping.consent_since()) is not None:
            only.append(f"placed >= {since}")
        first = f"qualify row_number() over (partition by {who} order by oid) = 1"
        where = " and ".join(only)
        return [f"select placed, {CONSENT}, ord, oid, 0, 0 from orders where {where} {first}"]

    def _review_events(self) -> list[str]:
        name = self.tables.get(self._layout.reviews) if self._layout.reviews else None
        if name is None:
            return []
        self._ignore_orphans(self._layout.reviews)
        at = self._instants(name, ["reviewed_at"])["reviewed_at"]
        told = f"select {at}, {REVIEW}, review || '/' || ord, oid, 1, rn from {name}"
        return [f"{told} join orders using (ord) where {_GOOD} and not ret"]
