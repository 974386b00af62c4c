"""How are words that come again and again kept short?"""

import sqlite3


class Words:
    """Small numbers for types, shops, journeys and the like; one dictionary per connection.

    A number, once committed, means its word for ever, so what a connection has learned stays
    true whatever other processes do. Only what a rolled-back transaction made is forgotten.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._numbers: dict[str, int] = {}
        self._words: dict[int, str] = {}
        self._made: list[str] = []

    def number(self, word: str) -> int:
        """The number of the word, made where it has none; needs a writing transaction."""
        number = self._numbers.get(word)
        return self._make(word) if number is None else number

    def known(self, word: str) -> int:
        """The number of the word, 0 where it has none."""
        return self._numbers.get(word) or self._find(word)

    def word(self, number: int) -> str:
        """The word of a number that stands in some row."""
        word = self._words.get(number)
        if word is None:
            ((word,),) = self._connection.execute("SELECT word FROM words WHERE id = ?", (number,))
            self._keep(word, number)
        return word

    def committed(self) -> None:
        """What was made is there for good."""
        self._made.clear()

    def rolled_back(self) -> None:
        """Forget what the transaction made."""
        for word in self._made:
            self._words.pop(self._numbers.pop(word, 0), None)
        self._made.clear()

    def _find(self, word: str) -> int:
        row = self._connection.execute("SELECT id FROM words WHERE word = ?", (word,)).fetchone()
        if row is None:
            return 0
        self._keep(word, row[0])
        return int(row[0])

    def _make(self, word: str) -> int:
        found = self._find(word)
        if found:
            return found
        number = self._connection.execute("INSERT INTO words (word) VALUES (?)", (word,)).lastrowid
        assert number is not None
        self._made.append(word)
        self._keep(word, number)
        return number

    def _keep(self, word: str, number: int) -> None:
        self._numbers[word] = number
        self._words[number] = word
