"""Do rates, pauses, return paths and what follows from an answer keep their laws?"""

import re
from collections import Counter
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from aftersale.adapters.channels.smtp.turnstile import HORIZON, Turnstile
from aftersale.delivery.channel import Result
from aftersale.delivery.life import may_move
from aftersale.delivery.pace import Pace, after, earliest, pace
from aftersale.delivery.ports import CLAIMED, FAILED, QUEUED, SENT, UNKNOWN
from aftersale.delivery.reasons import (
    CONNECTION_LOST,
    LATER,
    REPEATED,
    SEND_REASONS,
    UNREACHABLE,
    send_words,
)
from aftersale.delivery.replies import END, RECIPIENT, SENDER, STEPS, Reply, queue_id, result_of
from aftersale.delivery.return_path import (
    Returned,
    read_return_path,
    read_token,
    return_path,
    token_of,
)
from aftersale.delivery.settling import (
    LONGEST_PAUSE,
    MOST_TRIES,
    SPREAD,
    pause,
    settled,
    troubled,
)
from aftersale.kernel.instants import HOUR, MINUTE, SECOND
from aftersale.testing.storage_examples import new_send

# --- rates ------------------------------------------------------------------------------------

PACES = st.builds(Pace, st.integers(1, 5 * SECOND), st.integers(1, 20))
GAPS = st.lists(st.integers(0, 3 * SECOND), min_size=1, max_size=60)


def gone(paced: Pace, gaps: list[int]) -> list[tuple[int, int]]:
    """(when it was ready, when it went) for messages that are ready after these gaps."""
    full_at = now = 0
    times = []
    for gap in gaps:
        now += gap
        at = earliest(full_at, now, paced)
        full_at = after(full_at, at, paced)
        times.append((now, at))
        now = at
    return times


@given(PACES, GAPS)
def test_in_no_stretch_of_time_do_more_messages_go_than_the_rate_allows(
    paced: Pace, gaps: list[int]
) -> None:
    went = [at for _, at in gone(paced, gaps)]
    for n, begin in enumerate(went):
        for m in range(n, len(went)):
            assert m - n + 1 <= paced.burst + (went[m] - begin) // paced.every


@given(PACES, GAPS)
def test_nobody_waits_longer_than_the_rate_asks(paced: Pace, gaps: list[int]) -> None:
    """A message that waits goes exactly one interval after an account that was at its limit."""
    times = gone(paced, gaps)
    for n, (ready, at) in enumerate(times):
        if at > ready:
            assert n >= paced.burst
            window = [went for _, went in times[: n + 1]]
            assert any(
                n - m + 1 == paced.burst + (at - went) // paced.every
                for m, went in enumerate(window)
            )


@given(st.floats(0.01, 5_000))
def test_a_rate_is_kept_within_a_thousandth(per_second: float) -> None:
    made = pace(per_second)
    assert made is not None
    assert abs(made.every * per_second / SECOND - 1) < 0.01
    assert made.burst <= max(per_second / 10, 1)
    assert pace(0) is None


class _Queue:
    """Messages for a turnstile that keeps a rate for each domain, and when they went."""

    def __init__(self, per_second: int) -> None:
        self.now = 0
        self.turnstile = Turnstile(None, pace(per_second), lambda: self.now)
        self.every = round(SECOND / per_second)
        self.waiting: list[tuple[int, str, str]] = []
        self.went: dict[str, list[int]] = {}
        self.tries: Counter[str] = Counter()

    def offer(self, key: str, domain: str) -> None:
        self.tries[key] += 1
        at, goes = self.turnstile.place(key, domain)
        if goes:
            at, goes = self.turnstile.enter(key, domain)
        if goes:
            self.went.setdefault(domain, []).append(at)
        else:
            assert at > self.now + HORIZON
            self.waiting.append((at, key, domain))

    def come_back(self, until: float = float("inf")) -> None:
        """Those whose places come by then come at their places, or now where that is past."""
        while self.waiting and min(self.waiting)[0] <= until:
            self.waiting.sort()
            at, key, domain = self.waiting.pop(0)
            self.now = max(self.now, at)
            self.offer(key, domain)

    def went_each_once_and_at_the_rate(self, count: int) -> bool:
        pairs = [pair for times in self.went.values() for pair in pairwise(sorted(times))]
        return sum(map(len, self.went.values())) == count and all(
            later - sooner >= self.every for sooner, later in pairs
        )


