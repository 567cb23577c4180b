"""What a model says of one question at once is what it says of many, to the last bit."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from endcap.models import specs
from endcap.models.base import Model
from endcap.models.candidates import Candidates
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.prepare.vocabulary import UNKNOWN, Vocabulary
from endcap.schema.tables import ITEMS

SHARES = ("item-knn", "transitions", "popular", "trending", "slit", "aligned", "behaviours")


def shop() -> Dataset:
    rng = np.random.default_rng(3)
    taken = np.minimum(rng.integers(0, 80, 900), rng.integers(0, 80, 900))
    items = [{"item_id": f"i{n}", "title": f"thing {n % 7} {n % 5}"} for n in range(100)]
    return Dataset.of(
        [f"u{n}" for n in rng.integers(0, 60, 900)],
        [f"i{n}" for n in taken],
        catalogue=pa.Table.from_pylist(items, schema=ITEMS),
    )


@pytest.fixture(scope="module", params=SHARES)
def model(request: pytest.FixtureRequest) -> Model:
    return specs.make(request.param).fit(shop(), rng=0)


@pytest.mark.parametrize("k", [1, 7, 500])
@pytest.mark.parametrize("filtered", [False, True])
def test_one_question_is_answered_as_it_is_among_others(
    model: Model, k: int, filtered: bool
) -> None:
    rng = np.random.default_rng(5)
    allowed = np.arange(0, len(model.items), 3, dtype=np.int32) if filtered else None
    for _ in range(10):
        past = rng.integers(-1, len(model.items), 6)
        taken = np.unique(rng.integers(0, len(model.items), 4)).astype(np.int32)
        query = replace(
            Queries.of_histories([past]),
            exclude=taken,
            exclude_indptr=np.array([0, len(taken)], np.int64),
            allowed=allowed,
        )
        told = model.opinion(query, k)
        dense = Model.opinion(model, query, k)
        np.testing.assert_array_equal(told.proposed.items, dense.proposed.items)
        np.testing.assert_array_equal(told.proposed.scores, dense.proposed.scores)
        others = np.setdiff1d(np.arange(len(model.items)), taken)
        union = Candidates.of([others])
        np.testing.assert_array_equal(told.score(union), dense.score(union))


def test_nothing_may_be_shown(model: Model) -> None:
    query = replace(Queries.of_histories([[1, 2]]), allowed=np.empty(0, np.int32))
    assert not len(model.opinion(query, 5).proposed.items)


def test_a_word_is_found_without_a_table_of_all() -> None:
    words = Vocabulary(["b", "aa", "ä", "Z", "zz", "茶"])
    for word in ("b", "aa", "ä", "Z", "zz", "茶", "", "m", "zzz"):
        assert words.find(word) == words.row(word)
    assert Vocabulary([]).find("a") == UNKNOWN
