"""Does the SMTP channel say the truth about what became of each message, on every bad day?"""

import email
import email.policy
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.header import Header
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersale.adapters import clock
from aftersale.adapters.channels.smtp.channel import Limits, SmtpChannel
from aftersale.adapters.channels.smtp.mail import Address, address_of, mail_bytes
from aftersale.adapters.channels.smtp.server import read_server
from aftersale.delivery.channel import Outgoing, Result
from aftersale.delivery.return_path import Returned, read_return_path
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import SECOND, parse_instant
from aftersale.messages.compose import Envelope, Message, compose
from aftersale.messages.facts import clean_text
from aftersale.messages.template import Templates
from aftersale.testing.mail_server import Answer, Letter, ScriptedMailServer

SECRET = b"s" * 32
AT = parse_instant("2026-03-02T09:00:00Z")
PATTERN = "bounces+{token}@shop.example"
TEMPLATES = Templates(
    {
        "templates/note.liquid": "---\nsubject: Grüße, {{ customer.name }}\n---\n"
        "<p>Wie geht es?</p>\n<p>.ein Punkt am Anfang</p>\n",
        "templates/layout.liquid": "<!doctype html><html><body>{{ message.body }}"
        '<a href="{{ links.unsubscribe }}">x</a></body></html>',
    }
)


def message(number: int, to: str = "", **changes: str) -> Message:
    template = TEMPLATES.find("note")
    assert template is not None
    envelope = Envelope(
        key=f"refill:refill:{number}:coffee@1:remind:1:email",
        sender_name="Mühle, Söhne & Co",
        sender_address="hello@shop.example",
        to=to or f"c{number}@example.com",
        message_id_domain="shop.example",
        purpose="marketing",
        unsubscribe_url="https://shop.example/u/1." + "x" * 180,
    )
    facts = {"customer": {"name": changes.get("name", "Ada")}}
    return compose(template, facts=facts, envelope=envelope)


def outgoing(number: int, to: str = "") -> Outgoing:
    return Outgoing(number, message(number, to), AT, "email", number + 100)


def status(results: list[Result]) -> list[str]:
    return [f"{result.status} {result.reason}".rstrip() for result in results]


@contextmanager
def channel(url: str, pattern: str = "", **limits: float) -> Iterator[SmtpChannel]:
    made = SmtpChannel(
        read_server(url),
        secret=SECRET,
        clock=clock.now,
        return_pattern=pattern,
        limits=Limits(**{"timeout": 5.0, "patience": 5.0, "connections": 1, **limits}),  # type: ignore[arg-type]
    )
    try:
        yield made
    finally:
        made.close()


Sent = Callable[..., list[str]]


# --- what goes over the wire ------------------------------------------------------------------


def test_a_mail_is_what_every_mail_program_reads() -> None:
    sent = message(1)
    to = address_of(sent.to)
    assert to is not None
    wire = mail_bytes(sent, to, AT)
    assert b"\n" not in wire.replace(b"\r\n", b"")
    assert wire.isascii()
    assert max(map(len, wire.split(b"\r\n"))) <= 998
    read = email.message_from_bytes(wire, policy=email.policy.default)
    assert read.defects == []
    assert read["Date"] == "Mon, 02 Mar 2026 09:00:00 -0000"
    assert read["Subject"] == "Grüße, Ada"
    assert str(read["From"].addresses[0].display_name) == "Mühle, Söhne & Co"
    assert read["From"].addresses[0].addr_spec == "hello@shop.example"
    assert read["Message-ID"] == sent.headers["Message-ID"]
    assert read["Auto-Submitted"] == "auto-generated"
    assert [part.get_content_type() for part in read.iter_parts()] == ["text/plain", "text/html"]
    plain, html = read.iter_parts()
    assert plain.get_content().splitlines() == sent.text.splitlines()
    assert html.get_content().splitlines() == sent.html.splitlines()
    assert mail_bytes(sent, to, AT) == wire


def test_a_link_to_unsubscribe_stays_in_one_piece() -> None:
    """A mail program reads it with neither folding nor encoded words (RFC 8058)."""
    sent = message(1)
    to = address_of(sent.to)
    assert to is not None
    lines = mail_bytes(sent, to, AT).decode("ascii").split("\r\n")
    assert f"List-Unsubscribe: {sent.headers['List-Unsubscribe']}" in lines
    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in lines


