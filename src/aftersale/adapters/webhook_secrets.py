"""Which secrets do providers sign with, and where do they lie?

In a file of their own, which is never deployed, stored or logged. It is read again when it has
changed, so that a secret is replaced without a restart. The environment may hold more of them.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aftersale.kernel.errors import Refusal
from aftersale.translation.signatures import CHECKS

FILE = "webhooks.toml"
_NAME = re.compile(r"(\w+)(?:/[\w.-]{1,80})?", re.ASCII)
_LOOK_EVERY = 1.0
"""Seconds."""
_MOST_BYTES = 1_000_000
_NOTHING: dict[str, tuple[str, ...]] = {}


class Secrets:
    """The secrets of a file, as it is now, and behind them those of the environment."""

    def __init__(
        self, path: Path, ticks: Callable[[], float], given: Mapping[str, str] = {}
    ) -> None:
        """`given`: provider → secrets with commas between. Refusal where it is not understood."""
        self._path = path
        self._given = read_given(given)
        self._ticks = ticks
        self._looked_at = ticks()
        self._seen = _seen(path)
        self._secrets = read_secrets(path)

    def __call__(self) -> set[str]:
        """The addresses below /webhooks/ that have secrets."""
        self._look()
        return {*self._secrets, *self._given}

    def of(self, provider: str, shop: str = "") -> tuple[str, ...]:
        """The secrets of a provider at one address, the newest first."""
        self._look()
        address = f"{provider}/{shop}" if shop else provider
        return self._secrets.get(address, ()) + self._given.get(address, ())

    def _look(self) -> None:
        now = self._ticks()
        if now - self._looked_at < _LOOK_EVERY:
            return
        self._looked_at, seen = now, _seen(self._path)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._secrets = read_secrets(self._path)
        except Refusal:
            return  # what was read before goes on to count; doctor tells what is wrong


def read_given(given: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The same of the environment; Refusal where there is no such provider."""
    found = {}
    for name, value in given.items():
        if name not in CHECKS:
            raise Refusal(
                f"{name} is no provider",
                where=f"AFTERSALE_WEBHOOK_SECRET_{name.upper()}",
                hint=f"there are {', '.join(CHECKS)}",
                code=2,
            )
        found[name] = tuple(filter(None, (one.strip() for one in value.split(","))))
    return found


def read_secrets(path: Path) -> dict[str, tuple[str, ...]]:
    """Address below /webhooks/ → its secrets; nothing where there is no file."""
    try:
        with path.open("rb") as opened:
            data = opened.read(_MOST_BYTES)
    except FileNotFoundError:
        return dict(_NOTHING)
    except OSError as error:
        raise _wrong(path, error.strerror or str(error)) from None
    try:
        told = tomllib.loads(data.decode())
    except ValueError as error:
        # The parser's words may hold a piece of the file.
        where = re.search(r"\(at line (\d+)", str(error))
        raise _wrong(path, f"line {where[1]} is no TOML" if where else "it is no TOML") from None
    return {name: _secrets(path, name, value) for name, value in told.items()}


def _secrets(path: Path, name: str, value: Any) -> tuple[str, ...]:
    found = _NAME.fullmatch(name)
    if found is None or found[1] not in CHECKS:
        raise _wrong(path, f"{name} is no provider", hint=f"there are {', '.join(CHECKS)}")
    several = [value] if isinstance(value, str) else value
    if not isinstance(several, list) or not all(isinstance(one, str) for one in several):
        raise _wrong(path, f"{name} is neither a text nor a list of texts")
    secrets = tuple(one.strip() for one in several)
    if not secrets or not all(secrets):
        raise _wrong(path, f"{name} has an empty secret")
    return secrets


def _seen(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


def _wrong(path: Path, why: str, hint: str = "") -> Refusal:
    return Refusal(
        "the secrets of webhooks cannot be read",
        where=path.name,
        why=why,
        hint=hint or 'one line a provider: shopify = ["the newer secret", "the older one"]',
    )
