"""What events do the rows of a merchant's orders tell?

Rows are checked, grouped and ordered in DuckDB (`shape.py`); here the result becomes events,
one batch after the other. A mark counts what was emitted: the heading (1), rejects, events.
"""
# ruff: noqa: S608 - all numbers and names in the queries are ours

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as AnyMapping
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from aftersale.adapters.sources.files import Table, connect, raw_rows
from aftersale.adapters.sources.layout import Layout
from aftersale.adapters.sources.mapping import Mapping
from aftersale.adapters.sources.shape import (
    CANCELLED,
    CONSENT,
    DELIVERED,
    MONEYS,
    ORDER,
    REFUND,
    RETURN,
    REVIEW,
    SHIPPED,
    TEXTS,
    Shape,
)
from aftersale.events.event import Event, Ref
from aftersale.events.vocabulary import (
    ConsentEvent,
    Line,
    OrderCancelled,
    OrderCompleted,
    OrderDelivered,
    OrderShipped,
    ProductFacts,
    RefundIssued,
    ReturnInitiated,
    ReviewSubmitted,
)
from aftersale.ledger.importing import Batch, Reject

FORMAT = "1"
"""Changes where the same file would give other batches than before."""


ROW_GROUP = 122_880
"""Rows that DuckDB gives to one thread."""


