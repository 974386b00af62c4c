"""What events does a file of events hold?

Plain events are JSON Lines in the inbound form (docs/reference/events.md). CSV and Parquet need
a mapping that says which column is what. The events come in the order of the file.
"""
# ruff: noqa: S608 - names are quoted by `field`

from collections.abc import Iterator
from collections.abc import Mapping as AnyMapping
from pathlib import Path
from typing import Any

import msgspec

from aftersale.adapters.sources.files import (
    LONGEST_ROW,
    connect,
    digest_of,
    field,
    format_of,
    open_table,
    raw_rows,
)
from aftersale.adapters.sources.mapping import Mapping
from aftersale.events.event import Event, read_event
from aftersale.kernel.errors import Refusal
from aftersale.ledger.importing import Batch, Reject

_DECODER = msgspec.json.Decoder(dict[str, Any])
_BOM = b"\xef\xbb\xbf"
_PERSON = {"customer": "id", "email": "email", "phone": "phone", "anonymous": "anonymous_id",
           "country": "country", "locale": "locale", "customer_zone": "zone"}  # fmt: skip


class JsonEventSource:
    """JSON Lines of events in our inbound form; blank lines are no rows."""

    def __init__(self, path: Path, *, source: str = "", zone: str = "", size: int = 5_000) -> None:
        """`source` and `zone` serve where an event names none."""
        if format_of(path) != "jsonl":
            raise Refusal(
                f"{path.name} is no file of JSON lines",
                hint="name a mapping with --map to read events from CSV or Parquet",
            )
        self._path, self._source, self._zone, self._size = path, source, zone, size
        self.total_rows = sum(1 for _ in self._lines())

    def fingerprint(self) -> str:
        """The same for the same file, source and zone."""
        return digest_of([self._path], self._source, self._zone)

    def rejects(self) -> Iterator[Reject]:
        """Every line that is no event, in order."""
        for number, line in self._lines():
            found = self._read(number, line)
            if isinstance(found, Reject):
                yield found

    def batches(self, after: int = 0) -> Iterator[Batch]:
        """Events in the order of the lines; the mark is the number of lines read."""
        yield from _batched(
            (
                (number, self._read(number, line))
                for number, line in self._lines()
                if number > after
            ),
            self._size,
            self.total_rows,
        )

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        number = 0
        with self._path.open("rb") as file:
            for line in file:
                if number == 0:
                    line = line.removeprefix(_BOM)  # noqa: PLW2901 - the mark is no text
                if not line.isspace() and line:
                    number += 1
                    yield number, line

    def _read(self, number: int, line: bytes) -> Event | Reject:
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if len(line) > LONGEST_ROW:
            return Reject(number, "the row is too long", text[:200])
        try:
            raw = _DECODER.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Reject(number, "the line is no JSON object", text)
        return _event(number, raw, text, self._source, self._zone)


class EventTableSource:
    """Events in the columns of a CSV, Parquet or JSON Lines file, as a mapping says."""

    def __init__(
        self, path: Path, mapping: Mapping, *, mapping_place: str = "mapping", size: int = 5_000
    ) -> None:
        self._mapping, self._size, self._path = mapping, size, path
        self._connection = connect()
        wanted = [name for word in mapping.columns for name in mapping.names(word)]
        wanted += [*mapping.data.values(), *mapping.personal.values()]
        self._table = open_table(
            self._connection, path, '"file "', wanted=wanted, encoding=mapping.encoding
        )
        for name in wanted:
            self._table.must_have(name, mapping_place)
        self.total_rows = self._table.rows

    def fingerprint(self) -> str:
        """The same for the same file and mapping."""
        return digest_of([self._path], msgspec.json.encode(self._mapping).decode())

    def rejects(self) -> Iterator[Reject]:
        """Every row that is no event, in order."""
        for _, found in self._rows(0):
            if isinstance(found, Reject):
                yield found

    def batches(self, after: int = 0) -> Iterator[Batch]:
        """Events in the order of the rows; the mark is the number of the last row."""
        yield from _batched(self._rows(after), self._size, self.total_rows)

    def _rows(self, after: int) -> Iterator[tuple[int, Event | Reject]]:
        table = self._table
        broken = [row for row in table.broken if row[0] > after]
        columns = [f"cast({field(c)} as varchar)" for c in table.columns]
        start = 0
        while columns:
            rows = self._connection.execute(
                f"select rn, {', '.join(columns)} from {table.name} where rn > {start}"
                f" and rn <= {start + self._size} order by rn"
            ).fetchall()
            if not rows:
                break
            start += self._size
            for rn, *values in rows:
                number = table.number(rn)
                while broken and broken[0][0] < number:
                    yield broken[0][0], Reject(*broken.pop(0))
                if number > after:
                    yield (
                        number,
                        self._read(number, rn, dict(zip(table.columns, values, strict=True))),
                    )
        for row in broken:
            yield row[0], Reject(*row)

    def _read(self, number: int, rn: int, row: AnyMapping[str, Any]) -> Event | Reject:
        mapping = self._mapping

        def value(name: str) -> str | None:
            text = (row.get(name) or "").strip()
            return None if not text or text in mapping.missing else text

        told = {
            word: next((v for name in mapping.names(word) if (v := value(name))), None)
            for word in mapping.columns
        }
        raw: dict[str, Any] = {w: told[w] for w in ("id", "type", "at", "shop") if told.get(w)}
        raw["shop"] = raw.get("shop") or mapping.shop
        person = {key: told[word] for word, key in _PERSON.items() if told.get(word)}
        person.update({f: v for f, name in mapping.personal.items() if (v := value(name))})
        data: dict[str, Any] = {f: v for f, name in mapping.data.items() if (v := value(name))}
        if told.get("order"):
            data["order"] = told["order"]
        found = _event(
            number, {**raw, "customer": person, "data": data}, "", mapping.source, mapping.zone
        )
        if isinstance(found, Reject):
            ((_, text),) = raw_rows(self._connection, self._table, [rn])
            return Reject(number, found.reason, text)
        return found


def _event(
    number: int, raw: AnyMapping[str, Any], text: str, source: str, zone: str
) -> Event | Reject:
    try:
        return read_event(raw, source=source, zone=zone)
    except Refusal as refusal:
        where = f" ({refusal.where})" if refusal.where else ""
        return Reject(number, f"{refusal.what}{where}", text)


def _batched(rows: Iterator[tuple[int, Event | Reject]], size: int, total: int) -> Iterator[Batch]:
    events: list[Event] = []
    rejects: list[Reject] = []
    last = 0
    for number, found in rows:
        if isinstance(found, Reject):
            rejects.append(found)
        else:
            events.append(found)
        last = number
        if len(events) + len(rejects) >= size:
            yield Batch(events, last, total, rows_used=len(events), rejects=rejects)
            events, rejects = [], []
    if events or rejects:
        yield Batch(events, last, total, rows_used=len(events), rejects=rejects)
