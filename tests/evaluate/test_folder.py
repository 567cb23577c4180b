"""Folders of research data, with whatever columns they have."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from endcap.evaluate.folder import load
from endcap.schema.errors import DataError


def write(folder: Path, items: dict | None = None, **columns: list) -> Path:
    pq.write_table(pa.table(columns), folder / "interactions.parquet")
    if items:
        pq.write_table(pa.table(items), folder / "items.parquet")
    return folder


def test_clock_times_kinds_and_weights(tmp_path: Path) -> None:
    found = load(
        write(
            tmp_path,
            user_id=[2, 1, 1],
            item_id=[7, 7, 8],
            timestamp=[30, 20, 10],
            event=["buy", "collect", "peek"],
        )
    )
    data = found.data
    assert found.clocked
    assert found.labels is None
    assert data.users.ids(data.column("user")) == ["1", "1", "2"]
    assert data.items.ids(data.column("item")) == ["8", "7", "7"]
    assert data.column("time").tolist() == [10_000_000, 20_000_000, 30_000_000]
    assert data.interactions["kind"].to_pylist() == ["peek", "wish", "purchase"]
    assert data.column("weight").tolist() == [1.0, 2.0, 5.0]


def test_one_kind_weighs_one_and_own_weights_lead(tmp_path: Path) -> None:
    assert load(write(tmp_path, user_id=[1], item_id=[1], event=["buy"])).data.column(
        "weight"
    ).tolist() == [1.0]
    assert load(write(tmp_path, user_id=[1], item_id=[1], weight=[306])).data.column(
        "weight"
    ).tolist() == [306.0]


def test_labels_follow_the_order_of_the_data_set(tmp_path: Path) -> None:
    found = load(
        write(
            tmp_path,
            user_id=["b", "a", "a", "a"],
            item_id=[1, 2, 3, 4],
            pos=[0, 2, 0, 1],
            split=["train", "test", "history", "valid"],
        )
    )
    assert not found.clocked
    assert found.labels is not None
    assert found.labels.tolist() == ["train", "valid", "test", "train"]
    assert found.data.items.ids(found.data.column("item")) == ["3", "4", "2", "1"]


def test_rows_keep_their_order_where_nothing_orders_them(tmp_path: Path) -> None:
    found = load(write(tmp_path, user_id=[1, 1, 1], item_id=[9, 3, 6], rating=[1.0, 2.0, 3.0]))
    assert found.data.items.ids(found.data.column("item")) == ["9", "3", "6"]
    assert found.data.column("value").tolist() == [1.0, 2.0, 3.0]


def test_baskets_become_sessions_that_grow_with_time(tmp_path: Path) -> None:
    found = load(write(tmp_path, user_id=[1, 1, 2, 1], item_id=[1, 2, 1, 3], basket=[5, 5, 5, 6]))
    sessions = found.data.column("session")
    assert sessions[0] == sessions[1] < sessions[2]
    assert sessions[3] not in sessions[:2]


def test_catalogues_of_many_shapes(tmp_path: Path) -> None:
    base = {"user_id": [1], "item_id": [1]}
    items = {
        "item_id": [1, 2],
        "title": ["Polish", None],
        "categories": ["'Beauty', 'Nails'", None],
        "price": [12.0, float("nan")],
        "brand": ["OPI", None],
    }
    table = load(write(tmp_path, items, **base)).data.item_table
    assert table["categories"].to_pylist() == [["Beauty > Nails"], None]
    assert [None if x is None else float(x) for x in table["price"].to_pylist()] == [12.0, None]
    assert table["title"].to_pylist() == ["Polish", None]
    levels = {
        "item_id": [1, 2],
        "department": ["DELI", None],
        "product_type": ["MEAT", None],
    }
    table = load(write(tmp_path, levels, **base)).data.item_table
    assert table["categories"].to_pylist() == [["DELI > MEAT"], None]
    assert table["title"].to_pylist() == ["MEAT", None]
    pq.write_table(pa.table({"id": [1]}), tmp_path / "items.parquet")
    assert load(tmp_path).data.item_table["title"].to_pylist() == [None]


def test_faults_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no interactions\.parquet"):
        load(tmp_path)
    with pytest.raises(DataError, match="no column 'item_id'"):
        load(write(tmp_path, user_id=[1]))


def test_numbers_are_those_of_the_data_set(tmp_path: Path) -> None:
    users = np.random.default_rng(0).integers(0, 30, 200).tolist()
    found = load(write(tmp_path, user_id=users, item_id=list(range(200)), split=["train"] * 200))
    assert found.data.users.ids(found.data.column("user")) == sorted(map(str, users))


def test_marks_of_a_page_are_read_and_unknown_says_nothing(tmp_path: Path) -> None:
    write(tmp_path, user_id=[1, 1], item_id=[1, 2])
    items = {"item_id": [1, 2], "title": ["Salt &amp; Oil", ""], "brand": ["Unknown", "L&#39;Or"]}
    pq.write_table(pa.table(items), tmp_path / "items.parquet")
    table = load(tmp_path).data.item_table
    assert table["title"].to_pylist() == ["Salt & Oil", None]
    assert table["brand"].to_pylist() == [None, "L'Or"]