ARRIVALS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, SECOND)), max_size=50)
"""(domain, time since the one before)"""
RATES = st.integers(1, 9)  # of which no two may go together


@given(ARRIVALS, RATES)
def test_a_queue_for_one_domain_gets_places_that_keep_its_rate(
    arrivals: list[tuple[str, int]], per_second: int
) -> None:
    """Whoever is put off and comes back at its place goes then, whatever came in between."""
    queue = _Queue(per_second)
    for number, (domain, gap) in enumerate(arrivals):
        then = queue.now + gap
        queue.come_back(then)
        queue.now = then
        queue.offer(str(number), domain)
    queue.come_back()
    assert queue.went_each_once_and_at_the_rate(len(arrivals))
    assert max(queue.tries.values(), default=1) <= 2


@given(ARRIVALS, RATES)
def test_a_queue_that_comes_back_late_and_all_at_once_keeps_the_rate_too(
    arrivals: list[tuple[str, int]], per_second: int
) -> None:
    """Nobody is forgotten; how often each has to come hangs on how late they are."""
    queue = _Queue(per_second)
    for number, (domain, gap) in enumerate(arrivals):
        queue.now += gap
        queue.offer(str(number), domain)
    queue.come_back()
    assert queue.went_each_once_and_at_the_rate(len(arrivals))


# --- pauses -----------------------------------------------------------------------------------

CODES = st.sampled_from(["421", "450", "451 4.7.1", "452 4.2.2", "454"])
REASONS = st.one_of(CODES.map(lambda codes: f"{LATER}: {codes}"), st.just(CONNECTION_LOST))


@given(st.text(max_size=20), REASONS)
def test_pauses_grow_up_to_the_longest_and_never_shrink_by_more_than_the_draw(
    key: str, reason: str
) -> None:
    pauses = [pause(key, tries, reason) for tries in range(1, 40)]
    assert all(0 < one <= LONGEST_PAUSE * (1 + SPREAD) for one in pauses)
    assert all(b >= a / (1 + SPREAD) for a, b in pairwise(pauses))
    assert pauses == [pause(key, tries, reason) for tries in range(1, 40)]


@given(st.text(max_size=20), CODES)
def test_a_lost_connection_is_tried_again_sooner_than_a_server_that_said_later(
    key: str, codes: str
) -> None:
    assert pause(key, 1, CONNECTION_LOST) < pause(key, 1, f"{LATER}: {codes}")


@given(st.integers(0, 10**15), st.integers(1, 30), st.sampled_from([UNREACHABLE, "no-login: 535"]))
def test_a_channel_in_trouble_rests_longer_each_time_and_remembers_since_when(
    at: int, times: int, reason: str
) -> None:
    trouble = None
    rests = []
    for n in range(times):
        trouble = troubled(trouble, reason, at + n * HOUR)
        rests.append(trouble.until - at - n * HOUR)
    assert trouble is not None
    assert (trouble.since, trouble.times) == (at, times)
    assert rests == sorted(rests)
    assert max(rests) <= 15 * MINUTE


# --- what follows from a result ---------------------------------------------------------------

SENDS = st.builds(
    lambda purpose, attempts, repeats, useful: new_send(
        "k:1",
        purpose=purpose,
        attempts=attempts,
        repeats=repeats,
        useful_until=useful,
        status=CLAIMED,
    ),
    st.sampled_from(["marketing", "transactional"]),
    st.integers(0, MOST_TRIES),
    st.integers(0, 2),
    st.none() | st.integers(1, 100 * HOUR),
)
RESULTS = st.one_of(
    st.builds(Result, st.sampled_from([SENT, FAILED, UNKNOWN]), reason=st.just("no-answer")),
    st.builds(Result, st.just(QUEUED), reason=REASONS, tried=st.booleans(), whole=st.booleans()),
)
AT = 10 * HOUR


