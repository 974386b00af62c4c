"""What does one advance of one customer hold in its hands?"""

from typing import Any

from aftersale.gates.standing import Intent, Standing
from aftersale.journeys.run import Run
from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import Instant
from aftersale.turn.decision import Decision
from aftersale.turn.programme import World
from aftersale.turn.state import State


class Course:
    """The customer's state, the world, the instant, and what has been decided so far."""

    __slots__ = (
        "at",
        "cause",
        "customer",
        "dates_moved",
        "decisions",
        "intents",
        "now",
        "programme",
        "reading",
        "state",
        "tasks",
        "touched",
        "woken_at",
        "world",
    )

    def __init__(self, customer: CustomerId, state: State, world: World) -> None:
        self.customer = customer
        self.state = state
        self.world = world
        self.programme = world.programme
        self.now: Instant = 0
        self.at: Instant = 0
        self.cause: Position = 0
        self.decisions: list[Decision] = []
        self.intents: list[tuple[int, Intent, dict[str, Any]]] = []
        self.tasks: list[tuple[int, Intent, dict[str, Any]]] = []
        self.dates_moved = False
        self.woken_at: Instant = 0
        self.touched = False
        """Whether the alarms may be others than `state.alarm_at` says."""
        self.reading = world.reading(state.profile, 0)

    def stand_at(self, at: Instant, now: Instant, cause: Position) -> None:
        """Take the next input: its nominal instant, when it is decided, and the event, if any."""
        self.at, self.now, self.cause = at, now, cause
        self.reading.stand_at(now)

    def decide(
        self,
        kind: str,
        run: Run | None,
        *,
        step: str = "",
        reason: str = "",
        values: tuple[Any, ...] = (),
    ) -> int:
        """Record a decision; its number."""
        self.state.decided += 1
        self.decisions.append(
            Decision(
                self.customer,
                self.state.decided,
                self.at,
                self.now,
                kind,
                run.journey if run else "",
                run.version if run else 0,
                run.key if run else "",
                step,
                reason,
                values,
                self.cause,
            )
        )
        return self.state.decided

    def standing(self) -> Standing:
        """The customer as gates see it."""
        return Standing(self.state.profile, self.state.contacts, self.reading.whereabouts)
