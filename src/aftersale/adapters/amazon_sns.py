"""How is Amazon SNS asked for what lies at one of its own addresses?

Only its own addresses, only over TLS, without following anybody elsewhere, and only so much.
"""

import http.client
import ssl
from urllib.parse import urlsplit

from aftersale.kernel.errors import Operational, Refusal
from aftersale.translation.signatures import is_of_sns

_SECONDS = 10.0
_MOST = 65_536


def fetch(url: str) -> bytes:
    """What lies there; Refusal where it is no address of Amazon SNS, Operational where it fails."""
    if not is_of_sns(url):
        raise Refusal(f"{url} is no address of Amazon SNS")
    at = urlsplit(url)
    connection = http.client.HTTPSConnection(
        at.netloc, timeout=_SECONDS, context=ssl.create_default_context()
    )
    try:
        connection.request("GET", at.path + (f"?{at.query}" if at.query else ""))
        found = connection.getresponse()
        body = found.read(_MOST)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Operational(f"{at.netloc} cannot be asked: {error}", hint="try again") from error
    finally:
        connection.close()
    if found.status != http.client.OK:
        raise Operational(f"{at.netloc} answers {found.status} {found.reason}", hint="try again")
    return body
