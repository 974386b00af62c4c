"""What is known of a product, and what is merely told or guessed?"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from math import inf, nan

import msgspec

from aftersale.events.vocabulary import ProductFacts
from aftersale.kernel.errors import Refusal
from aftersale.kernel.money import to_minor

KINDS = ("consumable", "durable", "service", "subscription")


class Product(msgspec.Struct, frozen=True, gc=False):
    """One thing or service that is sold."""

    id: str
    name: str = ""
    kind: str = ""
    """One of `KINDS`, empty where nobody said."""
    category: str = ""
    """A path from the root: `kitchen/coffee`."""
    price: int = 0
    currency: str = ""
    margin: float = 0.3
    """Share of the price that is earned."""
    supply_days: float = 0.0
    """How long one unit lasts; 0 where unknown."""
    time_to_value_days: float = 0.0
    """How long until the buyer can judge it."""
    complements: tuple[str, ...] = ()
    url: str = ""
    care: str = ""
    brand: str = ""


class Catalogue(msgspec.Struct, frozen=True):
    """Every product by its id. What the merchant's file says wins over what sources told."""

    products: dict[str, Product] = {}
    roots: dict[str, str] = {}
    """Product → top category; worked out from the products."""

    def __post_init__(self) -> None:
        """Work out the top categories once."""
        roots = {name: root(p.category) for name, p in self.products.items() if p.category}
        msgspec.structs.force_setattr(self, "roots", roots)

    def get(self, product: str) -> Product:
        """The product; one that nobody described has only its id."""
        found = self.products.get(product)
        return found if found is not None else Product(product)

    def told(self, facts: Iterable[ProductFacts]) -> "Catalogue":
        """The catalogue with what a source told filled in where nothing was known."""
        products = dict(self.products)
        for fact in facts:
            old = products.get(fact.product) or Product(fact.product)
            products[fact.product] = msgspec.structs.replace(
                old,
                name=old.name or fact.name,
                category=old.category or fact.category,
                kind=old.kind or fact.kind,
                price=old.price or fact.price,
                supply_days=old.supply_days or fact.supply_days,
                brand=old.brand or fact.brand,
            )
        return Catalogue(products)


def root(category: str) -> str:
    """The first part of a category path."""
    return category.split("/", 1)[0]


def read_products(text: str, *, where: str = "products.csv") -> Catalogue:
    """The catalogue of a CSV text with a header; unknown columns and bad values are refused."""
    rows = csv.DictReader(io.StringIO(text.lstrip("\ufeff")), restval="")
    products = {}
    try:
        _check_columns(rows.fieldnames or (), where)
        for row in rows:
            product = _product(row, f"{where}:{rows.line_num}")
            products[product.id] = product
    except csv.Error as error:
        raise Refusal(
            f"the catalogue is no CSV: {error}", where=f"{where}:{rows.line_num + 1}"
        ) from None
    return Catalogue(products)


def _check_columns(names: Sequence[str], where: str) -> None:
    known = set(Product.__struct_fields__) - {"id"} | {"product"}
    unknown = [name for name in names if name not in known]
    if not unknown and "product" in names:
        return
    wrong = f"an unknown column {unknown[0]!r}" if unknown else "no column product"
    raise Refusal(
        f"the catalogue has {wrong}",
        where=f"{where}:1",
        hint=f"columns are {', '.join(sorted(known))}",
    )


def _product(row: Mapping[str, str], where: str) -> Product:
    if None in row:
        raise Refusal("the line has more values than there are columns", where=where)
    if not row["product"].strip():
        raise Refusal("the line names no product", where=where)
    kind = (row.get("kind") or "").strip()
    if kind and kind not in KINDS:
        raise Refusal(
            f"{kind!r} is no kind of product", where=where, hint=f"kinds: {', '.join(KINDS)}"
        )
    currency = (row.get("currency") or "").strip()
    try:
        return Product(
            id=row["product"].strip(),
            name=(row.get("name") or "").strip(),
            kind=kind,
            category=(row.get("category") or "").strip(),
            price=to_minor(row.get("price") or "0", currency),
            currency=currency,
            margin=_number(row.get("margin") or "0.3"),
            supply_days=_number(row.get("supply_days") or "0"),
            time_to_value_days=_number(row.get("time_to_value_days") or "0"),
            complements=tuple((row.get("complements") or "").split()),
            url=(row.get("url") or "").strip(),
            care=(row.get("care") or "").strip(),
            brand=(row.get("brand") or "").strip(),
        )
    except Refusal as refusal:
        raise Refusal(refusal.what, where=where) from None


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = nan
    if not 0 <= value < inf:
        raise Refusal(f"{text!r} is no number from 0 up")
    return value
