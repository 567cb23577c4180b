"""Which slates the event loop makes itself, and that it hears its sockets in between."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from served_shop import Served

from endcap.schema.errors import StoreError
from endcap.serve.turns import QUICK_S, Line, Turns


def test_a_place_is_quick_once_it_was_and_slow_once_it_is() -> None:
    turns = Turns()
    assert not turns.is_quick("home")  # nobody knows yet
    turns.took("home", QUICK_S / 4)
    assert turns.is_quick("home")
    assert not turns.is_quick("cart")
    turns.took("home", QUICK_S * 100)
    assert not turns.is_quick("home")
    for _ in range(60):
        turns.took("home", QUICK_S / 4)
    assert turns.is_quick("home")


def test_between_two_turns_others_are_heard() -> None:
    line = Line()
    heard: list[str] = []

    async def slate(n: int) -> None:
        async with line.turn():
            heard.append(f"slate {n}")

    async def run() -> None:
        slates = [asyncio.ensure_future(slate(n)) for n in range(3)]
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(heard.append, "socket")
        await asyncio.gather(*slates)

    asyncio.run(run())
    assert heard.index("socket") < heard.index("slate 2")
    assert [told for told in heard if told != "socket"] == ["slate 0", "slate 1", "slate 2"]


def test_who_gives_up_waiting_leaves_the_turn_to_the_next() -> None:
    line = Line()

    async def run() -> str:
        async with line.turn():
            gone = asyncio.ensure_future(next_turn(line, "gone"))
            stays = asyncio.ensure_future(next_turn(line, "stays"))
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.sleep(0)
        return await stays

    assert asyncio.run(run()) == "stays"


async def next_turn(line: Line, name: str) -> str:
    async with line.turn():
        return name


@pytest.mark.parametrize("quick", [True, False])
def test_a_slate_is_the_same_wherever_it_is_made(
    serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch, *, quick: bool
) -> None:
    """…and one that is quick takes no thread once the history of its shopper is at hand."""
    shop = serve()
    shop.items(*({"item_id": name, "price": "2"} for name in "abc"))
    shop.post({"kind": "view", "user_id": "u", "item_id": "a"})
    monkeypatch.setattr(shop.runtime.turns, "is_quick", lambda placement: quick)
    asked = [shop.slate(user_id="u", k=3)]  # reads the history
    reads: list[object] = []
    read = shop.runtime.read
    monkeypatch.setattr(shop.runtime, "read", lambda *a: reads.append(a) or read(*a))
    asked += [shop.slate(user_id="u", k=3) for _ in range(3)]
    assert not reads
    for slate in asked:
        assert [item["item_id"] for item in slate["items"]] == [
            item["item_id"] for item in asked[0]["items"]
        ]
    shop.post({"kind": "dismiss", "user_id": "u", "item_id": asked[0]["items"][0]["item_id"]})
    gone = asked[0]["items"][0]["item_id"]
    assert gone not in [item["item_id"] for item in shop.slate(user_id="u", k=3)["items"]]


def test_what_is_at_hand_is_answered_without_the_store(
    serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = serve()
    shop.items({"item_id": "a"}, {"item_id": "b"})
    monkeypatch.setattr(shop.runtime.turns, "is_quick", lambda placement: True)
    shop.slate(user_id="known")

    def away(actor: str, kinds: object) -> list[object]:
        raise StoreError("The store was asked.")

    monkeypatch.setattr(shop.runtime.store.log, "history", away)
    known, unknown = shop.slate(user_id="known"), shop.slate(user_id="unknown")
    assert known["items"]
    assert unknown["items"]
    assert "history cannot be read" not in known["reason"]
    assert "history cannot be read" in unknown["reason"]


def test_what_is_counted_along_waits_its_turn_while_slates_are_asked_for(
    serve: Callable[..., Served],
) -> None:
    runtime = serve().runtime
    done: list[int] = []

    def work() -> None:
        done.append(threading.get_ident())

    runtime._in_turn(work)  # nobody asks for anything
    runtime.asked_at = time.monotonic() + 60
    runtime._in_turn(work)
    (loop,) = {thread.ident for thread in threading.enumerate() if thread.ident == done[1]}
    assert done[0] == threading.get_ident() != loop
