"""Is every message sent once by a real mail server, whatever that server and the network do?"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest

from aftersale.adapters import clock
from aftersale.adapters.channels.smtp.channel import Limits, SmtpChannel
from aftersale.adapters.channels.smtp.server import read_server
from aftersale.delivery.channel import Outgoing, Result
from aftersale.delivery.ports import CLAIMED, DROPPED, FAILED, QUEUED, SENT, UNKNOWN, Send
from aftersale.delivery.settling import MOST_TRIES, REPEAT_AFTER
from aftersale.events.event import read_event
from aftersale.kernel.draw import draw
from aftersale.kernel.errors import Refusal
from aftersale.kernel.ids import digest16
from aftersale.kernel.instants import DAY, HOUR, MINUTE, SECOND, format_instant
from aftersale.runtime.app import App
from aftersale.runtime.doctor import examine
from aftersale.runtime.intake import take_in
from aftersale.runtime.resolving import in_doubt, resolve
from aftersale.runtime.sending import Sending, troubles_of
from aftersale.runtime.worker import Worker
from aftersale.testing.mail_server import Answer, Letter, ScriptedMailServer
from recordings import LIVE, app_in_memory

NOON = LIVE + 12 * HOUR
USEFUL = 3 * DAY


@contextmanager
def shop(
    files: dict[str, str], url: str, *, people: int = 1, mode: str = "live", **limits: float
) -> Iterator[App]:
    """An installation that sends by this server, with people who may be written to."""
    whole = app_in_memory(files)
    smtp = SmtpChannel(
        read_server(url),
        secret=b"s" * 32,
        clock=clock.now,
        return_pattern="bounces+{token}@shop.example",
        limits=Limits(**{"timeout": 5.0, "patience": 5.0, "connections": 2, **limits}),  # type: ignore[arg-type]
    )
    old = whole.sending
    sending = Sending(
        whole.store,
        whole.worlds,
        old._renderer_of,
        mailbox=old._mailbox,
        channels={"email": smtp},
    )
    worker = Worker(whole.store, whole.worlds, whole.turns, sending)
    app = msgspec.structs.replace(
        whole,
        sending=sending,
        worker=worker,
        system_now=lambda: NOON,
        public_url="https://shop.example",
    )
    app.worker.once(LIVE)
    rows = [
        {
            "id": f"consent-{n}",
            "source": "shop",
            "type": "consent.given",
            "at": format_instant(LIVE),
            "customer": {"id": f"c{n}", "email": f"c{n}@example.com"},
            "data": {"basis": "opt-in"},
        }
        for n in range(1, people + 1)
    ]
    with app.store.write() as tx:
        tx.meta.set("mode", mode)
        tx.meta.set("live_since", LIVE - 48 * HOUR)
        take_in(tx, [read_event(row) for row in rows], received_at=LIVE + HOUR)
    app.worker.once(LIVE + HOUR)
    try:
        yield app
    finally:
        smtp.close()


def key_of(number: int) -> str:
    return f"refill:refill:{number}:coffee@1:remind:1:email"


def message_id(number: int) -> str:
    return f"<{digest16('message-id', key_of(number)).hex()}@shop.example>"


def decided(app: App, number: int = 1, **changes: object) -> None:
    """A message to person `number` was decided; marketing, unless said otherwise."""
    with app.store.write() as tx:
        row = tx.states.load([number])[number]
        send = Send(
            key_of(number), number, number, "refill", 1, "coffee", "remind", "email", "marketing",
            "refill-reminder", NOON, NOON + USEFUL, row.version,
        )  # fmt: skip
        tx.outbox.put([msgspec.structs.replace(send, **changes)])


def found(app: App, number: int = 1) -> Send:
    with app.store.read() as tx:
        send = tx.outbox.get(key_of(number))
    assert send is not None
    return send


def told(app: App, what: str, number: int = 1, now: int = NOON + HOUR, **data: object) -> None:
    """The provider says something of a message."""
    row = {
        "id": f"{what}-{number}-{now}",
        "source": "provider",
        "type": what,
        "at": format_instant(now),
        "customer": {"id": f"c{number}"},
        "data": {"message": key_of(number), **data},
    }
    with app.store.write() as tx:
        take_in(tx, [read_event(row)], received_at=now)


Files = dict[str, str]


# --- where messages go ------------------------------------------------------------------------


def test_live_messages_go_by_the_server_and_those_of_a_rehearsal_to_the_mailbox(
    files: Files,
) -> None:
    """The channel counts only where customers are meant to be reached."""
    with ScriptedMailServer() as server, shop(files, server.url, people=2, mode="rehearse") as app:
        decided(app, 1)
        assert app.worker.once(NOON).sends == 1
        assert not server.arrived
        with app.store.write() as tx:
            assert tx.mailbox.total() == 1
            tx.meta.set("mode", "live")
        decided(app, 2)
        assert app.worker.once(NOON).sends == 1
        assert server.copies == {message_id(2): 1}
        assert found(app, 2).provider_id == "000001"
        with app.store.read() as tx:
            assert tx.mailbox.total() == 1


def test_in_a_test_only_listed_addresses_are_written_to(files: Files) -> None:
    listed = files["aftersale.toml"].replace("addresses = []", 'addresses = ["C2@example.com"]')
    with (
        ScriptedMailServer() as server,
        shop({**files, "aftersale.toml": listed}, server.url, people=2, mode="test") as app,
    ):
        decided(app, 1)
        decided(app, 2)
        app.worker.once(NOON)
        assert [letter.recipient for letter in server.delivered] == ["c2@example.com"]
        assert (found(app, 1).status, found(app, 1).reason) == (DROPPED, "not-listed")


def test_a_driven_clock_never_sends_to_customers(files: Files) -> None:
    """Its days pass in seconds: months of messages would go out at once."""
    with ScriptedMailServer() as server, shop(files, server.url) as app:
        decided(app)
        with pytest.raises(Refusal, match="driven clock"):
            app.worker.drive(NOON + DAY)
        with pytest.raises(Refusal, match="driven clock"):
            app.sending.round(NOON, own=True)
        assert not server.arrived


# --- another try ------------------------------------------------------------------------------


def test_a_server_that_says_later_gets_the_message_later_and_once(files: Files) -> None:
    """Pauses grow; the message is judged again at every try, and arrives once."""
    answers = iter([Answer("451 4.7.1 greylisted"), Answer("452 4.3.1 full")])
    with (
        ScriptedMailServer(end=lambda letter: next(answers, Answer())) as server,
        shop(files, server.url) as app,
    ):
        decided(app)
        app.worker.once(NOON)
        first = found(app)
        assert (first.status, first.reason, first.attempts) == (QUEUED, "later: 451 4.7.1", 1)
        assert first.not_before > NOON + 5 * MINUTE
        app.worker.once(first.not_before - 1)
        assert found(app) == first
        app.worker.once(first.not_before)
        second = found(app)
        assert (second.reason, second.attempts) == ("later: 452 4.3.1", 2)
        assert second.not_before - first.not_before > 2 * (first.not_before - NOON)
        app.worker.once(second.not_before)
        assert (found(app).status, found(app).attempts) == (SENT, 2)
        assert server.copies == {message_id(1): 1}


def test_tries_end_and_the_message_fails_with_a_reason_of_its_own(files: Files) -> None:
    """After a stated number of tries, or where the next one would be too late."""
    with (
        ScriptedMailServer(end=lambda letter: Answer("451 4.3.0 no")) as server,
        shop(files, server.url, people=2) as app,
    ):
        decided(app, 1)
        decided(app, 2, useful_until=NOON + 30 * MINUTE)
        now = NOON
        while any(found(app, n).status == QUEUED for n in (1, 2)):
            app.worker.once(now)
            waiting = [found(app, n) for n in (1, 2) if found(app, n).status == QUEUED]
            now = min((send.not_before for send in waiting), default=now)
        assert (found(app, 1).status, found(app, 1).reason) == (FAILED, "gave-up: 451 4.3.0")
        assert found(app, 1).attempts == MOST_TRIES == server.arrived[message_id(1)]
        assert (found(app, 2).status, found(app, 2).reason) == (FAILED, "ran-out: 451 4.3.0")
        assert found(app, 2).status_at < NOON + 30 * MINUTE
        assert not server.delivered


def test_what_waited_for_the_server_until_it_was_useless_is_dropped(files: Files) -> None:
    with ScriptedMailServer() as server, shop(files, server.url) as app:
        decided(app, useful_until=NOON + HOUR)
        server.go_away()
        app.worker.once(NOON)
        assert found(app).status == QUEUED
        server.listen()
        app.worker.once(NOON + 2 * HOUR)
        assert (found(app).status, found(app).reason) == (DROPPED, "ran-out")
        assert not server.arrived


def test_what_a_gate_puts_off_at_the_claim_waits_in_the_store(files: Files) -> None:
    """Another process need not ask again before that instant."""
    with ScriptedMailServer() as server, shop(files, server.url) as app:
        night = LIVE + 23 * HOUR
        decided(app, decided_at=night)
        app.worker.once(night)
        send = found(app)
        assert (send.status, send.reason) == (QUEUED, "quiet-hours")
        assert send.not_before > night + HOUR
        app.worker.once(send.not_before)
        assert found(app).status == SENT
        assert server.copies == {message_id(1): 1}


def test_an_address_that_nobody_has_fails_at_once_and_decisions_hear_of_it(files: Files) -> None:
    """The refusal becomes an event, so that the address is not written to again."""
    with (
        ScriptedMailServer(recipient=lambda to: Answer("550 5.1.1 unknown")) as server,
        shop(files, server.url) as app,
    ):
        decided(app)
        app.worker.once(NOON)
        assert (found(app).status, found(app).reason) == (FAILED, "no-recipient: 550 5.1.1")
        app.worker.once(NOON + MINUTE)
        with app.store.read() as tx:
            last = tx.ledger.read(tx.ledger.last() - 1, 1)[0]
            assert (last.type, last.customer, last.source) == ("message.bounced", 1, "aftersale")
        decided(app, 1, key="refill:refill:1:tea@1:remind:1:email")
        app.worker.once(NOON + HOUR)
        with app.store.read() as tx:
            again = tx.outbox.get("refill:refill:1:tea@1:remind:1:email")
        assert again is not None
        assert (again.status, again.reason) == (DROPPED, "address-blocked")
        assert not server.arrived


# --- a channel in trouble ---------------------------------------------------------------------


def test_a_server_that_is_down_costs_no_message_a_try_and_shows_in_doctor(files: Files) -> None:
    """All wait; one is offered now and then; when the server is back, all go, each once."""
    with ScriptedMailServer() as server, shop(files, server.url, people=5) as app:
        server.go_away()
        for n in range(1, 6):
            decided(app, n)
        assert app.worker.once(NOON).sends == 0
        assert {found(app, n).status for n in range(1, 6)} == {QUEUED}
        (problem,) = (f for f in examine(app).problems if f.name == "e-mail")
        assert problem.stops
        assert "cannot be reached" in problem.problem
        with app.store.read() as tx:
            trouble = troubles_of(tx)["email"]
        assert app.worker.once(trouble.until - SECOND).sends == 0
        app.worker.once(trouble.until)
        with app.store.read() as tx:
            again = troubles_of(tx)["email"]
        assert (again.times, again.since) == (2, trouble.since)
        server.listen()
        assert app.worker.once(again.until + MINUTE).sends == 5
        assert {found(app, n).attempts for n in range(1, 6)} == {0}
        assert server.copies == {message_id(n): 1 for n in range(1, 6)}
        assert not [f for f in examine(app).problems if f.name == "e-mail"]


def test_a_wrong_password_fails_nothing(files: Files) -> None:
    """It is a trouble of the whole channel, and neither doctor nor the store tells the password."""
    with ScriptedMailServer(users={"shop": "right"}) as server:
        url = server.url.replace("smtp://", "smtp://shop:sesame@")
        with shop(files, url) as app:
            decided(app)
            app.worker.once(NOON)
            assert (found(app).status, found(app).reason) == (QUEUED, "no-login: 535 5.7.8")
            assert found(app).attempts == 0
            assert "sesame" not in repr(examine(app))
            (problem,) = (f for f in examine(app).problems if f.name == "e-mail")
            assert "password" in problem.problem
            assert "AFTERSALE_SMTP_URL" in problem.hint


# --- in doubt ---------------------------------------------------------------------------------


def test_a_promotion_in_doubt_is_never_sent_again_by_itself(files: Files) -> None:
    with (
        ScriptedMailServer(end=lambda letter: Answer(hang_up=True, taken=True)) as server,
        shop(files, server.url) as app,
    ):
        decided(app)
        assert app.worker.once(NOON).sends == 0
        assert (found(app).status, found(app).reason) == (UNKNOWN, "no-answer")
        for hours in range(1, 72):
            app.worker.once(NOON + hours * HOUR)
        assert server.copies == {message_id(1): 1}
        assert found(app).status == UNKNOWN
        (problem,) = (f for f in examine(app).problems if f.name == "unknown")
        assert "aftersale resolve" in problem.hint


def test_an_order_fact_in_doubt_is_sent_again_once_and_that_is_written_down(files: Files) -> None:
    answers = iter([Answer(hang_up=True, taken=True)] * 2)
    with (
        ScriptedMailServer(end=lambda letter: next(answers, Answer())) as server,
        shop(files, server.url) as app,
    ):
        decided(app, purpose="transactional")
        app.worker.once(NOON)
        send = found(app)
        assert (send.status, send.reason, send.repeats) == (QUEUED, "repeated", 1)
        assert send.not_before >= NOON + REPEAT_AFTER
        app.worker.once(send.not_before)
        app.worker.once(NOON + DAY)
        send = found(app)
        assert (send.status, send.reason, send.repeats) == (UNKNOWN, "no-answer", 1)
        assert server.copies == {message_id(1): 2}


def test_a_receipt_in_time_spares_the_customer_a_second_copy(files: Files) -> None:
    """The first copy was delivered: what waits to be sent again is settled."""
    with (
        ScriptedMailServer(end=lambda letter: Answer(hang_up=True, taken=True)) as server,
        shop(files, server.url) as app,
    ):
        decided(app, purpose="transactional")
        app.worker.once(NOON)
        told(app, "message.delivered", now=NOON + MINUTE)
        app.worker.once(NOON + DAY)
        assert (found(app).status, found(app).reason) == (SENT, "receipt")
        assert server.copies == {message_id(1): 1}


Tell = Callable[[App], None]


@pytest.mark.parametrize(
    ("kind", "data", "status", "reason"),
    [
        ("message.sent", {}, SENT, "receipt"),
        ("message.delivered", {}, SENT, "receipt"),
        ("message.opened", {}, SENT, "receipt"),
        ("message.complained", {}, SENT, "receipt"),
        ("message.bounced", {"kind": "soft"}, SENT, "receipt"),
        ("message.bounced", {"kind": "hard"}, FAILED, "bounced"),
        ("message.bounced", {}, FAILED, "bounced"),
    ],
)
def test_a_receipt_settles_what_was_in_doubt(
    files: Files, kind: str, data: dict[str, str], status: str, reason: str
) -> None:
    """In the transaction that admits it."""
    with (
        ScriptedMailServer(end=lambda letter: Answer(hang_up=True)) as server,
        shop(files, server.url) as app,
    ):
        decided(app)
        app.worker.once(NOON)
        assert found(app).status == UNKNOWN
        told(app, kind, **data)
        assert (found(app).status, found(app).reason) == (status, reason)
        told(app, "message.delivered", now=NOON + 2 * HOUR)
        assert (found(app).status, found(app).reason) == (status, reason)


@pytest.mark.parametrize(
    ("kind", "after"),
    [("message.delivered", (SENT, "receipt")), ("message.bounced", (FAILED, "bounced"))],
)
def test_a_receipt_that_comes_before_the_answer_is_written_down_stands(
    files: Files, kind: str, after: tuple[str, str]
) -> None:
    """The server tells the shop before it answers us; what we write then changes nothing."""
    asked: list[App] = []

    def end(letter: Letter) -> Answer:
        assert found(asked[0]).status == CLAIMED
        told(asked[0], kind, now=NOON + SECOND)
        return Answer()

    with ScriptedMailServer(end=end) as server, shop(files, server.url) as app:
        asked.append(app)
        decided(app)
        app.worker.once(NOON)
        send = found(app)
        assert (send.status, send.reason) == after
        assert send.status_at == NOON + SECOND
        app.worker.once(NOON + DAY)
        assert server.copies == {message_id(1): 1}


def test_a_message_that_went_out_can_come_back(files: Files) -> None:
    with ScriptedMailServer() as server, shop(files, server.url) as app:
        decided(app)
        app.worker.once(NOON)
        assert found(app).status == SENT
        told(app, "message.bounced", kind="hard")
        assert (found(app).status, found(app).reason) == (FAILED, "bounced")
        assert server.copies == {message_id(1): 1}


def test_a_receipt_concerns_messages_only(files: Files) -> None:
    """A task has a key too, and nobody can receive it."""
    with ScriptedMailServer() as server, shop(files, server.url) as app:
        decided(app, kind="task")
        told(app, "message.delivered")
        assert found(app).status == QUEUED
        assert not server.arrived


# --- crashes ----------------------------------------------------------------------------------


class _Dying:
    """A channel whose process dies in the middle of a call."""

    name = "smtp"
    where = "nowhere"
    at_once = 10

    def send(self, messages: list[Outgoing]) -> list[Result]:
        raise ConnectionAbortedError

    def look_up(self, keys: list[str]) -> None:
        return None


@pytest.mark.parametrize("mode", ["live", "rehearse"])
def test_after_a_crash_it_counts_by_which_channel_a_message_was_claimed(
    files: Files, mode: str
) -> None:
    """A mode that was changed meanwhile does not let the mailbox say that it never went out."""
    with ScriptedMailServer() as server, shop(files, server.url, people=2) as app:
        decided(app, 1)
        decided(app, 2, purpose="transactional")
        whole = app.sending._channels
        app.sending._channels = {"email": _Dying()}
        with pytest.raises(ConnectionAbortedError):
            app.sending.round(NOON)
        assert {found(app, n).status for n in (1, 2)} == {CLAIMED}
        app.sending._channels = whole
        with app.store.write() as tx:
            tx.meta.set("mode", mode)
        assert app.worker.recover(NOON + MINUTE) == 2
        assert (found(app, 1).status, found(app, 1).reason) == (UNKNOWN, "crash")
        assert (found(app, 2).status, found(app, 2).reason) == (QUEUED, "repeated")
        assert app.worker.recover(NOON + MINUTE) == 0
        app.worker.once(NOON + HOUR)
        assert found(app, 1).status == UNKNOWN
        assert server.copies == ({message_id(2): 1} if mode == "live" else {})


def test_a_claim_that_somebody_else_took_over_is_not_settled_by_the_first(files: Files) -> None:
    """A worker that was thought dead comes back: only that it sent the message still counts."""
    for late, expected in (
        (Result(QUEUED, reason="later: 451"), UNKNOWN),
        (Result(FAILED, reason="refused: 554"), UNKNOWN),
        (Result(SENT), SENT),
    ):
        with ScriptedMailServer() as server, shop(files, server.url) as app:

            class _Slow(_Dying):
                def send(self, messages: list[Outgoing]) -> list[Result]:
                    # Both names are read before the loop goes on.
                    app.worker.recover(NOON + HOUR)
                    return [late] * len(messages)  # noqa: B023

            decided(app)
            app.sending._channels = {"email": _Slow()}
            app.sending.round(NOON)
            assert found(app).status == expected
            assert not server.arrived


# --- a person says ----------------------------------------------------------------------------


def test_a_person_says_what_became_of_a_message(files: Files) -> None:
    """It went out, it did not, or it is to go again; one or all of a journey."""
    answers = iter([Answer(hang_up=True)] * 4)
    with (
        ScriptedMailServer(end=lambda letter: next(answers, Answer())) as server,
        shop(files, server.url, people=4) as app,
    ):
        for n in range(1, 5):
            decided(app, n, journey="other" if n == 4 else "refill")
        app.worker.once(NOON)
        now = NOON + HOUR
        with app.store.write() as tx:
            assert len(in_doubt(tx)) == 4
            assert len(in_doubt(tx, journey="refill")) == 3
            assert resolve(tx, "sent", now, key=key_of(1)) == 1
            with pytest.raises(Refusal, match="not in doubt"):
                resolve(tx, "again", now, key=key_of(1))
            with pytest.raises(Refusal, match="no message"):
                resolve(tx, "again", now, key="refill:x")
            with pytest.raises(Refusal, match="no answer"):
                resolve(tx, "perhaps", now, key=key_of(2))
            assert resolve(tx, "again", now, journey="refill") == 2
            assert resolve(tx, "not-sent", now, journey="other") == 1
            assert in_doubt(tx) == []
        app.worker.once(now)
        ended = {n: (found(app, n).status, found(app, n).repeats) for n in range(1, 5)}
        assert ended == {1: (SENT, 0), 2: (SENT, 1), 3: (SENT, 1), 4: (FAILED, 0)}
        assert found(app, 4).reason == found(app, 1).reason == "resolved"


# --- everything at once -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_on_a_bad_day_the_servers_log_agrees_with_the_store(files: Files, seed: int) -> None:
    """No promotion is delivered twice; an order fact only where the store says it was repeated."""
    people = 60

    def drawn(step: str, name: str, tries: int) -> float:
        return draw(seed, step, name, min(tries, 3))

    tries: dict[str, int] = {}

    def recipient(address: str) -> Answer:
        tries[address] = tries.get(address, 0) + 1
        luck = drawn("recipient", address, tries[address])
        if luck < 0.1:
            return Answer("451 4.7.1 greylisted")
        if luck < 0.15:
            return Answer("550 5.1.1 unknown")
        return Answer("250 Ok", hang_up=luck < 0.2)

    def end(letter: Letter) -> Answer:
        luck = drawn("end", letter.recipient, tries[letter.recipient])
        if luck < 0.2:
            return Answer(hang_up=True, taken=luck < 0.1)
        if luck < 0.3:
            return Answer("452 4.3.1 no room")
        return Answer("554 5.6.0 no") if luck < 0.35 else Answer()

    with (
        ScriptedMailServer(recipient=recipient, end=end) as server,
        shop(files, server.url, people=people, connections=3) as app,
    ):
        for n in range(1, people + 1):
            decided(app, n, purpose="transactional" if n % 2 else "marketing")
        now = NOON
        for step in range(36):
            if step in {1, 4}:
                server.hang_up()
            if step == 2:
                server.go_away()
            if step == 3:
                server.listen()
            app.worker.once(now)
            now += 17 * MINUTE if step < 20 else 6 * HOUR
        ended: dict[str, int] = {}
        for n in range(1, people + 1):
            send, copies = found(app, n), server.copies[message_id(n)]
            ended[send.status] = ended.get(send.status, 0) + 1
            assert copies <= 1 + send.repeats, send
            if send.purpose == "marketing":
                assert send.repeats == 0
            if send.status == SENT:
                assert copies >= 1
            if send.status in {FAILED, DROPPED}:
                assert copies <= send.repeats
        assert set(ended) <= {SENT, FAILED, UNKNOWN, DROPPED}
        assert ended[SENT] > people // 2
        assert ended[FAILED] > 0
        assert ended[UNKNOWN] > 0
