"""Which programme does the merchant's folder make, and in which versions of its journeys?

A journey's version is one more than the number of times its content changed over the earlier
deployments, so compiling the same deployments again gives the same numbers. Runs are pinned to
them: every distinct earlier version is compiled too.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite

import msgspec

from aftersale.catalogue.product import Catalogue, read_products
from aftersale.gates.policy import Policy
from aftersale.journeys.definition import Journey
from aftersale.kernel.errors import Refusal
from aftersale.kernel.ids import digest16
from aftersale.messages.template import Templates
from aftersale.models.scores import SCORES
from aftersale.programme.journeys import content_digest, read_journey
from aftersale.programme.marked import Problem, read_marked
from aftersale.programme.page import near, shown
from aftersale.programme.policies import ShopFacts, read_policies, read_shop
from aftersale.programme.ports import Deployment
from aftersale.segments.customer_fields import CUSTOMER_FIELDS, score_of
from aftersale.segments.segment import Segment, load_segments
from aftersale.turn.programme import SCORED, Programme

SHOP, POLICIES, SEGMENTS = "aftersale.toml", "policies.yaml", "segments.yaml"
PRODUCTS, PAUSED = "products.csv", "paused.yaml"
JOURNEYS, TEMPLATES = "journeys/", "templates/"
SHOWN_PROBLEMS = 10
_CUSTOMER = frozenset({"customer"})


class Compiled(msgspec.Struct, frozen=True):
    """One deployment, ready to decide with."""

    programme: Programme
    templates: dict[str, str]
    """Path inside the folder → text, as `messages.Templates` takes them."""
    segments: tuple[Segment, ...]
    shop: ShopFacts
    warnings: tuple[Problem, ...] = ()
    scores: frozenset[str] = frozenset()
    """Those that a journey or a segment looks at: they are told to the ledger."""


class Contents(msgspec.Struct, frozen=True):
    """What the files of one deployment say; journeys are of version 1 here."""

    policy: Policy
    shop: ShopFacts
    segments: tuple[Segment, ...]
    catalogue: Catalogue
    journeys: dict[str, Journey]
    """By name; those with mistakes are missing."""
    problems: list[Problem]


def compile_programme(
    files: Mapping[str, str], *, version: int, earlier: Sequence[Deployment] = ()
) -> Compiled:
    """The programme of these files, which are deployment `version`; `Refusal` lists mistakes.

    `earlier`: the deployments before it with their files, in any order; later ones are ignored.
    """
    contents = read_contents(files)
    mistakes = [problem for problem in contents.problems if not problem.warning]
    if mistakes:
        raise refusal(mistakes)
    warnings = list(contents.problems)
    past = _Past()
    for deployment in sorted(earlier, key=lambda d: d.version):
        if deployment.version < version:
            warnings += past.take(deployment)
    journeys = []
    for name, journey in contents.journeys.items():
        number = past.number(name, journey.text_digest)
        journeys.append(msgspec.structs.replace(journey, version=number))
        past.archive.pop((name, number), None)
    programme = Programme(
        version,
        contents.policy,
        journeys,
        catalogue=contents.catalogue,
        archive=past.archive.values(),
        scores=_scores(journeys, contents.segments),
    )
    templates = {path: text for path, text in files.items() if path.startswith(TEMPLATES)}
    named = {name for segment in contents.segments for name in segment.condition.names}
    return Compiled(
        programme,
        templates,
        contents.segments,
        contents.shop,
        tuple(warnings),
        programme.scores | frozenset(map(score_of, named)) - {""},
    )


def _scores(journeys: Iterable[Journey], segments: Iterable[Segment]) -> frozenset[str]:
    """The scores that the journeys look at: by name, through a segment, or as events."""
    inside = {segment.name: segment.condition.names for segment in segments}
    found: set[str] = set()
    for journey in journeys:
        if SCORED in journey.listens():
            return frozenset(SCORES)
        names = journey.names()
        names |= {name for segment in names & inside.keys() for name in inside[segment]}
        found |= {score_of(name) for name in names}
        if any(name.startswith("refill.") for name in names):
            found.add("run_out")
    return frozenset(found - {""})


def check(files: Mapping[str, str]) -> list[Problem]:
    """Everything that is wrong or doubtful in the files, by file and line."""
    return read_contents(files).problems


def digest(files: Mapping[str, str]) -> str:
    """A name for exactly these files."""
    parts = [part for path in sorted(files) for part in (path, files[path])]
    return digest16(*parts).hex()


def refusal(mistakes: Sequence[Problem]) -> Refusal:
    """One error that shows the first of them."""
    lines = [f"  {problem}" for problem in mistakes[:SHOWN_PROBLEMS]]
    if len(mistakes) > SHOWN_PROBLEMS:
        lines.append(f"  and {len(mistakes) - SHOWN_PROBLEMS} more")
    count = f"{len(mistakes)} mistake{'' if len(mistakes) == 1 else 's'}"
    return Refusal("\n".join([f"the programme has {count}:", *lines]))


def paused_in(files: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the journeys that `paused.yaml` pauses."""
    return _paused(files)[0]


