"""Text vectors: any script, no vocabulary, the same bits from the same words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.features.text import TextSpec, TextVectors, fit_text, normalise
from endcap.schema.errors import ConfigError

TITLES = [
    "Red ceramic mug", "Blue ceramic mugs", "Garden hose 20 m", "garden gnome",
    "红色陶瓷茶杯", "蓝色陶瓷茶杯", "儿童自行车", "コーヒーカップ", None, "", "—!—",
]  # fmt: skip


@pytest.fixture(scope="module")
def vectors():
    return fit_text(TITLES)


def cosines(vectors, texts):
    rows = vectors.transform(texts)
    return (rows @ rows.T).toarray()


def test_rows_are_float32_of_length_one_or_empty(vectors):
    rows = vectors.transform(TITLES)
    assert rows.shape == (len(TITLES), 2**18)
    assert rows.dtype == np.float32
    assert rows.has_sorted_indices
    norms = np.sqrt(rows.multiply(rows).sum(axis=1))
    assert norms == pytest.approx([1.0] * 8 + [0.0] * 3, abs=1e-6)


def test_alike_is_near_in_any_script(vectors):
    like = cosines(vectors, TITLES)
    assert like[0, 1] > 0.2 > 0.05 > like[0, 2]
    assert like[2, 3] > like[0, 2]
    assert like[4, 5] > 0.4 > 0.05 > like[4, 6]
    assert like[0, 4] == 0.0


def test_case_width_and_composition_do_not_matter(vectors):
    ways = ["CAFÉ Straße", "café STRASSE", "Ｃａｆｅ\u0301 strasse"]
    assert cosines(vectors, ways) == pytest.approx(np.ones((3, 3)), abs=1e-6)


def test_what_is_common_tells_less():
    texts = [f"vase {word}" for word in ("aaa", "bbb", "ccc", "ddd", "eee")]
    like = cosines(
        fit_text(texts, TextSpec(ngram_share=0.0, word_pairs=False)), ["vase aaa", "vase", "aaa"]
    )
    assert like[0, 2] > like[0, 1]


def test_the_shares_of_words_and_ngrams_are_kept():
    texts = ["lamp", "lamps"]
    words = fit_text(texts, TextSpec(ngram_share=0.0))
    grams = fit_text(texts, TextSpec(ngram_share=1.0))
    half = fit_text(texts, TextSpec(ngram_share=0.5))
    assert cosines(words, texts)[0, 1] == 0.0
    assert cosines(half, texts)[0, 1] == pytest.approx(cosines(grams, texts)[0, 1] / 2, abs=1e-6)


def test_the_hash_is_fixed_for_ever():
    # A stored model is useless if these numbers change.
    rows = fit_text(["red"], TextSpec(bits=10)).transform(["Red, 茶杯"])
    words = [column("red"), column("茶"), column("杯"), column("茶杯")]
    grams = [" re", " red", " red ", "red", "red ", "ed ", "茶", "杯", "茶杯"]
    assert set(rows.indices) == {*words, *(512 + column(gram) for gram in grams)}


def column(text):
    """FNV-1a over code points, MurmurHash3's finaliser, the low nine bits."""
    value = 0xCBF29CE484222325
    for sign in text:
        value = (value ^ ord(sign)) * 0x100000001B3 % 2**64
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53, 1):
        value = (value ^ value >> 33) * factor % 2**64
    return value % 512


def test_idf_is_smooth_and_counts_texts_not_words():
    spec = TextSpec(bits=12)
    fitted = fit_text(["mug mug mug", "mug", "hose", None], spec)
    mug = fit_text(["mug"], spec).transform(["mug"]).indices[0]
    assert fitted.idf.dtype == np.float32
    assert fitted.idf[mug] == pytest.approx(np.log(4 / 3) + 1)
    assert fitted.idf.max() == pytest.approx(np.log(4) + 1)


def test_a_model_is_one_array_and_its_settings(vectors):
    again = TextVectors(
        TextSpec.model_validate_json(vectors.spec.model_dump_json()), vectors.idf.copy()
    )
    one, other = again.transform(TITLES), vectors.transform(TITLES)
    assert (one != other).nnz == 0


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), max_size=6))
def test_a_batch_is_its_rows_and_any_text_will_do(texts):
    fitted = fit_text(TITLES, TextSpec(bits=10))
    batch = fitted.transform(texts).toarray()
    for row, text in zip(batch, texts, strict=True):
        assert np.array_equal(fitted.transform([text]).toarray()[0], row)
        assert np.linalg.norm(row) == pytest.approx(1.0, abs=1e-5) or not row.any()


def test_long_texts_are_cut_and_many_go_in_blocks():
    spec = TextSpec(max_chars=5_000)
    assert normalise("x" * 9_000, 5_000) == "x" * 5_000
    texts = [f"word{n % 7} " * 700 for n in range(600)]  # over a million signs in all
    fitted = fit_text(texts, spec)
    rows = fitted.transform(texts)
    assert rows.shape[0] == 600
    single = fitted.transform([texts[599]])
    assert np.array_equal(rows[[599]].toarray(), single.toarray())


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="ngram_min"):
        TextSpec.parse({"ngram_min": 5, "ngram_max": 3})
    with pytest.raises(ConfigError, match="ngram_max"):
        TextSpec.parse({"ngramm_max": 3})
