"""Which journey does a file describe, and what in it is wrong?

Everything is read before anything is refused, so that one look shows every mistake.
"""

import json
from collections.abc import Collection, Iterator, Sequence

import msgspec

from aftersale.events.vocabulary import BODIES
from aftersale.journeys.definition import (
    END,
    Benefit,
    Branch,
    Exit,
    Goal,
    Journey,
    Send,
    Start,
    Step,
    Task,
    Wait,
    Watch,
)
from aftersale.journeys.run_fields import AT_START, IN_RUN, ON_EVENT, RUN_FIELDS
from aftersale.kernel.ids import digest16
from aftersale.kernel.instants import DAY, Duration
from aftersale.messages.template import Templates
from aftersale.programme import grammar
from aftersale.programme.marked import Marked, Problem, read_marked
from aftersale.programme.page import WORD, Entry, Page, near, shown
from aftersale.programme.sight import Sight
from aftersale.segments.condition import Condition
from aftersale.segments.segment import Segment

MOST_STEPS = 300
_CUSTOMER = frozenset({"customer"})
_TELLS = {"order": {"order"}, "parcel": {"parcel"}, "product": {"lines", "product", "order"}}
"""What a run is about → the parts of an event that say which one."""


def read_journey(
    text: str,
    *,
    where: str,
    version: int = 1,
    templates: Collection[str] | None = None,
    segments: Sequence[Segment] = (),
    restart_after: Duration = 90 * DAY,
) -> tuple[Journey | None, list[Problem]]:
    """The journey of one file, None where it has mistakes; and all problems, warnings too.

    `templates`: names that a send may use (None: not checked). `restart_after`: how soon a run
    about a customer may begin again where the file does not say.
    """
    document, problems = read_marked(text, where=where)
    if document is None:
        return None, problems
    page = Page(where)
    reader = _Reader(page, templates, segments, restart_after)
    digest = content_digest(document, text, segments)
    journey = reader.journey(document, version, digest)
    page.problems.sort(key=lambda problem: problem.line)
    return (journey if page.sound else None), page.problems


def content_digest(document: Marked, text: str, segments: Sequence[Segment] = ()) -> str:
    """A hash of what a journey does: not of comments and layout, nor of its being paused.

    The segments that the text names belong to it, for they decide with it.
    """
    plain = document.plain()
    said = {k: v for k, v in plain.items() if k != "paused"} if isinstance(plain, dict) else {}
    named = {s.name: s.condition.text for s in segments if s.name in text}
    return digest16(json.dumps([said, named], sort_keys=True)).hex()


class _Draft(msgspec.Struct):
    """A step whose place is not known yet."""

    step: Step
    line: int
    arms: list[tuple[Condition | None, list["_Draft"]]] = []

    @property
    def size(self) -> int:
        return 1 + sum(draft.size for _, arm in self.arms for draft in arm)

    @property
    def ends(self) -> bool:
        """Whether no way leads on from here."""
        if isinstance(self.step, Exit):
            return True
        return (
            bool(self.arms)
            and self.arms[-1][0] is None
            and all(arm and arm[-1].ends for _, arm in self.arms)
        )