@given(st.text(max_size=300), st.integers(0, 4))
def test_a_subject_is_folded_and_encoded_as_the_standard_library_does_it(text, words) -> None:
    """Whether it has room on one line or not, and whatever its letters."""
    subject = " ".join(clean_text("word " * words + text).split())
    whole = msgspec.structs.replace(message(1), headers={"From": "a@b.c", "Subject": subject})
    wire = mail_bytes(whole, Address("c1@example.com"), AT).decode("ascii")
    written = Header(subject, header_name="Subject").encode(linesep="\r\n")
    assert f"\r\nSubject: {written}\r\nAuto-Submitted:" in wire


def test_a_message_arrives_with_its_own_return_path_and_the_servers_name_for_it() -> None:
    with ScriptedMailServer() as server, channel(server.url, PATTERN) as smtp:
        (result,) = smtp.send([outgoing(7)])
        (letter,) = server.delivered
        assert result == Result("sent", provider_id="000001")
        assert letter.recipient == "c7@example.com"
        assert read_return_path(PATTERN, SECRET, letter.sender) == Returned(7, 107)
        assert letter.message_id == outgoing(7).message.headers["Message-ID"]
        assert ".ein Punkt am Anfang" in letter.mail.get_body(("plain",)).get_content()
        assert smtp.look_up(["k"]) is None
        assert "127.0.0.1" in smtp.where


def test_without_a_pattern_messages_return_to_their_sender() -> None:
    with ScriptedMailServer() as server, channel(server.url) as smtp:
        smtp.send([outgoing(7)])
        assert server.senders == ["hello@shop.example"]


def test_letters_outside_ascii_in_an_address_need_a_server_that_knows_them() -> None:
    """A domain is written in ASCII; a name before the @ goes only where SMTPUTF8 is offered."""
    people = [outgoing(1, "ada@mühle.example"), outgoing(2, "jürgen@mühle.example")]
    with ScriptedMailServer() as server, channel(server.url) as smtp:
        assert status(smtp.send(people)) == ["sent", "sent"]
        assert [letter.recipient for letter in server.delivered] == [
            "ada@xn--mhle-0ra.example",
            "jürgen@xn--mhle-0ra.example",
        ]
        assert server.delivered[1].mail["To"] == "jürgen@xn--mhle-0ra.example"
    with ScriptedMailServer(unicode=False) as server, channel(server.url) as smtp:
        assert status(smtp.send(people)) == ["sent", "failed no-unicode"]
        assert status(smtp.send([outgoing(3, f"a@{'ü' * 80}.example")])) == ["failed no-unicode"]


# --- connections --------------------------------------------------------------------------------


def test_one_connection_serves_many_messages_and_several_work_side_by_side() -> None:
    with ScriptedMailServer() as server, channel(server.url, connections=3) as smtp:
        assert smtp.at_once == 75
        smtp.send([outgoing(n) for n in range(40)])
        smtp.send([outgoing(n) for n in range(40, 60)])
        assert len(server.copies) == 60
        assert server.connections <= 3


def test_messages_of_a_slow_server_go_on_all_connections_at_once() -> None:
    with (
        ScriptedMailServer(end=lambda letter: Answer(wait=0.1)) as server,
        channel(server.url, connections=4) as smtp,
    ):
        began = time.monotonic()
        smtp.send([outgoing(n) for n in range(8)])
        assert time.monotonic() - began < 0.6
        assert len({letter.connection for letter in server.delivered}) == 4


def test_a_connection_that_was_closed_while_idle_costs_nothing() -> None:
    with ScriptedMailServer() as server, channel(server.url) as smtp:
        assert status(smtp.send([outgoing(1)])) == ["sent"]
        server.hang_up()
        assert status(smtp.send([outgoing(2)])) == ["sent"]
        assert server.connections == 2
        assert set(server.copies.values()) == {1}


def test_a_refused_message_does_not_disturb_the_next_on_its_connection() -> None:
    answers = {
        "c1@example.com": Answer("550 5.1.1 <c1@example.com>: no such user"),
        "c3@example.com": Answer("451 4.7.1 greylisted"),
        "c4@example.com": Answer("554 5.7.1 not from you"),
        "c5@example.com": Answer("552 5.2.2 full"),
    }
    with (
        ScriptedMailServer(
            recipient=lambda address: answers.get(address, Answer("250 Ok"))
        ) as server,
        channel(server.url) as smtp,
    ):
        assert status(smtp.send([outgoing(n) for n in range(7)])) == [
            "sent",
            "failed no-recipient: 550 5.1.1",
            "sent",
            "queued later: 451 4.7.1",
            "failed policy: 554 5.7.1",
            "failed mailbox-full: 552 5.2.2",
            "sent",
        ]
        assert server.connections == 1


