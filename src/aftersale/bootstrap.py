"""How is an installation put together? The only file that joins ports and adapters."""

import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from aftersale import __version__
from aftersale.adapters import clock
from aftersale.adapters.channels.mailbox import MailboxChannel
from aftersale.adapters.channels.smtp.channel import Limits, SmtpChannel
from aftersale.adapters.channels.smtp.server import read_server
from aftersale.adapters.folder import read_folder, write_starter
from aftersale.adapters.lake.folder import FolderLake
from aftersale.adapters.storage.sqlite.schema import migrate as migrate_file
from aftersale.adapters.storage.sqlite.store import SqliteStore
from aftersale.adapters.telemetry.endpoint import Reply
from aftersale.adapters.telemetry.log import Log
from aftersale.adapters.webhook_secrets import FILE as SECRETS
from aftersale.adapters.webhook_secrets import Secrets
from aftersale.delivery.channel import Channel
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY, HOUR
from aftersale.messages.template import Templates
from aftersale.programme.ports import Store, Transaction
from aftersale.programme.telemetry import METRICS_TYPE, Telemetry
from aftersale.runtime.app import App
from aftersale.runtime.live import Live
from aftersale.runtime.probes import KEPT_SECONDS, Probe, Pulse, worker_ready
from aftersale.runtime.rendering import Renderer
from aftersale.runtime.sending import Sending
from aftersale.runtime.telemetry import Together
from aftersale.runtime.turns import Turns
from aftersale.runtime.verifying import Verifying, elsewhere
from aftersale.runtime.vitals import Latest, latest_vitals
from aftersale.runtime.worker import Worker
from aftersale.runtime.worlds import Worlds
from aftersale.settings import Settings, at_home, given_secrets

if TYPE_CHECKING:
    from aftersale.api.intake import Intake
    from aftersale.api.webhooks import Webhooks

STORE = "aftersale.db"
LAKE = "lake"


def store_path(home: Path) -> Path:
    """Where the store of a home lies."""
    return home / STORE


def open_lake(settings: Settings) -> FolderLake:
    """The lake of these settings; it need not be there yet."""
    folder = Path(settings.lake) if settings.lake else settings.home / LAKE
    return FolderLake(folder, memory_mb=settings.lake_memory_mb, threads=settings.lake_threads)


def open_store(settings: Settings, *, create: bool = False) -> Store:
    """The store of these settings; one that is not there is refused with what to do."""
    if settings.database:
        from aftersale.adapters.storage.postgres.store import PostgresStore

        return PostgresStore(
            settings.database, create=create, shards=settings.shards, wait=settings.lock_seconds
        )
    path = store_path(settings.home)
    if not create and not path.exists():
        raise Refusal(
            f"there is no store in {settings.home}",
            hint=f"aftersale --home {settings.home} init {settings.home}   makes one",
            code=1,
        )
    return SqliteStore(path, create=create, wait=settings.lock_seconds)


def migrate(settings: Settings) -> list[str]:
    """Bring an older store to this version; the names of the migrations applied."""
    if settings.database:
        from aftersale.adapters.storage.postgres.schema import migrate as migrate_database

        return migrate_database(settings.database, wait=settings.lock_seconds)
    return migrate_file(store_path(settings.home), wait=settings.lock_seconds)


def moved(
    settings: Settings, address: str, *, progress: Callable[[int, int], None]
) -> tuple[App, App, dict[str, tuple[int, int]]]:
    """Copy the store of the home into an empty database.

    Both installations, and the rows of each table before and after. The one of the home is
    stopped, so that nobody sends twice; where the copy fails its mode is put back.
    """
    from aftersale.adapters.storage.move import counted, move

    app = build(open_store(settings), settings)
    path = store_path(settings.home)
    with app.store.write() as tx:
        if tx.shards.workers():
            raise Refusal(
                f"a worker is at work on this store: {', '.join(tx.shards.workers())}",
                hint="stop it first; what it did meanwhile would be lost",
            )
        mode = tx.meta.get("mode")
        tx.meta.set("mode", "stopped")
    try:
        rows = move(path, address, shards=settings.shards, progress=progress)
    except BaseException:
        with app.store.write() as tx:
            tx.meta.set("mode", mode)
        raise
    there = at_home(settings, address)
    copy = build(open_store(there), there)
    with copy.store.write() as tx:
        tx.meta.set("mode", mode)
    before = counted(path)
    return app, copy, {table: (before[table], count) for table, count in rows.items()}


def build(
    store: Store,
    settings: Settings,
    *,
    reopen: Callable[[], Store] | None = None,
    channels: Mapping[str, Channel] | None = None,
    worlds: Worlds | None = None,
) -> App:
    """Everything that works on the store; `channels` in place of those that are set up."""
    worlds = worlds or Worlds()
    renderers: dict[int, Renderer] = {}

    def renderer_of(tx: Transaction, version: int) -> Renderer:
        found = renderers.get(version)
        if found is None:
            compiled = worlds.compiled(tx, version)
            found = renderers[version] = Renderer(
                Templates(compiled.templates),
                compiled.shop,
                secret=bytes.fromhex(tx.meta.get("secret") or "00"),
                public_url=settings.public_url,
            )
        return found

    mailbox = MailboxChannel(store)
    turns = Turns(store, worlds, engine=__version__, batch=settings.batch)
    if channels is None:
        channels = channels_of(settings, secret_of(store))
    sending = Sending(store, worlds, renderer_of, mailbox=mailbox, channels=channels)
    worker = Worker(store, worlds, turns, sending)
    return App(
        settings.home,
        store,
        worlds,
        turns,
        sending,
        worker,
        clock.now,
        settings.public_url,
        reopen or partial(open_store, settings),
        partial(open_app, settings),
        open_lake(settings),
        lambda: sorted(secrets_of(settings)()),
    )


