"""What would have gone out? The built-in mailbox catches it, as the customer would see it."""

from collections.abc import Mapping, Sequence

from aftersale.delivery.channel import Outgoing, Result
from aftersale.delivery.ports import SENT, Caught
from aftersale.delivery.reasons import BY_MAILBOX
from aftersale.programme.ports import Store
from aftersale.turn.shards import Lease

_BESIDE = Lease()


class MailboxChannel:
    """Keeps every message in the store; a key that is there is the same message."""

    name = BY_MAILBOX
    where = "the mailbox of this installation"
    at_once = 500

    def __init__(self, store: Store) -> None:
        self._store = store

    def send(self, messages: Sequence[Outgoing]) -> list[Result]:
        """Catch them all in one transaction."""
        with self._store.work(_BESIDE) as tx:
            for item in messages:
                message = item.message
                tx.mailbox.catch(
                    Caught(
                        message.key,
                        item.customer,
                        item.at,
                        message.to,
                        message.subject,
                        message.html,
                        message.text,
                        message.headers,
                        item.channel,
                    )
                )
        return [Result(SENT, self.name)] * len(messages)

    def hurry(self) -> None:
        """It is fast as it is."""

    def close(self) -> None:
        """Nothing is held open."""

    def look_up(self, keys: Sequence[str]) -> Mapping[str, Result | None]:
        """The mailbox knows what it caught."""
        with self._store.read() as tx:
            return {
                key: Result(SENT, self.name) if tx.mailbox.get(key) is not None else None
                for key in keys
            }
