"""What rows does a file have, whatever its format?

Every format ends as a DuckDB table or view with the columns of the file and `rn`, the number of
the row among the readable ones. CSV and JSON Lines keep every value as text, so that a value
that is wrong never stops the rows beside it.
"""
# ruff: noqa: S608 - names are quoted by `ident` and texts by `literal`

import csv
import io
import json
import os
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from aftersale.adapters.sources.mapping import nearest
from aftersale.kernel.errors import Refusal

if TYPE_CHECKING:
    import duckdb

LONGEST_ROW = 16_000_000
"""Bytes; a longer row of text is rejected."""
_DELIMITERS = ",;\t|"
_KINDS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


class Table(msgspec.Struct, frozen=True):
    """One opened file."""

    name: str
    """Of the table in DuckDB, quoted."""
    file: str
    columns: dict[str, str]
    """Column → DuckDB type."""
    broken: list[tuple[int, str, str]]
    """Rows that are none: number, reason, text."""
    shifts: list[int]
    """For each broken row the first readable row (rn) that stands behind it."""
    rows: int
    """Readable and broken ones."""
    as_lines: bool = False
    """Whether the table keeps each row as it was, as `line`."""

    def number(self, rn: int) -> int:
        """The number of a readable row in the file."""
        return rn + bisect_right(self.shifts, rn)

    def must_have(self, column: str, where: str) -> None:
        """Refuse a column that the file does not have."""
        if column not in self.columns:
            raise Refusal(
                f"{self.file} has no column {column!r}",
                where=where,
                hint=nearest(column, self.columns),
            )


def ident(name: str) -> str:
    """The name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def field(column: str) -> str:
    """A column of a file as SQL writes it; set apart from the names that we give."""
    return ident(f"={column}")


def literal(text: str) -> str:
    """The text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def format_of(path: Path) -> str:
    """One of csv, parquet, jsonl, by the ending of the name."""
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise Refusal(
            f"{path.name} is of no known format", hint=f"known endings: {', '.join(_KINDS)}"
        )
    if not path.is_file():
        raise Refusal(f"there is no file {path}")
    return kind


def digest_of(paths: Iterable[Path], *texts: str) -> str:
    """A name for the contents of these files together with the texts."""
    hasher = blake2b(digest_size=16)
    for text in texts:
        hasher.update(text.encode() + b"\0")
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                hasher.update(chunk)
        hasher.update(b"\0")
    return hasher.hexdigest()


def connect() -> "duckdb.DuckDBPyConnection":
    """A database in memory that spills to the system's temporary folder and fetches nothing."""
    import duckdb

    return duckdb.connect(
        config={
            "temp_directory": str(Path(tempfile.gettempdir()) / f"aftersale-import-{os.getpid()}"),
            "autoinstall_known_extensions": "false",
        }
    )


def open_table(
    connection: "duckdb.DuckDBPyConnection",
    path: Path,
    name: str,
    *,
    wanted: Sequence[str],
    encoding: str = "utf-8",
) -> Table:
    """Make the file's rows readable as the table `name`.

    `wanted` are the columns that the mapping speaks of: they tell how a CSV file is separated,
    and they are all that is taken from JSON Lines.
    """
    import duckdb

    kind = format_of(path)
    try:
        if kind == "parquet":
            return _open_parquet(connection, path, name)
        if kind == "csv":
            return _open_csv(connection, path, name, wanted=wanted, encoding=encoding)
        return _open_jsonl(connection, path, name, wanted=wanted)
    except duckdb.Error as error:
        first = str(error).strip().splitlines()[0]
        raise Refusal(f"{path.name} cannot be read as {kind}", why=first) from None


def raw_rows(
    connection: "duckdb.DuckDBPyConnection", table: Table, numbers: Sequence[int]
) -> Iterator[tuple[int, str]]:
    """The readable rows with these rn, ascending, as one line of CSV each.

    Rows of JSON Lines come as they were.
    """
    shown = ["line"] if table.as_lines else [f"cast({field(c)} as varchar)" for c in table.columns]
    wanted = ", ".join(shown)
    for start in range(0, len(numbers), 10_000):
        some = ",".join(map(str, numbers[start : start + 10_000]))
        rows = connection.execute(
            f"select rn, {wanted} from {table.name} where rn in ({some}) order by rn"
        ).fetchall()
        for rn, *values in rows:
            yield rn, values[0] if table.as_lines else _csv_line(values)


