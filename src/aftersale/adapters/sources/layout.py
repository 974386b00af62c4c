"""Which files belong to an import, and how do their rows come together?

Up to three files tell facts: the main one (orders), one with their lines and one with reviews;
main file and lines may be the same. Every other related file is a look-up: it adds columns to
the rows of one of the three and no rows of its own.
"""
# ruff: noqa: S608 - names are quoted by `ident`

from pathlib import Path
from typing import TYPE_CHECKING

from aftersale.adapters.sources.files import Table, digest_of, field, ident, open_table
from aftersale.adapters.sources.mapping import (
    LINE_COLUMNS,
    ORDER_COLUMNS,
    REVIEW_COLUMNS,
    Mapping,
    Rule,
)
from aftersale.kernel.errors import Refusal

if TYPE_CHECKING:
    import duckdb


class Layout:
    """The opened files of one import."""

    def __init__(
        self,
        connection: "duckdb.DuckDBPyConnection",
        path: Path,
        mapping: Mapping,
        mapping_place: str,
    ) -> None:
        self._connection = connection
        self._mapping = mapping
        self._place = mapping_place
        self.lines = mapping.table_of("product") or mapping.table_of("price")
        self.reviews = mapping.table_of("review")
        self.opened: dict[str, Table] = {}
        self.paths: list[Path] = []
        for name in ("", *mapping.related):
            self._open(name, path)
        self._check_reach()
        self.wide = {root: self._widen(root) for root in self.roots}

    @property
    def roots(self) -> list[str]:
        """The files that tell facts and are there: main, lines, reviews."""
        found = ["", self.lines, self.reviews]
        return [r for n, r in enumerate(found) if r in self.opened and r not in found[:n]]

    @property
    def total_rows(self) -> int:
        """Rows of the files that tell facts."""
        return sum(self.opened[root].rows for root in self.roots)

    def fingerprint(self, *texts: str) -> str:
        """A name for the contents of all files."""
        return digest_of(self.paths, *texts)

    def columns(self, root: str, word: str) -> list[str]:
        """The columns of the root's wide table that hold what our word means."""
        return self.local(root, self._mapping.names(word), f"columns.{word}")

    def local(self, root: str, names: list[str], where: str) -> list[str]:
        """The same columns as the root's wide table calls them; those elsewhere are left out."""
        found = []
        for name in names:
            table, column = self._mapping.place_of(name)
            if table not in self.opened or self._root_of(table) != root:
                continue
            self.opened[table].must_have(column, f"{self._place} {where}")
            found.append(column if table == root else f"{table}.{column}")
        return found

    def rules(self, root: str, rules: list[Rule], where: str) -> list[Rule]:
        """Those of the rules that speak of the root's own columns."""
        found = []
        for rule in rules:
            names = [*rule.when, *rule.unless]
            if all(self._mapping.place_of(name)[0] == root for name in names):
                for name in names:
                    column = self._mapping.place_of(name)[1]
                    self.opened[root].must_have(column, f"{self._place} {where}")
                for test in (*rule.when.values(), *rule.unless.values()):
                    self._check_pattern(test.matches or "", f"{self._place} {where}")
                found.append(rule)
        return found

    def _check_pattern(self, pattern: str, where: str) -> None:
        import duckdb

        try:
            self._connection.execute("select regexp_full_match('', ?)", [pattern]).fetchall()
        except duckdb.Error as error:
            raise Refusal(
                f"{pattern!r} is no regular expression", where=where, why=str(error).splitlines()[0]
            ) from None

    def _check_reach(self) -> None:
        """Refuse what would be told by a file from which no way leads to the rows meant."""
        mapping = self._mapping
        meant = dict.fromkeys(ORDER_COLUMNS, "") | dict.fromkeys(LINE_COLUMNS, self.lines)
        meant |= dict.fromkeys(REVIEW_COLUMNS, self.reviews)
        told = [(f"columns.{w}", n, meant[w]) for w in mapping.columns for n in mapping.names(w)]
        told += [(f"personal.{field}", name, "") for field, name in mapping.personal.items()]
        for where, name, root in told:
            if self._root_of(mapping.place_of(name)[0]) != root:
                raise Refusal(
                    f"{name!r} says nothing about the rows meant here",
                    where=f"{self._place} {where}",
                    hint="name a column of the same file, or of one related to it",
                )
        rows = mapping.rows
        facts = {"", self.lines, self.reviews}
        kinds = (("ignore", facts), ("returns", {""}), ("cancelled", {""}),
                 ("shipping", {self.lines}), ("discount", {self.lines}))  # fmt: skip
        for kind, roots in kinds:
            for rule in getattr(rows, kind):
                found = {mapping.place_of(name)[0] for name in (*rule.when, *rule.unless)}
                if len(found) > 1 or not found <= roots:
                    raise Refusal(
                        "a rule speaks of columns that are not in the rows it is about",
                        where=f"{self._place} rows.{kind}",
                    )

    def _open(self, name: str, main: Path) -> None:
        path = main
        if name:
            related = self._mapping.related[name]
            path = main.parent / related.file
            if not path.is_file():
                if related.optional:
                    return
                raise Refusal(
                    f"there is no file {path}",
                    where=f"{self._place} related.{name}",
                    hint="correct its name, or write optional = true to do without it",
                )
        self.opened[name] = open_table(
            self._connection,
            path,
            ident(f"file {name}"),
            wanted=self._wanted(name),
            encoding=self._mapping.encoding,
        )
        self.paths.append(path)

    def _wanted(self, table: str) -> list[str]:
        """Every column of that file of which the mapping speaks."""
        mapping = self._mapping
        names = [name for word in mapping.columns for name in mapping.names(word)]
        names += [*mapping.personal.values(), *mapping.data.values()]
        rows = mapping.rows
        for rules in (rows.ignore, rows.returns, rows.cancelled, rows.shipping, rows.discount):
            names += [name for rule in rules for name in (*rule.when, *rule.unless)]
        names += [related.to or related.on for related in mapping.related.values()]
        found = [column for at, column in map(mapping.place_of, names) if at == table]
        if table:
            found.append(mapping.related[table].on)
        return list(dict.fromkeys(found))

    def _parent(self, name: str) -> tuple[str, str]:
        """The file and the column that a related file's key points to."""
        related = self._mapping.related[name]
        return self._mapping.place_of(related.to or related.on)

    def _root_of(self, table: str) -> str:
        while table not in {"", self.lines, self.reviews}:
            table = self._parent(table)[0]
        return table

    def _widen(self, root: str) -> Table:
        """The root's rows with the columns of its look-ups as `look-up.column`."""
        own = self.opened[root]
        columns = dict(own.columns)
        select, joins = ["r.*"], ""
        for name in self._lookups(root):
            table, related = self.opened[name], self._mapping.related[name]
            parent, column = self._parent(name)
            if parent not in self.opened:
                continue
            table.must_have(related.on, f"{self._place} related.{name}.on")
            self.opened[parent].must_have(column, f"{self._place} related.{name}.to")
            alias, on = ident(f"look {name}"), field(related.on)
            taken = [c for c in self._wanted(name) if c in table.columns]
            select += [f"{alias}.{field(c)} as {field(f'{name}.{c}')}" for c in taken]
            columns.update({f"{name}.{c}": table.columns[c] for c in taken})
            holder = "r" if parent == root else ident(f"look {parent}")
            source = f"{holder}.{field(column)}"
            joins += (
                f" left join {self._once(table, related.on, taken)} {alias}"
                f" on cast({alias}.{on} as varchar) = cast({source} as varchar)"
            )
        if not joins:
            return own
        view = ident(f"wide {root}")
        self._connection.execute(
            f"create temp view {view} as select {', '.join(select)} from {own.name} r{joins}"
        )
        return Table(view, own.file, columns, own.broken, own.shifts, own.rows)

    def _once(self, table: Table, key: str, columns: list[str]) -> str:
        """The look-up with one row for each key: the first, where there are several."""
        (row,) = self._connection.execute(
            f"select count({field(key)}) - count(distinct {field(key)}) from {table.name}"
        ).fetchall()
        if not row[0]:
            return table.name
        firsts = [f"arg_min({field(c)}, rn) as {field(c)}" for c in columns if c != key]
        return (
            f"(select {', '.join([field(key), *firsts])} from {table.name}"
            f" where {field(key)} is not null group by {field(key)})"
        )

    def _lookups(self, root: str) -> list[str]:
        """The look-ups of a root, each behind the one that it points to."""
        names = [n for n in self._mapping.related if n in self.opened and n not in self.roots]
        names = [n for n in names if self._root_of(n) == root]
        placed = {root}
        ordered: list[str] = []
        while ready := [n for n in names if n not in ordered and self._parent(n)[0] in placed]:
            ordered += ready
            placed.update(ready)
        return ordered
