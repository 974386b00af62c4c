"""Is this installation well, and what stops it from sending?"""

import platform
import shutil
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from aftersale import __version__
from aftersale.delivery.ports import CLAIMED, FAILED, UNKNOWN
from aftersale.delivery.reasons import NO_LOGIN, NO_SENDER, NO_TLS, UNREACHABLE, send_words
from aftersale.delivery.settling import Trouble
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY, HOUR, Duration, Instant, format_duration, format_instant
from aftersale.ledger.requests import TRANSLATED
from aftersale.programme.ports import Transaction
from aftersale.runtime.app import App
from aftersale.runtime.certificates import wanted
from aftersale.runtime.marking import belongs
from aftersale.runtime.sending import LIVE, STOPPED, TEST, mode_of, troubles_of
from aftersale.runtime.verifying import latest_check
from aftersale.turn.state import SOFT_LIMIT

REACHING = frozenset({TEST, LIVE})
"""Modes in which messages go to people."""
LATE: Duration = HOUR
"""Work that is due for longer means that no worker runs."""
ROOM = 1_000_000_000
"""Bytes of free disk below which somebody should act."""
MEASURED = 20_000
"""States whose sizes are looked at."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    value: str
    problem: str = ""
    """What is wrong; empty where all is well."""
    hint: str = ""
    stops: bool = False
    """Whether nothing is sent until it is mended."""


class Examined(msgspec.Struct, frozen=True):
    """Everything that was looked at, by group."""

    groups: dict[str, list[Finding]]

    @property
    def problems(self) -> list[Finding]:
        """What is wrong, that which stops sending first."""
        found = [f for findings in self.groups.values() for f in findings if f.problem]
        return sorted(found, key=lambda finding: not finding.stops)

    @property
    def last_line(self) -> str:
        """The whole in one line."""
        problems = self.problems
        if not problems:
            return "Ready."
        stopping = sum(finding.stops for finding in problems)
        count = (
            f"{stopping or len(problems)} problem{'' if (stopping or len(problems)) == 1 else 's'}"
        )
        if stopping:
            verb = "stops" if stopping == 1 else "stop"
            said = f"{count} {verb} sending"
        else:
            said = f"{count}, none stops sending"
        return f"{said}. Fix first: {problems[0].hint or problems[0].problem}"


def examine(app: App) -> Examined:
    """Look at everything; changes nothing."""
    system = app.system_now()
    with app.store.read() as tx:
        now = app.now(tx)
        groups = {
            "environment": [
                Finding("python", platform.python_version()),
                Finding("aftersale", __version__),
            ],
            "store": _store(app),
            "programme": _programme(app, tx),
            "data": [*_data(app, tx, now), _history(app, tx)],
            "worker": _worker(tx, now, system),
            "sending": _sending(app, tx, now),
            "states": _states(tx),
            "invariants": _invariants(tx),
        }
    return Examined(groups)


def _store(app: App) -> list[Finding]:
    about = app.store.describe(rows=False)
    free = shutil.disk_usage(app.home).free
    size = int(about.get("bytes", 0)) + int(about.get("log_bytes", 0))
    return [
        Finding("schema", str(about.get("schema", ""))),
        Finding("size", _bytes(size)),
        Finding(
            "disk",
            f"{_bytes(free)} free",
            problem="the disk is nearly full" if free < max(ROOM, size // 10) else "",
            hint="make room on the disk of the store",
        ),
    ]


def _programme(app: App, tx: Transaction) -> list[Finding]:
    try:
        version = app.worlds.newest(tx)
        compiled = app.worlds.compiled(tx, version)
    except Refusal as refusal:
        return [
            Finding("deployed", "", refusal.what, refusal.hint or "aftersale deploy", stops=True)
        ]
    paused = [j.name for j in compiled.programme.journeys.values() if j.paused]
    return [
        Finding("deployed", f"version {version}"),
        Finding("journeys", f"{len(compiled.programme.journeys)}, {len(paused)} paused"),
    ]


def _data(app: App, tx: Transaction, now: Instant) -> list[Finding]:
    newest = tx.ledger.newest_at()
    oldest = oldest_unread(tx)
    waits = now - oldest if oldest is not None else 0
    conflicts = len(tx.ledger.conflicts(limit=100))
    return [
        Finding("newest event", format_instant(newest) if newest is not None else "none"),
        Finding("unread events", str(unread(tx))),
        Finding(
            "oldest unread event",
            f"{format_duration(waits)} old" if oldest is not None and waits > 0 else "none is due",
            problem="events wait and no worker takes them" if waits > LATE else "",
            hint="aftersale worker",
            stops=waits > LATE,
        ),
        Finding("conflicts", str(conflicts) if conflicts < 100 else "100 or more"),
        _webhooks(app, tx),
    ]


def _webhooks(app: App, tx: Transaction) -> Finding:
    """Who may send, what was sent, and how much of it nobody understands."""
    try:
        providers = app.providers()
    except Refusal as refusal:
        problem = f"{refusal.what}: {refusal.where}: {refusal.why}"
        return Finding("webhooks", "", problem=problem, hint=refusal.hint)
    counts = tx.requests.counts()
    unclear = sum(count.requests for count in counts if count.state != TRANSLATED)
    strange = wanted(tx)
    problem = f"{unclear} could not be understood" if unclear else ""
    kept = f"{sum(count.requests for count in counts)} kept"
    return Finding(
        "webhooks",
        f"{kept}; from {', '.join(providers)}" if providers else kept,
        problem="messages of Amazon SNS wait for a certificate" if strange else problem,
        hint="aftersale webhooks list",
    )


def _history(app: App, tx: Transaction) -> Finding:
    """How far the history is behind the ledger, where there is one."""
    extent = app.lake.extent()
    if extent is None:
        return Finding("history", "none")
    if not belongs(tx, extent):
        return Finding(
            "history",
            f"up to {extent.upto}",
            problem="the history was made of another ledger, or before a backup was put back",
            hint="aftersale history   makes it again",
        )
    behind = tx.ledger.last() - extent.upto
    return Finding("history", f"{behind} events behind" if behind else "up to date")


def unread(tx: Transaction) -> int:
    """How many events no turn has taken; of several shards as many as the last one lacks."""
    return tx.ledger.last() - min(shard.upto for shard in tx.shards.all())


def oldest_unread(tx: Transaction) -> Instant | None:
    """When the oldest event arrived that no turn has taken; None where all is read."""
    shards = tx.shards.all()
    behind: dict[int, list[int]] = {}
    for shard in shards:
        behind.setdefault(shard.upto, []).append(shard.number)
    found = [
        tx.ledger.oldest_after(upto, shards=None if len(behind) == 1 else numbers)
        for upto, numbers in behind.items()
    ]
    return min((at for at in found if at is not None), default=None)


def _worker(tx: Transaction, now: Instant, system: Instant) -> list[Finding]:
    last = tx.journal.last()
    due = tx.states.due(now, 1)
    late = now - due[0][1] if due else 0
    driven = bool(tx.meta.get("driven"))
    workers, holders = tx.shards.workers(), tx.shards.holders()
    ahead = last.now - system if last and not driven else 0
    return [
        Finding("last turn", format_instant(last.now) if last else "none"),
        Finding("at work", ", ".join(_share(name, holders) for name in workers) or "nobody"),
        Finding("clock", "driven" if driven else "the machine's"),
        Finding(
            "machine's clock",
            format_instant(system),
            problem="the machine's clock is behind the last turn" if ahead > HOUR else "",
            hint="set the machine's clock; time stands still until it has caught up",
            stops=ahead > HOUR,
        ),
        Finding(
            "oldest overdue alarm",
            f"{format_duration(late)} overdue" if late > 0 else "none",
            problem="alarms are overdue and no worker rings them" if late > LATE else "",
            hint="aftersale worker",
            stops=late > LATE,
        ),
    ]


def _share(worker: str, holders: Mapping[int, str]) -> str:
    """A worker and how much it holds."""
    mine = sum(holder == worker for holder in holders.values())
    return f"{worker} ({mine} shard{'' if mine == 1 else 's'})" if mine else f"{worker} (stands by)"


def _sending(app: App, tx: Transaction, now: Instant) -> list[Finding]:
    mode = mode_of(tx)
    by_status = tx.outbox.by_status()
    due = tx.outbox.queued(now, 1)  # tasks wait for people, not for a worker
    age = now - max(due[0].decided_at, due[0].not_before) if due else 0
    unknown = by_status.get(UNKNOWN, 0)
    tripped: dict[str, Instant] = tx.meta.get("tripped") or {}
    return [
        Finding(
            "mode",
            mode,
            problem="sending is stopped" if mode == STOPPED else "",
            hint="aftersale rehearse, or aftersale live",
            stops=mode == STOPPED,
        ),
        *_channels(app, tx, mode),
        Finding(
            "outbox",
            ", ".join(f"{number} {status}" for status, number in sorted(by_status.items()))
            or "empty",
        ),
        Finding(
            "oldest in the outbox",
            f"waits for {format_duration(age)}" if age > 0 else "none",
            problem="messages wait for longer than a day" if age > DAY and mode != STOPPED else "",
            hint="aftersale worker",
            stops=age > DAY and mode != STOPPED,
        ),
        Finding("claimed", str(by_status.get(CLAIMED, 0))),
        Finding(
            "unknown",
            str(unknown),
            problem="of some messages nobody knows whether they went out" if unknown else "",
            hint="aftersale resolve, or the page /doubts",
        ),
        Finding("failed", str(by_status.get(FAILED, 0))),
        Finding(
            "breaker",
            ", ".join(sorted(tripped)) or "closed",
            problem=f"{', '.join(sorted(tripped))} sent far more than its backtest"
            if tripped
            else "",
            hint="look at what it sent, then aftersale live again",
        ),
    ]


def _channels(app: App, tx: Transaction, mode: str) -> list[Finding]:
    """Where messages go, and whether they are taken there."""
    if not app.sending.channels:
        where = "the mailbox: no mail server is set up"
        return [Finding("e-mail", where if mode in REACHING else "the mailbox")]
    troubles = troubles_of(tx)
    found = []
    for name, channel in app.sending.channels.items():
        trouble = troubles.get(name)
        caught = "" if mode in REACHING else ", once live; the mailbox now"
        found.append(
            Finding(
                "e-mail" if name == "email" else name,
                f"{channel.name} to {channel.where}{caught}",
                problem=_trouble_words(trouble) if trouble is not None else "",
                hint=_REMEDIES.get(trouble.reason.partition(": ")[0], "") if trouble else "",
                stops=trouble is not None,
            )
        )
    url = urlsplit(app.public_url)
    own = (url.hostname or "") in {"127.0.0.1", "localhost", "::1"}
    unsafe = url.scheme != "https"
    wrong = (
        "links in messages lead to this machine only"
        if own
        else "links in messages are not safe, so no mail program unsubscribes with one click"
    )
    found.append(
        Finding(
            "links in messages",
            app.public_url,
            problem=wrong if mode in REACHING and (own or unsafe) else "",
            hint="set AFTERSALE_PUBLIC_URL to an https address that customers reach",
        )
    )
    return found


def _trouble_words(trouble: Trouble) -> str:
    since, until = format_instant(trouble.since), format_instant(trouble.until)
    return f"{send_words(trouble.reason)}, since {since}; next try {until}"


_REMEDIES = {
    UNREACHABLE: "see that the server runs and AFTERSALE_SMTP_URL names it",
    NO_LOGIN: "set user and password in AFTERSALE_SMTP_URL, then aftersale send-test",
    NO_TLS: "see the certificate of the server and the tls= and ca= of AFTERSALE_SMTP_URL",
    NO_SENDER: "use a sender in aftersale.toml, and a return path, that the server lets you use",
}


def _invariants(tx: Transaction) -> list[Finding]:
    """What the last verification found."""
    checked = latest_check(tx)
    if checked is None:
        return [Finding("verified", "not yet")]
    broken = ", ".join(f"{rule} ({count})" for rule, count in checked.broken.items())
    return [
        Finding("verified", f"{format_instant(checked.at)}, in {checked.seconds:.1f} seconds"),
        Finding(
            "sentences that must hold",
            f"{len(checked.checks) - len(checked.broken)} of {len(checked.checks)} hold",
            problem=f"broken: {broken}" if broken else "",
            hint="aftersale verify   lists where, and says whether it is so still",
        ),
        *(Finding(v.rule, f"{v.where}: {v.what}") for v in checked.examples),
    ]


def _states(tx: Transaction) -> list[Finding]:
    sizes: list[int] = []
    after = 0
    while len(sizes) < MEASURED and (rows := tx.states.page(after, 5_000)):
        sizes += [len(row.blob) for row in rows]
        after = rows[-1].customer
    sizes.sort()
    if not sizes:
        return [Finding("customers", "0")]
    over = sum(size > SOFT_LIMIT for size in sizes)
    looked = "" if len(sizes) < MEASURED else f" of the first {len(sizes)}"
    return [
        Finding("customers", str(tx.states.count())),
        Finding("median size", f"{sizes[len(sizes) // 2]} bytes"),
        Finding("99th percentile", f"{sizes[min(len(sizes) * 99 // 100, len(sizes) - 1)]} bytes"),
        Finding(f"over {SOFT_LIMIT} bytes", f"{over}{looked}"),
    ]


def _bytes(number: int) -> str:
    size = float(number)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
