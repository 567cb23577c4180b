"""The snapshot: ids to rows and back, matrices, sequences, fingerprints."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap.prepare.dataset import Dataset
from endcap.prepare.vocabulary import UNKNOWN, Vocabulary

IDS = st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=30)


@given(IDS, IDS)
def test_ids_go_to_rows_and_back(known: list[str], asked: list[str]) -> None:
    words = Vocabulary(known)
    rows = words.rows(asked)
    assert rows.dtype == np.int32
    for external, row in zip(asked, rows.tolist(), strict=True):
        assert words.row(external) == row
        assert (external in words) == (row != UNKNOWN) == (external in known)
        assert row == UNKNOWN or words.ids([row]) == [external]


@given(IDS, st.randoms())
def test_a_vocabulary_does_not_depend_on_arrival(ids: list[str], random: object) -> None:
    shuffled = ids + ids[:3]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert Vocabulary(ids) == Vocabulary(shuffled)
    assert hash(Vocabulary(ids)) == hash(Vocabulary(shuffled))


@given(IDS)
def test_a_list_and_a_column_make_the_same_vocabulary(ids: list[str]) -> None:
    plain, column = Vocabulary([*ids, None]), Vocabulary(pa.array([*ids, None], pa.string()))
    assert len(plain) == len(column)  # before either has made what the other began with
    every = range(len(plain))
    assert plain.ids(every) == column.ids(every) == column.array.to_pylist()
    assert plain == column
    assert hash(plain) == hash(column)


def test_ids_are_texts() -> None:
    with pytest.raises(TypeError):
        Vocabulary([1, 2])  # type: ignore[list-item]


def test_a_vocabulary_takes_arrow_columns_with_nulls() -> None:
    words = Vocabulary(pa.chunked_array([["b", None], ["a"]], pa.string()))
    assert words.ids([0, 1]) == ["a", "b"]
    assert words.rows(pa.chunked_array([["a", None, "z"]])).tolist() == [0, -1, -1]
    assert repr(words) == "Vocabulary(2 ids)"
    assert words != "a"


@pytest.fixture
def data() -> Dataset:
    return Dataset.of(
        ["u2", "u1", "u2", "u2"],
        ["b", "a", "a", "b"],
        times=[30, 10, 20, 40],
        weights=[1.0, 2.0, 3.0, 4.0],
        values=[5.0, np.nan, 1.0, np.nan],
        catalogue=pa.table({"item_id": ["c", "a"], "title": ["Cup", "Ant"]}),
        people=pa.table({"user_id": ["u3"]}),
    )


def test_shape_counts_the_catalogue_and_the_people(data: Dataset) -> None:
    assert data.shape == (3, 3)
    assert data.item_table["title"].to_pylist() == ["Ant", None, "Cup"]
    assert data.item_table["item_id"].to_pylist() == ["a", "b", "c"]
    assert data.user_table["user_id"].to_pylist() == ["u1", "u2", "u3"]


def test_matrix_sums_duplicates_and_sorts(data: Dataset) -> None:
    matrix = data.matrix()
    assert matrix.toarray().tolist() == [[2, 0, 0], [3, 5, 0], [0, 0, 0]]
    assert matrix.dtype == np.float32
    assert matrix.has_sorted_indices
    assert data.matrix(None).toarray().tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_sequences_are_in_order_of_time(data: Dataset) -> None:
    seq = data.sequences()
    assert seq.indptr.tolist() == [0, 1, 4, 4]
    assert seq.times.tolist() == [10, 20, 30, 40]
    assert seq.items.tolist() == [0, 0, 1, 1]
    assert np.isnan(seq.values).tolist() == [True, False, False, True]
    assert data.end == 40


def test_where_keeps_the_vocabularies(data: Dataset) -> None:
    past = data.where(data.column("time") < 30)
    assert past.interactions.num_rows == 2
    assert past.shape == data.shape
    assert past.fingerprint != data.fingerprint


def test_a_fingerprint_names_content_not_arrival() -> None:
    columns = [("u1", "a", 1), ("u1", "b", 2), ("u2", "a", 3)]
    one, two = (
        Dataset.of([r[0] for r in rows], [r[1] for r in rows], times=[r[2] for r in rows])
        for rows in (columns, columns[::-1])
    )
    assert one.fingerprint == two.fingerprint
    other = Dataset.of(["u1", "u1", "u2"], ["a", "b", "b"], times=[1, 2, 3])
    assert one.fingerprint != other.fingerprint


def test_nothing_at_all_is_a_data_set_too() -> None:
    empty = Dataset.of([], [])
    assert empty.shape == (0, 0)
    assert empty.end == 0
    assert empty.matrix().shape == (0, 0)
