"""Everybody sees what others do, at once, without a new training."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from served_shop import Served

from endcap.models.live import TRENDING, Live, LiveCounts, LiveModel, LiveTrending
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.prepare.run import prepare_store
from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train
from endcap.schema.settings import Settings

DAY_US = 86_400_000_000
NOW = datetime.now(UTC)
WORDS = Vocabulary([f"i{n}" for n in range(8)])


def lived(events: list[tuple[str, int]], **settings: float) -> LiveCounts:
    counts = LiveCounts(Live.model_validate({"people": 1, "shrink": 0.0, **settings}))
    for time, (who, item) in enumerate(events):
        counts.add(who, f"i{item}", 1.0, time)
    return counts


def model(counts: LiveCounts) -> LiveModel:
    return LiveModel(counts.spec, Vocabulary([]), WORDS, counts)


def test_a_pair_speaks_once_enough_people_took_it() -> None:
    counts = lived([], people=3)
    for person in range(3):
        assert counts.followers("i0") == {}
        counts.add(f"u{person}", "i0", 1.0, 0)
        counts.add(f"u{person}", "i1", 1.0, 0)
    assert set(counts.followers("i0")) == {"i1"}


def test_what_a_shopper_took_long_ago_is_paired_with_nothing_new() -> None:
    counts = lived([("u", item) for item in range(4)], reach=2)
    assert set(counts.followers("i0")) == {"i1", "i2"}
    assert set(counts.followers("i3")) == {"i1", "i2"}
    assert counts._last == {"u": ["i2", "i3"]}


def test_what_is_due_is_counted_before_anybody_is_told() -> None:
    taken = [(f"u{n % 7}", f"i{n * n % 11}", 1.0, n) for n in range(200)]
    asked: list[Callable[[LiveCounts], object]] = [
        lambda counts: counts.followers("i1"),
        lambda counts: counts.trending(),
        len,
    ]
    for ask in asked:
        at_once, later = lived([], people=2), lived([], people=2)
        for one in taken:
            at_once.add(*one)
        later.later(taken)
        assert later.due == len(taken)
        assert ask(later) == ask(at_once)
        assert later.due == 0


def test_nothing_is_counted_twice_or_lost_where_many_count_and_ask() -> None:
    counts = lived([])

    def bring(who: int) -> None:
        for turn in range(50):
            counts.later([(f"u{who}-{turn}-{n}", "i1", 1.0, 0) for n in range(10)])
            counts.settle()
            counts.followers("i1")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(bring, range(8)))
    assert dict(counts.trending())["i1"] == pytest.approx(8 * 50 * 10)


def test_one_shopper_alone_cannot_push_a_pair_or_an_item() -> None:
    counts = lived([("u", item) for _ in range(50) for item in (0, 1)], people=2)
    assert counts.followers("i0") == {}
    assert dict(counts.trending()) == pytest.approx({"i0": 1, "i1": 1}, rel=1e-6)


def test_what_comes_after_counts_more_than_what_came_before() -> None:
    counts = lived([("u", 0), ("u", 1), ("v", 0), ("v", 1)], source=0.0, target=0.0)
    assert counts.followers("i0")["i1"] == pytest.approx(2, rel=1e-6)
    assert counts.followers("i1")["i0"] == pytest.approx(1, rel=1e-6)


def test_counts_fade_by_half_in_a_half_life() -> None:
    counts = LiveCounts(Live(half_life_days=2.0))
    counts.add("u", "i0", 1.0, 0)
    counts.add("v", "i1", 1.0, 2 * DAY_US)
    assert dict(counts.trending()) == pytest.approx({"i1": 1.0, "i0": 0.5})


def test_an_event_from_far_ahead_breaks_nothing() -> None:
    counts = lived([("u", 0), ("u", 1)])
    counts.add("v", "i2", 1.0, 10**18)
    counts.add("v", "i3", 1.0, 3)
    assert all(np.isfinite(value) for _, value in counts.trending())


def test_what_is_trending_is_found_among_many() -> None:
    counts = lived([])
    random = np.random.default_rng(0)
    drawn = np.minimum(random.zipf(1.3, 20_000), 3_000)
    for who, item in enumerate(drawn.tolist()):
        counts.add(f"u{who}", f"i{item}", 1.0, 0)
    exact = np.sort(np.bincount(drawn))[::-1][:TRENDING]
    assert [count for _, count in counts.trending()] == pytest.approx(exact.tolist())


def test_dislike_and_what_carries_no_preference_are_not_counted() -> None:
    counts = lived([])
    counts.add("u", "i0", 0.0, 0)
    counts.add("u", "i1", -2.0, 0)
    assert len(counts) == 0


def test_memory_is_bounded() -> None:
    counts = LiveCounts(Live(neighbours=5, max_items=20, max_actors=10, people=1))
    for n in range(2_000):
        counts.add(f"u{n % 50}", f"i{n * 7 % 83}", 1.0, n)
    assert len(counts) == 20
    assert all(len(counts.followers(f"i{n}")) <= 10 for n in range(83))


@settings(deadline=None)  # compiles
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 7)), max_size=40), st.data())
def test_reasons_sum_to_the_score(events: list[tuple[str, int]], data: st.DataObject) -> None:
    live = model(lived(events))
    history = data.draw(st.lists(st.integers(0, 7), min_size=1, max_size=5))
    query = Queries.of_histories([history])
    scores = live.scores(query)[0]
    shares = live.contributions(query, np.arange(8, dtype=np.int32))
    np.testing.assert_allclose(shares.sum(axis=1), np.nan_to_num(scores), rtol=1e-4, atol=1e-6)


def test_a_data_set_can_be_lived_through() -> None:
    users = [f"u{n // 2}" for n in range(8)]
    found = Live().fit(Dataset.of(users, ["i0", "i1"] * 4))
    assert found.scores(Queries.of_histories([[found.items.row("i0")]]))[0].tolist()[1] > 0
    trending = LiveTrending(found.spec, found.users, found.items, found.counts)
    assert np.isfinite(trending.scores(Queries.of_histories([[]]))).all()


def learn(shop: Served, folder: Path) -> None:
    """Even items go together and odd items go together; then an artefact is trained."""
    shop.items(*[{"item_id": f"i{n}", "title": f"Item {n}"} for n in range(12)])
    shop.post(
        *[
            {
                "kind": "purchase", "user_id": f"u{user}", "item_id": f"i{item}", "price": 2,
                "currency": "GBP", "time": (NOW - timedelta(hours=n + user)).isoformat(),
            }
            for user in range(30)
            for n in range(4)
            for item in [(2 * (n + user) + user % 2) % 12]
        ]
    )  # fmt: skip
    settings = Settings.parse({"store": {"folder": folder}})
    prepared = prepare_store(shop.runtime.store, settings)
    train(prepared.dataset, load_recipe("simple"), folder)
    shop.runtime.recommender.reload()


def beside(shop: Served, item: str) -> list[str]:
    answer = shop.client.get(f"/v1/items/{item}/similar", params={"k": 11}).json()
    assert answer["artefact"]
    return [one["item_id"] for one in answer["items"]]


def test_strangers_get_what_others_just_did(shop: Served, tmp_path: Path) -> None:
    learn(shop, tmp_path)
    odd = {f"i{n}" for n in range(1, 12, 2)}
    before = [item for item in beside(shop, "i0") if item in odd]
    late = before[-1]
    for n in range(8):
        shop.post(*[{"kind": "view", "user_id": f"n{n}", "item_id": i} for i in ("i0", late)])
    assert next(item for item in beside(shop, "i0") if item in odd) == late


def test_a_server_that_starts_counts_what_happened_lately(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    first = serve()
    learn(first, tmp_path)
    again = serve()  # another process of the shop would do the same
    again.runtime.warmed()
    assert dict(again.runtime.live.live.trending()) == pytest.approx(
        dict(first.runtime.live.live.trending())
    )
