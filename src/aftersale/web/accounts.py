"""By which name and password may somebody open the merchant's pages?

A password lies in the store as an Argon2id hash (RFC 9106). Every session names its account and
the stamp of the password it began with; another password is another stamp, so that the sessions
before it end with their next request. A guess is counted before it is judged: guesses that are
made at the same time cannot slip past the count.
"""

import secrets
import threading
import unicodedata
from functools import cached_property
from hashlib import sha256

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import HOUR, MINUTE, SECOND, Duration, Instant
from aftersale.programme.ports import Store, Transaction

LINKS = ""
"""The account of sessions that began with a one-time link."""
SHORTEST, LONGEST = 10, 500
"""Letters of a password."""
FREE_GUESSES = 5
FIRST_WAIT, LONGEST_WAIT = 15 * SECOND, 15 * MINUTE
"""After the free guesses each costs a wait, twice that of the one before."""
FORGOTTEN_AFTER: Duration = HOUR
"""Without a further guess."""

_KEPT, _GUESSES = "accounts", "guesses"
_NAME_LETTERS = 100


class Account(msgspec.Struct, frozen=True):
    """Somebody who may sign in."""

    name: str
    hash: str
    """Argon2id of the password, with its parameters and salt; empty: no password opens it."""
    stamp: str
    """Of the sessions that still hold."""
    made_at: Instant
    changed_at: Instant


class TooManyGuesses(Refusal):
    """Guesses at this name have to wait."""

    def __init__(self, wait: Duration) -> None:
        seconds = -(-wait // SECOND)
        super().__init__(
            "Too many wrong passwords.",
            why=f"The next try counts in {seconds} second{'' if seconds == 1 else 's'}.",
            hint="aftersale sign-in   prints a link that works at once",
        )
        self.seconds = seconds


class Accounts:
    """The accounts of one store. Threads may share it."""

    def __init__(self, store: Store, hasher: PasswordHasher | None = None) -> None:
        """`hasher`: what a password costs to check; None: 64 MiB and three passes."""
        self._store = store
        self._hasher = hasher or PasswordHasher()
        self._one_at_a_time = threading.Lock()

    def add(self, name: str, password: str, now: Instant) -> Account:
        """A new account; `Refusal` where the name is taken or the password too easy."""
        name = _tidy(name)
        if not name or len(name) > _NAME_LETTERS:
            raise Refusal(f"{name!r} is no name", hint="for instance: ada", code=2)
        found = Account(name, self._hash(password, name), secrets.token_hex(8), now, now)
        with self._store.write() as tx:
            kept = _kept(tx)
            if name in kept:
                raise Refusal(f"there is an account {name!r}", hint=f"aftersale users set {name}")
            _keep(tx, {**kept, name: found})
        return found

    def set(self, name: str, password: str, now: Instant) -> Account:
        """Another password, which ends every session of the account."""
        name = _tidy(name)
        hashed = self._hash(password, name)
        with self._store.write() as tx:
            kept = _kept(tx)
            before = _known(kept, name)
            changed = Account(name, hashed, secrets.token_hex(8), before.made_at, now)
            _keep(tx, {**kept, name: changed})
            _forget_guesses(tx, name, now)
        return changed

    def remove(self, name: str) -> None:
        """Take the account away, and with it its sessions."""
        with self._store.write() as tx:
            kept = _kept(tx)
            _known(kept, name := _tidy(name))
            _keep(tx, {other: one for other, one in kept.items() if other != name})

    def revoke(self, names: list[str], now: Instant) -> list[str]:
        """End every session of these accounts, of all where none is named; whose they were."""
        with self._store.write() as tx:
            kept = _kept(tx)
            kept.setdefault(LINKS, Account(LINKS, "", "", now, now))
            wanted = [_known(kept, _tidy(name)).name for name in names] or list(kept)
            for name in wanted:
                stamp = secrets.token_hex(8)
                kept[name] = msgspec.structs.replace(kept[name], stamp=stamp, changed_at=now)
            _keep(tx, kept)
        return wanted

    def check(self, name: str, password: str, now: Instant) -> Account | None:
        """The account if the password is right; `TooManyGuesses` where it is not even looked at.

        A name that is not known takes as long, and is counted, like one that is.
        """
        name = _tidy(name)[:_NAME_LETTERS]
        with self._store.write() as tx:
            _count_guess(tx, name, now)
            found = _kept(tx).get(name) if name else None
        right = self._is_right(found.hash if found and found.hash else self._nobodys, password)
        if not right or found is None or not found.hash:
            return None
        with self._store.write() as tx:
            _forget_guesses(tx, name, now)
            if self._hasher.check_needs_rehash(found.hash):
                kept = _kept(tx)
                if kept.get(name) == found:
                    renewed = self._hash(password, name)
                    _keep(tx, {**kept, name: msgspec.structs.replace(found, hash=renewed)})
        return found

    def _is_right(self, hashed: str, password: str) -> bool:
        with self._one_at_a_time:  # each takes its memory, and guesses gain nothing by being many
            try:
                return self._hasher.verify(hashed, _plain(password)[:LONGEST])
            except (VerificationError, InvalidHashError):
                return False

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_hex(16))

    def _hash(self, password: str, name: str) -> str:
        plain = _plain(password)
        if not SHORTEST <= len(plain) <= LONGEST:
            why = f"it has {len(plain)} letters; at least {SHORTEST} are needed"
            if len(plain) > LONGEST:
                why = f"at most {LONGEST} letters are taken"
            raise Refusal("this is no password", why=why, hint="four words are a good one", code=2)
        if plain.lower() in {name, name * 2} or len(set(plain)) < 5:
            raise Refusal("this password is too easy", hint="four words are a good one", code=2)
        return self._hasher.hash(plain)


