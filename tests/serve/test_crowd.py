"""Too many posts at once are refused by how long the first of them has waited."""

from collections.abc import Callable
from contextlib import ExitStack
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


def crowd(watch: Watch, refused: list[int]) -> Crowd:
    return Crowd(on_refused=lambda: refused.append(1), many=3, patience_s=2.0, clock=watch)


def test_while_the_first_of_many_waits_too_long_nobody_comes_in(watch: Watch) -> None:
    refused: list[int] = []
    door = crowd(watch, refused)
    with ExitStack() as others:
        with door.entered():
            for _ in range(5):
                others.enter_context(door.entered())  # many, but none has waited
            watch.seconds = 2.5
            with pytest.raises(
                BusyError, match=r"6 posts are under way, the first for 2\.5 s"
            ) as told:
                others.enter_context(door.entered())
            assert told.value.retry_after == 2.5
        with pytest.raises(BusyError):  # the next came at the same moment
            others.enter_context(door.entered())
    with door.entered():
        assert len(refused) == 2


def test_a_pause_is_no_crowd(watch: Watch) -> None:
    door = crowd(watch, [])
    with door.entered(), door.entered():
        watch.seconds = 60.0
        with door.entered():
            pass


def test_the_first_is_the_one_that_has_waited_longest(watch: Watch) -> None:
    door = crowd(watch, [])
    with ExitStack() as old, ExitStack() as young:
        for _ in range(3):
            old.enter_context(door.entered())
        watch.seconds = 1.5
        for _ in range(3):
            young.enter_context(door.entered())
        watch.seconds = 2.5
        with pytest.raises(BusyError):
            young.enter_context(door.entered())
        old.close()
        young.enter_context(door.entered())


def test_who_fails_leaves_the_crowd_too(watch: Watch) -> None:
    door = crowd(watch, [])
    for _ in range(10):
        with pytest.raises(ZeroDivisionError), door.entered():
            raise ZeroDivisionError
    watch.seconds = 60.0
    with door.entered():
        pass


def test_row_12_behind_a_stuck_disk_the_crowd_is_told_to_come_back(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    shop = serve()
    shop.items({"item_id": "a"})
    shop.runtime.crowd = Crowd(
        on_refused=shop.runtime.metrics.posts_refused.inc, many=2, patience_s=0.2
    )
    with stuck(shop, tmp_path):  # two posts are under way
        until(lambda: answers_of(shop, 12).status_code == 429)
        refused = shop.post({"event_id": "one", "kind": "view", "user_id": "u", "item_id": "a"})
        assert (refused.status_code, refused.json()["code"]) == (429, "busy")
        assert int(refused.headers["retry-after"]) >= 1
        assert shop.slate(user_id="u")["items"]
        assert shop.metric("endcap_posts_refused_total") >= 2
    assert answers_of(shop, 20).json()["stored"] == 8
