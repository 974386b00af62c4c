"""What came in, from which files, and which rows could not be read?"""

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from aftersale.kernel.instants import Instant
from aftersale.ledger.importing import Reject
from aftersale.ledger.ports import Conflict
from aftersale.ledger.requests import REFUSED, WAITING, Count
from aftersale.ledger.requests import Request as Kept
from aftersale.programme.ports import Transaction
from aftersale.runtime.app import KEPT_REJECTS, Imported, imports
from aftersale.runtime.doctor import oldest_unread
from aftersale.web.figures import Figure
from aftersale.web.pages import Pages, Shown
from aftersale.web.words import grouped, minute, span


class ImportRow(msgspec.Struct, frozen=True):
    """One import of the list."""

    name: str
    title: str
    at: Instant
    rows: int
    used: int
    rejected: int
    ignored: int
    new: int
    duplicates: int
    conflicts: int
    finished: bool


class ConflictRow(msgspec.Struct, frozen=True):
    """An event that was told twice, with different contents."""

    type: str
    source: str
    id: str
    received_at: Instant


class ProviderRow(msgspec.Struct, frozen=True):
    """What came from one provider."""

    provider: str
    translated: int
    refused: int
    waiting: int
    last_at: Instant


class RequestRow(msgspec.Struct, frozen=True):
    """One request that could not be understood."""

    number: int
    provider: str
    shop: str
    received_at: Instant
    times: int
    state: str
    why: str


class Data(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    figures: list[Figure]
    imports: list[ImportRow]
    providers: list[ProviderRow]
    requests: list[RequestRow]
    conflicts: list[ConflictRow]


class ImportView(msgspec.Struct, frozen=True):
    """Everything on the page of one import; the same as JSON."""

    row: ImportRow
    ignored_by_reason: dict[str, int]
    rejects: list[Reject]
    kept: int
    """Rejected rows that are kept at most."""


def data(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """What the store holds, and how it came in."""
    now = pages.app.now(tx)
    zone = pages.world(tx).programme.policy.zone
    last, newest, unread = tx.ledger.last(), tx.ledger.newest_at(), oldest_unread(tx)
    figures = [
        Figure("events", "Events", last, grouped(last),
               "Facts in the ledger, each counted once, however often it was told.",
               note=f"the newest of {minute(newest, zone)}" if newest else "none yet"),
        Figure("customers", "Customers", tx.states.count(), grouped(tx.states.count()),
               "With at least one event; two records that became one count once.",
               people="/customers"),
        Figure("unread", "Waiting to be read", None,
               "nothing" if unread is None else span(max(now - unread, 0)),
               "How long the oldest event has waited for a worker's turn."),
    ]  # fmt: skip
    view = Data(
        figures,
        [_row(one) for one in imports(tx)],
        _providers(tx.requests.counts()),
        [_request(one) for one in tx.requests.newest(50, states=(REFUSED, WAITING))],
        [_conflict(one) for one in tx.ledger.conflicts(limit=50)],
    )
    return Shown("data.html", "data", view, ("imports", "providers", "requests", "conflicts"))


def one_import(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """One import with its rejected rows."""
    name = request.path_params["name"]
    found = next((one for one in imports(tx) if one.name == name), None)
    if found is None:
        raise HTTPException(404, f"No import is called {name}.")
    view = ImportView(
        _row(found), found.report.ignored_by_reason, list(found.rejects), KEPT_REJECTS
    )
    return Shown("import.html", "data", view, ("rejects",))


def _row(one: Imported) -> ImportRow:
    report = one.report
    return ImportRow(
        one.name,
        one.title,
        one.at,
        report.rows,
        report.used,
        report.rejected,
        report.ignored,
        report.new,
        report.duplicates,
        report.conflicts,
        report.done >= report.rows,
    )


def _providers(counts: list[Count]) -> list[ProviderRow]:
    rows: dict[str, ProviderRow] = {}
    for count in counts:
        row = rows.get(count.provider, ProviderRow(count.provider, 0, 0, 0, 0))
        rows[count.provider] = msgspec.structs.replace(
            row,
            **{count.state: count.requests, "last_at": max(row.last_at, count.last_at)},
        )
    return list(rows.values())


def _request(one: Kept) -> RequestRow:
    why = "; ".join(str(passed) for passed in one.passed)
    return RequestRow(
        one.number, one.provider, one.shop, one.received_at, one.times, one.state, why
    )


def _conflict(one: Conflict) -> ConflictRow:
    return ConflictRow(one.type, one.source, one.id, one.received_at)
