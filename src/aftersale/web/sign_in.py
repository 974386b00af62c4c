"""What stands for somebody who has signed in, and how is a link made that signs in once?

Whoever can run a command on this machine gets a link that works once. The link's page only shows
a button, so that a program which fetches links uses nothing up; the button's POST does. After
it, or after a password, a signed cookie stands for the session.
"""

import secrets
from hashlib import sha256

import msgspec

from aftersale.kernel.instants import HOUR, MINUTE, SECOND, Instant
from aftersale.messages.links import sign, verify
from aftersale.programme.ports import Store, Transaction
from aftersale.web.accounts import LINKS, stamp_of

COOKIE = "aftersale_session"
SESSION_LASTS = 12 * HOUR
LINK_LASTS = 30 * MINUTE
_OFFERS = "sign_in"


class SignIn:
    """One-time links, kept in the store as digests, so that any process may make one."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def offer(self, now: Instant) -> str:
        """The path of a new link; it works once, for half an hour. `now`: the machine's clock."""
        token = secrets.token_urlsafe(24)
        with self._store.write() as tx:
            kept = _valid(tx, now)
            kept[_digest(token)] = now + LINK_LASTS
            tx.meta.set(_OFFERS, kept)
        return f"/sign-in/{token}"

    def use(self, token: str, now: Instant) -> bool:
        """Use a link up; False where it never was, is used or is too old."""
        with self._store.write() as tx:
            kept = _valid(tx, now)
            found = kept.pop(_digest(token), None)
            tx.meta.set(_OFFERS, kept)
        return found is not None


def _valid(tx: Transaction, now: Instant) -> dict[str, Instant]:
    kept: dict[str, Instant] = tx.meta.get(_OFFERS) or {}
    return {digest: until for digest, until in kept.items() if until > now}


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Session(msgspec.Struct, frozen=True):
    """What a cookie says, once its signature is checked."""

    id: str
    account: str
    """Empty for one that began with a link."""
    stamp: str

    def holds(self, tx: Transaction) -> bool:
        """Whether the account is still there and has not changed its password since."""
        return stamp_of(tx, self.account) == self.stamp


def session_cookie(secret: bytes, now: Instant, account: str = LINKS, stamp: str = "") -> str:
    """The value of a new session's cookie."""
    until = str(now + SESSION_LASTS)
    return sign(secret, "session", until, secrets.token_hex(8), account, stamp)


def session_of(secret: bytes, cookie: str, now: Instant) -> Session | None:
    """The session that the cookie stands for; None where it is not ours or has run out."""
    parts = verify(secret, "session", cookie)
    if parts is None or len(parts) != 4 or int(parts[0]) <= now:
        return None
    return Session(*parts[1:])


def form_token(secret: bytes, session: str) -> str:
    """What a form of this session carries, so that no other site can post in its name."""
    return sign(secret, "form", session)


def form_allowed(secret: bytes, session: str, token: str) -> bool:
    """Whether the form came from a page of this session."""
    return bool(session) and verify(secret, "form", token) == (session,)


SESSION_SECONDS = SESSION_LASTS // SECOND