def _csv_line(values: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(["" if v is None else v for v in values])
    return line.getvalue()


def _described(connection: "duckdb.DuckDBPyConnection", name: str) -> dict[str, str]:
    rows = connection.execute(f"describe select * from {name}").fetchall()
    return {row[0][1:]: str(row[1]) for row in rows if row[0].startswith("=")}


def _count(connection: "duckdb.DuckDBPyConnection", name: str) -> int:
    (rows,) = connection.execute(f"select count(*) from {name}").fetchall()
    return int(rows[0])


def _open_parquet(connection: "duckdb.DuckDBPyConnection", path: Path, name: str) -> Table:
    source = f"read_parquet({literal(str(path))}, file_row_number = true)"
    found = connection.execute(
        f"describe select * exclude (file_row_number) from {source}"
    ).fetchall()
    renamed = "".join(f", {ident(row[0])} as {field(row[0])}" for row in found)
    connection.execute(
        f"create temp view {name} as select file_row_number + 1 as rn{renamed} from {source}"
    )
    columns = {row[0]: str(row[1]) for row in found}
    return Table(name, path.name, columns, [], [], _count(connection, name))


def _open_csv(
    connection: "duckdb.DuckDBPyConnection",
    path: Path,
    name: str,
    *,
    wanted: Sequence[str],
    encoding: str,
) -> Table:
    import duckdb

    headings, delimiter = _headings(path, encoding, wanted)
    if not headings:
        connection.execute(f"create temp table {name} (rn bigint)")
        return Table(name, path.name, {}, [], [], 0)
    try:
        _load_csv(connection, path, name, headings, delimiter, encoding)
    except duckdb.InvalidInputException:
        # The reader wants one kind of line ending throughout; files put together have several.
        with tempfile.TemporaryDirectory(prefix="aftersale-import-") as folder:
            even = Path(folder) / "even.csv"
            _even_lines(path, even)
            _load_csv(connection, even, name, headings, delimiter, encoding)
    found = connection.execute(
        "select line, min(cast(error_type as varchar)), min(csv_line), min(error_message)"
        " from broken_rows group by line order by line"
    ).fetchall()
    connection.execute("drop table broken_rows")
    connection.execute("drop table broken_scans")
    # The reader counts the line of headings as the first.
    broken = [
        (int(line) - 1, _broken_reason(kind, why), text or "") for line, kind, text, why in found
    ]
    return _with_broken(connection, name, path.name, broken)


def _load_csv(
    connection: "duckdb.DuckDBPyConnection",
    path: Path,
    name: str,
    headings: Sequence[str],
    delimiter: str,
    encoding: str,
) -> None:
    shape = ", ".join(f"{literal('=' + h)}: 'VARCHAR'" for h in headings)
    for table in (name, "broken_rows", "broken_scans"):
        connection.execute(f"drop table if exists {table}")
    connection.execute(
        f"create temp table {name} as select row_number() over () as rn, * from read_csv("
        f"{literal(str(path))}, delim = {literal(delimiter)}, header = true, quote = '\"',"
        f" escape = '\"', auto_detect = false, columns = {{{shape}}}, null_padding = false,"
        f" encoding = {literal(encoding)}, max_line_size = {LONGEST_ROW}, store_rejects = true,"
        " rejects_table = 'broken_rows', rejects_scan = 'broken_scans', rejects_limit = 0)"
    )


def _even_lines(path: Path, to: Path) -> None:
    """Copy a file of text with every line ending made the same, all other bytes as they are."""
    with (
        path.open(encoding="latin-1", newline=None) as source,
        to.open("w", encoding="latin-1", newline="\n") as target,
    ):
        while text := source.read(1 << 20):
            target.write(text)


def _with_broken(
    connection: "duckdb.DuckDBPyConnection",
    name: str,
    file: str,
    broken: list[tuple[int, str, str]],
) -> Table:
    shifts = [number - before for before, (number, _, _) in enumerate(broken)]
    rows = _count(connection, name) + len(broken)
    return Table(name, file, _described(connection, name), broken, shifts, rows)


_REASONS = {
    "MISSING COLUMNS": "too few columns",
    "TOO MANY COLUMNS": "too many columns",
    "UNQUOTED VALUE": "a quote is not closed",
    "LINE SIZE OVER MAXIMUM": "the row is too long",
    "INVALID ENCODING": "the text is in another encoding",
}


def _broken_reason(kind: Any, why: str) -> str:
    return _REASONS.get(str(kind), str(why).splitlines()[0].rstrip("."))


def _headings(path: Path, encoding: str, wanted: Sequence[str]) -> tuple[list[str], str]:
    """The column names, and the delimiter that finds most of the wanted ones among them."""
    try:
        spelling = "utf-8-sig" if encoding.casefold() in {"utf-8", "utf8"} else encoding
        with path.open(encoding=spelling, errors="replace", newline="") as file:
            text = file.readline(LONGEST_ROW)
            while text.count('"') % 2 and (more := file.readline(LONGEST_ROW)):
                text += more
    except LookupError:
        raise Refusal(
            f"{encoding!r} is no encoding", hint="for instance utf-8 or latin-1"
        ) from None
    if "\ufffd" in text:
        raise Refusal(
            f"the headings of {path.name} are not {encoding}",
            hint='say the encoding in the mapping, for instance encoding = "latin-1"',
        )
    if "\0" in text:
        raise Refusal(f"{path.name} is no CSV file")
    if not text.strip():
        return [], ","
    csv.field_size_limit(LONGEST_ROW)
    choices = [(next(csv.reader([text], delimiter=d), []), d) for d in _DELIMITERS]
    names, delimiter = max(
        choices,
        key=lambda choice: (len({n.strip() for n in choice[0]} & set(wanted)), len(choice[0])),
    )
    return _unlike(n.strip() for n in names), delimiter


def _unlike(names: Iterable[str]) -> list[str]:
    """Names made different from each other (case aside), as DuckDB wants them."""
    seen: dict[str, int] = {}
    found = []
    for position, name in enumerate(names, 1):
        key = (name or f"column {position}").casefold()
        seen[key] = seen.get(key, 0) + 1
        base = name or f"column {position}"
        found.append(base if seen[key] == 1 else f"{base}_{seen[key] - 1}")
    return found


def _open_jsonl(
    connection: "duckdb.DuckDBPyConnection", path: Path, name: str, *, wanted: Sequence[str]
) -> Table:
    lines = f'{name[:-1]}_lines"'
    connection.execute(
        f"create temp table {lines} as select row_number() over () as n, line,"
        " coalesce(try(json_type(line)) = 'OBJECT', false) as good"
        f" from read_csv({literal(str(path))}, delim = '\\x1f', quote = '', escape = '',"
        f" header = false, auto_detect = false, max_line_size = {LONGEST_ROW},"
        " columns = {'line': 'VARCHAR'}, null_padding = true) where trim(line) != ''"
    )
    keys = _keys(connection, lines)
    taken = [column for column in wanted if column.partition(".")[0] in keys]
    values = "".join(
        f", json_extract_string(line, {literal(_pointer(column))}) as {field(column)}"
        for column in taken
    )
    connection.execute(
        f"create temp table {name} as select row_number() over (order by n) as rn{values},"
        f" line from {lines} where good order by n"
    )
    bad = connection.execute(f"select n, line from {lines} where not good order by n").fetchall()
    connection.execute(f"drop table {lines}")
    broken = [(int(n), "the line is no JSON object", str(line)) for n, line in bad]
    return msgspec.structs.replace(_with_broken(connection, name, path.name, broken), as_lines=True)


def _pointer(column: str) -> str:
    return "".join(f"/{part}" for part in column.split("."))


def _keys(connection: "duckdb.DuckDBPyConnection", lines: str) -> set[str]:
    rows = connection.execute(f"select line from {lines} where good limit 1000").fetchall()
    return {key for (line,) in rows for key in json.loads(line)}
