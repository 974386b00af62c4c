"""What does a broken invariant look like?"""

from collections.abc import Callable, Iterator

import msgspec

from aftersale.programme.ports import Transaction
from aftersale.runtime.worlds import Worlds


class Violation(msgspec.Struct, frozen=True):
    """One place where a sentence that must hold does not."""

    rule: str
    what: str
    where: str


Check = Callable[[Transaction, Worlds], Iterator[Violation]]
