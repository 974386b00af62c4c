"""What can be set on this machine, as opposed to in the merchant's programme?

Read once, from `AFTERSALE_*` variables; flags of the command line win over them. Everything that
concerns customers (caps, quiet hours, journeys, words) belongs to the programme instead.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from aftersale.kernel.errors import Refusal

_PASSWORD = re.compile(r"(://[^:/@\s]*):[^@\s]*@")
_OF_PROVIDER = "AFTERSALE_WEBHOOK_SECRET_"
_ADDRESSES = ("postgresql://", "postgres://")


class Settings(msgspec.Struct, frozen=True):
    """Every setting with its default."""

    home: Path = Path()
    """Folder of the store and the programme. AFTERSALE_HOME."""
    database: str = ""
    """Address of a PostgreSQL database that holds the store instead of the folder.
    AFTERSALE_DATABASE."""
    shards: int = 16
    """Into how many shares the customers of a new store in a database are dealt: at most so many
    workers share them. AFTERSALE_SHARDS."""
    lease_seconds: float = 5.0
    """How long a worker that is silent keeps its customers. AFTERSALE_LEASE_SECONDS."""
    host: str = "127.0.0.1"
    """Address on which `serve` listens. AFTERSALE_HOST."""
    port: int = 8765
    """Port on which `serve` listens; the next free one where it is taken. AFTERSALE_PORT."""
    public_url: str = "http://127.0.0.1:8765"
    """Where customers reach this installation; links in messages begin so. AFTERSALE_PUBLIC_URL."""
    batch: int = 2_000
    """Events and alarms of one turn. AFTERSALE_BATCH."""
    poll_seconds: float = 0.25
    """How often a live worker looks for work. AFTERSALE_POLL_SECONDS."""
    lock_seconds: float = 10.0
    """How long to wait for another process that writes. AFTERSALE_LOCK_SECONDS."""
    metrics_port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 0
    """Port on which a worker answers /metrics, /healthz and /readyz; 0: on none.
    AFTERSALE_METRICS_PORT."""
    metrics_host: str = "127.0.0.1"
    """Address for that. With one that others reach, `serve` tells them its metrics, too.
    AFTERSALE_METRICS_HOST."""
    stuck_seconds: Annotated[float, msgspec.Meta(gt=0)] = 300.0
    """A worker whose loop has not come round for so long is not well. AFTERSALE_STUCK_SECONDS."""
    verify_hours: Annotated[float, msgspec.Meta(ge=0)] = 24.0
    """How often a worker verifies the store; 0: never. AFTERSALE_VERIFY_HOURS."""
    log: Literal["text", "json"] = "text"
    """In which form a worker tells what it does. AFTERSALE_LOG."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """From which level on. AFTERSALE_LOG_LEVEL."""
    lake: str = ""
    """Folder of the history; empty: `lake` in the home. AFTERSALE_LAKE."""
    lake_memory_mb: Annotated[int, msgspec.Meta(ge=64)] = 1_000
    """Memory that questions to the history may take. AFTERSALE_LAKE_MEMORY_MB."""
    lake_threads: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Threads that work on them; 0: one for each processor. AFTERSALE_LAKE_THREADS."""
    tracking_event_kb: Annotated[int, msgspec.Meta(ge=1)] = 32
    """Most kilobytes of one event that comes in over HTTP. AFTERSALE_TRACKING_EVENT_KB."""
    tracking_batch_kb: Annotated[int, msgspec.Meta(ge=1)] = 500
    """Most kilobytes of one batch. AFTERSALE_TRACKING_BATCH_KB."""
    tracking_per_second: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Most events a second of one key; 0: no limit. AFTERSALE_TRACKING_PER_SECOND."""
    tracking_answers: Literal["honest", "segment"] = "honest"
    """Whether tracking clients are told what was wrong, or 200 as Segment does.
    AFTERSALE_TRACKING_ANSWERS."""
    api_per_second: Annotated[float, msgspec.Meta(ge=0)] = 50.0
    """Most requests a second of one key that reads; 0: no limit. AFTERSALE_API_PER_SECOND."""
    webhook_secrets: str = ""
    """File with the secrets of providers; empty: `webhooks.toml` in the home.
    AFTERSALE_WEBHOOK_SECRETS."""
    webhook_kb: Annotated[int, msgspec.Meta(ge=1)] = 5_000
    """Most kilobytes of one request of a provider. AFTERSALE_WEBHOOK_KB."""
    webhook_days: Annotated[int, msgspec.Meta(ge=1)] = 30
    """How long a request that was understood is kept raw. AFTERSALE_WEBHOOK_DAYS."""
    webhook_open_days: Annotated[int, msgspec.Meta(ge=1)] = 180
    """How long one that was refused, or waits. AFTERSALE_WEBHOOK_OPEN_DAYS."""
    sns_certificates: Literal["ask", "fetch"] = "ask"
    """Whether certificates of Amazon SNS are fetched from there, or only when somebody says so.
    AFTERSALE_SNS_CERTIFICATES."""
    smtp_url: str = ""
    """The mail server; empty: the mailbox catches e-mail. AFTERSALE_SMTP_URL. Holds a password."""
    smtp_return_path: str = ""
    """Pattern of return paths; empty: the sender's address. AFTERSALE_SMTP_RETURN_PATH."""
    smtp_connections: Annotated[int, msgspec.Meta(ge=1, le=50)] = 4
    """Connections at a time. AFTERSALE_SMTP_CONNECTIONS."""
    smtp_per_second: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Most messages a second; 0: no limit. AFTERSALE_SMTP_PER_SECOND."""
    smtp_domain_per_second: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """The same for the addresses of one domain. AFTERSALE_SMTP_DOMAIN_PER_SECOND."""
    smtp_timeout_seconds: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """For an answer; four times as long after a message's end. AFTERSALE_SMTP_TIMEOUT_SECONDS."""

    def __repr__(self) -> str:
        """As it may stand in a log: what may hold a password is covered."""
        fields = ", ".join(f"{name}={shown(self, name)!r}" for name in self.__struct_fields__)
        return f"Settings({fields})"


