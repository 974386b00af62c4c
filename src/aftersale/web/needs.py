"""What needs a person, and what does a person not want to be told for now?

A need that was dismissed is back when it says something else, one that was muted when its days
are over.
"""

from collections.abc import Mapping

import msgspec
from starlette.exceptions import HTTPException

from aftersale.delivery.ports import UNKNOWN
from aftersale.kernel.instants import DAY, HOUR, Instant
from aftersale.programme.ports import Transaction
from aftersale.runtime.doctor import oldest_unread
from aftersale.runtime.sending import REHEARSE, STOPPED, mode_of
from aftersale.runtime.verifying import latest_check
from aftersale.web.pages import Pages
from aftersale.web.words import many, span

MUTED_DAYS = (1, 7, 30)
_KEPT = "dismissed"


class Need(msgspec.Struct, frozen=True):
    """Something that a person should do or look at."""

    key: str
    """What it is about, whatever its numbers."""
    urgent: bool
    what: str
    hint: str
    address: str = ""


class Dismissed(msgspec.Struct, frozen=True):
    """A need that somebody does not want to see for now."""

    said: str
    """What it said then."""
    until: Instant = 0
    """On the machine's clock; 0: until it says something else."""

    def hides(self, need: Need, now: Instant) -> bool:
        """Whether the need is not to be shown."""
        return now < self.until if self.until else need.what == self.said


def needs_of(pages: Pages, tx: Transaction, now: Instant) -> tuple[list[Need], int]:
    """What a person should look at, the urgent first, and how many more were dismissed."""
    kept, clock = _dismissed(tx), pages.app.system_now()
    found = _all_needs(tx, now)
    shown = [one for one in found if one.key not in kept or not kept[one.key].hides(one, clock)]
    return shown, len(found) - len(shown)


def dismiss(pages: Pages, where: Mapping[str, str], fields: Mapping[str, str]) -> str:
    """Hide a need until it changes, or for some days; or show all of them again."""
    key, days = fields.get("key", ""), fields.get("days", "")
    app = pages.app
    if not key:
        with app.store.write() as tx:
            tx.meta.set(_KEPT, {})
        return "/"
    if days not in {"", *map(str, MUTED_DAYS)}:
        raise HTTPException(400, f"A need is muted for {MUTED_DAYS} days.")
    with app.store.write() as tx:
        need = next((one for one in _all_needs(tx, app.now(tx)) if one.key == key), None)
        if need is not None:
            until = app.system_now() + int(days) * DAY if days else 0
            kept = {**_dismissed(tx), key: Dismissed(need.what, until)}
            tx.meta.set(_KEPT, msgspec.to_builtins(kept))
    return "/"


def _dismissed(tx: Transaction) -> dict[str, Dismissed]:
    return msgspec.convert(tx.meta.get(_KEPT) or {}, dict[str, Dismissed])


def _all_needs(tx: Transaction, now: Instant) -> list[Need]:
    found = []
    mode = mode_of(tx)
    if mode == REHEARSE:
        what = "Nothing is sent: this installation rehearses"
        hint = "Read what would go out in the mailbox. To go live: aftersale live"
        found.append(Need("rehearse", urgent=False, what=what, hint=hint, address="/mailbox"))
    if mode == STOPPED:
        hint = "aftersale live   sends again; what became useless meanwhile is dropped"
        found.append(Need("stopped", urgent=True, what="Sending is stopped", hint=hint))
    for journey in sorted(tx.meta.get("tripped") or {}):
        what = f"{journey} was stopped: it sent far more than its backtest"
        hint = "Look at what it sent; aftersale live   lets it go on"
        found.append(
            Need(
                f"tripped:{journey}",
                urgent=True,
                what=what,
                hint=hint,
                address=f"/journeys/{journey}",
            )
        )
    checked = latest_check(tx)
    if checked is not None and checked.broken:
        what = f"What must always hold does not: {', '.join(checked.broken)}"
        hint = "aftersale verify   lists where. Stop sending until you know why: aftersale stop"
        found.append(Need("broken", urgent=True, what=what, hint=hint, address="/health"))
    unknown = tx.outbox.in_state(UNKNOWN, limit=1_000)
    if unknown:
        what = f"Of {many(len(unknown), 'message')} nobody can say whether they went out"
        hint = "A crash came between sending and noting it; they are not sent again by themselves"
        found.append(Need("unknown", urgent=True, what=what, hint=hint, address="/health"))
    conflicts = tx.ledger.conflicts(limit=100)
    if conflicts:
        count = f"{len(conflicts)}{'+' if len(conflicts) == 100 else ''}"
        what = f"{count} events were told twice, with different contents"
        hint = "The first telling stands. See which source repeats its ids"
        found.append(Need("conflicts", urgent=False, what=what, hint=hint, address="/health"))
    oldest = oldest_unread(tx)
    if oldest is not None:
        what = f"Events wait to be read, the oldest for {span(max(now - oldest, 0))}"
        late = now - oldest > HOUR
        hint = "aftersale worker   reads them" if late else "The worker reads them next"
        found.append(Need("unread", urgent=late, what=what, hint=hint, address="/health"))
    return sorted(found, key=lambda need: not need.urgent)
