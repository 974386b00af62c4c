"""Does the checker see when a channel's log and the outbox contradict each other?"""

import pytest

from aftersale.delivery.ports import CLAIMED, DROPPED, FAILED, QUEUED, SENT, UNKNOWN
from aftersale.kernel.ids import digest16
from aftersale.testing.checker import by_key, check_copies
from aftersale.testing.storage_examples import new_send


@pytest.mark.parametrize(
    ("changes", "taken", "said"),
    [
        ({"status": SENT}, 1, ""),
        ({"status": SENT}, 0, "nobody took it"),
        ({"status": SENT, "reason": "receipt"}, 0, ""),
        ({"status": SENT}, 2, "taken 2 times"),
        ({"status": SENT, "purpose": "transactional", "repeats": 1}, 2, ""),
        ({"status": SENT, "purpose": "transactional"}, 2, "taken 2 times"),
        ({"status": SENT, "repeats": 1}, 1, "promotion was sent again"),
        ({"status": UNKNOWN}, 0, ""),
        ({"status": UNKNOWN}, 1, ""),
        ({"status": QUEUED}, 1, "queued"),
        ({"status": QUEUED, "purpose": "transactional", "repeats": 1}, 1, ""),
        ({"status": FAILED, "reason": "bounced"}, 1, ""),
        ({"status": DROPPED, "reason": "fatigue"}, 1, "dropped (fatigue), and it was taken"),
        ({"status": CLAIMED}, 0, "left claimed"),
    ],
)
def test_a_row_and_the_number_of_its_copies_agree_or_that_is_said(
    changes: dict[str, object], taken: int, said: str
) -> None:
    found = check_copies([new_send("k", **changes)], {"k": taken} if taken else {})
    assert bool(found.wrong) == bool(said)
    assert said in " ".join(found.wrong)


def test_copies_are_counted_by_what_the_message_is() -> None:
    sends = [
        new_send("a", status=SENT, purpose="transactional", repeats=1),
        new_send("b", status=SENT, purpose="transactional"),
        new_send("c", status=SENT),
        new_send("d", kind="task"),
    ]
    found = check_copies(sends, {"a": 2, "b": 2, "c": 2})
    assert (found.messages, found.copies, found.doubted) == (3, 6, 1)
    assert (found.promotions_twice, found.orders_twice, found.orders_explained) == (1, 2, 1)


def test_a_message_that_the_store_does_not_know_is_wrong() -> None:
    log = {f"<{digest16('message-id', 'a').hex()}@shop.example>": 1, "<x@elsewhere>": 1}
    sends = [new_send("a", status=SENT)]
    copies = by_key(sends, log)
    assert copies == {"a": 1, "<x@elsewhere>": 1}
    (wrong,) = check_copies(sends, copies).wrong
    assert wrong.startswith("<x@elsewhere>")
