"""What must be gone when somebody is erased, whatever the store is built on."""

from collections.abc import Callable
from contextlib import closing
from functools import partial

import msgspec

from endcap.events.store import Answered, Erased, Receipt, Remembered, Store
from endcap.testing.contracts import sample_rows as rows

Opener = Callable[[], Store]
GONE = ["ann", "visitor:v-ann"]
"""A user, and the visitor who is that user."""


class ErasureContract:
    """What holds for erasing people."""

    def test_nothing_of_a_person_is_left(self, opener: Opener) -> None:
        """And nothing of anybody else is touched."""
        with closing(opener()) as store:
            leave_traces(store, "ann", "v-ann")
            leave_traces(store, "annabel", "v-annabel")
            kept = Erased(events=2, slates=2, users=1, aliases=1, quarantined=3, answers=1)
            assert store.erase(GONE) == kept
        with closing(opener()) as store:
            assert _found(store, "ann", "v-ann") == Erased()
            assert _found(store, "annabel", "v-annabel") == kept
            assert store.erase(GONE) == Erased()

    def test_the_log_goes_on_after_the_last_event_was_erased(self, opener: Opener) -> None:
        """Whoever reads on from a position misses nothing that comes later."""
        with closing(opener()) as store:
            store.log.append(
                rows.events(rows.event(1, user_id="bob"), rows.event(2, user_id="ann"))
            )
            before = store.log.newest()
            store.erase(["ann"])
            store.log.append(rows.events(rows.event(3, user_id="bob")))
            after = [
                i
                for _, b in store.log.tail(before, store.log.newest())
                for i in b["event_id"].to_pylist()
            ]
            assert after == ["e3"]


def leave_traces(store: Store, user: str, visitor: str, *, namesake: bool = True) -> None:
    """Leave every trace that there is."""
    store.log.append(
        rows.events(
            rows.event(1, event_id=f"{user}-1", user_id=user, visitor_id=None),
            rows.event(2, event_id=f"{user}-2", user_id=None, visitor_id=visitor),
        )
    )
    store.catalogue.upsert_users(rows.users({"user_id": user, "attributes": '{"city": "Wien"}'}))
    store.alias(visitor, user)
    who = (user, f"visitor:{visitor}")
    store.slates.put([Answered(f"{user}-{n}", 5, who[n], b"their past") for n in range(2)])
    bad = (
        f'{{"user_id": "{user}", "time": "never"}}',
        f'{{"user": {{"pseudo_id": "{visitor}"}}}}',
        f"never;{user};view",
        *([_namesake(user)] if namesake else []),
    )
    faults = [rows.faulty(n, payload=text, payload_hash=text) for n, text in enumerate(bad)]
    store.quarantine.put(rows.quarantined(*faults))
    for key, said in (("named", {"visitor_id": visitor, "user_id": user}), ("not", {"stored": 1})):
        answer = Remembered("hash", 200, msgspec.json.encode(said))
        store.log.submit(
            rows.events(), key=_key(user, key), remember=partial(_keep, answer)
        ).result()


def _keep(answer: Remembered, receipt: Receipt) -> Remembered:
    return answer


def _key(user: str, which: str) -> str:
    return f"key {len(user)} {which}"


def _namesake(user: str) -> str:
    """Return what names an item that is called like the user."""
    return f'{{"item_id": "{user}"}}'


def _found(store: Store, user: str, visitor: str) -> Erased:
    """Count what there is of a person."""
    who = (user, f"visitor:{visitor}")
    bad = store.quarantine.rows()["payload"].to_pylist()
    assert _namesake(user) in bad
    assert store.recall(_key(user, "not")) is not None
    return Erased(
        events=sum(b.num_rows for w in who for b in store.log.scan(actor=w)),
        slates=sum(store.slates.get(f"{user}-{n}") is not None for n in range(2)),
        users=store.catalogue.users([user]).num_rows,
        aliases=int(visitor in store.aliases()),
        quarantined=sum(
            any(f'"{w}"' in t for w in (user, visitor)) or f";{user};" in t for t in bad
        )
        - 1,
        answers=int(store.recall(_key(user, "named")) is not None),
    )
