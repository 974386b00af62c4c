"""Is a request taken only from the provider that it claims to be from?"""

import base64
import datetime as dt
import hmac
import json
import urllib.parse
from hashlib import md5

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from aftersale.kernel.instants import DAY, HOUR, SECOND
from aftersale.translation.providers import TRANSLATORS
from aftersale.translation.signatures import CHECKS, Signed, is_genuine, is_of_sns

NOW = 1_700_000_000 * SECOND
URL = "https://shop.example/webhooks/x"
FORM = "application/x-www-form-urlencoded"


def signed(body: bytes, now: int = NOW, url: str = URL, certificate: bytes = b"", **headers: str):
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Signed(body, told, url, now, certificate)


def form(*pairs: tuple[str, str]) -> bytes:
    return urllib.parse.urlencode(pairs).encode()


DROPPED = (
    b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address",'
    b'"sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
    b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
    b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>",'
    b'"timestamp":1600112492}]\r\n'
)
SENDGRID = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw"
    "+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
)
MAILGUN = "2df0e54f503d31abdc1519117a730ae38748e41e86f9ae25431dbd26059468af"
CALL = (
    ("CallSid", "CA1234567890ABCDE"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
)
AT_TWILIO = "https://mycompany.com/myapp.php?foo=1&bar=2"

# Published by the providers, or made with their own libraries.
VECTORS = [
    (
        "shopify",
        "hush",
        signed(
            b'{"id":820982911946154508,"email":"jon@example.com"}',
            x_shopify_hmac_sha256="D0UMXmhjwBRi4y66TmhJrDlhQABD7zI2fm3p6/QLMo8=",
        ),
    ),
    (
        "woocommerce",
        "woo-secret",
        signed(
            b'{"id":727}',
            x_wc_webhook_signature="TGdxKEKwlzVMXrzfrsvkj/wu9CrMxQgsA72HJl0hBPw=",
        ),
    ),
    (
        "stripe",
        "whsec_test_secret",
        signed(
            b'{"id":"evt_1","object":"event"}',
            stripe_signature="t=1700000000,v0=00,"
            "v1=0c8670ed117751cc551a20e35839447075c42800ea3cf3e8a2fbda99cd1e6edd",
        ),
    ),
    (
        "aftership",
        "as-secret",
        signed(
            b'{"event":"tracking_update"}',
            aftership_hmac_sha256="bMuD6ELioB39xlrLRrpfieOfOGpEUkNgXXSwxU3l1oo=",
        ),
    ),
    *(
        (
            "easypost",
            secret,
            signed(
                b'{"id":"evt_1","description":"tracker.updated"}',
                x_hmac_signature="hmac-sha256-hex="
                "52d2fe12d7fc597cc1ac2424be85d8e42b492bdb56ae13c16c5797b4ff77f9d4",
            ),
        )
        for secret in ("señal", "sen\u0303al")
    ),
    (
        "mailgun",
        "key-test",
        signed(
            json.dumps(
                {
                    "signature": {
                        "timestamp": "1529006854",
                        "token": "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0",
                        "signature": MAILGUN,
                    }
                }
            ).encode(),
            now=1_529_006_900 * SECOND,
        ),
    ),
    (
        "sendgrid",
        SENDGRID,
        signed(
            DROPPED,
            now=1_600_112_600 * SECOND,
            x_twilio_email_event_webhook_timestamp="1600112502",
            x_twilio_email_event_webhook_signature="MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUA"
            "iEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=",
        ),
    ),
    *(
        ("twilio", "12345", signed(form(*pairs), url=url, x_twilio_signature=signature))
        for pairs, url, signature in (
            (CALL, AT_TWILIO, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            (
                CALL,
                AT_TWILIO.replace(".com", ".com:443"),
                "kvajT1Ptam85bY51eRf/AJRuM3w=",
            ),
            (
                CALL,
                AT_TWILIO.replace("https", "http").replace(".com", ".com:80"),
                "0ZXoZLH/DfblKGATFgpif+LLRf4=",
            ),
            (
                (
                    ("Sid", "CA123"),
                    ("SidAccount", "AC123"),
                    *(("Digits", digits) for digits in ("5678", "1234", "1234")),
                ),
                AT_TWILIO,
                "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
            ),
        )
    ),
    (
        "twilio",
        "12345",
        signed(
            b'{"property": "value", "boolean": true}',
            url=AT_TWILIO + "&bodySHA256="
            "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620",
            x_twilio_signature="a9nBmqA0ju/hNViExpshrM61xv4=",
        ),
    ),
    (
        "resend",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        signed(
            b'{"test": 2432232314}',
            now=1_614_265_400 * SECOND,
            webhook_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
            webhook_timestamp="1614265330",
            webhook_signature="v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ),
]


def made() -> list[tuple[str, str, Signed]]:
    """Requests of those that published no vector, signed as they say that they sign."""
    body = b'{"a": 1}'
    key = hmac.digest(b"s", body, "sha256").hex()
    auth = md5(b'{"auth": "key", "b": 1}').hexdigest()
    basic = base64.b64encode(b"user:pass").decode()
    events = form(("mandrill_events", "[]"))
    by_sha1 = hmac.digest(b"s", (URL + "mandrill_events[]").encode(), "sha1")
    return [
        ("mailersend", "s", signed(body, signature=key)),
        ("mailtrap", "s", signed(body, mailtrap_signature=key)),
        ("unisender_go", "key", signed(f'{{"auth": "{auth}", "b": 1}}'.encode())),
        (
            "mandrill",
            "s",
            signed(events, x_mandrill_signature=base64.b64encode(by_sha1).decode()),
        ),
        ("postmark", "pass", signed(body, authorization=f"Basic {basic}")),
        ("mailjet", "user:pass", signed(body, authorization=f"Basic {basic}")),
        ("brevo", "s", signed(body, authorization="Bearer s")),
        ("sparkpost", "s", signed(body, x_messagesystems_webhook_token="s")),
        ("shippo", "123abc", signed(body, url=URL + "?token=123abc")),
        ("sendgrid", "token:123abc", signed(body, url=URL + "?token=123abc")),
    ]


KEY = rsa.generate_private_key(65537, 2048)
PUBLIC = KEY.public_key().public_bytes(
    serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
)


def by_rsa(data: bytes, digest: hashes.HashAlgorithm) -> str:
    return base64.b64encode(KEY.sign(data, padding.PKCS1v15(), digest)).decode()


def certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.example")])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 1, now, now)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def rsa_signed() -> list[tuple[str, str, Signed]]:
    """Postal in both forms, and Amazon SNS in both versions and with a subject."""
    body = b'{"event": "MessageSent"}'
    found = [
        (
            "postal",
            base64.b64encode(PUBLIC).decode(),
            signed(body, x_postal_signature=by_rsa(body, hashes.SHA1())),
        ),
        (
            "postal",
            base64.b64encode(PUBLIC).decode(),
            signed(body, x_postal_signature_256=by_rsa(body, hashes.SHA256())),
        ),
    ]
    arn = "arn:aws:sns:us-east-1:1:SES"
    for version, digest, more in (
        ("1", hashes.SHA1(), {}),
        ("2", hashes.SHA256(), {"Subject": " Mail "}),
    ):
        told = {
            "Type": "Notification",
            "MessageId": "m",
            "TopicArn": arn,
            "Message": '{"eventType": "Send"}\n',
            "Timestamp": "2026-01-01T00:00:00.000Z",
            "SignatureVersion": version,
            **more,
        }
        data = "".join(f"{n}\n{told[n]}\n" for n in sorted(told) if n != "SignatureVersion")
        whole = {**told, "Signature": by_rsa(data.encode(), digest)}
        found.append(
            ("amazon_ses", arn, signed(json.dumps(whole).encode(), certificate=certificate()))
        )
    return found


ALL = [*VECTORS, *made(), *rsa_signed()]
IDS = [f"{provider}-{n}" for n, (provider, _, _) in enumerate(ALL)]


def test_every_provider_has_its_check_and_a_request_that_passes_it():
    """None can be received without one."""
    assert set(CHECKS) == set(TRANSLATORS) == {provider for provider, _, _ in ALL}


@pytest.mark.parametrize(("provider", "secret", "request_"), ALL, ids=IDS)
def test_a_signed_request_is_taken_under_either_of_two_secrets(provider, secret, request_):
    """While a secret is replaced, the old one and the new one both serve; a third does not."""
    other = "arn:aws:sns:eu-west-1:2:Other" if provider == "amazon_ses" else "bmV3IHNlY3JldA=="
    assert is_genuine(provider, [secret], request_)
    assert is_genuine(provider, [other, secret], request_)
    assert not is_genuine(provider, [other], request_)
    assert not is_genuine(provider, [], request_)
    assert not is_genuine(provider, [""], request_)


@pytest.mark.parametrize(("provider", "secret", "request_"), ALL, ids=IDS)
def test_a_request_without_what_proves_it_is_not_taken(provider, secret, request_):
    """No header, and nothing inside."""
    bare = Signed(b'{"id": 1}', {}, URL, request_.now, request_.certificate)
    assert not is_genuine(provider, [secret], bare)


WHOLE = {
    *("shopify", "woocommerce", "stripe", "aftership", "easypost", "sendgrid", "resend"),
    *("mailersend", "mailtrap", "postal", "unisender_go"),
}
"""Whose signature covers every letter of the body."""
COVERED = [one for one in ALL if one[0] in WHOLE and not one[1].startswith("token:")]


@pytest.mark.parametrize("number", range(len(COVERED)))
@settings(max_examples=10)
@given(st.data())
def test_a_changed_body_is_not_taken(number, data):
    """One letter more, less or other is enough."""
    provider, secret, request = COVERED[number]
    place = data.draw(st.integers(0, len(request.body) - 1))
    letter = data.draw(st.sampled_from([b"", b"x", b"7", b"}"]))
    body = request.body[:place] + letter + request.body[place + 1 :]
    changed = Signed(body, request.headers, request.url, request.now, request.certificate)
    assert is_genuine(provider, [secret], changed) is (body == request.body)


@pytest.mark.parametrize(
    ("provider", "old", "new"),
    [
        ("twilio", b"Digits=1234", b"Digits=1235"),
        ("twilio", b"Digits=1234", b""),
        ("mandrill", b"%5B%5D", b"%5B1%5D"),
        ("amazon_ses", b"Send", b"Open"),
        ("amazon_ses", b"us-east-1:1:SES", b"us-east-1:1:SEX"),
        ("mailgun", b"a8ce0edb", b"b8ce0edb"),
    ],
)
def test_a_change_of_what_a_signature_covers_is_not_taken(provider, old, new):
    """Some sign names and values, or a few fields only."""
    _, secret, request = next(one for one in ALL if one[0] == provider)
    assert old in request.body
    body = request.body.replace(old, new)
    changed = Signed(body, request.headers, request.url, request.now, request.certificate)
    assert not is_genuine(provider, [secret], changed)


@pytest.mark.parametrize(
    ("provider", "after", "fine"),
    [
        ("stripe", 4 * 60 * SECOND, True),
        ("stripe", 6 * 60 * SECOND, False),
        ("resend", HOUR, False),
        ("mailgun", 9 * HOUR, True),
        ("mailgun", 4 * DAY, False),
        ("sendgrid", 4 * DAY, False),
        ("stripe", -6 * 60 * SECOND, False),
    ],
)
def test_an_old_signature_is_no_proof(provider, after, fine):
    """Where a time is signed it must be near, also one that lies ahead."""
    found = next(one for one in VECTORS if one[0] == provider)
    _, secret, request = found
    signed_at = {"stripe": NOW, "resend": 1_614_265_330 * SECOND}.get(provider, request.now)
    moved = Signed(request.body, request.headers, request.url, signed_at + after)
    assert is_genuine(provider, [secret], moved) is fine


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem", True),
        ("https://sns.cn-north-1.amazonaws.com.cn/x.pem", True),
        ("https://sns.us-gov-west-1.amazonaws.com/x.pem", True),
        ("http://sns.us-east-1.amazonaws.com/x.pem", False),
        ("https://sns.us-east-1.amazonaws.com.evil.example/x.pem", False),
        ("https://evil.example/sns.us-east-1.amazonaws.com", False),
        ("https://user@sns.us-east-1.amazonaws.com/x.pem", False),
        ("https://sns.us-east-1.amazonaws.com:8443/x.pem", False),
        ("https://s3.us-east-1.amazonaws.com/x.pem", False),
        ("https://169.254.169.254/x.pem", False),
        ("", False),
    ],
)
def test_a_certificate_is_only_ever_asked_of_amazon_itself(url, fine):
    """Whoever could name another place could sign whatever it likes."""
    assert is_of_sns(url) is fine


@pytest.mark.real_data
def test_every_vector_beside_the_payloads_is_taken(shared_data):
    """Those of Twilio, SendGrid and Standard Webhooks, as their own libraries publish them."""
    path = shared_data / "webhook_payloads" / "signatures" / "verified_signature_vectors.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    call = told["twilio_form"]
    request = signed(
        form(*call["params"].items()),
        url=call["url"],
        x_twilio_signature=call["expected_signature"],
    )
    assert is_genuine("twilio", [call["auth_token"]], request)
    for name in ("sendgrid_event_webhook_single", "sendgrid_event_webhook_multiple"):
        event = told[name]
        request = signed(
            event["raw_body"].encode(),
            now=int(event["timestamp"]) * SECOND,
            x_twilio_email_event_webhook_timestamp=event["timestamp"],
            x_twilio_email_event_webhook_signature=event["signature"],
        )
        assert is_genuine("sendgrid", [event["public_key"]], request)
    hook = told["standard_webhooks"]
    request = signed(
        hook["raw_body"].encode(),
        now=int(hook["webhook-timestamp"]) * SECOND,
        webhook_id=hook["webhook-id"],
        webhook_timestamp=hook["webhook-timestamp"],
        webhook_signature=hook["expected_signature"],
    )
    assert is_genuine("resend", [hook["secret"]], request)
