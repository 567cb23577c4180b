"""Drift in figures, and when they make training due."""

import json
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from retraining_shop import NOW, learn, shop, shopping

from endcap.schema.kinds import KINDS
from endcap.schema.settings import WorkerSettings
from endcap.serve.retraining.drift import Drift, DriftWatch, shift
from endcap.serve.retraining.due import due
from endcap.testing.contracts.sample_rows import event, events

WEIGHTS = {name: kind.weight for name, kind in KINDS.items()}
HOUR = timedelta(hours=1)


def test_the_figures_follow_the_log_from_where_training_ended(tmp_path: Path) -> None:
    with shop(tmp_path) as store:
        store.log.append(shopping(0, 200))
        watch = DriftWatch(store, WEIGHTS, learn(store, tmp_path))
        assert watch.look() == Drift()
        store.log.append(shopping(200, 230))
        store.log.append(shopping(0, 10, prefix="new"))
        store.log.append(shopping(0, 10, prefix="new"))  # nothing is counted twice
        told = watch.look()
        assert told.new_events == 40
        assert told.unknown_items_share == 10 / 40
        assert 0 < told.new_events_share <= 40 / 100
        assert watch.look() == told


def test_who_acts_and_gets_a_fallback_counts_and_strangers_do_not(tmp_path: Path) -> None:
    worse = json.dumps({"degraded": True, "served_by": "popular"})
    short = json.dumps({"degraded": True, "served_by": "personal"})  # too few items: no fallback
    with shop(tmp_path) as store:
        store.log.append(shopping(0, 200))
        watch = DriftWatch(store, WEIGHTS, learn(store, tmp_path))
        store.log.append(shopping(200, 204))  # u0 to u3
        shown = [("u0", worse), ("u1", short), ("u2", None), ("u3", worse), ("u3", None)]
        shown += [("stranger", worse)]
        store.log.append(
            events(
                *(
                    event(n, event_id=f"s{n}", kind="impression", user_id=who, properties=said)
                    for n, (who, said) in enumerate(shown)
                )
            )
        )
        assert watch.look().fallback_share == 1 / 4


def test_a_shift_is_what_chance_does_not_explain() -> None:
    rng = Random(0)
    names = [f"i{n}" for n in range(300)]
    weights = [1 / (n + 1) for n in range(300)]

    def sample(count: int) -> dict[str, int]:
        drawn = rng.choices(names, weights, k=count)
        return {name: drawn.count(name) for name in set(drawn)}

    same = [shift(sample(2000), sample(500)) for _ in range(20)]
    assert max(same) < 0.06
    before = sample(2000)
    other = {f"x{name}": count for name, count in sample(500).items()}
    assert shift(before, other) > 0.6
    stayed = sample(1000)
    moved = {f"x{name}": count for name, count in sample(1000).items()}
    assert 0.25 < shift(before, stayed | moved) < shift(before, other)
    assert shift(before, {}) == shift({}, before) == 0.0


@pytest.mark.parametrize(
    ("age", "drift", "told"),
    [
        (None, Drift(), None),
        (None, Drift(new_events=1), "first"),
        (25 * HOUR, Drift(), None),  # nothing is new: the same would come out
        (25 * HOUR, Drift(new_events=1), "age 25.0 h >= 24 h"),
        (23 * HOUR, Drift(new_events=1), None),
        (2 * HOUR, Drift(600, new_events_share=0.25), "new_events_share 0.250 >= 0.2"),
        (2 * HOUR, Drift(600, unknown_items_share=0.2), "unknown_items_share 0.200 >= 0.2"),
        (2 * HOUR, Drift(600, fallback_share=0.6), "fallback_share 0.600 >= 0.5"),
        (2 * HOUR, Drift(600, popularity_shift=0.4), "popularity_shift 0.400 >= 0.35"),
        (2 * HOUR, Drift(400, popularity_shift=0.4), None),  # too few to say so
        (0.5 * HOUR, Drift(600, popularity_shift=0.4), None),  # trained just now
    ],
)
def test_when_it_is_due(age: timedelta | None, drift: Drift, told: str | None) -> None:
    trained = None if age is None else NOW - age
    assert due(trained, drift, WorkerSettings(), NOW) == told


def test_a_figure_set_to_0_never_makes_it_due() -> None:
    off = WorkerSettings(every_hours=0, new_events_share=0, popularity_shift=0)
    moved = Drift(10_000, new_events_share=9.0, popularity_shift=1.0)
    assert due(NOW - 999 * HOUR, moved, off, NOW) is None
