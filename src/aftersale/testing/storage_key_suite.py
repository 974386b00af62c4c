"""Does a store keep the keys of programs as `programme/api_keys.py` promises?"""

from aftersale.programme.api_keys import INGEST, SECRET, ApiKey, digest_of, make_key
from aftersale.programme.ports import Store
from aftersale.testing.storage_examples import raises


def new_key(n: int, kind: str = SECRET) -> ApiKey:
    """A key that is told apart by its number."""
    return make_key(n.to_bytes(20, "big"), kind=kind, name=f"key {n}", shop="main", now=n)[1]


class KeySuite:
    """One test a sentence; part of `StorageSuite`."""

    def test_keys_come_back_as_they_were_kept_the_oldest_first(self, store: Store) -> None:
        """Every field, and of the key itself only its digest."""
        text, one = make_key(b"r" * 20, kind=SECRET, name="Zoë's", shop="", now=7, scopes=["read"])
        keys = [new_key(9), new_key(3, INGEST), one]
        with store.write() as tx:
            for key in keys:
                tx.api_keys.add(key)
        with store.read() as tx:
            kept = tx.api_keys.all()
        assert kept == sorted(keys, key=lambda key: key.created_at)
        assert kept[1].digest == digest_of(text)
        assert text not in repr(kept)

    def test_a_key_ends_once_and_never_later(self, store: Store) -> None:
        """Ending it again later changes nothing; a key that nobody made cannot end."""
        with store.write() as tx:
            tx.api_keys.add(new_key(1))
            assert tx.api_keys.end(new_key(1).id, 50)
            assert tx.api_keys.end(new_key(1).id, 90)
            assert not tx.api_keys.end("nobody's", 50)
        with store.read() as tx:
            (kept,) = tx.api_keys.all()
        assert kept.ends_at == 50
        assert kept.works(49)
        assert not kept.works(50)
        with store.write() as tx:
            tx.api_keys.end(kept.id, 20)
            assert tx.api_keys.all()[0].ends_at == 20

    def test_a_key_is_kept_once(self, store: Store) -> None:
        """The same again is an error, and the transaction is undone."""
        with store.write() as tx:
            tx.api_keys.add(new_key(1))
        with raises(ValueError), store.write() as tx:
            tx.meta.set("mode", "live")
            tx.api_keys.add(new_key(1))
        with store.read() as tx:
            assert len(tx.api_keys.all()) == 1
            assert tx.meta.get("mode") is None
