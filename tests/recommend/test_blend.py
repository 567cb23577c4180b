"""The weighted sum, by hand."""

from dataclasses import dataclass

import numpy as np
import pytest

from endcap.models.base import Model
from endcap.models.popular import Popular
from endcap.models.queries import Queries
from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.blend import blend
from endcap.recommend.soundness import check_models

WORDS = Vocabulary(["a", "b", "c", "d"])
NAN = np.nan


@dataclass(frozen=True)
class Fixed(Model):
    row: np.ndarray

    def scores(self, queries):
        return np.tile(self.row, (len(queries), 1))


class Own(Fixed):
    """Retrieves in a way of its own, as an index would."""

    asked = 0

    def retrieve(self, queries, k):
        return super().retrieve(queries, k).top(1)


class OwnBroken(Own):
    def score(self, queries, candidates):
        raise RuntimeError("the index is gone")


def model(kind, *row):
    return kind(Popular(), WORDS, WORDS, np.array(row, np.float32))


def ask(models, weights, k=4, **other):
    query = Queries.of_histories([[]])
    return blend(models, weights, query, candidates=1, k=k, **other)


def test_the_sum_by_hand():
    models = {"one": model(Fixed, 4, 2, NAN, -2), "two": model(Fixed, 1, 10, 5, NAN)}
    answer = ask(models, {"one": 3, "two": 1})
    # one / 4 x 0.75, two / 10 x 0.25: a .75 + .025, b .375 + .25, c .125, d -.375
    assert answer.items.tolist() == [0, 1, 2]
    np.testing.assert_allclose(answer.scores, [0.775, 0.625, 0.125], rtol=1e-6)
    assert answer.sources == ["one", "one", "two"]
    assert answer.scales == {"one": 0.75 / 4, "two": 0.25 / 10}
    np.testing.assert_allclose(answer.parts.sum(axis=0), answer.scores)


def test_a_model_that_is_not_there_is_passed_over():
    answer = ask({"one": model(Fixed, 4, 2, 1, 3)}, {"one": 1, "absent": 9})
    np.testing.assert_allclose(answer.scores, [1, 0.75, 0.5, 0.25])
    nothing = ask({}, {"absent": 1})
    assert (len(nothing.items), nothing.sources) == (0, [])


def test_a_model_against_everything_adds_nothing():
    answer = ask({"no": model(Fixed, -1, -2, NAN, NAN)}, {"no": 1})
    assert len(answer.items) == 0
    assert answer.scales == {"no": 0.0}


def test_a_retriever_of_its_own_is_asked_for_its_own():
    models = {"own": model(Own, 1, 2, 3, 4), "two": model(Fixed, 9, 1, 1, 1)}
    assert ask({"own": models["own"]}, {"own": 1}).items.tolist() == [3]
    both = ask(models, {"own": 1, "two": 1}, k=2)
    assert both.items.tolist() == [0, 3]  # 1/4 + 1 and 1 + 1/9, halved
    np.testing.assert_allclose(both.scores, [0.625, 0.5 + 1 / 18])


def test_what_fails_while_it_scores_is_left_out():
    broken = model(OwnBroken, 1, 2, 3, 4)
    answer = ask({"bad": broken, "two": model(Fixed, 9, 1, 1, 1)}, {"bad": 1, "two": 1})
    assert (answer.failed, list(answer.scales)) == (("bad",), ["two"])
    assert answer.scores[0] == pytest.approx(1)
    alone = ask({"bad": broken}, {"bad": 1})
    assert (alone.failed, len(alone.items)) == (("bad",), 0)


def test_ties_fall_by_row_and_by_seed_the_same_way_each_time():
    models = {"even": model(Fixed, 1, 1, 1, 1)}
    assert ask(models, {"even": 1}).items.tolist() == [0, 1, 2, 3]
    for seed in (1, 2, -5, 2**70):
        first = ask(models, {"even": 1}, seed=seed).items.tolist()
        assert first == ask(models, {"even": 1}, seed=seed).items.tolist()
        assert sorted(first) == [0, 1, 2, 3]


def test_a_model_of_an_empty_catalogue_has_nothing_to_show():
    empty = Vocabulary([])
    check_models({"none": Fixed(Popular(), empty, empty, np.empty(0, np.float32))})