def shown(settings: Settings, name: str) -> Any:
    """The value of a setting as it may be shown; of what may hold a password only the rest."""
    value = getattr(settings, name)
    if name == "database":
        return without_password(value)
    if name != "smtp_url" or not value:
        return value
    scheme, _, rest = value.partition("://")
    _, at, server = rest.rpartition("@")
    if not re.fullmatch(r"[A-Za-z0-9.\-\[\]:]+(\?[\w=&./%-]*)?", server):
        return "set, and not shown"
    return f"{scheme}://{'…@' if at else ''}{server}"


def without_password(text: str) -> str:
    """An address as people may see it."""
    return _PASSWORD.sub(r"\1:…@", text)


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"AFTERSALE_{name.upper()}"


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of the environment; a value of the wrong form is refused by its name."""
    found = os.environ if environment is None else environment
    given = {
        name: found[variable(name)]
        for name in Settings.__struct_fields__
        if found.get(variable(name))
    }
    home = given.pop("home", ".")
    try:
        settings = msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$.")
        raise Refusal(
            f"a setting has a wrong value: {text}",
            where=variable(where.rstrip("`")) if where else "",
            code=2,
        ) from None
    return at_home(settings, home)


def given_secrets(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Name of a provider → the secrets of AFTERSALE_WEBHOOK_SECRET_<PROVIDER>, as they stand there.

    They are no settings, so that nothing that shows settings can show them.
    """
    found = os.environ if environment is None else environment
    return {
        name.removeprefix(_OF_PROVIDER).lower(): value
        for name, value in found.items()
        if name.startswith(_OF_PROVIDER) and value
    }


def at_home(settings: Settings, home: str) -> Settings:
    """The settings with another home: a folder, or the address of a database."""
    if home.startswith(_ADDRESSES):
        return msgspec.structs.replace(settings, database=home)
    return msgspec.structs.replace(settings, home=Path(home))