class OrderSource:
    """A merchant's file of orders or of their lines, with the files related to it."""

    def __init__(
        self, path: Path, mapping: Mapping, *, mapping_place: str = "mapping", size: int = 10_000
    ) -> None:
        """`size` is the number of events in a batch; a source resumes with any size."""
        self._mapping = mapping
        self._size = size
        self._connection = connect()
        self._layout = Layout(self._connection, path, mapping, mapping_place)
        if self.total_rows < ROW_GROUP:
            # One thread reads a group of rows; a second one would only be waited for.
            self._connection.execute("set threads = 1")
        self._shape = Shape(self._connection, self._layout, mapping)
        self._bad = [
            (table, *row) for root in self._layout.roots for table, row in self._bad_rows(root)
        ]

    @property
    def total_rows(self) -> int:
        """Rows of every file that tells facts; look-ups are not counted."""
        return self._layout.total_rows

    def fingerprint(self) -> str:
        """The same for the same files and mapping."""
        return self._layout.fingerprint(FORMAT, msgspec.json.encode(self._mapping).decode())

    def rejects(self) -> Iterator[Reject]:
        """Every rejected row, file by file and in their order."""
        yield from self._rejects(0, len(self._bad))

    def batches(self, after: int = 0) -> Iterator[Batch]:
        """Events by time and number; the first batch also carries products and ignored rows."""
        rejected = len(self._bad)
        (row,) = self._connection.execute("select count(*) from timeline").fetchall()
        end = 1 + rejected + int(row[0])
        while after < end:
            upto = min(max(after, 1) + self._size, end)
            first, last = max(after - 1 - rejected, 0), upto - 1 - rejected
            events, used = self._events(first, last) if last > first else ([], 0)
            yield Batch(
                events=events,
                upto=upto,
                total_rows=self.total_rows,
                rows_used=used,
                rows_ignored={} if after else self._ignored(),
                rejects=list(self._rejects(max(after - 1, 0), min(upto - 1, rejected))),
                products=[] if after else self._products(),
            )
            after = upto

    def _bad_rows(self, root: str) -> list[tuple[Table, tuple[int, int, str, str]]]:
        """Rejected rows of a file by their number: (number, rn or 0, reason, text or nothing)."""
        table = self._layout.opened[root]
        found = [(number, 0, reason, text) for number, reason, text in table.broken]
        if name := self._shape.tables.get(root):
            rows = self._connection.execute(
                f"select rn, bad from {name} where ign is null and bad is not null"
            ).fetchall()
            found += [(table.number(rn), rn, bad, "") for rn, bad in rows]
        return [(table, row) for row in sorted(found)]

    def _rejects(self, first: int, last: int) -> Iterator[Reject]:
        for _, group in groupby(self._bad[first:last], key=lambda row: row[0].name):
            rows = list(group)
            table = rows[0][0]
            file = "" if table is self._layout.opened[""] else table.file
            texts = dict(raw_rows(self._connection, table, [rn for _, _, rn, _, _ in rows if rn]))
            for _, number, rn, reason, text in rows:
                yield Reject(number, reason, texts[rn] if rn else text, file)

    def _ignored(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for table in self._shape.tables.values():
            rows = self._connection.execute(
                f"select ign, count(*) from {table} where ign is not null group by ign order by ign"
            ).fetchall()
            for reason, count in rows:
                found[reason] = found.get(reason, 0) + count
        return found

    def _products(self) -> list[ProductFacts]:
        """What the lines say about products; later rows count."""
        root = self._layout.lines
        table = self._shape.tables.get(root)
        if table is None or not self._layout.columns(root, "product"):
            return []
        told = [
            f"arg_max({word}, rn)" if self._layout.columns(root, word) else "''"
            for word in ("name", "category")
        ]
        price = (
            "arg_max(unit, rn) filter (unit > 0)" if self._layout.columns(root, "price") else "0"
        )
        rows = self._connection.execute(
            f"select product, {', '.join(told)}, {price} from {table} where ign is null and"
            " bad is null and kind = 0 and product is not null group by product order by product"
        ).fetchall()
        return [
            ProductFacts(product, name=name or "", category=category or "", price=price or 0)
            for product, name, category, price in rows
        ]

    def _table(self, query: str) -> dict[str, list[Any]]:
        found = self._connection.execute(query).fetchnumpy()
        return {name: column.tolist() for name, column in found.items()}

    def _events(self, first: int, last: int) -> tuple[list[Event], int]:
        """The events with first < seq <= last, and the rows that they tell."""
        span = f"seq > {first} and seq <= {last}"
        timeline = self._table(
            f"select seq, moment, kind, oid, n, rn from timeline where {span} order by seq"
        )
        orders = self._table(
            f"select * from orders where oid in (select oid from timeline where {span})"
            " order by oid"
        )
        places = {oid: place for place, oid in enumerate(orders["oid"])}
        teller = _Teller(
            self._mapping, orders, self._shape.personal, _pieces(self._connection, span)
        )
        reviews = self._reviews(span)
        tell = teller.by_kind
        events = []
        columns = (
            timeline["seq"],
            timeline["moment"],
            timeline["kind"],
            timeline["oid"],
            timeline["rn"],
        )
        for seq, at, kind, oid, rn in zip(*columns, strict=True):
            if kind == REVIEW:
                events.append(teller.review(places[oid], at, *reviews[rn]))
            else:
                events.append(tell[kind](places[oid], at, seq))
        return events, sum(timeline["n"])

    def _reviews(self, span: str) -> dict[int, Sequence[Any]]:
        """Number, rating, product, title and text of the reviews of a batch, by their rn."""
        root = self._layout.reviews
        if not root or root not in self._shape.tables:
            return {}
        optional = ("rating", "review_product", "review_title", "review_text")
        told = [w if self._layout.columns(root, w) else f"null as {w}" for w in optional]
        columns = self._table(
            f"select rn, review, {', '.join(told)} from {self._shape.tables[root]} where rn in"
            f" (select rn from timeline where kind = {REVIEW} and {span})"
        )
        numbers, *facts = columns.values()
        return dict(zip(numbers, zip(*facts, strict=True), strict=True))


def _pieces(connection: Any, span: str) -> dict[int, tuple[Line, ...]]:
    """Lines of the orders and returns at these places of the timeline."""
    found = connection.execute(
        f"select seq, product, quantity, amount from pieces where {span}"
    ).fetchnumpy()
    numbers = found["seq"]
    lines = list(map(Line, *(found[name].tolist() for name in ("product", "quantity", "amount"))))
    places: dict[int, tuple[Line, ...]] = {}
    begin = 0
    for end in [*((numbers[1:] != numbers[:-1]).nonzero()[0] + 1).tolist(), len(lines)]:
        if end > begin:
            places[int(numbers[begin])] = tuple(lines[begin:end])
        begin = end
    return places


Tell = Callable[[int, int, int], Event]
"""An event from the place of its order in the batch, its instant and its seq."""


class _Teller:
    """Makes events from the columns of the orders of one batch."""

    def __init__(
        self,
        mapping: Mapping,
        orders: AnyMapping[str, list[Any]],
        personal: Sequence[str],
        lines: AnyMapping[int, tuple[Line, ...]],
    ) -> None:
        self._mapping = mapping
        self._orders = orders
        self._personal = [(field, orders[f"personal {field}"]) for field in personal]
        self._lines = lines
        self._source, self._shop = mapping.source, mapping.shop
        self._ids = orders["ord"]
        columns = {word: orders.get(word) or self._blank() for word in (*TEXTS, *MONEYS)}
        self._columns = columns
        self._refs = list(
            map(self._refs_of, columns["customer"], columns["email"], columns["phone"], self._ids)
        )
        self._country = [code or "" for code in orders["code2"]]
        codes = orders.get("currency") or self._blank()
        self._currency = [code or mapping.currency for code in codes]
        self._promised = orders.get("promised_at") or self._blank()
        told = {"email", "phone", "country"} & set(orders)
        self._tells_person = bool(self._personal or told)
        self.by_kind: dict[int, Tell] = {
            ORDER: self.order,
            CONSENT: self.consent,
            SHIPPED: self.shipped,
            DELIVERED: self.delivered,
            CANCELLED: self.cancelled,
            RETURN: self.returned,
            REFUND: self.refund,
        }

    def _blank(self) -> list[Any]:
        return [None] * len(self._ids)

    def _refs_of(
        self, customer: str | None, email: str | None, phone: str | None, order: str
    ) -> tuple[Ref, ...]:
        """As `read_event` finds them, except that an order nobody is known for has none."""
        found = []
        if customer:
            found.append(Ref("customer", f"{self._shop}/{customer}"))
        if email:
            found.append(Ref("email", email.strip().lower()))
        if phone:
            found.append(Ref("phone", "".join(c for c in phone if c in "+0123456789")))
        if found:
            found.append(Ref("order", f"{self._shop}/{order}"))
        return tuple(found)

    def _event(self, kind: str, key: str, at: int, body: Any, place: int) -> Event:
        refs = self._refs[place]
        return Event(f"{kind}/{key}", self._source, kind, at, self._shop, body, refs)

    def _told_of_person(self, place: int) -> dict[str, Any]:
        told = {field: values[place] for field, values in self._personal if values[place]}
        columns = self._columns
        if email := columns["email"][place]:
            told["email"] = email
        if phone := columns["phone"][place]:
            told["phone"] = phone
        if self._orders["code2"][place] is None and (spelling := columns["country"][place]):
            told["country"] = spelling
        return told

    def order(self, place: int, at: int, seq: int) -> Event:
        """The order was placed."""
        order, columns, orders = self._ids[place], self._columns, self._orders
        sent, less = columns["shipping"][place], columns["discount"][place]
        sent = orders["sent"][place] if sent is None else sent
        less = orders["less"][place] if less is None else less
        total = columns["total"][place]
        if total is None:
            total = (orders["goods"][place] or 0) + sent - less
        code = columns["code"][place]
        body = OrderCompleted(
            order=order,
            currency=self._currency[place],
            total=total,
            lines=self._lines.get(seq, ()),
            discount=less,
            shipping=sent,
            codes=(code,) if code else (),
            channel=columns["channel"][place] or "",
            payment=columns["payment"][place] or "",
            country=self._country[place],
            locale=columns["locale"][place] or "",
        )
        return Event(
            f"order.completed/{order}",
            self._source,
            "order.completed",
            at,
            self._shop,
            body,
            self._refs[place],
            self._told_of_person(place) if self._tells_person else {},
        )

    def consent(self, place: int, at: int, seq: int) -> Event:
        """The customer's first order that the mapping's consent is about."""
        given = self._mapping.consent
        assert given is not None
        person = self._columns["customer"][place] or f"order {self._ids[place]}"
        body = ConsentEvent(channel=given.channel, purpose=given.purpose, basis=given.basis)
        key = f"{person}/{given.channel}/{given.purpose}"
        return self._event("consent.given", key, at, body, place)

    def shipped(self, place: int, at: int, seq: int) -> Event:
        """A parcel left."""
        columns, order = self._columns, self._ids[place]
        body = OrderShipped(
            order=order,
            parcel=columns["parcel"][place] or "",
            carrier=columns["carrier"][place] or "",
            promised_at=self._promised[place],
        )
        return self._event("order.shipped", order, at, body, place)

    def delivered(self, place: int, at: int, seq: int) -> Event:
        """A parcel arrived."""
        order = self._ids[place]
        body = OrderDelivered(order=order, parcel=self._columns["parcel"][place] or "")
        return self._event("order.delivered", order, at, body, place)

    def cancelled(self, place: int, at: int, seq: int) -> Event:
        """The whole order will not come."""
        order = self._ids[place]
        body = OrderCancelled(order=order, reason=self._columns["reason"][place] or "")
        return self._event("order.cancelled", order, at, body, place)

    def returned(self, place: int, at: int, seq: int) -> Event:
        """Goods went back."""
        record = self._ids[place]
        body = ReturnInitiated(
            record=record,
            order=self._columns["returned_order"][place] or "",
            lines=self._lines.get(seq, ()),
            reason=self._columns["reason"][place] or "",
            country=self._country[place],
        )
        return self._return("return.initiated", record, at, body, place)

    def refund(self, place: int, at: int, seq: int) -> Event:
        """Money went back for a return."""
        record, orders = self._ids[place], self._orders
        body = RefundIssued(
            refund=record,
            order=self._columns["returned_order"][place] or "",
            currency=self._currency[place],
            amount=(orders["goods"][place] or 0) + orders["sent"][place] - orders["less"][place],
        )
        return self._return("refund.issued", record, at, body, place)

    def _return(self, kind: str, record: str, at: int, body: Any, place: int) -> Event:
        """A record of a return is no order: it only names one where the file does."""
        refs = tuple(ref for ref in self._refs[place] if ref.kind != "order")
        if refs and body.order:
            refs = (*refs, Ref("order", f"{self._shop}/{body.order}"))
        return Event(f"{kind}/{record}", self._source, kind, at, self._shop, body, refs)

    def review(  # noqa: PLR0917 - a row of the query
        self,
        place: int,
        at: int,
        review: str,
        rating: Any,
        product: str | None,
        title: str | None,
        text: str | None,
    ) -> Event:
        """A customer's rating; its words are kept apart."""
        order = self._ids[place]
        body = ReviewSubmitted(
            review=review, order=order, product=product or "", rating=int(rating or 0)
        )
        words = {"title": title} if title else {}
        if text:
            words["text"] = text
        return Event(
            f"review.submitted/{review}/{order}",
            self._source,
            "review.submitted",
            at,
            self._shop,
            body,
            self._refs[place],
            words,
        )