def live(
    app: App, settings: Settings, *, holder: str = "", telemetry: Telemetry | None = None
) -> Live:
    """A worker by the machine's clock, under a name of its own."""
    verifying = Verifying(
        app.store,
        elsewhere(app.reopen, clock.now),
        clock.now,
        every=round(settings.verify_hours * HOUR),
    )
    return Live(
        app,
        holder=holder or worker_name(),
        ticks=clock.ticks,
        lease_seconds=settings.lease_seconds,
        poll_seconds=settings.poll_seconds,
        telemetry=telemetry,
        verifying=verifying if settings.verify_hours else None,
    )


def worker_name() -> str:
    """A name for a worker that no other one has."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"


class Watched(msgspec.Struct, frozen=True):
    """A live worker and who watches it."""

    live: Live
    log: Log
    answers: dict[str, Callable[[], Reply]]
    """What it answers to probes and monitoring, by path."""


def watched(
    app: App, settings: Settings, wanted: threading.Event, write: Callable[[str], None]
) -> Watched:
    """A live worker that is watched as the settings say.

    `wanted` is set when it shall end; `write` takes the lines of its log.
    """
    from aftersale.adapters.telemetry.prometheus import WorkerMetrics

    holder = worker_name()
    log = Log(
        write, clock.now, worker=holder, json=settings.log == "json", level=settings.log_level
    )
    metrics = WorkerMetrics(latest_vitals(app, clock.ticks), clock.now)
    pulse = Pulse(clock.ticks, stuck_seconds=settings.stuck_seconds)
    at_work = live(app, settings, holder=holder, telemetry=Together(log, metrics, pulse))
    is_ready = Latest(lambda: worker_ready(app, holder, wanted), clock.ticks, seconds=KEPT_SECONDS)
    answers = {
        "/metrics": lambda: Reply(200, METRICS_TYPE, metrics.page()),
        "/healthz": lambda: _probed(pulse.probe()),
        "/readyz": lambda: _probed(is_ready()),
    }
    return Watched(at_work, log, answers)


def metrics_of(app: App) -> Callable[[], bytes]:
    """What a process that does not work on the store can tell of it to monitoring."""
    from aftersale.adapters.telemetry.prometheus import Metrics

    return Metrics(latest_vitals(app, clock.ticks)).page


def intake_of(app: App, settings: Settings) -> "Intake":
    """What takes events in over HTTP, within the bounds of the settings."""
    from aftersale.api.intake import Bounds, Intake

    bounds = Bounds(
        event=settings.tracking_event_kb * 1024,
        batch=settings.tracking_batch_kb * 1024,
        per_second=settings.tracking_per_second,
        reads_per_second=settings.api_per_second,
        like_segment=settings.tracking_answers == "segment",
        webhook=settings.webhook_kb * 1024,
        kept=settings.webhook_days * DAY,
        kept_others=settings.webhook_open_days * DAY,
    )
    return Intake(app, clock.ticks, bounds)


def webhooks_of(app: App, settings: Settings, intake: "Intake") -> "Webhooks":
    """What takes in what providers tell, with the secrets of the settings."""
    from aftersale.adapters.amazon_sns import fetch
    from aftersale.api.webhooks import Webhooks
    from aftersale.runtime.certificates import Certificates

    asked = fetch if settings.sns_certificates == "fetch" else None
    return Webhooks(intake, secrets_of(settings).of, Certificates(app.store, asked))


def secrets_of(settings: Settings) -> Secrets:
    """The secrets of providers; Refusal where they cannot be read."""
    path = Path(settings.webhook_secrets or settings.home / SECRETS)
    return Secrets(path, clock.ticks, given_secrets())


def _probed(probe: Probe) -> Reply:
    return Reply(probe.status, "application/json", msgspec.json.encode(probe) + b"\n")


def secret_of(store: Store) -> bytes:
    """What links and return paths are signed with."""
    with store.read() as tx:
        return bytes.fromhex(tx.meta.get("secret") or "00")


def channels_of(settings: Settings, secret: bytes) -> dict[str, Channel]:
    """The channels that are set up, by the name that journeys give them."""
    if not settings.smtp_url:
        return {}
    limits = Limits(
        settings.smtp_connections,
        settings.smtp_per_second,
        settings.smtp_domain_per_second,
        settings.smtp_timeout_seconds,
        4 * settings.smtp_timeout_seconds,
    )
    server = read_server(settings.smtp_url)
    pattern = settings.smtp_return_path
    email = SmtpChannel(
        server, secret=secret, clock=clock.now, return_pattern=pattern, limits=limits
    )
    return {"email": email}


def open_app(settings: Settings) -> App:
    """The installation of the settings' home."""
    return build(open_store(settings), settings)


def init(settings: Settings, *, overwrite: bool = False) -> tuple[App, list[str]]:
    """Make a home: the starter programme, the store, its secret, the first deployment.

    A home that is there is kept as it is; only what is missing is added. The files written.
    """
    home = settings.home
    home.mkdir(parents=True, exist_ok=True)
    has_programme = (home / "journeys").is_dir()
    written = [] if has_programme and not overwrite else write_starter(home, overwrite=overwrite)
    store = open_store(settings, create=True)
    with store.write() as tx:
        if tx.meta.get("secret") is None:
            tx.meta.set("secret", secrets.token_hex(32))
            tx.meta.set("mode", "rehearse")
    app = build(store, settings)
    if not app.files():
        app.deploy(read_folder(home), note="init")
    return app, written