def with_paused(files: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The same files with exactly these journeys paused by `paused.yaml`."""
    changed = {path: text for path, text in files.items() if path != PAUSED}
    listed = sorted(set(names))
    if listed:
        changed[PAUSED] = "".join(f"- {name}\n" for name in listed)
    return changed


def read_contents(files: Mapping[str, str]) -> Contents:
    """What every file says, and every problem."""
    shop, problems = read_shop(files.get(SHOP, ""), where=SHOP)
    policy, found = read_policies(files.get(POLICIES, ""), where=POLICIES)
    problems += found
    segments, found = read_segments(files.get(SEGMENTS, ""))
    problems += found
    catalogue, found = _catalogue(files.get(PRODUCTS))
    problems += found
    templates = Templates(files)
    for template in templates.check():
        problems.append(Problem(template.file, template.line, template.what, template.hint))
    journeys, found = _journeys(files, policy, segments, templates)
    problems += found
    paused, found = _paused(files)
    problems += found
    for name in paused:
        if name in journeys:
            journeys[name] = msgspec.structs.replace(journeys[name], paused=True)
        else:
            what = f"there is no journey {shown(name)} to pause"
            problems.append(Problem(PAUSED, 1, what, near(name, journeys), warning=True))
    for path in files:
        if not is_known(path):
            what = "this file is not read"
            hint = "journeys end in .yaml" if path.endswith(".yml") else ""
            problems.append(Problem(path, 1, what, hint, warning=True))
    problems.sort(key=lambda problem: (problem.file, problem.line))
    return Contents(policy, shop, segments, catalogue, journeys, problems)


def is_known(path: str) -> bool:
    """Whether a file of that path belongs to a programme."""
    folder, _, name = path.rpartition("/")
    match folder:
        case "":
            return name in {SHOP, POLICIES, SEGMENTS, PRODUCTS, PAUSED}
        case "journeys":
            return name.endswith(".yaml")
        case "templates":
            return name.endswith(".liquid")
        case _:
            return False


def read_segments(text: str, *, where: str = SEGMENTS) -> tuple[tuple[Segment, ...], list[Problem]]:
    """The segments of a text: name → where and doc."""
    document, problems = read_marked(text, where=where)
    if document is None or document.value is None:
        return (), problems
    if not isinstance(document.value, dict):
        return (), [
            Problem(where, document.line, "segments are a mapping", "write name: {where: ...}")
        ]
    found: dict[str, Segment] = {}
    for name, marked in document.value.items():
        try:
            (segment,) = load_segments({name: marked.plain()}, CUSTOMER_FIELDS, scopes=_CUSTOMER)
        except Refusal as refused:
            line = marked.keys.get("where", marked.line)
            place = f"{refused.where}: " if refused.where else ""
            why = f": {refused.why}" if refused.why else ""
            problems.append(Problem(where, line, f"{place}{refused.what}{why}", refused.hint))
            continue
        if segment.name in found:
            problems.append(Problem(where, marked.line, f"{segment.name} is given twice"))
        found[segment.name] = segment
    return tuple(found.values()), problems


def _catalogue(text: str | None) -> tuple[Catalogue, list[Problem]]:
    if text is None:
        return Catalogue(), []
    try:
        catalogue = read_products(text, where=PRODUCTS)
    except Refusal as refused:
        line = refused.where.rpartition(":")[2]
        why = f": {refused.why}" if refused.why else ""
        number = int(line) if line.isdigit() else 1
        return Catalogue(), [Problem(PRODUCTS, number, f"{refused.what}{why}", refused.hint)]
    except (csv.Error, AttributeError):
        return Catalogue(), [Problem(PRODUCTS, 1, "a row is not like the header")]
    for product in catalogue.products.values():
        numbers = (product.margin, product.supply_days, product.time_to_value_days)
        if not all(isfinite(number) and number >= 0 for number in numbers):
            what = f"a number of {shown(product.id)} is negative or not finite"
            return Catalogue(), [Problem(PRODUCTS, 1, what)]
    return catalogue, []


def _journeys(
    files: Mapping[str, str],
    policy: Policy,
    segments: Sequence[Segment],
    templates: Templates,
) -> tuple[dict[str, Journey], list[Problem]]:
    journeys: dict[str, Journey] = {}
    problems: list[Problem] = []
    owners: dict[str, str] = {}
    names = templates.names()
    for path in _journey_paths(files):
        journey, found = read_journey(
            files[path],
            where=path,
            templates=names,
            segments=segments,
            restart_after=policy.restart_after,
        )
        problems += found
        if journey is None:
            continue
        # Keys of messages and sides of holdouts are made of the lineage: two must not share it.
        for word, key in ((journey.name, "name"), (journey.lineage, "lineage")):
            if owners.setdefault(f"{key} {word}", path) != path:
                hint = f"{owners[f'{key} {word}']} has it"
                problems.append(Problem(path, 1, f"the {key} {word} is taken", hint))
        journeys.setdefault(journey.name, journey)
    return journeys, problems


def _journey_paths(files: Mapping[str, str]) -> list[str]:
    return sorted(path for path in files if path.startswith(JOURNEYS) and is_known(path))


def _paused(files: Mapping[str, str]) -> tuple[tuple[str, ...], list[Problem]]:
    document, problems = read_marked(files.get(PAUSED, ""), where=PAUSED)
    if document is None or document.value is None:
        return (), problems
    items = document.value if isinstance(document.value, tuple) else (document,)
    names = tuple(item.value for item in items if isinstance(item.value, str))
    if len(names) != len(items) or not isinstance(document.value, tuple):
        problems.append(Problem(PAUSED, document.line, "this is a list of names of journeys"))
    return names, problems


class _Past:
    """The journeys of earlier deployments, taken in their order."""

    def __init__(self) -> None:
        self.archive: dict[tuple[str, int], Journey] = {}
        self._latest: dict[str, tuple[str, int]] = {}
        self._read: dict[tuple[str, str], tuple[str, str, Journey | None]] = {}

    def number(self, name: str, content: str) -> int:
        """The version that a journey of that name and content has next."""
        before, number = self._latest.get(name, ("", 0))
        return number if content == before else number + 1

    def take(self, deployment: Deployment) -> list[Problem]:
        """Count the changes of one deployment; what can no longer be read is a warning."""
        warnings = []
        texts = deployment.files
        segments, _ = read_segments(texts.get(SEGMENTS, ""))
        for path in _journey_paths(texts):
            seen = (texts[path], texts.get(SEGMENTS, ""))
            if seen not in self._read:
                self._read[seen] = _identity(texts[path], path, segments)
            name, content, journey = self._read[seen]
            number = self.number(name, content)
            if name and self._latest.get(name) != (content, number):
                self._latest[name] = (content, number)
                if journey is None:
                    what = f"version {number} of {name} can no longer be read; its runs end"
                    hint = f"it came with deployment {deployment.version}"
                    warnings.append(Problem(path, 1, what, hint, warning=True))
                else:
                    kept = msgspec.structs.replace(journey, version=number)
                    self.archive[name, number] = kept
        return warnings


def _identity(text: str, path: str, segments: Sequence[Segment]) -> tuple[str, str, Journey | None]:
    """Name and content of a journey, readable or not."""
    journey, _ = read_journey(text, where=path, segments=segments)
    if journey is not None:
        return journey.name, journey.text_digest, journey
    document, _ = read_marked(text, where=path)
    if document is None or not isinstance(document.value, dict) or "journey" not in document.value:
        return "", "", None
    name = str(document.value["journey"].value)
    return name, content_digest(document, text, segments), None
