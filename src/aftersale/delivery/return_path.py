"""To which address does a message come back, and which message was that?

Every message has a return path of its own (VERP): a bounce that quotes nothing still says what it
is about. The token in it names the decision, which is short, and carries a code under the store's
secret, so that nobody can make up a bounce of a message. Mail servers may change the case of a
local part; the token does not mind.
"""

import base64
import hmac
import re

import msgspec

from aftersale.kernel.errors import Refusal
from aftersale.kernel.ids import CustomerId

PLACE = "{token}"
_CODE_BYTES = 10
_LONGEST_LOCAL_PART = 64  # RFC 5321, section 4.5.3.1.1
_LONGEST_TOKEN = 42
_TOKEN = re.compile(r"(\d{1,15})-(\d{1,9})-([a-z2-7]{16})")
_PATTERN = re.compile(r"[A-Za-z0-9._+=-]*\{token\}[A-Za-z0-9._+=-]*@[A-Za-z0-9.-]+")


class Returned(msgspec.Struct, frozen=True, gc=False):
    """Which message a return path belongs to: the decision of this customer with this number."""

    customer: CustomerId
    seq: int


def token_of(secret: bytes, customer: CustomerId, seq: int) -> str:
    """The token of a send."""
    return f"{customer}-{seq}-{_code(secret, customer, seq)}"


def read_token(secret: bytes, token: str) -> Returned | None:
    """The send of a token that `token_of` made with this secret, else None."""
    found = _TOKEN.fullmatch(token.lower())
    if found is None:
        return None
    customer, seq = int(found[1]), int(found[2])
    if not hmac.compare_digest(_code(secret, customer, seq), found[3]):
        return None
    return Returned(customer, seq)


def check_pattern(pattern: str) -> str:
    """The pattern of return paths, as `bounces+{token}@shop.example`; another form is refused."""
    local = pattern.partition("@")[0].replace(PLACE, "")
    if not _PATTERN.fullmatch(pattern) or len(local) + _LONGEST_TOKEN > _LONGEST_LOCAL_PART:
        raise Refusal(
            f"{pattern!r} is no pattern of return paths",
            why=f"it needs {PLACE} once before the @, and few other letters there",
            hint="for instance bounces+{token}@shop.example",
            code=2,
        )
    return pattern


def return_path(pattern: str, secret: bytes, customer: CustomerId, seq: int) -> str:
    """The address to which this send comes back."""
    return pattern.replace(PLACE, token_of(secret, customer, seq))


def read_return_path(pattern: str, secret: bytes, address: str) -> Returned | None:
    """The send that an address of the pattern belongs to; None for any other address."""
    before, _, behind = pattern.lower().partition(PLACE)
    found = address.strip().lower()
    if not (found.startswith(before) and found.endswith(behind)):
        return None
    return read_token(secret, found[len(before) : len(found) - len(behind)])


def _code(secret: bytes, customer: CustomerId, seq: int) -> str:
    key = hmac.digest(secret, b"aftersale return path", "sha256")
    code = hmac.digest(key, f"{customer}-{seq}".encode(), "sha256")[:_CODE_BYTES]
    return base64.b32encode(code).decode().lower()
