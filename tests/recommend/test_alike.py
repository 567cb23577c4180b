"""Likeness of texts is that of their TF-IDF vectors, whatever was counted before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.features.text import fit_text
from endcap.recommend.slates.alike import SPEC, Counted, likeness

words = st.lists(st.sampled_from(["red", "lamp", "灯", "a", "tea-pot", "ÉTÉ"]), max_size=5)


@settings(deadline=None, max_examples=60)
@given(st.lists(words.map(" ".join), max_size=8))
def test_it_is_the_cosine_of_the_vectors(texts: list[str]) -> None:
    vectors = fit_text(texts, SPEC).transform(texts)
    expected = np.asarray((vectors @ vectors.T).toarray())
    np.fill_diagonal(expected, 1.0)
    assert likeness(texts) == pytest.approx(expected, abs=1e-5)
    assert (likeness(texts) == likeness(texts)).all()


def test_counts_are_kept_up_to_a_bound() -> None:
    counted = Counted(keep=3)
    for texts in (["a b", "c"], ["a b", "d", "e"], ["f"] * 5, ["a b"]):
        found = counted.of(texts)
        assert found.shape[0] == len(texts)
        assert len(counted) <= 3
    first, again = counted.of(["a b"]), Counted().of(["a b"])
    assert (first != again).nnz == 0
