"""The benchmark of sessions: how it cuts, and a run on a folder never seen."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import __main__ as front
from benchmarks import sessions
from endcap.models.queries import Queries
from endcap.prepare.split import Split
from endcap.schema.errors import DataError

WALKS = [[1, 2, 3, 4], [2, 3, 4, 1], [3, 4, 1, 2], [4, 1, 2, 3]] * 5
ASKED = [([1, 2], 3), ([3], 4), ([4, 1, 1], 2)]


def folder(path: Path) -> Path:
    """Twenty walks around a circle of four items, written newest first, and three questions."""
    rows = [(s, item, pos) for s, walk in enumerate(WALKS) for pos, item in enumerate(walk)][::-1]
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    table = pa.table(columns, names=["session_id", "item_id", "pos"])
    path.mkdir(exist_ok=True)
    pq.write_table(table, path / sessions.TRAIN_FILE)
    prefixes, targets = zip(*ASKED, strict=True)
    pq.write_table(pa.table({"prefix": prefixes, "target": targets}), path / sessions.TEST_FILE)
    return path


def questions(split: Split) -> list[tuple[list[str], list[str]]]:
    """Return each history and its targets as ids."""
    queries, targets = (
        Queries.of_users(split.history, split.users),
        split.targets(exclude_seen=False),
    )
    return [
        (
            split.train.items.ids(queries[q : q + 1].items),
            split.train.items.ids(targets.items[targets.indptr[q] : targets.indptr[q + 1]]),
        )
        for q in range(len(split.users))
    ]


def test_sessions_are_read_in_order_and_prefixes_are_asked_as_given(tmp_path: Path) -> None:
    train, prefixes, targets = sessions.read(folder(tmp_path))
    rule = sessions.LastSessions(count=1)
    split = sessions.asked(train, prefixes, targets, rule, "")
    assert questions(split) == [
        ([str(item) for item in prefix], [str(target)]) for prefix, target in ASKED
    ]
    seq = split.train.sequences()
    ends = zip(seq.indptr[:20], seq.indptr[1:21], strict=True)
    read = [split.train.items.ids(seq.items[start:end]) for start, end in ends]
    assert read == [[str(item) for item in walk] for walk in WALKS]
    assert min(split.now) >= max(seq.times)


def test_validation_asks_every_prefix_of_the_last_sessions_and_learns_from_the_rest(
    tmp_path: Path,
) -> None:
    train, _, _ = sessions.read(folder(tmp_path))
    split = sessions.held_out(train, sessions.LastSessions(count=2))
    assert questions(split) == [
        (["3"], ["4"]),
        (["3", "4"], ["1"]),
        (["3", "4", "1"], ["2"]),
        (["4"], ["1"]),
        (["4", "1"], ["2"]),
        (["4", "1", "2"], ["3"]),
    ]
    assert split.train.interactions.num_rows == 18 * 4
    again = sessions.LastSessions(count=2).apply(split.train)
    assert again.train.interactions.num_rows == 16 * 4


@pytest.mark.parametrize(("prefixes", "count"), [(1, 1), (4, 2), (1000, 2)])
def test_validation_is_as_large_as_the_test_or_a_tenth(
    tmp_path: Path, prefixes: int, count: int
) -> None:
    train, _, _ = sessions.read(folder(tmp_path))
    assert sessions.validation_sessions(train, prefixes) == count


def test_a_folder_of_another_form_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"test_prefixes\.parquet is missing"):
        sessions.read(_without(folder(tmp_path), sessions.TEST_FILE))
    pq.write_table(pa.table({"session_id": [1], "item_id": [1]}), tmp_path / sessions.TRAIN_FILE)
    with pytest.raises(DataError, match="no column 'pos'"):
        sessions.read(tmp_path)


def test_a_circle_is_foreseen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(folder(tmp_path))
    models = "vmis-knn,transitions"
    assert front.run(["sessions", "--quick", "--data", path, "--k", "1", "--models", models]) == 0
    outcome = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert outcome["models"]["transitions"]["hit@1"] == 1.0
    assert outcome["figures"]["mrr@1"] == 1.0
    assert "every prefix of the last 1 sessions" in outcome["protocol"]


def _without(path: Path, name: str) -> Path:
    (path / name).unlink()
    return path
