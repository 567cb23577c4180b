"""Too many posts at once are refused by how long they would take."""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from served_shop import Served
from test_degraded import answers_of, stuck

from endcap.schema.errors import BusyError
from endcap.serve.crowd import Crowd
from endcap.testing.servers import until


class Watch:
    """A clock that is set."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


def crowd(watch: Watch, refused: list[int] | None = None) -> Crowd:
    told = [] if refused is None else refused
    return Crowd(on_refused=lambda: told.append(1), many=3, patience_s=2.0, clock=watch)


def work(door: Crowd, watch: Watch, posts: int, seconds: float) -> None:
    """Let some posts be there together, so many seconds, and leave."""
    with ExitStack() as here:
        for _ in range(posts):
            here.enter_context(door.entered())
        watch.seconds += seconds


def test_as_many_come_in_as_are_answered_in_time(watch: Watch) -> None:
    refused: list[int] = []
    door = crowd(watch, refused)
    for _ in range(200):
        work(door, watch, 5, 0.5)  # a tenth of a second each, and up to half of one alone
    with ExitStack() as here:
        while not refused:
            with suppress(BusyError):
                here.enter_context(door.entered())
        under_way = door._here
        with pytest.raises(BusyError, match=rf"^{under_way} posts are under way; it would") as told:
            here.enter_context(door.entered())
    assert 2.0 < told.value.retry_after < 2.5
    assert 2.0 / 0.5 < under_way < 2.0 / 0.1
    with door.entered():
        assert len(refused) == 2


def test_a_faster_machine_lets_in_more(watch: Watch) -> None:
    counts = []
    for seconds in (0.5, 0.05):
        door, refused = crowd(watch, gone := []), gone
        for _ in range(200):
            work(door, watch, 5, seconds)
        with ExitStack() as here:
            while not refused:
                with suppress(BusyError):
                    here.enter_context(door.entered())
            counts.append(door._here)
    assert counts[1] == pytest.approx(10 * counts[0], rel=0.2)


def test_a_pause_is_no_crowd(watch: Watch) -> None:
    door = crowd(watch)
    for _ in range(20):
        work(door, watch, 2, 60.0)
    with door.entered(), door.entered(), door.entered():
        pass


def test_who_fails_leaves_the_crowd_too(watch: Watch) -> None:
    door = crowd(watch)
    for _ in range(10):
        with pytest.raises(ZeroDivisionError), door.entered():
            raise ZeroDivisionError
    assert door._here == 0


def test_row_12_behind_a_stuck_disk_the_crowd_is_told_to_come_back(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    shop = serve()
    shop.items({"item_id": "a"})
    shop.runtime.crowd = Crowd(
        on_refused=shop.runtime.metrics.posts_refused.inc, many=2, patience_s=0.0
    )
    assert answers_of(shop, 1).json()["stored"] == 8  # it knows how long one takes
    with stuck(shop, tmp_path):  # two posts are under way
        until(lambda: answers_of(shop, 12).status_code == 429)
        refused = shop.post({"event_id": "one", "kind": "view", "user_id": "u", "item_id": "a"})
        assert (refused.status_code, refused.json()["code"]) == (429, "busy")
        assert int(refused.headers["retry-after"]) >= 1
        kind = {"content-type": "application/json"}
        unread = shop.client.post("/v1/events/batch", content=b"{no JSON", headers=kind)
        assert unread.status_code == 429
        assert shop.slate(user_id="u")["items"]
        assert shop.metric("endcap_posts_refused_total") >= 2
    assert answers_of(shop, 20).json()["stored"] == 8
