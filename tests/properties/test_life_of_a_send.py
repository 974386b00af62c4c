"""Whatever happens to a send: what went out stays out, and what ended stays ended."""

from hypothesis import given
from hypothesis import strategies as st

from aftersale.delivery.life import LIFE, may_move
from aftersale.delivery.ports import CLAIMED, DROPPED, FAILED, QUEUED, SENT, UNKNOWN

STATUSES = st.sampled_from(sorted(LIFE))


@given(st.lists(STATUSES, max_size=30))
def test_a_send_that_went_out_is_never_offered_again(wanted: list[str]) -> None:
    """After sent only failed follows (it came back); failed and dropped are the end."""
    status, lived = QUEUED, [QUEUED]
    for new in wanted:
        if may_move(status, new):
            status = new
            lived.append(new)
    for n, before in enumerate(lived):
        if before == SENT:
            assert set(lived[n + 1 :]) <= {FAILED}
        if before in {FAILED, DROPPED}:
            assert lived[n + 1 :] == []


@given(st.permutations([SENT, SENT, FAILED, UNKNOWN]))
def test_the_order_in_which_word_comes_does_not_matter_but_for_a_bounce(told: list[str]) -> None:
    """A claimed send of which both is told, that it left and that it came back, ends as failed."""
    status = CLAIMED
    for new in told:
        status = new if may_move(status, new) else status
    assert status == FAILED


def test_only_what_waits_may_stay_what_it_is() -> None:
    """To put off is a move of its own; every other move changes the status."""
    assert [status for status in LIFE if may_move(status, status)] == [QUEUED]
    assert not may_move("no such status", SENT)
    assert may_move(UNKNOWN, QUEUED)
