"""How is a customer found again by an id from outside?"""

from collections.abc import Collection, Sequence

from aftersale.adapters.storage.postgres.connection import integers
from aftersale.adapters.storage.postgres.session import Session
from aftersale.events.event import Ref
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant


class PostgresIdentities:
    """Refs, customers and the pointers of merged ones."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, refs: Sequence[Ref]) -> dict[Ref, CustomerId]:
        """The living customer of each ref that is known; refs always lie under living ids."""
        values: dict[str, list[str]] = {}
        for ref in refs:
            values.setdefault(ref.kind, []).append(ref.value)
        found: dict[Ref, CustomerId] = {}
        for kind, wanted in values.items():
            rows = self._session.rows(
                "SELECT value, customer FROM identities WHERE kind = %s AND value = ANY(%s)",
                (kind, wanted),
            )
            found.update({Ref(kind, value): customer for value, customer in rows})
        return found

    def bind(self, pairs: Sequence[tuple[Ref, CustomerId]]) -> None:
        """Let each ref mean that customer from now on; of one ref twice the later stands."""
        write = self._session.appending()
        moved = self._session.living_of({customer for _, customer in pairs})
        owners = {ref: moved.get(customer, customer) for ref, customer in pairs}
        write.execute(
            "INSERT INTO identities (kind, value, customer)"
            " SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[])"
            " ON CONFLICT (kind, value) DO UPDATE SET customer = excluded.customer",
            (
                [ref.kind for ref in owners],
                [ref.value for ref in owners],
                list(owners.values()),
            ),
        )

    def create(self, count: int, at: Instant) -> CustomerId:
        """Make `count` customers with consecutive ids; the first of them."""
        write = self._session.appending()
        first = self.last() + 1
        write.execute(
            "INSERT INTO customers SELECT id, %s FROM generate_series(%s::bigint, %s::bigint) id",
            (at, first, first + count - 1),
        )
        return first

    def refs_of(self, customer: CustomerId) -> list[Ref]:
        """Every ref that means this living customer, by kind and value."""
        rows = self._session.rows(
            "SELECT kind, value FROM identities WHERE customer = %s ORDER BY kind, value",
            (customer,),
        )
        return [Ref(kind, value) for kind, value in rows]

    def refs_of_many(self, customers: Collection[CustomerId]) -> dict[CustomerId, list[Ref]]:
        """The same for each of them, an empty list where there are none."""
        found: dict[CustomerId, list[Ref]] = {customer: [] for customer in customers}
        rows = self._session.rows(
            "SELECT customer, kind, value FROM identities WHERE customer = ANY(%s::bigint[])"
            " ORDER BY kind, value",
            (integers(found),),
        )
        for customer, kind, value in rows:
            found[customer].append(Ref(kind, value))
        return found

    def ending(self, words: str) -> list[CustomerId]:
        """Living customers with a shop id or order that is `…/words`, whichever the shop."""
        end = f"/{words}"
        rows = self._session.rows(
            "SELECT DISTINCT customer FROM identities WHERE kind IN ('customer', 'order')"
            " AND right(value, %s) = %s ORDER BY customer",
            (len(end), end),
        )
        return [customer for (customer,) in rows]

    def point(self, absorbed: CustomerId, survivor: CustomerId) -> None:
        """Make the absorbed id a pointer to the survivor for ever; its refs move along."""
        write = self._session.appending()
        old, new = self.living(absorbed), self.living(survivor)
        if old == new:
            return
        write.execute("UPDATE pointers SET survivor = %s WHERE survivor = %s", (new, old))
        write.execute("INSERT INTO pointers VALUES (%s, %s)", (old, new))
        write.execute("UPDATE identities SET customer = %s WHERE customer = %s", (new, old))

    def living(self, customer: CustomerId) -> CustomerId:
        """The id that this id has become; itself where it never was absorbed."""
        return self._session.living(customer)

    def last(self) -> CustomerId:
        """The highest id given so far, 0 before the first."""
        ((customer,),) = self._session.rows("SELECT coalesce(max(id), 0) FROM customers")
        return int(customer)
