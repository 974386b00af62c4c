"""How do the numbers of an installation reach a monitoring system (Prometheus text format)?

What a worker does is counted where it happens. How the store stands is read when somebody asks.
Labels come from closed lists and names of journeys; none ever holds an id, an address or a key.
"""

from collections import Counter as Counted
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from aftersale import __version__
from aftersale.delivery.telling import Settled
from aftersale.kernel.instants import SECOND, Instant
from aftersale.programme.telemetry import TROUBLES, Vitals
from aftersale.turn.ports import Turned

MODES = ("rehearse", "test", "live", "stopped")

_TURN_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_ROUND_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)


class Metrics:
    """Everything that is told of one process, in a registry of its own."""

    def __init__(self, vitals: Callable[[], Vitals | None]) -> None:
        """`vitals`: how the store stands; None where it cannot be read."""
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        build = Gauge("aftersale_build_info", "Always 1.", ["version"], registry=self._registry)
        build.labels(__version__).set(1)
        self._registry.register(_Store(vitals))

    @property
    def registry(self) -> CollectorRegistry:
        """Everything that is measured."""
        return self._registry

    def page(self) -> bytes:
        """All of it as Prometheus reads it."""
        return generate_latest(self._registry)


class WorkerMetrics(Metrics):
    """The same of a worker, with what it does: a Telemetry."""

    def __init__(self, vitals: Callable[[], Vitals | None], now: Callable[[], Instant]) -> None:
        super().__init__(vitals)
        self._now = now
        registry = self._registry
        self._turns = Histogram(
            "aftersale_turn_seconds",
            "Duration of turns that had something to do.",
            buckets=_TURN_SECONDS,
            registry=registry,
        )
        self._events = Counter("aftersale_turn_events", "Events taken by turns.", registry=registry)
        self._decisions = Counter(
            "aftersale_turn_decisions", "Decisions made by turns.", registry=registry
        )
        self._rounds = Histogram(
            "aftersale_round_seconds",
            "Duration of rounds of sending that had something to do.",
            buckets=_ROUND_SECONDS,
            registry=registry,
        )
        self._sends = Counter(
            "aftersale_sends",
            "Sends that a round moved, by what became of them.",
            ["status", "journey"],
            registry=registry,
        )
        self._recovered = Counter(
            "aftersale_recovered_sends",
            "Sends found claimed by a worker that is gone.",
            registry=registry,
        )
        self._troubles = Counter(
            "aftersale_troubles",
            "Times that something broke and was tried again.",
            ["kind"],
            registry=registry,
        )
        for kind in TROUBLES:
            self._troubles.labels(kind)
        self._held = Gauge("aftersale_shards_held", "Shards on lease.", registry=registry)
        self._loop = Gauge(
            "aftersale_last_loop_timestamp_seconds",
            "When the loop that decides last came round.",
            registry=registry,
        )
        self._verification = Gauge(
            "aftersale_verification_seconds",
            "Duration of the last verification by this worker.",
            registry=registry,
        )

    def turned(self, turned: Turned, seconds: float) -> None:
        """Count the turn."""
        self._turns.observe(seconds)
        self._events.inc(turned.events)
        self._decisions.inc(turned.decisions)

    def settled(self, sends: Sequence[Settled], seconds: float) -> None:
        """Count the round and its sends."""
        self._rounds.observe(seconds)
        for pair, number in Counted((send.status, send.journey) for send in sends).items():
            self._sends.labels(*pair).inc(number)

    def recovered(self, sends: int) -> None:
        """Count them."""
        self._recovered.inc(sends)

    def held(self, shards: Collection[int]) -> None:
        """Note how many."""
        self._held.set(len(shards))

    def trouble(self, kind: str, what: str) -> None:
        """Count it by its kind; the words are for the log."""
        self._troubles.labels(kind if kind in TROUBLES else "other").inc()

    def alive(self) -> None:
        """Note when."""
        self._loop.set(self._now() / SECOND)

    def verified(self, violations: Mapping[str, int], seconds: float) -> None:
        """Note how long it took; what was found is read from the store."""
        self._verification.set(seconds)


class _Store(Collector):
    """How the store stands, read at the moment of asking."""

    def __init__(self, vitals: Callable[[], Vitals | None]) -> None:
        self._vitals = vitals

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One gauge after the other; only the first where the store cannot be read."""
        vitals = self._vitals()
        yield _gauge("store_up", "1 where the store could be read, else 0.", vitals is not None)
        if vitals is None:
            return
        yield _gauge(
            "store_read_timestamp_seconds",
            "When the numbers about the store were read, on its clock.",
            vitals.now / SECOND,
        )
        yield _gauge("programme_version", "The programme in force.", vitals.programme)
        yield _gauge("unread_events", "Events that no turn has taken.", vitals.unread)
        yield _gauge(
            "oldest_unread_event_age_seconds",
            "How long the oldest unread event has waited.",
            vitals.oldest_unread / SECOND,
        )
        yield _gauge(
            "overdue_alarm_age_seconds",
            "For how long the oldest alarm has been due.",
            vitals.overdue / SECOND,
        )
        yield _gauges("outbox_sends", "Sends in the outbox by status.", "status", vitals.outbox)
        yield _gauge(
            "oldest_due_message_age_seconds",
            "For how long the oldest message that may go has been due.",
            vitals.oldest_due / SECOND,
        )
        yield _gauges(
            "mode",
            "1 for the mode of the installation, 0 for the others.",
            "mode",
            {mode: mode == vitals.mode for mode in MODES},
        )
        yield _gauges(
            "channel_resting",
            "1 for a channel that takes nothing at the moment.",
            "channel",
            dict.fromkeys(vitals.resting, 1),
        )
        yield _gauge("tripped_journeys", "Journeys stopped by the breaker.", vitals.tripped)
        yield _gauges(
            "invariant_violations",
            "Violations found by the last verification.",
            "rule",
            vitals.violations,
        )
        if vitals.verified_at is not None:
            yield _gauge(
                "verified_timestamp_seconds",
                "When the store was last verified.",
                vitals.verified_at / SECOND,
            )


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"aftersale_{name}", text, value=float(value))


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"aftersale_{name}", text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], float(value))
    return family
