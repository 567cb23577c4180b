"""What chooses by itself: settings by racing, weights by climbing, and only what pays."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from endcap import plugins
from endcap.evaluate.choosing import Chosen, choose
from endcap.evaluate.exam import Exam
from endcap.evaluate.lineup import Entrant, Profile, line_up
from endcap.evaluate.metrics import per_user
from endcap.evaluate.mixing import Mixer, mix
from endcap.evaluate.pool import Gains, Pool, blend_lists, pool
from endcap.evaluate.tuning import Trial, Tuner
from endcap.models import specs
from endcap.models.base import Spec
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.prepare.split import DAY_US, Split, Temporal
from endcap.recommend.blend import blend
from endcap.schema.errors import DataError

MEMBERS = {"item-knn": 1.0, "popular": 0.2, "transitions": 0.5}


@pytest.fixture(scope="module")
def split() -> Split:
    """Two tastes over 200 days; within a taste, items are taken in a circle."""
    random = np.random.default_rng(3)
    users = np.repeat(np.arange(101), 13)
    step = np.tile(np.arange(13), 101) + np.repeat(random.integers(0, 17, 101), 13)
    noise = random.random(len(users)) < 0.3
    place = np.where(noise, random.integers(0, 17, len(users)), step) % 17
    items = place + 17 * (users % 2)
    days = np.sort(random.integers(0, 200, (101, 13)), axis=1).ravel()
    names = [f"u{u}" for u in users], [f"i{i}" for i in items]
    return Temporal(days=40).apply(Dataset.of(*names, times=days.astype(np.int64) * DAY_US))


@pytest.fixture(scope="module")
def trial(split: Split) -> Trial:
    return Trial.of(split, heat_users=40)


@pytest.fixture(scope="module")
def asked(split: Split, trial: Trial) -> Pool:
    models = {name: specs.make(name).fit(split.train) for name in MEMBERS}
    return pool(models, trial.exam.queries, 10)


def test_axes_name_real_settings() -> None:
    rich = Profile(10, 100_000, 100, ordered=True, clocked=True, titled=1, labelled=1, repeated=1)
    for entrant in line_up(rich, keep_seen=True).values():
        spec: type[Spec] = plugins.load("endcap.models", entrant.plugin)
        spec.parse(entrant.fixed)
        for key, values in entrant.axes.items():
            for value in values:
                spec.parse({**entrant.fixed, key: value})


def test_line_up_follows_the_data(split: Split) -> None:
    profile = Profile.of(split.train)
    assert profile.items == 34
    assert profile.repeated == pytest.approx(
        1 - split.train.matrix(None).nnz / split.train.interactions.num_rows
    )
    all_there = line_up(profile)
    assert "content-words" not in all_there
    assert {"slit", "transitions", "vmis-knn", "trending", "ease"} <= set(all_there)
    assert "repeat" not in all_there
    assert "repeat" in line_up(profile, keep_seen=True)
    assert "confidence" in all_there["ease"].axes
    once = replace(profile, repeated=0.0)
    assert "confidence" not in line_up(once)["ease"].axes
    long = replace(profile, interactions=101 * profile.users)
    assert line_up(long)["transitions"].fixed == {"second_step": 0.0}
    assert not all_there["transitions"].fixed
    assert "vmis-knn" not in line_up(long)
    assert line_up(long, keep_seen=True)["repeat"].axes["own"][0] == 0.9
    assert not all_there["slit"].fixed
    assert line_up(replace(profile, items=20_000))["slit"].fixed == {"sources": 100}
    blind = Profile.of(split.train, ordered=False, clocked=False)
    assert not {"slit", "transitions", "vmis-knn", "trending"} & set(line_up(blind))


def test_a_pool_blends_as_the_server_does(split: Split, trial: Trial) -> None:
    models = {name: specs.make(name).fit(split.train) for name in MEMBERS}
    lists = blend_lists(models, MEMBERS, trial.exam.queries, 7, depth=10)
    for q in range(0, len(trial.exam), 9):
        query = trial.exam.queries[q : q + 1]
        served = blend(models, MEMBERS, query, candidates=10, k=7)
        items, scores = lists.row(q)
        assert items.tolist() == served.items.tolist()
        np.testing.assert_allclose(scores / sum(MEMBERS.values()), served.scores, rtol=1e-5)


def test_gains_are_those_of_the_metrics(trial: Trial, asked: Pool) -> None:
    for weights in (MEMBERS, {"popular": 1.0}, {"transitions": 2.0, "popular": 0.1}):
        expected = per_user(asked.top(weights, 5), trial.exam.targets, (5,))["ndcg@5"]
        found = Gains(asked, trial.exam, 5)(asked.total(weights))
        np.testing.assert_allclose(found, expected, atol=1e-12)


def oracle(exam: Exam, share: Callable[[int], bool], items: int) -> np.ndarray:
    """1 for the targets at places that `share` names, else 0; float32 (n, items)."""
    out = np.zeros((len(exam), items), np.float32)
    for at, (owner, item) in enumerate(zip(exam.targets.owner, exam.targets.items, strict=True)):
        out[owner, item] = float(share(at))
    return out


def test_weights_let_in_only_what_helps(trial: Trial) -> None:
    exam, items = trial.exam, trial.exam.split.train.shape[1]
    even, odd = (oracle(exam, lambda at, rest=rest: at % 2 == rest, items) for rest in (0, 1))
    wrong = 1 - np.maximum(even, odd)
    full = Pool(
        ("even", "odd", "wrong"),
        np.arange(len(exam) + 1, dtype=np.int64) * items,
        np.tile(np.arange(items, dtype=np.int32), len(exam)),
        np.stack([even.ravel(), odd.ravel(), wrong.ravel()]),
    )
    found = mix(full, exam, 10, {"wrong": 1.0})
    assert set(found.weights) == {"even", "odd"}
    assert found.score == pytest.approx(1.0, abs=0.01)
    assert max(found.weights.values()) == 1.0
    for part in found.parts.values():
        assert part.interval.low > 0.1
        assert part.interval.low < part.adds < part.interval.high


def test_an_addition_is_the_loss_without_the_member(trial: Trial, asked: Pool) -> None:
    mixer = Mixer(asked, trial.exam, 10)
    values = mixer.values(MEMBERS)
    rest = {name: weight for name, weight in MEMBERS.items() if name != "item-knn"}
    part = mixer.part(MEMBERS, "item-knn", values)
    assert part.adds == pytest.approx(mixer.score(MEMBERS) - mixer.score(rest))


def test_a_search_never_ends_below_its_start(trial: Trial, asked: Pool) -> None:
    mixer = Mixer(asked, trial.exam, 10)
    for start in ({"popular": 1.0}, MEMBERS):
        assert mixer.score(mixer.search(start)) >= mixer.score(start)


def test_tuning_climbs_axis_by_axis(trial: Trial) -> None:
    entrant = Entrant("item-knn", {"neighbours": (1, 10), "decay_events": (0.0, 1.0, 5.0)})
    tuner = Tuner(entrant, trial)
    first = tuner.first()
    best = tuner.climb(first)
    assert tuner.steps == 3
    assert best.trials == 4
    assert best.score >= first.score
    assert set(best.settings) == {"neighbours", "decay_events"}
    alone = Tuner(Entrant("item-knn", fixed=best.settings), trial).first()
    np.testing.assert_array_equal(alone.values, best.values)


def test_what_lags_in_the_heat_falls_out(trial: Trial) -> None:
    tuner = Tuner(Entrant("item-knn", {"neighbours": (10, 1)}), trial)
    best = tuner.climb(tuner.first())
    assert best.settings["neighbours"] == 10
    assert best.dropped >= 1


def ticking(step: float = 1.0) -> Callable[[], float]:
    ticks: Iterator[int] = count()
    return lambda: step * next(ticks)


def test_nothing_is_begun_that_would_outlast_the_deadline(trial: Trial) -> None:
    entrant = Entrant("ease", {"l2": (10.0, 100.0), "decay_events": (0.0, 5.0)})
    tuner = Tuner(entrant, trial, ticking())
    first = tuner.first()
    assert (first.fit_s, first.seconds) == (1.0, 2.0)
    assert tuner.climb(first, deadline=4.5).trials == 1
    assert tuner.climb(first, deadline=100.0).trials == 3


@pytest.fixture(scope="module")
def chosen(split: Split, trial: Trial) -> Chosen:
    entrants = line_up(Profile.of(split.train)) | {
        "broken": Entrant("ease", fixed={"max_items": 1}),
    }
    return choose(entrants, trial)


def test_a_blend_is_no_worse_than_its_best_member(chosen: Chosen) -> None:
    assert chosen.blend.score >= 0.99 * chosen.choices[chosen.best_single].score
    assert set(chosen.blend.weights) == set(chosen.blend.parts) <= set(chosen.choices)
    assert "max_items" in chosen.skipped["broken"]
    assert chosen.moment is not None
    assert "popular" not in chosen.moment.weights
    assert chosen.best_single in {"slit", "transitions"}  # the circle tells what comes next


def test_a_short_budget_still_blends_what_it_had_time_for(split: Split, trial: Trial) -> None:
    entrants = {
        "popular": Entrant("popular", {"count": ("users", "events")}),
        "ease": Entrant("ease", cubic_s=1e12),
    }
    found = choose(entrants, trial, budget_s=1e-6)
    assert list(found.choices) == ["popular"]
    assert found.skipped["ease"].startswith("no time")
    assert found.moment is None
    assert found.blend.weights == {"popular": 1.0}


def test_a_guess_is_corrected_by_the_fits_before_it(trial: Trial) -> None:
    items = int((trial.exam.buyers > 0).sum())
    cube = (items / 10_000) ** 3
    entrants = {
        "popular": Entrant("popular"),
        "ease": Entrant("ease", cubic_s=100 / cube),  # as if of a machine that takes 100 s
        "slit": Entrant("slit", cubic_s=500 / cube),
    }
    quick = choose(entrants, trial, budget_s=1000, clock=ticking(0.5))
    assert "slit" in quick.choices
    slow = choose(entrants, trial, budget_s=1000, clock=ticking(60.0))
    assert slow.skipped["slit"].startswith("no time")


def test_progress_tells_each_model_and_the_blend(trial: Trial) -> None:
    told: list[tuple[str, int, int]] = []
    entrants = {"item-knn": Entrant("item-knn", {"neighbours": (5, 10)})}
    choose(
        entrants,
        trial,
        progress=lambda name: lambda done, total, note="": told.append((name, done, total)),
    )
    assert ("item-knn", 1, 1) in told
    assert told[-1] == ("blend", 2, 2)


def test_nobody_fit_to_take_part_is_an_error(trial: Trial) -> None:
    with pytest.raises(DataError, match="No model") as caught:
        choose({"ease": Entrant("ease", fixed={"max_items": 1})}, trial)
    assert "max_items" in str(caught.value.hint)


def test_a_cut_of_the_pool_is_its_top_with_what_each_model_says(asked: Pool) -> None:
    best, said = asked.cut(MEMBERS, 4)
    top = asked.top(MEMBERS, 4)
    assert best.indptr.tolist() == top.indptr.tolist()
    assert best.items.tolist() == top.items.tolist()
    weights = np.array([MEMBERS[name] for name in asked.names], np.float32)
    np.testing.assert_allclose(weights @ said, best.scores, rtol=1e-5)


def test_last_events_keep_exclusions() -> None:
    queries = Queries.of_histories([[1, 2, 3], [], [4]]).excluding_history()
    short = queries.last(1)
    assert short.items.tolist() == [3, 4]
    assert short.indptr.tolist() == [0, 1, 1, 2]
    assert short.exclude.tolist() == [1, 2, 3, 4]
    assert queries.last(2).items.tolist() == [2, 3, 4]
