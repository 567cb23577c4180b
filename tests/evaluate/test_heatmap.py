"""The heat map shows every number beside its ids, and what is not known as such."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.figure import Figure

from endcap.evaluate.block import MOST, block, read_ratings
from endcap.evaluate.heatmap import heatmap, installed_fonts
from endcap.models.ease import EASE
from endcap.models.popular import Popular
from endcap.models.specs import make
from endcap.prepare.dataset import Dataset
from endcap.schema.errors import DataError
from endcap.testing.contracts.models import shop


def written(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_ids_stand_on_the_axes_and_numbers_in_the_cells() -> None:
    figure = heatmap([[1.0, 2.5], [np.nan, 5.0], [3.0, 4.0]], ["7", "8", "9"], ["a", "b"], "t")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["7", "8", "9"]
    assert written(figure) == ["1.00", "2.50", "–", "5.00", "3.00", "4.00"]
    assert axes.get_title() == "t"
    assert not written(heatmap([[1.0]], ["7"], ["a"], annotate=False))


def test_small_scores_keep_their_digits() -> None:
    assert written(heatmap([[0.01234, -0.5]], ["u"], ["a long item id", "b"])) == ["0.0123", "-0.5"]


@pytest.mark.skipif(not any("CJK" in f for f in installed_fonts()), reason="no Chinese font")
def test_chinese_is_drawn() -> None:
    drawn = io.BytesIO()
    heatmap([[4.0]], ["用户一"], ["红色灯"], "预测评分").savefig(
        drawn, format="png"
    )  # a missing glyph warns
    assert drawn.getvalue().startswith(b"\x89PNG")


def test_ids_must_fit_the_matrix() -> None:
    with pytest.raises(ValueError, match="1 x 2 ids"):
        heatmap([[1.0]], ["u"], ["a", "b"])


def test_nothing_at_all_can_be_drawn() -> None:
    heatmap(np.empty((0, 0)), [], []).savefig(io.BytesIO())


def test_a_block_asks_rating_models_for_ratings_and_others_for_scores() -> None:
    data = shop()
    stars = block(make("biased-mf", {"epochs": 10}).fit(data), data)
    assert stars.values.shape == (MOST, MOST)
    assert ((stars.values >= 1) & (stars.values <= 5)).all()
    model = EASE().fit(data)
    some = block(model, data, ["u05", "nobody", "u01"], ["i03", "nothing", "i00"])
    assert np.isnan(some.values[1]).all()
    assert np.isnan(some.values[:, 1]).all()
    assert some.values[0, 0] == block(model, data, ["u05"], ["i03"]).values[0, 0]


def test_a_model_of_other_rows_is_asked_by_id() -> None:
    data = shop()
    fewer = Dataset.of(["u01", "u05"], ["i22", "i03"])
    model = Popular().fit(fewer)
    some = block(model, data, ["u01"], ["i03", "i00", "i22"])
    np.testing.assert_array_equal(some.values, [[1, np.nan, 1]])


def test_ratings_are_read_from_csv(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("user_id,item_id,value\n1,101,5\n2,101,3.5\n", encoding="utf-8")
    data = read_ratings(path)
    assert data.users.array == pa.array(["1", "2"])
    assert data.column("value").tolist() == [5.0, 3.5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("user,item,ratings\n1,2,3\n", "Did you mean 'ratings'"),
        ("user,item,rating\n1,2,good\n", "no number"),
        ("", "cannot be read as CSV"),
    ],
)
def test_a_bad_file_is_told_apart(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        read_ratings(path)
