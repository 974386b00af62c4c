"""What was in force, and what was known for everybody, at a place of the log?"""

from collections.abc import Mapping, Sequence

from aftersale.catalogue.product import Catalogue
from aftersale.events.event import Entry
from aftersale.events.vocabulary import CalibrationFitted, CatalogueUpdated
from aftersale.kernel.errors import Refusal
from aftersale.kernel.ids import Position
from aftersale.kernel.instants import Instant
from aftersale.models import calibration
from aftersale.models.calibration import Calibration
from aftersale.programme.load import Compiled, compile_programme
from aftersale.programme.ports import Deployment, Transaction
from aftersale.turn.programme import World

CONCERNS_ALL = ("calibration.fitted", "catalogue.updated")
"""Types of entry that change the world of every customer."""


class Worlds:
    """Compiled programmes by version, and the world at a position. One per process and store.

    Its threads may share it: what one of them has just found is never taken for what another asked.
    """

    def __init__(self, programmes: Mapping[int, Compiled] | None = None) -> None:
        """`programmes`: what was compiled of the same store before, by version."""
        self._compiled: dict[int, Compiled] = dict(programmes or {})
        self._marked: tuple[Position, list[Entry]] = (-1, [])
        """Up to which position the entries that concern everybody were read, and what they are."""
        self._cached: tuple[tuple[int, int, tuple[tuple[str, Instant], ...]], World] | None = None

    @property
    def programmes(self) -> Mapping[int, Compiled]:
        """What is compiled so far, by version."""
        return self._compiled

    def compiled(self, tx: Transaction, version: int) -> Compiled:
        """The programme of that version with its texts."""
        found = self._compiled.get(version)
        if found is None:
            deployments = self._upto(tx, version)
            latest = deployments[-1]
            found = compile_programme(
                latest.files, version=latest.version, earlier=tuple(deployments[:-1])
            )
            self._compiled[version] = found
        return found

    def _upto(self, tx: Transaction, version: int) -> list[Deployment]:
        found = [tx.deployments.get(number) for number in range(1, version + 1)]
        deployments = [deployment for deployment in found if deployment is not None]
        if not deployments or deployments[-1].version != version:
            raise Refusal(
                f"programme version {version} is not in the store", hint="aftersale deploy"
            )
        return deployments

    def newest(self, tx: Transaction) -> int:
        """The version in force."""
        latest = tx.deployments.latest()
        if latest is None:
            raise Refusal("no programme is deployed", hint="aftersale deploy")
        return latest.version

    def now(self, tx: Transaction) -> World:
        """The world as far as any turn knows it."""
        upto = max(shard.upto for shard in tx.shards.all())
        since = tx.meta.get("since") or {}
        return self.at(tx, upto, self.newest(tx), since)

    def at(
        self, tx: Transaction, position: Position, version: int, since: Mapping[str, Instant]
    ) -> World:
        """The world after the entry at that position, under that version."""
        upto, marks = self._marked
        if upto < position:
            upto = tx.ledger.last()  # before the marks: one that comes meanwhile is read again
            found = [entry for kind in CONCERNS_ALL for entry in tx.ledger.everybodys(kind)]
            marks = sorted(found, key=lambda entry: entry.position)
            self._marked = (upto, marks)
        known = [entry for entry in marks if entry.position <= position]
        key = (version, known[-1].position if known else 0, tuple(sorted(since.items())))
        cached = self._cached
        if cached is None or cached[0] != key:
            cached = self._cached = (key, world_of(self.compiled(tx, version), known, since))
        return cached[1]


def world_of(compiled: Compiled, marks: Sequence[Entry], since: Mapping[str, Instant]) -> World:
    """The world of a programme and the entries that concern everybody, by position."""
    catalogue: Catalogue = compiled.programme.catalogue
    fitted = Calibration()
    for entry in marks:
        match entry.body:
            case CalibrationFitted(tables=tables):
                fitted = calibration.decode(bytes(tables))
            case CatalogueUpdated(products=products):
                catalogue = catalogue.told(products)
            case _:
                pass
    return World(compiled.programme, catalogue, fitted, dict(since))


def lineages(compiled: Compiled) -> set[str]:
    """The lineages of a programme's journeys."""
    return {journey.lineage for journey in compiled.programme.journeys.values()}
