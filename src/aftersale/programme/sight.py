"""What can a condition of this journey see?

Which fields exist depends on what begins a run and what it is about. A field that could never
have a value is a mistake, because a condition on it would silently never be met.
"""

from collections.abc import Sequence

from aftersale.events.vocabulary import BODIES
from aftersale.journeys.definition import reads_lines
from aftersale.journeys.run_fields import RUN_FIELDS
from aftersale.kernel.errors import Refusal
from aftersale.programme.marked import Marked
from aftersale.programme.page import Entry, Page, near, shown
from aftersale.segments.condition import Condition, compile_condition
from aftersale.segments.fields import Field, Fields, Type
from aftersale.segments.segment import Segment

_OF_EVERY_EVENT = frozenset({"event.type", "event.at"})
_OF_PRODUCTS = ("product.", "refill.", "run.product")
_OF_ORDERS = ("order.", "run.order")


class Sight:
    """The fields of one journey; about, key and types are set once its start has been read."""

    def __init__(self, page: Page, segments: Sequence[Segment]) -> None:
        self._page = page
        self.fields = Fields((*RUN_FIELDS.values(), *map(_field_of, segments)))
        self.about = ""
        self.keyed = False
        self.types: tuple[str, ...] = ()
        """Of the events that begin a run."""

    def field(self, marked: Marked, key: str, kind: Type, scopes: frozenset[str]) -> str:
        """The name of a field of that type which can be read there, or nothing."""
        name = str(marked.value).strip()
        fitting = [
            n for n, f in RUN_FIELDS.items() if f.type == kind and f.scope in scopes and n != "now"
        ]
        if name in fitting:
            self._present(name, marked.line, key)
            return name
        field, article = RUN_FIELDS.get(name), "an" if kind == "instant" else "a"
        if field is None:
            what = f"{key}: there is no field {shown(name)}"
        elif field.type != kind or name == "now":
            what = f"{key}: {name} is of type {field.type}, where {article} {kind} is needed"
        else:
            owner = "an event" if field.scope == "event" else f"a {field.scope}"
            what = f"{key}: {name} exists only where there is {owner}"
        self._page.wrong(marked.line, what, near(name, fitting))
        return ""

    def condition(
        self,
        entry: Entry,
        key: str,
        scopes: frozenset[str],
        types: tuple[str, ...] = (),
        *,
        starts: bool = False,
    ) -> Condition | None:
        """The condition behind the key; `types` are those of the event that it is asked about."""
        marked = entry.get(key)
        if marked is None:
            return None
        text = marked.value
        if isinstance(text, bool):
            text = str(text).lower()
        if not isinstance(text, str):
            self._page.wrong(marked.line, f"{key} is a condition", "put it in quotes")
            return None
        try:
            condition = compile_condition(text, self.fields, scopes=scopes)
        except Refusal as refusal:
            place = f", {refusal.where}" if refusal.where else ""
            why = f": {refusal.why}" if refusal.why else ""
            self._page.wrong(marked.line, f"{key}{place}: {refusal.what}{why}", refusal.hint)
            return None
        by_line = (reads_lines(condition) and bool(types)) or (starts and self.about == "product")
        for name in sorted(condition.names):
            if name.startswith("event.") and types:
                self._told(name, types, marked.line, key)
            elif name.startswith("line.") and types:
                self._has_lines(name, types, marked.line, key, starts=starts)
            elif not (by_line and name.startswith(("product.", "refill."))):
                self._present(name, marked.line, key)
        return condition

    def _told(self, name: str, types: tuple[str, ...], line: int, key: str) -> None:
        part = name.removeprefix("event.")
        if name in _OF_EVERY_EVENT or any(part in BODIES[t].__struct_fields__ for t in types):
            return
        known = {f"event.{p}" for t in types for p in BODIES[t].__struct_fields__}
        known = (known & set(RUN_FIELDS)) | _OF_EVERY_EVENT
        what = f"{key}: {' and '.join(types)} has no {name}"
        self._page.wrong(line, what, near(name, sorted(known)))

    def _has_lines(
        self, name: str, types: tuple[str, ...], line: int, key: str, *, starts: bool
    ) -> None:
        if starts and self.about != "product":
            what = f"{key}: {name} exists in a start only where a run is about a product"
            self._page.wrong(line, what, "write about: product")
        elif not starts and not any("lines" in BODIES[t].__struct_fields__ for t in types):
            self._page.wrong(line, f"{key}: {' and '.join(types)} has no lines, so no {name}")

    def _present(self, name: str, line: int, key: str) -> None:
        """A run has an order, product or parcel only where its start tells one."""
        told = {part for kind in self.types for part in BODIES[kind].__struct_fields__}
        missing = ""
        if name.startswith(_OF_ORDERS) and "order" not in told:
            missing = "order"
        elif name.startswith(_OF_PRODUCTS) and self.about != "product":
            single = self.about == "customer" or self.keyed
            missing = "" if single and "product" in told else "product"
        elif name == "run.parcel" and self.about != "parcel":
            missing = "parcel"
        if missing and self.about:
            self._page.wrong(
                line,
                f"{key}: {name} never has a value here, as no {missing} is known to the run",
                f"write about: {missing}" if self.about != missing else "",
            )


def _field_of(segment: Segment) -> Field:
    return Field(segment.name, "boolean", "customer", segment.doc, segment.condition.holds)