class _Reader:
    """One journey being read: what is known of its start decides what its conditions can see."""

    def __init__(
        self,
        page: Page,
        templates: Collection[str] | None,
        segments: Sequence[Segment],
        restart_after: Duration,
    ) -> None:
        self._page = page
        self._templates = templates
        self._restart_after = restart_after
        self._sight = Sight(page, segments)
        self._count = 0

    def journey(self, document: Marked, version: int, digest: str) -> Journey | None:
        """The whole file."""
        page = self._page
        entry = page.entry(document, grammar.JOURNEY, "a journey")
        if not entry:
            return None
        name = page.word(entry, "journey")
        self._sight.about = page.choice(entry, "about", grammar.ABOUT, "")
        self._sight.keyed = "key" in entry
        start = self._start(entry["start"]) if "start" in entry else Start()
        drafts = self._steps(entry["steps"], "steps") if "steps" in entry else []
        steps = self._laid(drafts)
        goal = self._goal(entry["goal"]) if "goal" in entry else None
        exits = self._exits(entry["exit"]) if "exit" in entry else ()
        return Journey(
            name,
            version,
            self._sight.about,
            start,
            steps,
            lineage=page.word(entry, "lineage", name),
            title=page.text(entry, "title"),
            key=self._key(entry),
            goal=goal,
            exits=exits,
            reentry=self._reentry(entry.get("reentry")),
            holdout=page.number(entry, "holdout", 0, 0, 0.9) if "holdout" in entry else None,
            in_flight=page.choice(entry, "in_flight", ("keep", "migrate"), "keep"),
            paused=page.boolean(entry, "paused"),
            first=0 if steps else END,
            text_digest=digest,
        )

    # --- what begins and ends a run -------------------------------------------------------

    def _start(self, marked: Marked) -> Start:
        page = self._page
        entry = page.entry(marked, grammar.START, "start")
        if ("on" in entry) == ("at" in entry):
            if isinstance(marked.value, dict):
                page.wrong(marked.line, "start needs either on (an event) or at (a date)")
            return Start()
        if "at" in entry:
            if "fresh" in entry:
                page.wrong(entry["fresh"].line, "fresh belongs to events", "leave it out")
            if self._sight.about not in {"", "customer"}:
                page.wrong(
                    entry["at"].line,
                    f"a date begins runs about the customer, not the {self._sight.about}",
                    "write about: customer",
                )
            at = self._sight.field(entry["at"], "at", "instant", _CUSTOMER)
            return Start(at=at, condition=self._sight.condition(entry, "if", _CUSTOMER))
        self._sight.types = page.events(entry)
        self._tells(entry["on"])
        condition = self._sight.condition(entry, "if", AT_START, self._sight.types, starts=True)
        fresh = page.duration(entry, "fresh", 3 * DAY)
        return Start(on=Watch(self._sight.types, condition), fresh=fresh)

    def _tells(self, on: Marked) -> None:
        """The starting events must tell what a run is about."""
        if self._sight.keyed:
            return
        for kind in self._sight.types:
            parts = _TELLS.get(self._sight.about, set())
            if parts and not parts & set(BODIES[kind].__struct_fields__):
                self._page.wrong(
                    on.line,
                    f"{kind} does not tell which {self._sight.about} it concerns",
                    "begin with another event, or say what a run is about with key:",
                )

    def _key(self, entry: Entry) -> str:
        if "key" not in entry:
            return ""
        page, line = self._page, entry["key"].line
        key = page.text(entry, "key")
        name = key if key.startswith("event.") else f"event.{key}"
        named = [n for n, f in RUN_FIELDS.items() if f.scope == "event" and f.type == "text"]
        if name not in named or name == "event.type":
            page.wrong(line, f"key: there is no field {shown(key)}", near(name, named))
        elif not self._sight.types:
            page.wrong(line, "key is a field of the starting event", "start with on:")
        else:
            for kind in self._sight.types:
                if name.removeprefix("event.") not in BODIES[kind].__struct_fields__:
                    page.wrong(line, f"key: {kind} has no {name}")
        return name

    def _goal(self, marked: Marked) -> Goal:
        entry = self._page.entry(marked, grammar.GOAL, "goal")
        return Goal(self._watched(entry), self._page.duration(entry, "within", 30 * DAY))

    def _exits(self, marked: Marked) -> tuple[Watch, ...]:
        if not isinstance(marked.value, tuple):
            self._page.wrong(marked.line, "exit is a list", "write - {on: ..., if: ...}")
            return ()
        return tuple(self._watch(item, "an exit") for item in marked.value)

    def _watch(self, marked: Marked, what: str) -> Watch:
        return self._watched(self._page.entry(marked, grammar.WATCH, what))

    def _watched(self, entry: Entry) -> Watch:
        types = self._page.events(entry)
        return Watch(types, self._sight.condition(entry, "if", ON_EVENT, types))

    def _reentry(self, marked: Marked | None) -> Duration | None:
        if marked is None:
            return self._restart_after if self._sight.about == "customer" else 0
        if marked.value == "never":
            return None
        if marked.value == "always":
            return 0
        if isinstance(marked.value, str) and not any(sign.isdigit() for sign in marked.value):
            hint = near(marked.value, ("always", "never"))
            self._page.wrong(
                marked.line,
                f"reentry: {shown(marked.value)} is not known",
                hint or "write always, never or a time span",
            )
            return 0
        return self._page.span(marked, "reentry")

    # --- steps ----------------------------------------------------------------------------

    def _steps(self, marked: Marked, what: str) -> list[_Draft]:
        page = self._page
        if not isinstance(marked.value, tuple):
            page.wrong(marked.line, f"{what} is a list", "begin each step with -")
            return []
        drafts: list[_Draft] = []
        for item in marked.value:
            if drafts and drafts[-1].ends:
                page.wrong(item.line, "no way leads to this step", warning=True)
            draft = self._step(item)
            if draft is not None:
                drafts.append(draft)
        return drafts

    def _step(self, marked: Marked) -> _Draft | None:
        page, value = self._page, marked.value
        self._count += 1
        if self._count == MOST_STEPS + 1:
            page.wrong(marked.line, f"a journey has at most {MOST_STEPS} steps")
        kinds = [kind for kind in grammar.STEPS if isinstance(value, dict) and kind in value]
        if not isinstance(value, dict) or not kinds:
            first = next(iter(value), "") if isinstance(value, dict) else str(marked.plain())
            known = f"one of {', '.join(grammar.STEPS)}"
            hint = near(first, grammar.STEPS) if first else known
            page.wrong(marked.line, f"{shown(first)} is no step" if first else "no step", hint)
            return None
        if len(kinds) > 1:
            hint = "begin the second one with a - of its own"
            page.wrong(marked.line, f"a step is one thing, not {' and '.join(kinds)}", hint)
            return None
        kind = kinds[0]
        entry = page.entry(marked, grammar.STEPS[kind], f"a {kind} step")
        if kind not in entry:
            return None
        step_id, line = page.word(entry, "id"), marked.line
        match kind:
            case "wait":
                return _Draft(self._wait(entry["wait"], step_id, line), line)
            case "send":
                return _Draft(self._send(entry, step_id, line), line)
            case "branch":
                return self._branch(entry["branch"], step_id, line)
            case "task":
                name, owner = page.word(entry, "task"), page.text(entry, "owner")
                due = page.duration(entry, "due", 2 * DAY)
                return _Draft(Task(step_id, END, name, line, owner, due), line)
            case _:
                return _Draft(Exit(step_id, END, page.word(entry, "exit"), line), line)

    def _wait(self, marked: Marked, step_id: str, line: int) -> Wait:
        page = self._page
        if not isinstance(marked.value, dict):
            delay = page.span(marked, "wait") or 0
            return Wait(step_id, END, line, delay=delay)
        entry = page.entry(marked, grammar.WAIT, "a wait")
        allowed = {"on", "if", "for"} if "on" in entry else {"for", "at"}
        if "until" in entry:
            allowed = {"until", "before"}
        for name in entry:
            if name not in allowed:
                page.wrong(
                    marked.keys[name],
                    f"{name} does not go with {' or '.join(sorted(allowed & set(entry))) or 'it'}",
                    "a wait is for (and at), on (with for), or until (and before)",
                )
        if not entry:
            page.wrong(marked.line, "a wait says for how long or until when")
        wait = Wait(step_id, END, line)
        if "until" in entry:
            date = self._sight.field(entry["until"], "until", "instant", IN_RUN)
            before, field = self._lead(entry.get("before"))
            return msgspec.structs.replace(wait, date=date, before=before, before_field=field)
        if "on" in entry:
            if "for" not in entry:
                hint = "add for: 7 days, or the wait may last for ever"
                page.wrong(marked.line, "a wait for an event needs for", hint)
            timeout = page.duration(entry, "for", DAY)
            return msgspec.structs.replace(wait, until=self._watched(entry), timeout=timeout)
        return msgspec.structs.replace(
            wait, delay=page.duration(entry, "for", 0), minute=page.clock(entry, "at", -1)
        )

    def _lead(self, marked: Marked | None) -> tuple[Duration, str]:
        if marked is None:
            return 0, ""
        if isinstance(marked.value, str) and not any(sign.isdigit() for sign in marked.value):
            return 0, self._sight.field(marked, "before", "duration", IN_RUN)
        return self._page.span(marked, "before") or 0, ""

    def _send(self, entry: Entry, step_id: str, line: int) -> Send:
        page = self._page
        purpose = page.choice(entry, "purpose", grammar.PURPOSES, "marketing")
        channel = page.choice(entry, "channel", grammar.CHANNELS, "email")
        value, value_field = self._value(entry)
        if "benefit" not in entry and purpose == "marketing":
            page.wrong(
                line,
                "a marketing message needs a benefit",
                'name what the customer gets from it: benefit: {information: "...", evidence: ...}',
            )
        return Send(
            step_id,
            END,
            self._template(entry),
            line,
            purpose,
            "email" if channel == "best" else channel,
            value,
            value_field,
            benefit=self._benefit(entry["benefit"]) if "benefit" in entry else None,
            unless=self._watch(entry["unless"], "unless") if "unless" in entry else None,
            condition=self._sight.condition(entry, "if", IN_RUN),
            useful=page.duration(entry, "useful", 7 * DAY),
            helpful=page.boolean(entry, "helpful"),
        )

    def _template(self, entry: Entry) -> str:
        template = self._page.text(entry, "send")
        line = entry["send"].line
        if not WORD.fullmatch(template.lower().replace("_", "-")):
            self._page.wrong(line, f"{shown(template)} is no name of a template")
        elif self._templates is not None and template not in self._templates:
            hint = near(template, self._templates)
            self._page.wrong(
                line,
                f"there is no template {template}",
                hint or f"write templates/{template}.liquid",
            )
        return template

    def _value(self, entry: Entry) -> tuple[float, str]:
        marked = entry.get("value")
        if marked is None:
            return 0.0, ""
        if isinstance(marked.value, str):
            return 0.0, self._sight.field(marked, "value", "number", IN_RUN)
        return self._page.number(entry, "value", 0.0, 0, 1e9), ""

    def _benefit(self, marked: Marked) -> Benefit:
        page = self._page
        entry = page.entry(marked, grammar.BENEFIT, "a benefit")
        kinds = [kind for kind in grammar.BENEFITS if kind in entry]
        if len(kinds) != 1 and isinstance(marked.value, dict):
            hint = f"write one of {', '.join(grammar.BENEFITS)}"
            page.wrong(marked.line, "a benefit is exactly one thing for the customer", hint)
        kind = kinds[0] if kinds else grammar.BENEFITS[0]
        text = page.text(entry, kind)
        if kind in entry:
            self._words(entry[kind], text)
        return Benefit(kind, text, self._evidence(entry))

    def _words(self, marked: Marked, text: str) -> None:
        """The sentence is Liquid: judged as a template would be."""
        if not text:
            self._page.wrong(marked.line, "a benefit is a sentence", "say it to the customer")
        if "{" not in text:
            return
        trial = {"benefit.liquid": f"---\nsubject: benefit\n---\n{text}", "layout.liquid": ""}
        for problem in Templates(trial).check():
            if problem.file == "benefit.liquid":
                self._page.wrong(marked.line, f"benefit: {problem.what}", problem.hint)

    def _evidence(self, entry: Entry) -> Condition | None:
        marked = entry.get("evidence")
        field = self._sight.fields.get(str(marked.value).strip()) if marked is not None else None
        if marked is None or field is None:
            return self._sight.condition(entry, "evidence", IN_RUN)
        says = {"boolean": "", "number": " > 0"}.get(field.type, " is not null")
        stated = {"evidence": Marked(f"{field.name}{says}", marked.line)}
        return self._sight.condition(stated, "evidence", IN_RUN)

    def _branch(self, marked: Marked, step_id: str, line: int) -> _Draft:
        page = self._page
        draft = _Draft(Branch(step_id, END, (), line), line)
        if not isinstance(marked.value, tuple) or not marked.value:
            page.wrong(marked.line, "a branch is a list", "write - if: ... and its steps:")
            return draft
        for number, item in enumerate(marked.value, start=1):
            entry = page.entry(item, grammar.ARM, "a way of a branch")
            if not isinstance(item.value, dict):
                continue
            if ("if" in item.value) == ("else" in item.value):
                page.wrong(item.line, "a way of a branch has either if or else")
            if "else" in item.value:
                if item.value["else"].value is not None:
                    page.wrong(item.line, "nothing stands behind else:", "put steps: under it")
                if number < len(marked.value) or number == 1:
                    page.wrong(item.line, "else is the last way, after at least one if")
            steps = self._steps(entry["steps"], "steps") if "steps" in entry else []
            if "steps" in entry and entry["steps"].value == ():
                page.wrong(item.line, "this way has no steps", "leave it out, or turn the if round")
            draft.arms.append((self._sight.condition(entry, "if", IN_RUN), steps))
        return draft

    # --- from tree to graph ---------------------------------------------------------------

    def _laid(self, drafts: list[_Draft]) -> tuple[Step, ...]:
        """The steps depth first; the ways of a branch meet at the step after it."""
        self._name(drafts)
        return tuple(_lay(drafts, 0, END))

    def _name(self, drafts: list[_Draft]) -> None:
        """Give every step an id of its own; two equal ones that were written are a mistake."""
        everything = list(_each(drafts))
        taken: dict[str, int] = {}
        for draft in everything:
            if draft.step.id and draft.step.id in taken:
                self._page.wrong(
                    draft.line,
                    f"the id {draft.step.id} is given twice",
                    f"the first is on line {taken[draft.step.id]}",
                )
            elif draft.step.id:
                taken[draft.step.id] = draft.line
        for draft in everything:
            if not draft.step.id:
                stem, number = _stem(draft.step), 1
                step_id = stem
                while step_id in taken:
                    number += 1
                    step_id = f"{stem}-{number}"
                taken[step_id] = draft.line
                draft.step = msgspec.structs.replace(draft.step, id=step_id)


def _stem(step: Step) -> str:
    match step:
        case Send(template=template):
            return f"send-{template.lower().replace('_', '-')}"
        case Task(name=name):
            return f"task-{name}"
        case Exit(reason=reason):
            return f"exit-{reason}"
        case Wait():
            return "wait"
        case Branch():
            return "branch"


def _each(drafts: list[_Draft]) -> Iterator[_Draft]:
    for draft in drafts:
        yield draft
        for _, arm in draft.arms:
            yield from _each(arm)


def _lay(drafts: list[_Draft], at: int, after: int) -> Iterator[Step]:
    """The steps of a list that begins at index `at`; from its last one on goes `after`."""
    for number, draft in enumerate(drafts):
        following = at + draft.size if number < len(drafts) - 1 else after
        inner, arms, laid = at + 1, [], list[Step]()
        for condition, arm in draft.arms:
            arms.append((condition, inner if arm else following))
            laid += _lay(arm, inner, following)
            inner += sum(part.size for part in arm)
        at = inner
        match draft.step:
            case Branch() as branch:
                yield msgspec.structs.replace(branch, next=following, arms=tuple(arms))
            case Exit() as leave:
                yield leave
            case step:
                yield msgspec.structs.replace(step, next=following)
        yield from laid