@given(SENDS, RESULTS)
def test_every_move_that_follows_is_allowed_and_ends_with_a_reason_of_the_list(send, result):
    status = CLAIMED
    for move in settled(send, result, AT):
        assert may_move(status, move.status)
        status = move.status
        assert not move.reason or move.reason.partition(": ")[0] in SEND_REASONS
    assert (status == SENT) is (result.status == SENT)


@given(SENDS, RESULTS)
def test_only_a_transactional_message_is_repeated_and_only_once(send, result):
    moves = settled(send, result, AT)
    repeated = sum(move.repeated for move in moves)
    assert repeated in {0, 1}
    if repeated:
        assert result.status == UNKNOWN
        assert (send.purpose, send.repeats) == ("transactional", 0)
        assert [move.status for move in moves] == [UNKNOWN, QUEUED]
        assert moves[-1].reason == REPEATED
        assert moves[-1].not_before > AT


@given(SENDS, REASONS)
def test_a_message_that_is_not_taken_comes_to_an_end(send, reason):
    """By its number of tries, or when it would be too late; else it waits for a later instant."""
    (move,) = settled(send, Result(QUEUED, reason=reason), AT)
    assert move.tried == 1
    if move.status == QUEUED:
        assert move.not_before > AT
        assert send.useful_until is None or move.not_before < send.useful_until
        assert send.attempts + 1 < MOST_TRIES
    else:
        assert move.status == FAILED
        assert move.reason.startswith(("gave-up: ", "ran-out: "))


@given(SENDS, REASONS)
def test_a_trouble_of_the_whole_channel_costs_a_message_nothing(send, reason):
    (move,) = settled(send, Result(QUEUED, reason=reason, tried=False, whole=True), AT)
    assert (move.status, move.tried, move.repeated) == (QUEUED, 0, 0)


# --- answers of servers -----------------------------------------------------------------------

REPLIES = st.builds(
    Reply,
    st.sampled_from(STEPS),
    st.one_of(st.just(0), st.integers(200, 599)),
    st.one_of(
        st.text(max_size=40),
        st.from_regex(r"[245]\.\d{1,3}\.\d{1,3} <ada@example\.com> [a-z ]{0,20}", fullmatch=True),
    ),
    st.booleans(),
)


@given(REPLIES)
def test_whatever_a_server_says_a_message_is_unknown_only_after_its_end(reply: Reply) -> None:
    result = result_of(reply)
    taken = reply.step == END and 200 <= reply.code < 300
    assert (result.status == SENT) is taken
    if result.status == UNKNOWN:
        assert reply.step == END
        assert not 400 <= reply.code < 600
    if result.status == FAILED:
        assert 500 <= reply.code < 600
    if result.whole:
        assert (result.status, result.tried) == (QUEUED, False)
    assert "@" not in result.provider_id
    code = result.reason.partition(": ")[0]
    assert not code or code in SEND_REASONS


@given(REPLIES.filter(lambda reply: reply.code))
def test_no_word_of_a_server_is_kept_but_codes(reply: Reply) -> None:
    """What a server says may name a person."""
    detail = result_of(reply).reason.partition(": ")[2]
    assert re.fullmatch(r"(\d{3}( [245]\.\d{1,3}\.\d{1,3})?)?", detail)


