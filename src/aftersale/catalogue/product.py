"""What is known of a product, and what is merely told or guessed?"""

import csv
import io
from collections.abc import Iterable, Mapping

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


class Catalogue(msgspec.Struct, frozen=True):
    """Every product by its id. What the merchant's file says wins over what sources told."""

    products: dict[str, Product] = {}

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
            )
        return Catalogue(products)


def root(category: str) -> str:
    """The first part of a category path."""
    return category.split("/", 1)[0]


def read_products(text: str, *, where: str = "products.csv") -> Catalogue:
    """The catalogue of a CSV text with a header; unknown columns and bad values are refused."""
    rows = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
    known = set(Product.__struct_fields__) - {"id"} | {"product"}
    unknown = [name for name in rows.fieldnames or () if name not in known]
    if unknown or "product" not in (rows.fieldnames or ()):
        raise Refusal(
            f"the catalogue has {'no column product' if not unknown else f'an unknown column {unknown[0]!r}'}",
            where=f"{where}:1",
            hint=f"columns are {', '.join(sorted(known))}",
        )
    products = {}
    for row in rows:
        product = _product(row, f"{where}:{rows.line_num}")
        products[product.id] = product
    return Catalogue(products)


def _product(row: Mapping[str, str], where: str) -> Product:
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
            margin=float(row.get("margin") or 0.3),
            supply_days=float(row.get("supply_days") or 0),
            time_to_value_days=float(row.get("time_to_value_days") or 0),
            complements=tuple((row.get("complements") or "").split()),
            url=(row.get("url") or "").strip(),
            care=(row.get("care") or "").strip(),
        )
    except ValueError as error:
        raise Refusal(
            f"the catalogue has a value that is no number: {error}", where=where
        ) from None
