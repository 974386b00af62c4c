"""Where does the database name people, and what does erasing one of them leave?

A new column must be entered here before a store with it passes the tests: either it names
nobody, or the erasure has a statement for it. What is deleted stays in the files of the server
until it cleans them up; see docs/how-to/erase-a-person.md.
"""

from collections.abc import Sequence

from aftersale.adapters.storage.postgres.connection import integers
from aftersale.adapters.storage.postgres.requests import forget
from aftersale.adapters.storage.postgres.session import Session
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
    "events": frozenset({
        "position", "customer", "at", "received_at", "history", "key", "digest", "type", "shop",
        "source", "id", "payload",
    }),
    "conflicts": frozenset({
        "number", "position", "received_at", "at", "source", "id", "type", "payload",
    }),
    "customers": frozenset({"id", "created_at"}),
    "pointers": frozenset({"absorbed", "survivor"}),
    "identities": frozenset({"customer", "kind"}),
    "personal": frozenset({"position", "customer", "at"}),
    "erasures": frozenset({"customer", "at"}),
    "suppressions": frozenset({"hash"}),
    "states": frozenset({"customer", "version", "wakes_at", "blob"}),
    "newest": frozenset({"at"}),
    "shards": frozenset({"number", "upto", "now", "sweep"}),
    "leases": frozenset({"shard", "holder", "token", "until"}),
    "workers": frozenset({"holder", "until"}),
    "turns": frozenset({
        "turn", "now", "after_position", "upto_position", "rings", "programme", "shards", "own",
        "engine", "woken",
    }),
    "decisions": frozenset({
        "number", "turn", "customer", "seq", "at", "now", "version", "cause", "kind", "journey",
        "run", "step", "reason", "data",
    }),
    "outbox": frozenset({
        "number", "customer", "seq", "version", "decided_at", "useful_until", "state_version",
        "status_at", "key", "journey", "run", "step", "channel", "purpose", "template", "shop",
        "status", "reason", "provider_id", "kind", "attempts", "not_before", "repeats",
    }),
    "mailbox": frozenset({"number", "customer", "at", "key", "channel"}),
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
    "aftersale_schema": frozenset({"version", "migrated_at"}),
}  # fmt: skip
"""Table → the columns that hold ids, instants, codes and the facts that decisions need."""

_NOTHING = b"\x80"  # an empty msgpack map

_STATEMENTS = {
    "personal": "DELETE FROM personal WHERE customer = ANY(%(people)s::bigint[])",
    "identities": "DELETE FROM identities WHERE customer = ANY(%(people)s::bigint[])",
    "outbox": "UPDATE outbox SET data = %(nothing)s"
    " WHERE customer = ANY(%(people)s::bigint[]) AND data <> %(nothing)s",
    "mailbox": "DELETE FROM mailbox WHERE customer = ANY(%(people)s::bigint[])",
}


def erase(
    session: Session, customer: CustomerId, at: Instant, suppression: Sequence[bytes]
) -> dict[str, int]:
    """Delete what names the person under each of its ids; rows changed per table.

    The list of erasures gets a line for every id, so that it also serves a backup in which
    the ids were not yet one person.
    """
    write = session.writing()
    people = session.same_person(customer)
    requests = forget(session, people)  # before the ids are gone that it looks for
    values = {"people": integers(people), "nothing": _NOTHING}
    changed = {
        table: write.execute(statement, values).rowcount for table, statement in _STATEMENTS.items()
    }
    with write.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO erasures (customer, at) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [(person, at) for person in people],
        )
        cursor.executemany(
            "INSERT INTO suppressions VALUES (%s) ON CONFLICT DO NOTHING",
            [(hashed,) for hashed in suppression],
        )
    return {**changed, "requests": requests}
