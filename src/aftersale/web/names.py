"""Which customers have these words in their name or address?"""

import threading

from aftersale.kernel.ids import CustomerId
from aftersale.programme.ports import Transaction
from aftersale.web.words import person_name


class Names:
    """Names and addresses of a small store, read once and anew when customers came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: tuple[int, list[tuple[str, CustomerId, str]]] = (-1, [])

    def search(self, tx: Transaction, words: str, most: int) -> list[tuple[CustomerId, str]]:
        """Customers whose name or address holds all of the words, the newest first."""
        last = tx.ledger.last()
        with self._lock:
            if self._known[0] != last:
                self._known = (last, self._read(tx))
            rows = self._known[1]
        wanted = words.lower().split()
        found = []
        for text, number, name in rows:
            if all(word in text for word in wanted):
                found.append((number, name))
                if len(found) == most:
                    break
        return found

    @staticmethod
    def _read(tx: Transaction) -> list[tuple[str, CustomerId, str]]:
        last = tx.identities.last()
        rows = []
        for start in range(last, 0, -1_000):
            numbers = list(range(start, max(start - 1_000, 0), -1))
            told = tx.personal.of_many(numbers)
            for number in numbers:
                person = told.get(number)
                if person:
                    name = person_name(number, person)
                    text = f"{name} {person.get('email') or ''}".lower()
                    rows.append((text, number, name))
        return rows
