"""Slates of everybody in a file: whole, and resumed where it was cut off."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recommend_worlds import MemoryState, artefact, catalogue_of

from endcap.recommend.exporting import export_slates
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Request, Slate
from endcap.recommend.spreadsheet import harmless
from endcap.schema.errors import ConfigError, DataError

USERS = [f"u{n:02}" for n in range(29)]


class Interrupted(Exception):
    pass


@pytest.fixture(scope="module")
def answer() -> Any:
    state = MemoryState(catalogue_of([f"i{i:02}" for i in range(13)]))
    recommender = Recommender(artefact())
    return lambda requests: recommender.recommend(requests, state)


def why(slate: Slate) -> list[str]:
    return ["because"] * len(slate.items)


def write(answer: Any, out: Path, about: str = "a", **more: Any) -> int:
    return export_slates(
        answer, why, USERS, out, asked={"k": 3}, about={"artefact": about}, batch=10, **more
    )


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_everybody_has_a_slate_in_the_file(answer: Any, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"slates{suffix}"
    assert write(answer, out) == 87
    if suffix == ".csv":
        with out.open(newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
    else:
        rows = pq.read_table(out).to_pylist()
    assert [row["user_id"] for row in rows] == [user for user in USERS for _ in range(3)]
    assert [int(row["rank"]) for row in rows[:4]] == [1, 2, 3, 1]
    assert rows[0]["why"] == "because"
    assert rows[0]["title"].startswith("The i")
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


TRIGGERS = ("=", "+", "-", "@", "\t", "\r")


@given(st.text())
def test_row_54_no_cell_of_a_csv_is_a_formula(text: str) -> None:
    shown = harmless(text)
    assert not shown.lstrip(" ").startswith(TRIGGERS)
    assert shown.removeprefix("'") == text.removeprefix("'")


def test_row_54_a_title_that_is_a_formula_is_quoted_in_csv_and_whole_in_parquet(
    answer: Any, tmp_path: Path
) -> None:
    evil = "=HYPERLINK(1)"

    def renamed(requests: Sequence[Request]) -> list[Slate]:
        return [
            replace(
                slate,
                items=tuple(
                    msgspec.structs.replace(i, properties={"title": evil}) for i in slate.items
                ),
            )
            for slate in answer(requests)
        ]

    write(renamed, tmp_path / "a.csv")
    write(renamed, tmp_path / "a.parquet")
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as handle:
        assert next(csv.DictReader(handle))["title"] == f"'{evil}"
    assert pq.read_table(tmp_path / "a.parquet")["title"][0].as_py() == evil


def test_what_was_cut_off_goes_on_and_is_the_same(answer: Any, tmp_path: Path) -> None:
    asked: list[str] = []

    def counted(requests: Sequence[Request]) -> list[Slate]:
        asked.extend(str(request.user_id) for request in requests)
        if len(asked) == 29:
            raise Interrupted
        slates: list[Slate] = answer(requests)
        return slates

    out = tmp_path / "slates.parquet"
    with pytest.raises(Interrupted):
        write(counted, out)
    assert not out.exists()
    (tmp_path / "slates.parquet.parts" / "000000020.draft").write_bytes(b"half a file")
    write(counted, out)
    assert asked == [*USERS, *USERS[20:]]
    whole = tmp_path / "whole.parquet"
    write(answer, whole)
    assert pq.read_table(out).equals(pq.read_table(whole))


def test_another_question_starts_anew(answer: Any, tmp_path: Path) -> None:
    out = tmp_path / "slates.parquet"

    def failing(requests: Sequence[Request]) -> list[Slate]:
        if requests[0].user_id != USERS[0]:
            raise Interrupted
        slates: list[Slate] = answer(requests)
        return slates

    with pytest.raises(Interrupted):
        write(failing, out)
    asked: list[int] = []
    write(answer, out, "b", progress=lambda done, total, note="": asked.append(done))
    assert asked == [10, 20, 29]
    assert pq.read_table(out).num_rows == 87


def test_what_cannot_be_written_is_said(answer: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"slates\.xlsx"):
        write(answer, tmp_path / "slates.xlsx")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write(answer, tmp_path / "file" / "slates.csv")
