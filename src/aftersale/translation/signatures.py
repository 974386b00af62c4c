"""Did the provider that a request claims to be from send it, exactly as it arrived?

One function a scheme, on the raw bytes and in constant time. Several secrets may be given: while
one is replaced, both are taken. Nothing is said of a wrong signature but that it is wrong.
"""

import base64
import binascii
import hmac
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from hashlib import md5, sha256
from urllib.parse import parse_qs, parse_qsl, urlsplit, urlunsplit

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from aftersale.kernel.instants import DAY, MINUTE, SECOND, Duration, Instant
from aftersale.translation.foreign import Unreadable, body_of, json_of, part, text

FRESH: Duration = 5 * MINUTE
"""Between signing and arrival, where each try is signed anew."""
STALE: Duration = 3 * DAY
"""The same where a try after hours still carries the first signature; ids keep it from acting
twice."""


class Signed(msgspec.Struct, frozen=True):
    """A request with everything that a signature may cover."""

    body: bytes
    headers: Mapping[str, str]
    """Names in small letters."""
    url: str
    """As the provider knows it, with its query: made from the public address, never from Host."""
    now: Instant
    certificate: bytes = b""
    """Of Amazon SNS: what lies at the address that the message names, which was checked before."""


Check = Callable[[Sequence[str], Signed], bool]


def same(one: str | bytes, other: str | bytes) -> bool:
    """Whether two texts are one, in a time that says nothing of where they differ."""
    left, right = (
        x if isinstance(x, bytes) else x.encode("utf-8", "replace") for x in (one, other)
    )
    return hmac.compare_digest(left, right)


def _any(found: Sequence[bool]) -> bool:
    """Whether one is true; every one was computed."""
    return any(found)


def _base64_of(*names: str) -> Check:
    """base64(HMAC-SHA256(secret, body)) in one of these headers."""

    def check(secrets: Sequence[str], request: Signed) -> bool:
        told = next((request.headers[name] for name in names if name in request.headers), "")
        told = told.removeprefix("hmac-sha256=")
        return _any([same(told, _in_base64(secret, request.body)) for secret in secrets])

    return check


def _hex_of(name: str, prefix: str = "") -> Check:
    """hex(HMAC-SHA256(secret, body)) behind a prefix, of the secret in its normal form (NFKD)."""

    def check(secrets: Sequence[str], request: Signed) -> bool:
        told = request.headers.get(name, "").removeprefix(prefix).lower()
        keys = [unicodedata.normalize("NFKD", secret) for secret in secrets]
        made = [hmac.digest(key.encode(), request.body, "sha256").hex() for key in keys]
        return _any([same(told, one) for one in made])

    return check


def _in_base64(secret: str, data: bytes) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), data, "sha256")).decode()


def stripe(secrets: Sequence[str], request: Signed) -> bool:
    """`t=…,v1=…[,v1=…]`: HMAC-SHA256 over `t.body`; other schemes count for nothing."""
    pairs = [
        pair.strip().partition("=")
        for pair in request.headers.get("stripe-signature", "").split(",")
    ]
    at = next((value for name, _, value in pairs if name == "t"), "")
    told = [value.lower() for name, _, value in pairs if name == "v1"]
    data = at.encode("utf-8", "replace") + b"." + request.body
    made = [hmac.digest(secret.encode(), data, "sha256").hex() for secret in secrets]
    return _any([same(one, other) for one in told for other in made]) and _fresh(
        at, request.now, FRESH
    )


def standard_webhooks(secrets: Sequence[str], request: Signed) -> bool:
    """Standard Webhooks 1.0, as Svix sends: `v1,` and base64 of HMAC-SHA256 over id.time.body."""
    headers = request.headers
    name, at, told = (
        headers.get(f"webhook-{x}") or headers.get(f"svix-{x}", "")
        for x in ("id", "timestamp", "signature")
    )
    data = f"{name}.{at}.".encode("utf-8", "replace") + request.body
    keys = [_decoded(secret.removeprefix("whsec_")) for secret in secrets]
    made = [base64.b64encode(hmac.digest(key, data, "sha256")).decode() for key in keys if key]
    listed = [one.partition(",")[2] for one in told.split() if one.startswith("v1,")]
    return _any([same(one, other) for one in listed for other in made]) and _fresh(
        at, request.now, FRESH
    )


