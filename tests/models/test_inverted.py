"""An index proposes what a look at all would, or is not kept."""

import mmap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from endcap.models import indexing, store
from endcap.models.ials import IALS, IALSModel
from endcap.models.indexing import RECALL, index_for
from endcap.models.inner import Product
from endcap.models.inverted import Inverted, best_of, scores_of
from endcap.models.queries import Queries
from endcap.prepare.vocabulary import Vocabulary

ITEMS, D = 6_000, 16


def tastes(clusters: int) -> IALSModel:
    """Return factors of items in clusters (0: in none), as iALS would leave them."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal((ITEMS, D))
    if clusters:
        y = 3 * rng.standard_normal((clusters, D))[rng.integers(0, clusters, ITEMS)] + 0.4 * y
    y = (y * rng.gamma(3.0, 0.3, (ITEMS, 1))).astype(np.float32)
    known = np.ones(ITEMS, bool)
    known[::97] = False
    words = Vocabulary([f"i{n:04d}" for n in range(ITEMS)])
    spec = IALS(factors=D, unobserved=0.01)
    return IALSModel(spec, Vocabulary(["u"]), words, y, known, (y.T @ y).astype(np.float32))


def histories(n: int = 60) -> Queries:
    rng = np.random.default_rng(1)
    return Queries.of_histories(rng.integers(0, ITEMS, (n, 6))).excluding_history()


@pytest.fixture(scope="module")
def indexed() -> IALSModel:
    model = tastes(80)
    tried = index_for(model, histories(), at_least=1_000)
    assert tried is not None
    assert tried.facts["choice"] == "index"
    assert min(tried.facts["recall"].values()) >= RECALL
    assert tried.index is not None
    assert tried.index.probes < len(tried.index.centroids) / 3
    return replace(model, index=tried.index)


@pytest.mark.parametrize("share", [1.0, 0.3, 0.02, 0.0])
def test_what_is_found_is_full_and_nearly_all_of_the_exact_answer(
    indexed: IALSModel, share: float
) -> None:
    rng = np.random.default_rng(2)
    allowed = None if share == 1 else np.flatnonzero(rng.random(ITEMS) < share).astype(np.int32)
    asked, exact = replace(histories(), allowed=allowed), replace(indexed, index=None)
    found, expected = indexed.retrieve(asked, 20), exact.retrieve(asked, 20)
    assert np.array_equal(found.indptr, expected.indptr)
    hits = [len(np.intersect1d(found.row(q)[0], expected.row(q)[0])) for q in range(len(asked))]
    assert sum(hits) >= RECALL * len(expected.items)
    assert allowed is None or np.isin(found.items, allowed).all()
    for q in range(len(asked)):
        assert not np.intersect1d(found.row(q)[0], asked[q : q + 1].items).size


def test_an_index_is_saved_mapped_and_answers_with_the_same_bits(
    indexed: IALSModel, tmp_path: Path
) -> None:
    store.save(indexed, tmp_path / "ials")
    loaded = store.load(tmp_path / "ials")
    assert loaded.index is not None
    owner = loaded.index.vectors
    while isinstance(owner, np.ndarray):
        owner = owner.base
    assert isinstance(owner, mmap.mmap)
    for q in range(5):
        one = histories()[q : q + 1]
        before, after = indexed.opinion(one, 30), loaded.opinion(one, 30)
        assert np.array_equal(before.proposed.items, after.proposed.items)
        assert np.array_equal(before.proposed.scores, after.proposed.scores)


def test_the_same_factors_make_the_same_index(indexed: IALSModel) -> None:
    again = index_for(tastes(80), histories(), at_least=1_000)
    assert again is not None
    assert again.index is not None
    for part in store.INVERTED:
        assert np.array_equal(getattr(again.index, part), getattr(indexed.index, part)), part


def test_where_nothing_is_near_anything_all_is_looked_at() -> None:
    tried = index_for(tastes(0), histories(), at_least=1_000)
    assert tried is not None
    assert tried.index is None
    assert tried.facts["choice"] == "exact"
    assert "recall" in tried.facts["why"]


def test_small_catalogues_and_missing_libraries_stay_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    assert index_for(tastes(80), histories(), at_least=ITEMS) is None
    monkeypatch.setattr(indexing, "find_spec", lambda name: None)
    tried = index_for(tastes(80), histories(), at_least=1_000)
    assert tried is not None
    assert tried.index is None
    assert "endcap[ann]" in tried.facts["why"]


def test_nobody_to_measure_on_keeps_it_exact() -> None:
    tried = index_for(tastes(80), Queries.of_histories([[], []]), at_least=1_000)
    assert tried is not None
    assert tried.index is None


@pytest.mark.parametrize("k", [0, 1, 5, 50])
def test_ties_unknown_rows_and_exclusions(k: int) -> None:
    y = np.repeat(np.arange(6, dtype=np.float32), 5)[:, None]
    known = np.arange(30) % 4 > 0
    asked = replace(
        Queries.of_histories([[0]]),
        exclude=np.array([29, -1, 13], np.int32),
        exclude_indptr=np.array([0, 3]),
        allowed=np.array([40, 26, 27, 25, 29, 3, 7, 13, -1], np.int32),
    )
    expected = [25, 26, 27, 7, 3][:k]
    product = Product(np.ones((1, 1), np.float32), y, known)
    assert best_of(product, asked, k).items.tolist() == expected
    nearest = (np.arange(30)[known] % 2).astype(np.int32)
    index = Inverted.of(product, np.ones((2, 1), np.float32), nearest, probes=2)
    assert best_of(product, asked, k, index).items.tolist() == expected
    np.testing.assert_array_equal(
        scores_of(product, np.array([0, 1, 29], np.int32)), np.array([np.nan, 0, 5], np.float32)
    )
