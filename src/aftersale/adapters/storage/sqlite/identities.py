"""How is a customer found again by an id from outside?"""

from collections.abc import Collection, Sequence

from aftersale.adapters.storage.sqlite.connection import chunks, insert, marks
from aftersale.adapters.storage.sqlite.session import Session
from aftersale.events.event import Ref
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant


class SqliteIdentities:
    """Refs, customers and the pointers of merged ones."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._read = session.connection

    def find(self, refs: Sequence[Ref]) -> dict[Ref, CustomerId]:
        """The living customer of each ref that is known; refs always lie under living ids."""
        values: dict[str, set[str]] = {}
        for ref in refs:
            values.setdefault(ref.kind, set()).add(ref.value)
        found: dict[Ref, CustomerId] = {}
        for kind, wanted in values.items():
            for some in chunks(sorted(wanted)):
                rows = self._read.execute(
                    "SELECT value, customer FROM identities"
                    f" WHERE kind = ? AND value IN ({marks(some)})",
                    (kind, *some),
                )
                found.update({Ref(kind, value): customer for value, customer in rows})
        return found

    def bind(self, pairs: Sequence[tuple[Ref, CustomerId]]) -> None:
        """Let each ref mean that customer from now on."""
        write = self._session.writing()
        moved = self._session.living_of({customer for _, customer in pairs})
        pairs = sorted(pairs, key=lambda pair: pair[0].value)  # of one ref the later stays later
        pairs.sort(key=lambda pair: pair[0].kind)
        rows = ((ref.kind, ref.value, moved.get(customer, customer)) for ref, customer in pairs)
        upsert = "ON CONFLICT DO UPDATE SET customer = excluded.customer"
        insert(write, "INSERT INTO identities", 3, rows, upsert)

    def create(self, count: int, at: Instant) -> CustomerId:
        """Make `count` customers with consecutive ids; the first of them."""
        first = self.last() + 1
        insert(
            self._session.writing(),
            "INSERT INTO customers",
            2,
            ((customer, at) for customer in range(first, first + count)),
        )
        return first

    def refs_of(self, customer: CustomerId) -> list[Ref]:
        """Every ref that means this living customer, by kind and value."""
        rows = self._read.execute(
            "SELECT kind, value FROM identities WHERE customer = ? ORDER BY kind, value",
            (customer,),
        )
        return [Ref(kind, value) for kind, value in rows.fetchall()]

    def refs_of_many(self, customers: Collection[CustomerId]) -> dict[CustomerId, list[Ref]]:
        """The same for each of them, an empty list where there are none."""
        found: dict[CustomerId, list[Ref]] = {customer: [] for customer in customers}
        for some in chunks(sorted(found)):
            rows = self._read.execute(
                f"SELECT customer, kind, value FROM identities WHERE customer IN ({marks(some)})"
                " ORDER BY kind, value",
                some,
            )
            for customer, kind, value in rows.fetchall():
                found[customer].append(Ref(kind, value))
        return found

    def ending(self, words: str) -> list[CustomerId]:
        """Living customers with a shop id or order that is `…/words`, whichever the shop."""
        found: set[CustomerId] = set()
        for kind in ("customer", "order"):
            for some in chunks(f"{shop}/{words}" for shop in self._shops(kind)):
                rows = self._read.execute(
                    f"SELECT customer FROM identities WHERE kind = ? AND value IN ({marks(some)})",
                    (kind, *some),
                )
                found.update(customer for (customer,) in rows.fetchall())
        return sorted(found)

    def _shops(self, kind: str) -> list[str]:
        """What stands before the first slash of ids of that kind: from one to the next."""
        shops: list[str] = []
        after = ""
        while rows := self._read.execute(
            "SELECT value FROM identities WHERE kind = ? AND value >= ? ORDER BY value LIMIT 1",
            (kind, after),
        ).fetchall():
            ((value,),) = rows
            shop, slash, _ = value.partition("/")
            if slash:
                shops.append(shop)
            # "0" follows "/", so this is behind every id of that shop.
            after = f"{shop}0" if slash else f"{value}\0"
        return shops

    def point(self, absorbed: CustomerId, survivor: CustomerId) -> None:
        """Make the absorbed id a pointer to the survivor for ever; its refs move along."""
        write = self._session.writing()
        old, new = self.living(absorbed), self.living(survivor)
        if old == new:
            return
        write.execute("UPDATE pointers SET survivor = ? WHERE survivor = ?", (new, old))
        write.execute("INSERT INTO pointers VALUES (?, ?)", (old, new))
        write.execute("UPDATE identities SET customer = ? WHERE customer = ?", (new, old))

    def living(self, customer: CustomerId) -> CustomerId:
        """The id that this id has become; itself where it never was absorbed."""
        return self._session.living(customer)

    def last(self) -> CustomerId:
        """The highest id given so far, 0 before the first."""
        ((customer,),) = self._read.execute("SELECT coalesce(max(id), 0) FROM customers")
        return int(customer)
