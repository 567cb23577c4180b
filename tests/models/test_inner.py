"""The best by inner product are those that a look at every score finds."""

from dataclasses import replace

import numpy as np
import pytest

from endcap.models import base, inner, specs
from endcap.models.inner import ByLength, Product
from endcap.models.queries import Queries
from endcap.models.topk import top_k
from endcap.testing.contracts.models import shop


def asked(rng: np.random.Generator, n: int, n_items: int) -> Queries:
    """Return queries that exclude items in no order, some twice and some unknown."""
    lengths = rng.integers(0, 30, n)
    ends = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    hidden = rng.integers(-1, n_items, ends[-1]).astype(np.int32)
    return replace(Queries.of_histories([[0]] * n), exclude=hidden, exclude_indptr=ends)


@pytest.mark.parametrize("k", [0, 1, 20, 5000])
@pytest.mark.parametrize("filtered", [False, True])
def test_the_best_are_those_of_all_scores(k: int, filtered: bool) -> None:
    rng = np.random.default_rng(k)
    # Whole numbers: sums are exact in any order, and ties are many.
    y = np.rint(rng.standard_normal((3000, 6)) * 2).astype(np.float32)
    y *= rng.integers(0, 9, 3000)[:, None]
    x = np.rint(rng.standard_normal((700, 6)) * 3).astype(np.float32)
    x[5] = np.nan
    known = rng.random(3000) < 0.9
    queries = asked(rng, 700, 3000)
    if filtered:
        queries = replace(queries, allowed=rng.integers(-1, 3000, 800).astype(np.int32))
    scores = x @ y.T
    scores[:, ~known] = np.nan
    expected = top_k(scores, queries, k)
    found = ByLength.of(Product(x, y, known), queries.allowed).top(x, queries, k)
    np.testing.assert_array_equal(found.indptr, expected.indptr)
    np.testing.assert_array_equal(found.items, expected.items)
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert k == 0 or not len(found.row(5)[0])


def test_most_items_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    y = rng.standard_normal((20_000, 8)).astype(np.float32)
    y[400:] *= 0.01
    x = rng.standard_normal((300, 8)).astype(np.float32)
    seen, offer = [], inner._offer
    monkeypatch.setattr(inner, "_offer", lambda s, *rest: (seen.append(s.size), offer(s, *rest)))
    ByLength.of(Product(x, y, np.ones(len(y), bool)), None).top(
        x, Queries.of_histories([[0]] * 300), 5
    )
    assert sum(seen) < 0.1 * x.shape[0] * y.shape[0]


@pytest.mark.parametrize("name", ["ials", "bpr"])
def test_many_questions_are_answered_as_few(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = shop()
    model = specs.make(name).fit(data, rng=0)
    queries = Queries.of_users(data, np.arange(len(data.users))).excluding_history()
    expected = model.retrieve(queries, 7)
    monkeypatch.setattr(base, "MANY", 1)
    monkeypatch.setattr(base, "PIECE", 11)
    found = model.retrieve(queries, 7)
    np.testing.assert_array_equal(found.indptr, expected.indptr)
    np.testing.assert_array_equal(found.items, expected.items)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5, atol=1e-6)
