"""JSON attributes as labels."""

import json

import numpy as np
import pyarrow as pa

from endcap.features.labels import FEW, attribute_labels, one_hot


def said(rows: list[object]) -> np.ndarray:
    text = [None if row is None else json.dumps(row) for row in rows]
    return attribute_labels(pa.chunked_array([text], pa.string())).toarray()


def test_names_become_columns_that_are_shared() -> None:
    rows = [{"job": "artist", "city": "Graz"}, {"job": "artist"}, {"job": "cook"}, None]
    assert said(rows).tolist() == [[1], [1], [0], [0]]


def test_lists_give_a_label_for_each_entry_and_objects_none() -> None:
    rows = [{"tags": ["a", "b"], "deep": {"x": 1}}, {"tags": ["b", "a"], "deep": {"x": 1}}]
    assert said(rows).tolist() == [[1, 1], [1, 1]]


def test_numbers_of_many_kinds_fall_into_classes_alike_in_size() -> None:
    found = said([{"age": str(n)} for n in range(80)])
    assert found.sum(axis=0).tolist() == [10] * 8
    assert (found.sum(axis=1) == 1).all()


def test_few_numbers_are_names() -> None:
    found = said([{"size": n % FEW} for n in range(5 * FEW)])
    assert found.shape == (5 * FEW, FEW)


def test_nothing_known_is_no_column() -> None:
    assert said([None, {}]).shape == (2, 0)
    assert one_hot([]).shape == (0, 0)
