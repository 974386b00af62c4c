"""What is in force when a customer is advanced?"""

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from aftersale.catalogue.product import Catalogue
from aftersale.customers.profile import Profile
from aftersale.gates.policy import Policy
from aftersale.journeys.definition import Journey, Send, Wait
from aftersale.kernel.instants import DAY, Duration, Instant
from aftersale.models.calibration import Calibration
from aftersale.segments.reading import Reading

KEPT_CONTACTS: Duration = 30 * DAY

SCORED = "score.changed"

CHANGES_ORDERS = frozenset(
    {
        "order.completed",
        "order.cancelled",
        "return.initiated",
        "refund.issued",
        "history.summarised",
    }
)
"""Types of event that change what the customer bought and kept, and so its dates."""


MOVES_WAITS = {
    "order.": CHANGES_ORDERS | {"order.delivered", "order.shipped", "parcel.updated"},
    "refill.": CHANGES_ORDERS | {"order.delivered", "parcel.updated", SCORED},
    "orders.": CHANGES_ORDERS,
    "lifecycle.": CHANGES_ORDERS,
    "score.": frozenset({SCORED}),
}
"""How the name of a date begins → types of event that can move it."""

STOPS = frozenset({"order.cancelled", "return.initiated"})


class Graph:
    """One version of a journey with what the turn looks up again and again."""

    __slots__ = ("dated", "joined", "journey", "moved_by", "steps", "unless", "watched", "worth")

    def __init__(self, journey: Journey) -> None:
        self.journey = journey
        self.steps = journey.steps
        watches = journey.watches()
        self.watched = frozenset(kind for watch in watches for kind in watch.types)
        self.joined = {
            kind: _common({watch.by for watch in watches if kind in watch.types})
            for kind in self.watched
        }
        """Type of event → product or order, where it can only matter to runs about the same."""
        self.unless = {
            n: step.unless
            for n, step in enumerate(journey.steps)
            if isinstance(step, Send) and step.unless is not None
        }
        dates = [step.date for step in journey.steps if isinstance(step, Wait) and step.date]
        self.dated = bool(dates)
        self.moved_by = frozenset(kind for date in dates for kind in moved_by(date))
        sends = [step for step in journey.steps if isinstance(step, Send)]
        facts = any(step.purpose == "transactional" for step in sends)
        self.worth = float("inf") if facts else max((step.value for step in sends), default=0.0)


def _common(joins: set[str]) -> str:
    return joins.pop() if len(joins) == 1 else ""


def moved_by(date: str) -> frozenset[str]:
    """Types of event that can move the date of that name."""
    for beginning, kinds in MOVES_WAITS.items():
        if date.startswith(beginning):
            return kinds
    return frozenset().union(*MOVES_WAITS.values())


class Programme:
    """A deployed version of the merchant's folder, compiled."""

    def __init__(
        self,
        version: int,
        policy: Policy,
        journeys: Iterable[Journey],
        *,
        catalogue: Catalogue | None = None,
        archive: Iterable[Journey] = (),
        scores: frozenset[str] = frozenset(),
    ) -> None:
        """`scores`: the names of those that a condition or a date looks at."""
        self.version = version
        self.policy = policy
        self.scores = scores
        self.catalogue = catalogue or Catalogue()
        self.journeys = {journey.name: journey for journey in journeys}
        self.graphs = {
            (journey.name, journey.version): Graph(journey)
            for journey in (*archive, *self.journeys.values())
        }
        starts: dict[str, list[Journey]] = defaultdict(list)
        for journey in self.journeys.values():
            for kind in journey.start.on.types if journey.start.on else ():
                starts[kind].append(journey)
        self.starts = {kind: tuple(found) for kind, found in starts.items()}
        self.remembers = max(KEPT_CONTACTS, *(cap.per for cap in policy.caps), 0)
        """How far back contacts are kept: as far as the longest cap looks."""
        self.paused = frozenset(name for name, j in self.journeys.items() if j.paused)
        self.dates = tuple(j for j in self.journeys.values() if j.start.at)
        self.moves_always = any(
            not journey.start.at.startswith(("lifecycle.", "orders.", "score."))
            for journey in self.dates
        )
        """Whether dates hang on more than what was bought, so that any event can move them."""
        self.watched = frozenset(kind for graph in self.graphs.values() for kind in graph.watched)
        scored = any(journey.start.at.startswith("score.") for journey in self.dates)
        self.moves_dates = CHANGES_ORDERS | ({SCORED} if scored else frozenset())
        """Types of event that can move the dates on which journeys start."""
        self.moves_waits = frozenset(k for g in self.graphs.values() for k in g.moved_by)
        self.relevant = (
            self.watched | self.starts.keys() | self.moves_waits | self.moves_dates | STOPS
        )
        """Types of event that can do more than change the profile."""

    def graph(self, name: str, version: int) -> Graph | None:
        """The graph to which a run is pinned."""
        return self.graphs.get((name, version))


class World(msgspec.Struct, frozen=True):
    """The programme and what is known beside it at one place of the log."""

    programme: Programme
    catalogue: Catalogue = Catalogue()
    calibration: Calibration = Calibration()
    since: dict[str, Instant] = {}
    """Lineage → from when on its dates count: it looks only forward from going into force."""

    def reading(self, profile: Profile, now: Instant) -> Reading:
        """The customer as conditions see it at that instant in this world."""
        zone = self.programme.policy.zone
        return Reading(profile, self.catalogue, self.calibration, now=now, shop_zone=zone)
