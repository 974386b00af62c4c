"""With which certificates does Amazon SNS sign, and who decided to trust them?

A message names the address of its certificate. Nothing is fetched from there unless somebody
decided so: by a command for one address, or by a setting for all that are Amazon's own.
"""

import re
from collections.abc import Callable

from aftersale.kernel.errors import AftersaleError, Refusal
from aftersale.programme.ports import Store, Transaction
from aftersale.translation.signatures import is_of_sns

Fetch = Callable[[str], bytes]
"""Gets what lies at an address; Operational where that fails."""

_PATH = re.compile(r"https://[^/]+/SimpleNotificationService-[0-9a-fA-F]{8,64}\.pem")
_TRUSTED, _WANTED = "sns_certificates", "sns_wanted"
_MOST_WANTED = 5
_BEGINNING = "-----BEGIN CERTIFICATE-----"


class Certificates:
    """Finds certificates that are trusted, for one process."""

    def __init__(self, store: Store, fetch: Fetch | None = None) -> None:
        """`fetch`: who is asked for a certificate that is not known; None: nobody."""
        self._store = store
        self._fetch = fetch
        self._known: dict[str, bytes] = {}

    def __call__(self, url: str) -> bytes:
        """The certificate at that address; nothing where it is not trusted."""
        if url in self._known:
            return self._known[url]
        if not is_certificate(url):
            return b""
        with self._store.read() as tx:
            found = trusted(tx).get(url, "")
            noted = url in wanted(tx)
        if not found and self._fetch is not None:
            found = self._fetched(url)
        if found:
            self._known[url] = found.encode()
        elif not noted:
            with self._store.write() as tx:
                _want(tx, url)
        return found.encode()

    def _fetched(self, url: str) -> str:
        assert self._fetch is not None
        try:
            text = self._fetch(url).decode("ascii", "replace")
            with self._store.write() as tx:
                trust(tx, url, text)
        except AftersaleError:
            return ""
        return text


def is_certificate(url: str) -> bool:
    """Whether Amazon SNS keeps certificates at such an address."""
    return is_of_sns(url) and _PATH.fullmatch(url) is not None


def trusted(tx: Transaction) -> dict[str, str]:
    """Address → certificate, of those somebody decided to trust."""
    return dict(tx.meta.get(_TRUSTED) or {})


def wanted(tx: Transaction) -> list[str]:
    """Addresses that messages named and that nobody has decided about."""
    return list(tx.meta.get(_WANTED) or ())


def trust(tx: Transaction, url: str, text: str) -> None:
    """Trust what lies at the address; Refusal where it is no certificate or not of Amazon."""
    if not is_certificate(url):
        raise Refusal(
            f"{url} is no address of a certificate of Amazon SNS",
            hint="it looks like https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-….pem",
        )
    if _BEGINNING not in text:
        raise Refusal("this is no certificate", where=url, hint=f"it begins with {_BEGINNING}")
    tx.meta.set(_TRUSTED, {**trusted(tx), url: text})
    tx.meta.set(_WANTED, [one for one in wanted(tx) if one != url])


def _want(tx: Transaction, url: str) -> None:
    known = wanted(tx)
    if url not in known and len(known) < _MOST_WANTED:
        tx.meta.set(_WANTED, [*known, url])
