"""How does the store in memory keep requests of providers?"""

from collections.abc import Collection, Sequence

import msgspec

from aftersale.adapters.storage._memory_shelves import Shelves
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant
from aftersale.ledger.requests import (
    STATES,
    TRANSLATED,
    Count,
    NewRequest,
    Request,
    RequestNumber,
    names,
)
from aftersale.translation.happening import Passed


class MemoryRequests:
    """Requests of providers, raw."""

    def __init__(self, shelves: Shelves) -> None:
        self._s = shelves

    def keep(self, rows: Sequence[NewRequest]) -> list[RequestNumber | None]:
        s = self._s
        s.appending()
        numbers: list[RequestNumber | None] = []
        for row in rows:
            known = s.request_keys.get(row.key)
            if known is not None and known in s.requests:
                one = s.requests[known]
                last = max(one.last_at, row.received_at)
                s.put(
                    s.requests,
                    known,
                    msgspec.structs.replace(one, times=one.times + 1, last_at=last),
                )
                numbers.append(None)
                continue
            number = max(s.requests, default=0) + 1
            kept = Request(
                number,
                row.provider,
                row.shop,
                row.received_at,
                row.received_at,
                1,
                row.state,
                row.passed,
                dict(row.headers),
                row.body,
            )
            s.put(s.requests, number, kept)
            s.put(s.request_keys, row.key, number)
            numbers.append(number)
        return numbers

    def concern(self, pairs: Sequence[tuple[RequestNumber, CustomerId]]) -> None:
        self._s.writing()
        for request, customer in pairs:
            self._s.put(self._s.request_customers, (customer, request), None)

    def settle(self, number: RequestNumber, state: str, passed: Sequence[Passed]) -> None:
        self._s.writing()
        if number in self._s.requests:
            self._change(number, state=state, passed=tuple(passed))

    def get(self, number: RequestNumber) -> Request | None:
        return self._s.requests.get(number)

    def newest(
        self, limit: int, *, states: Collection[str] = STATES, provider: str = ""
    ) -> list[Request]:
        found = [
            msgspec.structs.replace(one, body=b"")
            for one in self._ordered()[::-1]
            if one.state in states and provider in {"", one.provider}
        ]
        return found[:limit]

    def open(self, after: RequestNumber, limit: int) -> list[Request]:
        found = [
            one
            for one in self._ordered()
            if one.number > after and one.state != TRANSLATED and one.body
        ]
        return found[:limit]

    def counts(self) -> list[Count]:
        found: dict[tuple[str, str], Count] = {}
        for one in self._s.requests.values():
            before = found.get((one.provider, one.state), Count(one.provider, one.state, 0, 0))
            found[one.provider, one.state] = msgspec.structs.replace(
                before, requests=before.requests + 1, last_at=max(before.last_at, one.last_at)
            )
        return [found[name] for name in sorted(found)]

    def naming(self, customer: CustomerId) -> list[RequestNumber]:
        s = self._s
        people = s.same_person(customer)
        refs = [ref for ref, owner in s.refs.items() if owner in people]
        anybodys = {request for _, request in s.request_customers}
        theirs = {request for who, request in s.request_customers if who in people}
        return [
            one.number
            for one in self._ordered()
            if one.body
            and (one.number in theirs or (one.number not in anybodys and names(one.body, refs)))
        ]

    def forget(self, customer: CustomerId) -> int:
        """Empty the bodies that name the person; how many."""
        found = self.naming(customer)
        for number in found:
            self._change(number, body=b"", headers={})
        return len(found)

    def prune(self, before: Instant, others_before: Instant) -> int:
        s = self._s
        s.writing()
        gone = {
            one.number
            for one in s.requests.values()
            if one.last_at < (before if one.state == TRANSLATED else others_before)
        }
        for number in gone:
            s.drop(s.requests, number)
        for pair in [pair for pair in s.request_customers if pair[1] in gone]:
            s.drop(s.request_customers, pair)
        return len(gone)

    def _change(self, number: RequestNumber, **parts: object) -> None:
        changed = msgspec.structs.replace(self._s.requests[number], **parts)
        self._s.put(self._s.requests, number, changed)

    def _ordered(self) -> list[Request]:
        """By number: what was dropped and brought back by an undo stands at the end."""
        return [self._s.requests[number] for number in sorted(self._s.requests)]
