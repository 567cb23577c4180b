"""Content speaks of items that nobody has touched, in any script."""

import numpy as np
import pyarrow as pa
import pytest

from endcap.models.content import Content, texts
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
