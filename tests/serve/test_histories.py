"""The memory of what actors did: bounded, and never behind the store."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from endcap.events.store import Deed as Event
from endcap.serve.histories import ACTOR, Histories


class Truth:
    """A store of events by actor that counts how often it is read."""

    def __init__(self) -> None:
        self.events: dict[str, list[Event]] = {}
        self.reads = 0

    def read(self, who: str) -> list[Event]:
        self.reads += 1
        return list(self.events.get(who, []))

    def write(self, who: str, item: str, time: int = 0) -> Event:
        event = (item, "view", time, float("nan"))
        self.events.setdefault(who, []).append(event)
        return event


def test_an_actor_is_read_once_and_followed_from_then_on() -> None:
    truth = Truth()
    truth.write("u", "a")
    histories = Histories(truth.read, 100)
    assert histories.of("u").item_ids == ["a"]
    histories.add("u", truth.write("u", "b", 5))
    histories.add("u", truth.write("u", "earlier", 2))
    assert histories.of("u").item_ids == ["a", "earlier", "b"]
    assert truth.reads == 1


def test_what_is_kept_is_read_again_after_its_time() -> None:
    truth, now = Truth(), [0.0]
    histories = Histories(truth.read, 100, fresh_seconds=60, clock=lambda: now[0])
    histories.of("u")
    truth.write("u", "by another process")
    assert not histories.of("u").item_ids
    now[0] = 60
    assert histories.of("u").item_ids == ["by another process"]


def test_the_bound_holds_and_the_least_used_leaves() -> None:
    truth = Truth()
    for n in range(10):
        for _ in range(4):
            truth.write(f"u{n}", "a")
    histories = Histories(truth.read, 20)
    for n in range(10):
        histories.of(f"u{n}")
        histories.of("u0")
        assert len(histories) <= 20
    reads = truth.reads
    histories.of("u0")
    assert truth.reads == reads


def test_an_actor_takes_room_besides_their_events() -> None:
    """Else a shop of which everybody is new would hold far more than it was told to."""
    truth = Truth()
    histories = Histories(truth.read, 3 * (1 + ACTOR))
    for who in "abcd":
        truth.write(who, "item")
        histories.of(who)
    assert [who in histories for who in "abcd"] == [False, True, True, True]


def test_an_event_that_becomes_durable_during_a_read_is_in_the_next_answer() -> None:
    truth = Truth()
    reading, go_on = threading.Event(), threading.Event()

    def slow(who: str) -> list[Event]:
        found = truth.read(who)  # read before the event below is there
        reading.set()
        assert go_on.wait(10)
        return found

    histories = Histories(slow, 100)
    readers = [threading.Thread(target=histories.of, args=("u",)) for _ in range(2)]
    for reader in readers:
        reader.start()
    assert reading.wait(10)
    histories.add("u", truth.write("u", "meanwhile"))
    go_on.set()
    for reader in readers:
        reader.join()
    assert histories.of("u").item_ids == ["meanwhile"]


steps = st.lists(
    st.tuples(st.sampled_from(["add", "ask", "forget", "clear"]), st.sampled_from("uvw")),
    max_size=40,
)


@given(steps, st.integers(1, 12))
def test_whatever_happens_it_answers_as_the_store_would(
    drawn: list[tuple[str, str]], bound: int
) -> None:
    truth = Truth()
    histories = Histories(truth.read, bound)
    for n, (step, who) in enumerate(drawn):
        if step == "add":
            histories.add(who, truth.write(who, f"i{n}", n))
        elif step == "ask":
            assert histories.of(who).item_ids == [e[0] for e in truth.events.get(who, [])]
        elif step == "forget":
            histories.forget(who)
        else:
            histories.clear()
        assert len(histories) <= bound
