"""How were the models when everybody was scored last?"""

import msgspec

from aftersale.kernel.instants import Instant
from aftersale.models.scores import Card
from aftersale.programme.ports import Transaction

_KEPT = "models"


class Cards(msgspec.Struct, frozen=True):
    """The card of every model, as of an instant."""

    until: Instant
    cards: list[Card]


def keep_cards(tx: Transaction, until: Instant, cards: list[Card]) -> None:
    """Keep them in the place of older ones."""
    tx.meta.set(_KEPT, msgspec.to_builtins(Cards(until, cards)))


def kept_cards(tx: Transaction) -> Cards | None:
    """The newest ones; None where nothing was scored yet."""
    told = tx.meta.get(_KEPT)
    return None if told is None else msgspec.convert(told, Cards)