# --- after the end of a message ---------------------------------------------------------------


@pytest.mark.parametrize("taken", [True, False])
def test_a_connection_that_breaks_after_the_end_leaves_it_unknown(taken: bool) -> None:
    """Whether the server kept it or not: we cannot see the difference, and do not try again."""

    def end(letter: Letter) -> Answer:
        second = letter.recipient == "c2@example.com"
        return Answer(hang_up=True, taken=taken) if second else Answer()

    with ScriptedMailServer(end=end) as server, channel(server.url) as smtp:
        results = smtp.send([outgoing(n) for n in (1, 2, 3)])
        assert status(results) == ["sent", "unknown no-answer", "sent"]
        assert set(server.arrived.values()) == {1}
        assert sum(server.copies.values()) == 2 + taken


def test_an_answer_that_takes_too_long_leaves_it_unknown() -> None:
    with (
        ScriptedMailServer(end=lambda letter: Answer(wait=1.0)) as server,
        channel(server.url, patience=0.1) as smtp,
    ):
        assert status(smtp.send([outgoing(1)])) == ["unknown no-answer"]
        assert sum(server.arrived.values()) == 1


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("451 4.3.0 try again", "queued later: 451 4.3.0"),
        ("421 4.3.2 shutting down", "queued later: 421 4.3.2"),
        ("550 5.7.26 not authenticated", "failed policy: 550 5.7.26"),
        ("554 5.6.0 malformed", "failed refused: 554 5.6.0"),
    ],
)
def test_an_answer_after_the_end_is_taken_at_its_word(said: str, found: str) -> None:
    with (
        ScriptedMailServer(end=lambda letter: Answer(said)) as server,
        channel(server.url) as smtp,
    ):
        assert status(smtp.send([outgoing(1)])) == [found]
        assert server.delivered == []


# --- before anything was said -----------------------------------------------------------------


def test_a_connection_that_breaks_before_the_end_leaves_a_message_that_can_be_tried_again() -> None:
    with (
        ScriptedMailServer(recipient=lambda address: Answer(hang_up=True)) as server,
        channel(server.url) as smtp,
    ):
        assert status(smtp.send([outgoing(1)])) == ["queued connection-lost"]
        assert not server.arrived


def test_a_server_that_is_not_there_is_a_trouble_of_the_channel() -> None:
    """Nothing fails and no try is spent: all messages wait."""
    with ScriptedMailServer() as server, channel(server.url, connections=2) as smtp:
        smtp.send([outgoing(1)])
        server.go_away()
        results = smtp.send([outgoing(n) for n in (2, 3, 4)])
        assert {result.reason for result in results} == {"unreachable: connection refused"}
        assert all(result.whole and not result.tried for result in results)
        server.listen()
        assert status(smtp.send([outgoing(n) for n in (2, 3, 4)])) == ["sent"] * 3
        assert set(server.copies.values()) == {1}


def test_a_wrong_password_is_a_trouble_of_the_channel_and_shown_nowhere() -> None:
    with ScriptedMailServer(users={"shop": "right"}) as server:
        where = server.url.removeprefix("smtp://")
        with channel(f"smtp://shop:wr%40ng@{where}") as smtp:
            (result,) = smtp.send([outgoing(1)])
            assert (result.status, result.reason) == ("queued", "no-login: 535 5.7.8")
            assert result.whole
            for shown in (smtp.where, repr(smtp._server), repr(result)):
                assert "wr" not in shown
                assert "shop" not in shown
        with channel(f"smtp://shop:right@{where}") as smtp:
            assert status(smtp.send([outgoing(1)])) == ["sent"]
        with channel(server.url) as smtp:
            (result,) = smtp.send([outgoing(1)])
            assert result.reason == "no-login: 530 5.7.0"
            assert result.whole


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=test", "-keyout", "key.pem"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", "cert.pem"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no certificate could be made: {error}")
    both = (folder / "cert.pem").read_text("ascii") + (folder / "key.pem").read_text("ascii")
    (folder / "both.pem").write_text(both, "ascii")
    return folder / "both.pem"


