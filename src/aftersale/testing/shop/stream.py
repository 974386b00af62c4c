"""How does the simulated shop throw its dice so that every machine throws the same?

Only integers, comparisons and the four exact operations of IEEE 754 (and the square root) are
used: a logarithm may differ in its last bit from one C library to the next.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import accumulate
from struct import Struct
from typing import TypeVar

T = TypeVar("T")

_EIGHT = Struct(">8Q")
_UNIT = 2.0**-53


class Stream:
    """An endless row of numbers, a function of its key alone: hashes of a counter."""

    __slots__ = ("real",)

    def __init__(self, *key: str | int) -> None:
        self.real: Callable[[], float] = _numbers("\x1f".join(map(str, key))).__next__
        """The next number in [0, 1)."""

    def chance(self, share: float) -> bool:
        """True in that share of all throws."""
        return self.real() < share

    def between(self, low: int, high: int) -> int:
        """An integer in [low, high), `low` where there is none."""
        return low + int(self.real() * (high - low))

    def pick(self, things: Sequence[T]) -> T:
        """One of them, each as likely as the other."""
        return things[int(self.real() * len(things))]

    def favour(self, things: Sequence[T]) -> T:
        """One of them, the front ones more often: the first quarter takes half of all."""
        share = self.real()
        return things[int(share * share * len(things))]

    def weighted(self, things: Sequence[T], weights: Sequence[float]) -> T:
        """One of them, as often as its weight says."""
        sums = list(accumulate(weights))
        return things[min(bisect_right(sums, self.real() * sums[-1]), len(things) - 1)]

    def exponential(self) -> float:
        """A waiting time with mean 1, by comparisons alone (von Neumann, 1951).

        A falling run that starts at x has an odd length with probability exp(-x).
        """
        whole = 0.0
        while True:
            first = last = self.real()
            odd = True
            while (following := self.real()) < last:
                last = following
                odd = not odd
            if odd:
                return whole + first
            whole += 1.0

    def gamma(self, shape: int) -> float:
        """A gamma variate with mean 1 and that whole shape."""
        total = 0.0
        for _ in range(shape):  # sum() rounds differently from Python 3.12 on
            total += self.exponential()
        return total / shape

    def beta(self, ones: int, noughts: int) -> float:
        """A share with mean ones / (ones + noughts)."""
        above = ones * self.gamma(ones)
        return above / (above + noughts * self.gamma(noughts))


def _numbers(key: str) -> Iterator[float]:
    secret = blake2b(key.encode(), digest_size=16).digest()
    for count in range(1 << 62):
        block = blake2b(count.to_bytes(8, "big"), key=secret).digest()
        for number in _EIGHT.unpack(block):
            yield (number >> 11) * _UNIT