def test_answers_that_are_often_met_mean_what_people_think() -> None:
    said = {
        (RECIPIENT, 550, "5.1.1 <ada@example.com>: unknown"): "no-recipient: 550 5.1.1",
        (RECIPIENT, 550, "no such user"): "no-recipient: 550",
        (RECIPIENT, 552, "5.2.2 mailbox full"): "mailbox-full: 552 5.2.2",
        (RECIPIENT, 554, "5.7.1 blocked by our rules"): "policy: 554 5.7.1",
        (RECIPIENT, 451, "4.7.1 greylisted, come back later"): "later: 451 4.7.1",
        (RECIPIENT, 0, ""): "connection-lost",
        (SENDER, 550, "5.7.1 this sender is not yours"): "no-sender: 550 5.7.1",
        (SENDER, 530, "5.7.0 authenticate first"): "no-login: 530 5.7.0",
        (SENDER, 552, "5.3.4 too big"): "refused: 552 5.3.4",
        (SENDER, 421, "4.7.0 too many connections"): "later: 421 4.7.0",
        (END, 550, "5.7.26 unauthenticated mail is not accepted"): "policy: 550 5.7.26",
        (END, 554, "5.6.0 malformed"): "refused: 554 5.6.0",
        (END, 550, "spam"): "policy: 550",
        (END, 452, "4.3.1 no room"): "later: 452 4.3.1",
        (END, 0, ""): "no-answer",
        ("login", 535, "5.7.8 wrong"): "no-login: 535 5.7.8",
        ("secure", 0, "the certificate"): "no-tls: the certificate",
        ("connect", 421, "busy"): "unreachable: 421",
    }
    assert {what: result_of(Reply(*what)).reason for what in said} == said
    locked = Reply(RECIPIENT, 554, "5.7.1 relay access denied", open_door=False)
    assert result_of(locked).reason == "no-login: 554 5.7.1"
    assert result_of(locked).whole


def test_the_servers_name_of_a_message_is_found_where_it_says_so() -> None:
    said = {
        "2.0.0 Ok: queued as 4XyZ12abcD": "4XyZ12abcD",
        "OK id=1qAbCd-0002Xy-Zz": "1qAbCd-0002Xy-Zz",
        "Ok 0102018f2b3c4d5e-aaaa-bbbb-000000": "0102018f2b3c4d5e-aaaa-bbbb-000000",
        "2.6.0 <ada@example.com> Queued mail for delivery": "",
        "OK": "",
    }
    assert {text: queue_id(Reply(END, 250, text)) for text in said} == said


def test_reasons_are_said_in_words_with_the_codes_behind_them() -> None:
    assert send_words("no-recipient: 550 5.1.1") == (
        "the server knows no such recipient (550 5.1.1)"
    )
    assert send_words("quiet-hours") == "it is the customer's quiet time"
    assert send_words("template: there is none") == (
        "the template could not be rendered (there is none)"
    )


# --- return paths -----------------------------------------------------------------------------

SECRETS = st.binary(min_size=16, max_size=32)
PATTERNS = st.sampled_from(
    ["bounces+{token}@shop.example", "{token}@b.shop.example", "b.{token}.x@s"]
)


@given(SECRETS, st.integers(0, 10**15 - 1), st.integers(0, 10**9 - 1), PATTERNS)
def test_a_return_path_says_which_message_came_back(
    secret: bytes, customer: int, seq: int, pattern: str
) -> None:
    """Whatever a server does to the case of its letters, and within what a local part may hold."""
    address = return_path(pattern, secret, customer, seq)
    for seen in (address, address.upper(), f" {address}\n"):
        assert read_return_path(pattern, secret, seen) == Returned(customer, seq)
    assert len(address.partition("@")[0]) <= 64
    assert read_return_path(pattern, secret, f"x{address}") is None
    assert read_return_path(pattern, b"another secret!!", address) is None


@given(SECRETS, st.integers(0, 10**6), st.integers(0, 10**6), st.data())
def test_nobody_can_make_up_the_return_of_another_message(secret, customer, seq, data) -> None:
    token = token_of(secret, customer, seq)
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz234567-0189"))
    forged = token[:place] + letter + token[place + 1 :]
    assert read_token(secret, forged) == (Returned(customer, seq) if forged == token else None)
    assert read_token(secret, msgspec.json.encode(token).decode()) is None
