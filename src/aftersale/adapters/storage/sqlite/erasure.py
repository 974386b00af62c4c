"""Where does the file name people, and what does erasing one of them leave?

A new column must be entered here before a store with it passes the tests: either it names
nobody, or the erasure has a statement for it.
"""

from collections.abc import Sequence

from aftersale.adapters.storage.sqlite.connection import chunks, marks
from aftersale.adapters.storage.sqlite.requests import forget
from aftersale.adapters.storage.sqlite.session import Session
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant

PERSONAL: dict[str, frozenset[str]] = {
    "personal": frozenset({"data"}),
    "identities": frozenset({"value"}),
    "outbox": frozenset({"data"}),
    "mailbox": frozenset({"recipient", "subject", "html", "text", "headers"}),
    "requests": frozenset({"body"}),
}
"""Table → the columns that may hold what names a person."""

IMPERSONAL: dict[str, frozenset[str]] = {
    "words": frozenset({"id", "word"}),
    "events": frozenset({
        "position", "customer", "type_word", "at", "received_at", "shop_word", "source_word",
        "id", "history", "digest", "payload",
    }),
    "seen": frozenset({"key", "position"}),
    "conflicts": frozenset({
        "number", "position", "source", "id", "received_at", "type", "at", "payload",
    }),
    "customers": frozenset({"id", "created_at"}),
    "pointers": frozenset({"absorbed", "survivor"}),
    "identities": frozenset({"kind", "customer"}),
    "personal": frozenset({"position", "customer", "at"}),
    "erasures": frozenset({"customer", "at"}),
    "suppressions": frozenset({"hash"}),
    "states": frozenset({"customer", "version", "wakes_at", "blob"}),
    "counters": frozenset({"name", "value"}),
    "shards": frozenset({"number", "upto", "now", "sweep"}),
    "leases": frozenset({"shard", "holder", "token", "until"}),
    "workers": frozenset({"holder", "until"}),
    "turns": frozenset({
        "turn", "now", "own", "after_position", "upto_position", "programme", "engine",
        "woken",
        "rings",
    }),
    "decisions": frozenset({
        "number", "turn", "customer", "seq", "at", "now", "kind_word", "journey_word",
        "version", "run", "step_word", "reason_word", "data", "cause",
    }),
    "outbox": frozenset({
        "number", "key", "customer", "seq", "journey", "version", "run", "step", "channel",
        "purpose", "template", "decided_at", "useful_until", "state_version", "shop",
        "status", "status_at", "reason", "provider_id", "kind", "attempts", "not_before",
        "repeats",
    }),
    "mailbox": frozenset({"number", "key", "customer", "at", "channel"}),
    "deployments": frozenset({"version", "digest", "deployed_at", "files", "note"}),
    "meta": frozenset({"name", "value"}),
    "api_keys": frozenset({
        "id", "name", "kind", "scopes", "shop", "digest", "created_at", "ends_at",
    }),
    "requests": frozenset({
        "number", "key", "provider", "shop", "received_at", "last_at", "times", "state", "passed",
        "headers",
    }),
    "request_customers": frozenset({"customer", "request"}),
}  # fmt: skip
"""Table → the columns that hold ids, instants, codes and the facts that decisions need."""

_NOTHING = b"\x80"  # an empty msgpack map

_STATEMENTS = {
    "personal": "DELETE FROM personal WHERE customer IN ({})",
    "identities": "DELETE FROM identities WHERE customer IN ({})",
    "outbox": f"UPDATE outbox SET data = x'{_NOTHING.hex()}'"
    f" WHERE customer IN ({{}}) AND data <> x'{_NOTHING.hex()}'",
    "mailbox": "DELETE FROM mailbox WHERE customer IN ({})",
}


def erase(
    session: Session, customer: CustomerId, at: Instant, suppression: Sequence[bytes]
) -> dict[str, int]:
    """Delete what names the person under each of its ids; rows changed per table.

    The list of erasures gets a line for every id, so that it also serves a backup in which
    the ids were not yet one person.
    """
    write = session.writing()
    session.erased = True
    changed = dict.fromkeys(_STATEMENTS, 0)
    people = session.same_person(customer)
    requests = forget(session, people)  # before the ids are gone that it looks for
    for some in chunks(people):
        for table, statement in _STATEMENTS.items():
            changed[table] += write.execute(statement.format(marks(some)), some).rowcount
    write.executemany("INSERT OR IGNORE INTO erasures VALUES (?, ?)", [(c, at) for c in people])
    write.executemany(
        "INSERT OR IGNORE INTO suppressions VALUES (?)", [(hashed,) for hashed in suppression]
    )
    return {**changed, "requests": requests}
