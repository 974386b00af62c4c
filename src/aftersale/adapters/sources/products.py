"""What does a merchant's list of products say?"""
# ruff: noqa: S608 - names are quoted by `field`

from collections.abc import Iterator
from pathlib import Path

import msgspec

from aftersale.adapters.sources.columns import LONGEST_NAME, Reader
from aftersale.adapters.sources.files import connect, digest_of, open_table, raw_rows
from aftersale.adapters.sources.mapping import PRODUCT_COLUMNS, Mapping
from aftersale.events.vocabulary import ProductFacts
from aftersale.kernel.money import exponent
from aftersale.ledger.importing import Batch, Reject

_TEXTS = ("product", "name", "category", "kind")


class ProductSource:
    """One row a product; of several rows about one product the later ones count."""

    def __init__(
        self, path: Path, mapping: Mapping, *, mapping_place: str = "mapping", size: int = 5_000
    ) -> None:
        self._mapping, self._size, self._path = mapping, size, path
        self._connection = connect()
        wanted = [name for word in mapping.columns for name in mapping.names(word)]
        self._table = open_table(
            self._connection, path, '"file "', wanted=wanted, encoding=mapping.encoding
        )
        for name in wanted:
            self._table.must_have(name, mapping_place)
        self._connection.execute(self._query())
        self.total_rows = self._table.rows

    def fingerprint(self) -> str:
        """The same for the same file and mapping."""
        return digest_of([self._path], msgspec.json.encode(self._mapping).decode())

    def rejects(self) -> Iterator[Reject]:
        """Every rejected row, in order."""
        rows = self._connection.execute("select rn, bad from rows where bad is not null").fetchall()
        reasons = dict(rows)
        found = [Reject(*row) for row in self._table.broken]
        for rn, text in raw_rows(self._connection, self._table, sorted(reasons)):
            found.append(Reject(self._table.number(rn), reasons[rn], text))
        yield from sorted(found, key=lambda reject: reject.row)

    def batches(self, after: int = 0) -> Iterator[Batch]:
        """Products in the order of the rows, after one batch with every rejected row."""
        if not after:
            yield Batch([], 1, self.total_rows, rejects=list(self.rejects()))
        start = max(after, 1) - 1
        while True:
            rows = self._connection.execute(
                f"select rn, {', '.join(PRODUCT_COLUMNS)} from rows where bad is null"
                f" and rn > {start} order by rn limit {self._size}"
            ).fetchall()
            if not rows:
                return
            facts = [
                ProductFacts(
                    product,
                    name or "",
                    category or "",
                    kind or "",
                    price or 0,
                    days or 0.0,
                    brand or "",
                )
                for _, product, name, category, kind, price, days, brand in rows
            ]
            start = rows[-1][0]
            yield Batch([], start + 1, self.total_rows, rows_used=len(rows), products=facts)

    def _query(self) -> str:
        mapping, read = self._mapping, Reader(self._mapping, self._table)
        select, bad = [], []
        for word in PRODUCT_COLUMNS:
            names = mapping.names(word)
            if not names:
                select.append(f"null as {word}")
            elif word in _TEXTS:
                select.append(f"left({read.text(names)}, {LONGEST_NAME}) as {word}")
            else:
                number = read.number(names[0])
                factor = str(10 ** exponent(mapping.currency))
                asked = (
                    read.minor(number, factor) if word == "price" else f"cast({number} as double)"
                )
                select.append(f"{asked} as {word}")
                unread = f"not ({read.missing(names[0])}) and coalesce({number} < 0, true)"
                bad.append(f"when {unread} then 'the {word.replace('_', ' ')} cannot be read'")
        reasons = " ".join(["when product is null then 'the product is missing'", *bad])
        return (
            f"create temp table rows as select rn, {', '.join(PRODUCT_COLUMNS)},"
            f" case {reasons} end as bad from (select *, {', '.join(select)}"
            f" from {read.steps.over(self._table.name)})"
        )
