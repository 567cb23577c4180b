"""Content speaks of items that nobody has touched, in any script."""

import numpy as np
import pyarrow as pa
import pytest

from endcap.features.descriptions import texts
from endcap.features.text import fit_text
from endcap.models.content import Content
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset

CATALOGUE = {
    "cup-blue": ("blue tea cup", "Clay", ["Home > Kitchen"], 4.0),
    "cup-red": ("red tea cup", "Clay", ["Home > Kitchen"], 4.2),
    "lamp": ("garden lamp", "Lux", ["Garden > Lights"], 39.0),
    "deng": ("红色 台灯", None, ["Garden > Lights"], 41.0),
    "zuodeng": ("台灯 桌面", None, None, None),
    "nothing": (None, None, None, None),
}


@pytest.fixture(scope="module")
def data() -> Dataset:
    title, brand, categories, price = zip(*CATALOGUE.values(), strict=True)
    table = {"title": title, "brand": brand, "categories": categories, "price": pa.array(price)}
    catalogue = pa.table({"item_id": list(CATALOGUE), **table})
    return Dataset.of(["u"], ["cup-blue"], catalogue=catalogue)


def alike(data: Dataset, item: str, spec: Content | None = None) -> list[str]:
    found = (spec or Content()).fit(data).similar([data.items.row(item)], 5)
    return data.items.ids(found.items)


def test_words_make_items_alike(data: Dataset) -> None:
    assert alike(data, "cup-blue")[0] == "cup-red"


def test_chinese_makes_items_alike(data: Dataset) -> None:
    assert alike(data, "zuodeng", Content(text_share=1.0))[0] == "deng"


def test_categories_and_prices_make_items_alike(data: Dataset) -> None:
    assert alike(data, "lamp", Content(text_share=0.0))[0] == "deng"


def test_an_item_of_which_nothing_is_known_is_left_out(data: Dataset) -> None:
    assert "nothing" not in alike(data, "lamp")
    assert alike(data, "nothing") == []


def test_a_profile_is_the_weighed_mean(data: Dataset) -> None:
    model = Content(confidence="weight").fit(data)
    rows = data.items.rows(["cup-blue", "lamp"])
    asked = Queries.of_histories([rows, rows[:1], rows[1:]], weights=[[3, 1], [1], [1]])
    both, one, other = model.scores(asked)
    np.testing.assert_allclose(both, 0.75 * one + 0.25 * other, atol=1e-6)


def test_texts_join_what_is_known(data: Dataset) -> None:
    told = dict(zip(data.items.ids(np.arange(6)), texts(data.item_table), strict=True))
    assert told["cup-blue"] == "blue tea cup Clay Home > Kitchen"
    assert told["nothing"] == ""


WORDS = Content.parse(
    {"dimensions": 0, "text_share": 1.0, "text": {"ngram_share": 0.0}, "fields": ["title"]}
)
LABELS = Content(dimensions=0, text_share=0.0)


def test_whole_vectors_give_the_very_cosines(data: Dataset) -> None:
    vectors = fit_text(texts(data.item_table, ("title",)), WORDS.text)
    dense = vectors.transform(texts(data.item_table, ("title",))).toarray()
    model = WORDS.fit(data)
    asked = data.items.rows(["cup-blue", "lamp", "deng"])
    scores = model.scores(Queries.of_histories(asked[:, None]))
    expected = dense[asked] @ dense.T
    known = np.isfinite(scores)
    np.testing.assert_allclose(scores[known], expected[known], atol=1e-6)
    nothing = data.items.row("nothing")
    assert not known[:, nothing].any()
    assert known.sum() == 3 * (len(data.items) - 1)


def test_views_of_words_and_of_labels_can_be_told_apart(data: Dataset) -> None:
    assert alike(data, "cup-blue", WORDS)[0] == "cup-red"
    assert alike(data, "lamp", WORDS)[0] != "deng"
    assert alike(data, "lamp", LABELS)[0] == "deng"


def test_reasons_of_whole_vectors_sum_to_the_score(data: Dataset) -> None:
    model = Content(dimensions=0).fit(data)
    query = Queries.of_histories([[*data.items.rows(["cup-blue", "lamp", "nothing"]), -1]])
    rows = data.items.rows(["cup-red", "deng", "zuodeng"])
    shares = model.contributions(query, rows)
    np.testing.assert_allclose(shares.sum(axis=1), model.scores(query)[0, rows], atol=1e-6)
    assert not shares[:, 2:].any()