def sendgrid(secrets: Sequence[str], request: Signed) -> bool:
    """ECDSA with P-256 and SHA-256 over time and body; the secret is the public key in base64."""
    at = request.headers.get("x-twilio-email-event-webhook-timestamp", "")
    told = _decoded(request.headers.get("x-twilio-email-event-webhook-signature", ""))
    data = at.encode("utf-8", "replace") + request.body
    return _any([_ecdsa(key, told, data) for key in secrets]) and _fresh(at, request.now, STALE)


def _ecdsa(key: str, told: bytes, data: bytes) -> bool:
    try:
        public = serialization.load_der_public_key(_decoded(key))
        if not isinstance(public, ec.EllipticCurvePublicKey):
            return False
        public.verify(told, data, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True


def mailgun(secrets: Sequence[str], request: Signed) -> bool:
    """hex(HMAC-SHA256(key, timestamp + token)), inside the body, which is not signed itself."""
    try:
        found = body_of(request.body, request.headers.get("content-type", ""))
    except Unreadable:
        return False
    signed = part(found, "signature") or part(found)
    at, token = text(signed, "timestamp"), text(signed, "token")
    told, data = text(signed, "signature").lower(), f"{at}{token}".encode("utf-8", "replace")
    made = [hmac.digest(secret.encode(), data, "sha256").hex() for secret in secrets]
    fine = _any([same(told, one) for one in made])
    return fine and bool(token) and _fresh(at, request.now, STALE)


def twilio(secrets: Sequence[str], request: Signed) -> bool:
    """base64(HMAC-SHA1(token, address + sorted names and values)); a body of JSON by its hash.

    Twilio itself writes the address with or without its port.
    """
    told = request.headers.get("x-twilio-signature", "")
    query = parse_qs(urlsplit(request.url).query)
    hashed = query.get("bodySHA256", [""])[0]
    if hashed:
        joined, whole = "", same(sha256(request.body).hexdigest(), hashed.lower())
    else:
        joined, whole = _joined(request, unique=True), True
    made = [
        _sha1(secret, url + joined) for secret in secrets for url in _with_and_without_port(request)
    ]
    return _any([same(told, one) for one in made]) and whole


def mandrill(secrets: Sequence[str], request: Signed) -> bool:
    """base64(HMAC-SHA1(key, address + sorted names and values))."""
    told = request.headers.get("x-mandrill-signature", "")
    data = request.url + _joined(request)
    return _any([same(told, _sha1(secret, data)) for secret in secrets])


def _joined(request: Signed, *, unique: bool = False) -> str:
    pairs = sorted(_pairs(request))
    return "".join(name + value for name, value in (dict.fromkeys(pairs) if unique else pairs))


def _sha1(secret: str, data: str) -> str:
    made = hmac.digest(secret.encode(), data.encode("utf-8", "replace"), "sha1")
    return base64.b64encode(made).decode()


def _with_and_without_port(request: Signed) -> list[str]:
    at = urlsplit(request.url)
    host = at.hostname or ""
    port = at.port or (443 if at.scheme == "https" else 80)
    return [urlunsplit(at._replace(netloc=place)) for place in (host, f"{host}:{port}")]


def postal(secrets: Sequence[str], request: Signed) -> bool:
    """RSA over the body, SHA-256 or the older SHA-1; the secret is the server's public key."""
    newer = request.headers.get("x-postal-signature-256", "")
    told = _decoded(newer or request.headers.get("x-postal-signature", ""))
    digest = hashes.SHA256() if newer else hashes.SHA1()  # noqa: S303 - what Postal signs with
    return _any([_rsa_by_key(key, told, request.body, digest) for key in secrets])


def _rsa_by_key(key: str, told: bytes, data: bytes, digest: hashes.HashAlgorithm) -> bool:
    bare = re.sub(r"-----[A-Z ]+-----|\s", "", key)
    try:
        return _rsa(serialization.load_der_public_key(_decoded(bare)), told, data, digest)
    except (ValueError, UnsupportedAlgorithm):
        return False


def _rsa(key: object, told: bytes, data: bytes, digest: hashes.HashAlgorithm) -> bool:
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    try:
        key.verify(told, data, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True


def unisender_go(secrets: Sequence[str], request: Signed) -> bool:
    """The field `auth` is the MD5 of the body in which it holds the key instead."""
    try:
        told = text(json_of(request.body), "auth")
    except Unreadable:
        return False
    made = [
        md5(  # noqa: S324 - the provider's own scheme
            request.body.replace(told.encode(), secret.encode(), 1)
        ).hexdigest()
        for secret in secrets
    ]
    return bool(told) and _any([same(told.lower(), one) for one in made])


_OF_SNS = re.compile(r"sns\.[a-z]{2}(-[a-z]+)+-\d\.amazonaws\.com(\.cn)?")
_SIGNED_BY_SNS = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}
_SIGNED_BY_SNS["UnsubscribeConfirmation"] = _SIGNED_BY_SNS["SubscriptionConfirmation"]


def is_of_sns(url: str) -> bool:
    """Whether the address is one of Amazon SNS itself: nothing else may ever be asked."""
    at = urlsplit(url)
    return at.scheme == "https" and at.netloc == at.hostname and bool(_OF_SNS.fullmatch(at.netloc))


def amazon_sns(secrets: Sequence[str], request: Signed) -> bool:
    """RSA over the fields of the message; the secrets are the ARNs of the topics expected."""
    try:
        message = part(json_of(request.body))
    except Unreadable:
        return False
    names = _SIGNED_BY_SNS.get(text(message, "Type"), ())
    # Not `text`, which takes spaces away: the signature covers every letter.
    values = {name: message.get(name) for name in names}
    data = "".join(f"{n}\n{v}\n" for n, v in values.items() if isinstance(v, str))
    digest = hashes.SHA256() if text(message, "SignatureVersion") == "2" else hashes.SHA1()  # noqa: S303
    expected = _any([same(text(message, "TopicArn"), arn) for arn in secrets])
    try:
        key = x509.load_pem_x509_certificate(request.certificate).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False
    signed = _rsa(
        key, _decoded(text(message, "Signature")), data.encode("utf-8", "replace"), digest
    )
    return bool(names) and expected and signed


def shared(secrets: Sequence[str], request: Signed) -> bool:
    """No signature: a secret of ours that the provider sends along.

    As the password of Basic (the whole `user:password` may be the secret), as a Bearer token, as
    `token` in the query of the address, or in SparkPost's older header.
    """
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    shown = [request.headers.get("x-messagesystems-webhook-token", "")]
    shown += parse_qs(urlsplit(request.url).query).get("token", [])[:1]
    if scheme.lower() == "bearer":
        shown.append(rest.strip())
    elif scheme.lower() == "basic":
        pair = _decoded(rest.strip())
        shown += [
            pair.decode("utf-8", "replace"),
            pair.partition(b":")[2].decode("utf-8", "replace"),
        ]
    return _any([same(one, secret) for one in shown if one for secret in secrets])


CHECKS: dict[str, Check] = {
    "shopify": _base64_of("x-shopify-hmac-sha256", "shopify-hmac-sha256"),
    "woocommerce": _base64_of("x-wc-webhook-signature"),
    "stripe": stripe,
    "aftership": _base64_of(
        "aftership-hmac-sha256", "as-signature-hmac-sha256", "am-webhook-signature"
    ),
    "easypost": _hex_of("x-hmac-signature", "hmac-sha256-hex="),
    "shippo": shared,
    "amazon_ses": amazon_sns,
    "brevo": shared,
    "mailersend": _hex_of("signature"),
    "mailgun": mailgun,
    "mailjet": shared,
    "mailtrap": _hex_of("mailtrap-signature"),
    "mandrill": mandrill,
    "postal": postal,
    "postmark": shared,
    "resend": standard_webhooks,
    "sendgrid": sendgrid,
    "sparkpost": shared,
    "unisender_go": unisender_go,
    "twilio": twilio,
}
"""Provider → how its requests are known to be its own."""


TOKEN = "token:"  # noqa: S105 - how one begins, not one
"""How a secret begins that the provider sends along instead of signing with it."""


def is_genuine(provider: str, secrets: Sequence[str], request: Signed) -> bool:
    """Whether one of the secrets proves the request; without any it never is.

    What a provider sends without its signature (mail that came in, say) is proved by a secret that
    begins with `token:`.
    """
    tokens = [secret.removeprefix(TOKEN) for secret in secrets if secret.startswith(TOKEN)]
    others = [secret for secret in secrets if secret and not secret.startswith(TOKEN)]
    by_token = any(tokens) and shared([token for token in tokens if token], request)
    return by_token or (bool(others) and CHECKS[provider](others, request))


def _fresh(told: str, now: Instant, most: Duration) -> bool:
    """Whether a time in seconds is not long ago, nor ahead."""
    return (
        told.isascii()
        and told.isdigit()
        and len(told) < 13
        and (abs(now - int(told) * SECOND) <= most)
    )


def _decoded(told: str) -> bytes:
    try:
        return base64.b64decode(told, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _pairs(request: Signed) -> list[tuple[str, str]]:
    try:
        return parse_qsl(request.body.decode(), keep_blank_values=True, max_num_fields=1_000)
    except (UnicodeError, ValueError):
        return []
