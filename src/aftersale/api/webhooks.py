"""How do providers hand in what they tell, proved to be theirs and durable before the answer?

The size is checked before anything is read, the signature before anything is understood. Then the
request is translated and kept in the commit that it shares with other senders.
"""

import asyncio
import re
from collections.abc import Callable, Sequence

from starlette.types import Receive, Scope, Send

from aftersale.api.answers import JSON, Problem, answer
from aftersale.api.bodies import read_body
from aftersale.api.intake import Intake, headers_of, only_post, served
from aftersale.runtime.requests import arrived
from aftersale.translation.happening import Delivery
from aftersale.translation.providers import TRANSLATORS
from aftersale.translation.requests import certificate_url, is_ping, topic
from aftersale.translation.signatures import Signed, is_genuine

PREFIX = "/webhooks/"
_PATH = re.compile(r"/webhooks/(\w{1,40})(?:/([\w.-]{1,80}))?/?", re.ASCII)
_TAKEN = b'{"success":true}'
_NO_REPLY = b"<Response/>"
"""What Twilio takes for: send nothing back."""

Secrets = Callable[[str, str], Sequence[str]]
"""Provider and shop → the secrets of whom is trusted there; none: it is not set up."""
Certificates = Callable[[str], bytes]
"""Address of a certificate of Amazon SNS → the certificate; nothing where it is not trusted. It
may ask the store, so it is called in a thread."""


class Webhooks:
    """Answers providers."""

    def __init__(self, intake: Intake, secrets: Secrets, certificates: Certificates) -> None:
        self._intake = intake
        self._secrets = secrets
        self._certificates = certificates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take in one request."""
        fault = await served(self._answered(scope, receive, send), scope, send)
        if fault is not None:
            raise fault  # the request is safe and answered; the server's log is to have this

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> Exception | None:
        """Take in one request and answer it; what its translator failed with."""
        provider, shop, secrets = self._addressed(scope["path"])
        if scope["method"] == "HEAD":
            await answer(send, 200, b"")  # some ask so whether the address is there
            return None
        only_post(scope)
        headers = headers_of(scope)
        body = await read_body(receive, headers, self._intake.bounds.webhook)
        if is_ping(provider, body):
            await answer(send, 200, _TAKEN)
            return None
        told = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
        now = self._intake.app.system_now()
        certificate = await self._certificate(body, secrets) if provider == "amazon_ses" else b""
        signed = Signed(body, told, self._url(scope), now, certificate)
        if not is_genuine(provider, secrets, signed):
            raise Problem(
                401,
                "wrong-signature",
                f"no secret of {provider} proves this request",
                hint="see that the secret set here is the one that the provider signs with",
            )
        found = arrived(provider, Delivery(body, told, now, shop))
        await self._intake.kept(found)
        if provider == "twilio":
            await answer(send, 200, _NO_REPLY, kind=b"text/xml")
        else:
            await answer(send, 200, _TAKEN, kind=JSON)
        return found.fault

    def _addressed(self, path: str) -> tuple[str, str, Sequence[str]]:
        """Which provider and shop an address is for, and their secrets."""
        found = _PATH.fullmatch(path)
        provider, shop = (found[1], found[2] or "") if found else ("", "")
        if provider not in TRANSLATORS:
            raise Problem(
                404,
                "unknown-provider",
                "no provider has this address",
                hint=f"there are {', '.join(PREFIX + name for name in TRANSLATORS)}",
            )
        secrets = self._secrets(provider, shop)
        if not secrets:
            raise Problem(
                404,
                "not-set-up",
                "nobody may send to this address yet",
                hint="put the provider's secret into webhooks.toml",
            )
        return provider, shop, secrets

    async def _certificate(self, body: bytes, secrets: Sequence[str]) -> bytes:
        """The certificate that a message of Amazon SNS names, if its topic is one of ours."""
        url = certificate_url(body)
        if not url or topic(body) not in secrets:
            return b""
        found = await asyncio.to_thread(self._certificates, url)
        if not found:
            raise Problem(
                503,
                "unknown-certificate",
                "the certificate of this message is not trusted yet",
                hint="`aftersale webhooks trust` shows it and asks",
                headers=[(b"retry-after", b"60")],
            )
        return found

    def _url(self, scope: Scope) -> str:
        """The address as the provider has it: never by what the request says of its host."""
        query = scope["query_string"].decode("latin-1")
        path: str = scope["path"] + (f"?{query}" if query else "")
        return self._intake.app.public_url.rstrip("/") + path
