"""The benchmark of the next basket: its labels, its figures, and a run on a folder never seen."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import __main__ as front
from benchmarks import baskets, data, study
from endcap.evaluate.exam import Exam
from endcap.models.candidates import Candidates
from endcap.prepare.split import Fixed
from endcap.schema.errors import DataError

SPLITS = {"ann": "hhhhf", "bob": "hf", "cid": "hhf"}


def folder(path: Path, **columns: list) -> Path:
    path.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), path / "interactions.parquet")
    return path


def small(path: Path, *, split: bool) -> Path:
    """Two items a basket: item b and item b + 1 in basket b."""
    rows = [
        (user, b, b + more, {"h": "history", "f": "future"}[part])
        for user, parts in SPLITS.items()
        for b, part in enumerate(parts)
        for more in (0, 1)
    ]
    users, numbers, items, parts = map(list, zip(*rows, strict=True))
    more = {"split": parts} if split else {}
    return folder(path, user_id=users, basket=numbers, item_id=items, **more)


def labels_of(path: Path) -> dict[str, list[str]]:
    source = data.load(path)
    labels = baskets.labelled(source)
    users = source.data.users.rows(list(SPLITS))
    column = source.data.column("user")
    return {name: labels[column == row].tolist() for name, row in zip(SPLITS, users, strict=True)}


def test_the_last_basket_of_a_history_is_valid(tmp_path: Path) -> None:
    assert labels_of(small(tmp_path, split=True)) == {
        "ann": ["train"] * 6 + ["valid"] * 2 + ["test"] * 2,
        "bob": ["train"] * 2 + ["test"] * 2,
        "cid": ["train"] * 2 + ["valid"] * 2 + ["test"] * 2,
    }


def test_without_a_split_the_last_basket_is_the_future(tmp_path: Path) -> None:
    assert labels_of(small(tmp_path, split=False)) == {
        "ann": ["train"] * 6 + ["valid"] * 2 + ["test"] * 2,
        "bob": ["train"] * 4,
        "cid": ["train"] * 2 + ["valid"] * 2 + ["test"] * 2,
    }


def test_nothing_to_foresee_is_an_error(tmp_path: Path) -> None:
    one = folder(tmp_path, user_id=[1, 1], basket=[0, 0], item_id=[1, 2])
    with pytest.raises(DataError, match="no basket to foresee"):
        baskets.labelled(data.load(one))


def test_repeat_and_explore_are_told_apart(tmp_path: Path) -> None:
    source = data.load(small(tmp_path, split=True))
    rule = Fixed.model_validate({"labels": baskets.labelled(source).tolist(), "refit": True})
    exam = Exam.of(rule.apply(source.data), exclude_seen=False)
    names = source.data.users.ids(exam.queries.users)
    found = {  # the next basket of ann is 4 (had) and 5, of bob 1 (had) and 2, of cid 2 and 3
        "ann": ["4", "0"],
        "bob": ["2", "3"],
        "cid": ["0", "1"],
    }
    lists = Candidates.of([source.data.items.rows(found[name]) for name in names])
    assert baskets.repeat_and_explore(lists, exam, 2) == {
        "repeat_recall@2": pytest.approx(1 / 3),
        "explore_recall@2": pytest.approx(1 / 3),
        "repeat_share@2": pytest.approx(4 / 6),
    }
    nobody = replace(
        exam,
        queries=exam.queries[0:0],
        targets=type(exam.targets)(np.zeros(1, np.int64), np.empty(0, np.int32)),
    )
    assert all(
        np.isnan(x) for x in baskets.repeat_and_explore(Candidates.of([]), nobody, 2).values()
    )


def test_a_run_finds_what_is_bought_every_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everybody has two items of their own in every basket, and one of chance."""
    random = np.random.default_rng(0)
    rows = [
        (user, basket, item)
        for user in range(60)
        for basket in range(6)
        for item in {user % 20, 20 + user % 7, int(random.integers(30, 60))}
    ]
    users, numbers, items = map(list, zip(*rows, strict=True))
    path = folder(tmp_path / "never-seen", user_id=users, basket=numbers, item_id=items)
    assert front.run(["baskets", "--data", str(path), "--quick"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(found["models"]) >= set(baskets.QUICK)
    assert found["models"]["repeat"]["repeat_recall@10"] > 0.95
    assert found["models"]["popular"]["repeat_recall@10"] < 0.9
    assert found["counts"]["users"] == 60
    assert "repeats allowed" in found["protocol"]
    assert "test is each shopper's last basket" in found["protocol"]


def test_models_are_asked_for_by_name() -> None:
    def asked(*argv: str) -> dict:
        return baskets.rivals(study.parser(None).parse_args(list(argv)))

    assert asked() == baskets.ENTRANTS
    assert list(asked("--models", "repeat, user-knn")) == ["popular", "repeat", "user-knn"]
    assert all(
        len(values) == 1 for one in asked("--quick").values() for values in one.axes.values()
    )
