"""What is in force when a customer is advanced?"""

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from aftersale.catalogue.product import Catalogue
from aftersale.gates.policy import Policy
from aftersale.journeys.definition import Journey, Send, Wait
from aftersale.kernel.instants import Instant
from aftersale.models.calibration import Calibration

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

MOVES_WAITS = CHANGES_ORDERS | {"order.delivered", "order.shipped"}
"""Types of event that can move a date for which a run waits."""

STOPS = frozenset({"order.cancelled", "return.initiated"})


class Graph:
    """One version of a journey with what the turn looks up again and again."""

    __slots__ = ("dated", "journey", "steps", "unless", "watched", "worth")

    def __init__(self, journey: Journey) -> None:
        self.journey = journey
        self.steps = journey.steps
        self.watched = journey.watched()
        self.unless = {
            n: step.unless
            for n, step in enumerate(journey.steps)
            if isinstance(step, Send) and step.unless is not None
        }
        self.dated = any(isinstance(step, Wait) and step.date for step in journey.steps)
        sends = [step for step in journey.steps if isinstance(step, Send)]
        facts = any(step.purpose == "transactional" for step in sends)
        self.worth = float("inf") if facts else max((step.value for step in sends), default=0.0)


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
    ) -> None:
        self.version = version
        self.policy = policy
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
        self.dates = tuple(j for j in self.journeys.values() if j.start.at)
        self.moves_always = any(
            not journey.start.at.startswith(("lifecycle.", "orders.")) for journey in self.dates
        )
        """Whether dates hang on more than what was bought, so that any event can move them."""
        self.watched = frozenset(kind for graph in self.graphs.values() for kind in graph.watched)
        self.relevant = self.watched | self.starts.keys() | MOVES_WAITS | STOPS
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