@pytest.mark.parametrize("from_the_start", [False, True])
def test_a_certificate_is_checked(certificate: Path, from_the_start: bool) -> None:
    """One that nobody vouches for is a trouble of the channel: it gets neither user nor mail."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    scheme = "smtps" if from_the_start else "smtp"
    with ScriptedMailServer(
        tls=tls, from_the_start=from_the_start, users=None if from_the_start else {"u": "p"}
    ) as server:
        user = "" if from_the_start else "u:p@"
        url = f"{scheme}://{user}127.0.0.1:{server.port}"
        with channel(url) as smtp:
            (result,) = smtp.send([outgoing(1)])
            assert result.reason.startswith("no-tls: the certificate was not accepted")
            assert result.whole
        with channel(f"{url}?ca={certificate}") as smtp:
            assert status(smtp.send([outgoing(1), outgoing(2)])) == ["sent", "sent"]
        with channel(f"{scheme}://{user}localhost:{server.port}?ca={certificate}") as smtp:
            (result,) = smtp.send([outgoing(3)])
            assert result.reason.startswith("no-tls: the certificate was not accepted")


def test_a_server_without_starttls_gets_nothing_unless_that_is_said() -> None:
    with (
        ScriptedMailServer() as server,
        channel(f"smtp://127.0.0.1:{server.port}") as smtp,
    ):
        (result,) = smtp.send([outgoing(1)])
        assert result.reason == "no-tls: the server offers no STARTTLS"
        assert not server.arrived


# --- rates ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_rate_is_kept_and_what_is_too_much_waits_for_its_time() -> None:
    with (
        ScriptedMailServer() as server,
        channel(server.url, connections=4, domain_per_second=20) as smtp,
    ):
        people = [outgoing(n, f"c{n}@slow.example") for n in range(30)]
        people += [outgoing(n, f"c{n}@d{n}.example") for n in range(50, 60)]
        began = clock.now()
        results = smtp.send(people)
        took = clock.now() - began
    went = [result for result in results[:30] if result.status == "sent"]
    later = [result for result in results[:30] if result.status == "queued"]
    assert status(results[30:]) == ["sent"] * 10
    assert 15 <= len(went) <= 3 + 20 * took / SECOND
    assert {(result.reason, result.tried, result.whole) for result in later} == {
        ("pace", False, False)
    }
    places = [result.not_before for result in later]
    assert places == sorted(set(places))
    assert min(places) > began + SECOND


def test_a_channel_with_a_rate_claims_no_more_than_a_seconds_worth() -> None:
    with channel("smtp://127.0.0.1:1?tls=none", per_second=7.5) as smtp:
        assert smtp.at_once == 7


# --- its address ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("smtp://mail.example", "mail.example:587 (STARTTLS)"),
        ("smtp://u:p%40ss@mail.example:2525", "mail.example:2525 (STARTTLS)"),
        ("smtps://u:p@mail.example", "mail.example:465 (TLS)"),
        ("smtp://localhost:25?tls=none", "localhost:25 (not encrypted)"),
        ("smtp://u:p@127.0.0.1:25?tls=none", "127.0.0.1:25 (not encrypted)"),
    ],
)
def test_an_address_of_a_server_is_read_and_told_without_its_user(url: str, told: str) -> None:
    assert read_server(url).where == told


@pytest.mark.parametrize(
    "url",
    [
        "mail.example",
        "http://u:sesame@mail.example",
        "smtp://",
        "smtp://u:sesame@mail.example:port",
        "smtp://u:sesame@mail.example?tls=maybe",
        "smtp://u:sesame@mail.example?sesame=1",
        "smtp://u:sesame@mail.example?tls=none",
        "smtp://sesame@mail.example",
        "smtp://u:ses/ame@mail.example",
        "smtp://u:sesame@mail.example/path",
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(Refusal) as refusal:
        read_server(url)
    assert "sesame" not in str(refusal.value)
    assert "AFTERSALE_SMTP_URL" in str(refusal.value)


@pytest.mark.parametrize(
    "pattern",
    ["bounces@shop.example", "{token}{token}@x", "{token}", "a@{token}", f"{'a' * 30}+{{token}}@x"],
)
def test_a_pattern_of_return_paths_has_one_place_for_the_token(pattern: str) -> None:
    with pytest.raises(Refusal, match="no pattern"):
        SmtpChannel(read_server("smtp://x"), secret=SECRET, clock=clock.now, return_pattern=pattern)