def accounts(tx: Transaction) -> list[Account]:
    """Everybody who may sign in, by name."""
    return [one for name, one in sorted(_kept(tx).items()) if name != LINKS]


def stamp_of(tx: Transaction, name: str) -> str | None:
    """The stamp of sessions of that account which still hold; None where there is no account."""
    found = _kept(tx).get(name)
    if found is None:
        return "" if name == LINKS else None
    return found.stamp


def _tidy(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().lower()


def _plain(password: str) -> str:
    """One form of what keyboards write in several."""
    return unicodedata.normalize("NFKC", password)


def _kept(tx: Transaction) -> dict[str, Account]:
    return msgspec.convert(tx.meta.get(_KEPT) or {}, dict[str, Account])


def _keep(tx: Transaction, kept: dict[str, Account]) -> None:
    tx.meta.set(_KEPT, msgspec.to_builtins(kept))


def _known(kept: dict[str, Account], name: str) -> Account:
    found = kept.get(name)
    if found is None:
        raise Refusal(f"there is no account {name!r}", hint="aftersale users list")
    return found


def _count_guess(tx: Transaction, name: str, now: Instant) -> None:
    guesses = _guesses(tx, now)
    count, at = guesses.get(_bucket(name), (0, now))
    wait = _wait(count)
    if now < at + wait:
        raise TooManyGuesses(at + wait - now)
    guesses[_bucket(name)] = (count + 1, now)
    tx.meta.set(_GUESSES, guesses)


def _wait(count: int) -> Duration:
    """After so many wrong guesses."""
    if count < FREE_GUESSES:
        return 0
    return min(FIRST_WAIT << min(count - FREE_GUESSES, 16), LONGEST_WAIT)


def _forget_guesses(tx: Transaction, name: str, now: Instant) -> None:
    guesses = _guesses(tx, now)
    if guesses.pop(_bucket(name), None) is not None:
        tx.meta.set(_GUESSES, guesses)


def _guesses(tx: Transaction, now: Instant) -> dict[str, tuple[int, Instant]]:
    kept = msgspec.convert(tx.meta.get(_GUESSES, hold=True) or {}, dict[str, tuple[int, Instant]])
    return {key: told for key, told in kept.items() if now < told[1] + FORGOTTEN_AFTER}


def _bucket(name: str) -> str:
    """Names share some thousand counts, so that guesses at many names fill nothing up."""
    return sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:3]
