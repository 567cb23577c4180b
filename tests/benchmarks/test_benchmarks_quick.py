"""Every benchmark of ranking runs on a folder never seen and ends with its JSON object."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks.peers import calling, installing, running
from scipy import sparse

from benchmarks import __main__ as front
from benchmarks import data, fixed_split, report, study
from endcap.evaluate.exam import Exam
from endcap.evaluate.lineup import Entrant
from endcap.evaluate.meter import Meter
from endcap.prepare.dataset import Dataset
from endcap.prepare.split import Temporal
from endcap.schema.errors import DataError, PluginError

KEYS = {
    "figures",
    "intervals",
    "models",
    "peers",
    "protocol",
    "seed",
    "fingerprint",
    "cpu_s",
    "wall_s",
    "peak_mb",
    "versions",
}
DAY = 86_400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tastes of users over 200 days."""
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(80), 12)
    items = random.integers(0, 15, len(users)) + 15 * (users % 2)
    path = tmp_path_factory.mktemp("data") / "never-seen"
    path.mkdir()
    columns = {
        "user_id": users,
        "item_id": items,
        "timestamp": random.integers(0, 200 * DAY, len(users)),
    }
    pq.write_table(pa.table(columns), path / "interactions.parquet")
    return path


def without(folder: Path, tmp_path: Path, *columns: str, **more: object) -> Path:
    table = pq.read_table(folder / "interactions.parquet").drop_columns(list(columns))
    for name, column in more.items():
        table = table.append_column(name, pa.array(column))
    pq.write_table(table, tmp_path / "interactions.parquet")
    return tmp_path


def last_line(argv: list[str], capsys: pytest.CaptureFixture[str]) -> dict:
    assert front.run(argv) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("name", ["temporal", "leave_one_out", "fixed_split"])
def test_runs_on_a_folder_never_seen(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = last_line([name, "--data", str(folder), "--quick"], capsys)
    assert set(found) >= KEYS
    assert {"popular", "item-knn", "ease"} <= set(found["models"])
    assert found["figures"]["ndcg@10"] == found["models"][found["chosen"]]["ndcg@10"]
    low, high = found["intervals"]["ndcg@10"]
    assert low <= found["figures"]["ndcg@10"] <= high
    assert found["chosen"] == max(found["validation"], key=found["validation"].get)
    assert found["data"] == "never-seen"
    assert "full ranking of 30 items" in found["protocol"]


def test_automatic_compares_a_budget_with_patience(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["automatic", "--protocol", "leave_one_out", "--data", str(folder)]
    found = last_line([*words, "--models", "item-knn", "--budget", "5s"], capsys)
    figures = found["figures"]
    assert figures["ratio"] == pytest.approx(figures["ndcg@10"] / figures["best"])
    assert figures["best"] == max(row["ndcg@10"] for row in found["models"].values())
    assert found["best"] in found["models"]


def test_automatic_compares_with_what_was_reached_before(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["automatic", "--protocol", "leave_one_out", "--data", str(folder), "--quick"]
    found = last_line([*words, "--by-hand", "0.25"], capsys)
    assert found["figures"]["best"] == 0.25
    assert found["figures"]["ratio"] == pytest.approx(found["figures"]["ndcg@10"] / 0.25)
    assert not found["models"]


def test_the_choice_alone_is_judged_as_beside_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["leave_one_out", "--data", str(folder), "--quick"]
    both, alone = last_line(words, capsys), last_line([*words, "--only-chosen"], capsys)
    assert alone["chosen"] == both["chosen"]
    assert set(alone["models"]) == {alone["chosen"]}
    assert alone["figures"]["ndcg@10"] == both["figures"]["ndcg@10"]


def test_peers_cut_their_lists_as_a_stable_sort_would() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = rng.integers(-3, 3, 40).astype(float)
        values[rng.random(40) < 0.3] = -np.inf
        best = np.argsort(-values, kind="stable")[:10]
        assert running.top(values, 10).tolist() == best[values[best] > -np.inf].tolist()
    assert running.top(np.array([1.0, -np.inf, 2.0]), 10).tolist() == [2, 0]


def test_a_peer_begins_no_trial_beyond_its_time() -> None:
    begun = []

    def build(train, past, settings, seed):  # type: ignore[no-untyped-def]
        begun.append(settings["size"])
        return lambda rows: np.ones((len(rows), 3))

    split = {
        "train": None,
        "past": sparse.csr_matrix((2, 3)),
        "warm": np.array([True, True]),
        "exclude_seen": False,
        "targets": np.array([0, 1]),
        "target_indptr": np.array([0, 1, 2]),
        "seed": 0,
    }
    assert running.choose(build, {"size": (1, 2, 3)}, split, 2, 0.0) == {"size": 1}
    assert begun == [1]
    running.choose(build, {"size": (1, 2, 3)}, split, 2, float("inf"))
    assert begun == [1, 1, 2, 3]


def test_command_line_ends_with_json_alone_on_the_last_line(folder: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "temporal", "--data", str(folder), "--quick"]
    done = subprocess.run(
        [*command, "--models", "popular", "--markdown"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"ENDCAP_DATA": str(folder.parent)},
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("| model | ndcg@10 |")
    assert json.loads(lines[-1])["seed"] == 0


def test_list_names_each_benchmark_with_its_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert front.run([]) == 0
    text = capsys.readouterr().out
    assert {"temporal", "leave_one_out", "fixed_split"} <= set(front.listing())
    assert not {"report", "data", "study", "lineup"} & set(front.listing())
    for name, line in front.listing().items():
        assert f"  {name}" in text
        assert line
        assert line in text


def test_mistakes_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert front.run(["tempral"]) == 2
    assert "Did you mean 'temporal'?" in capsys.readouterr().err
    wrong = folder.with_name("never-sen")
    assert front.run(["temporal", "--data", str(wrong)]) == DataError.exit_code
    assert "Did you mean 'never-seen'?" in capsys.readouterr().err


def test_temporal_needs_a_clock(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = without(folder, tmp_path, "timestamp")
    assert front.run(["temporal", "--data", str(bare)]) == DataError.exit_code
    assert "no moment to cut at" in capsys.readouterr().err


def test_short_data_are_cut_at_their_last_fifth(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = np.arange(960) % 97 + np.arange(960)
    short = without(folder, tmp_path, "timestamp", timestamp=seconds)
    found = last_line(["temporal", "--data", str(short), "--quick", "--models", "ease"], capsys)
    assert found["counts"]["train_interactions"] == pytest.approx(960 * 0.8, abs=8)


def test_leave_one_out_follows_a_split_and_can_refit(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = (["train"] * 10 + ["valid", "test"]) * 80
    labelled = without(folder, tmp_path, "timestamp", split=labels)
    argv = ["leave_one_out", "--data", str(labelled), "--quick", "--keep-seen"]
    plain, refit = (last_line([*argv, *more], capsys) for more in ([], ["--refit"]))
    assert plain["counts"]["train_interactions"] == 800
    assert refit["counts"]["train_interactions"] == 880
    assert plain["counts"]["users"] == 80
    assert "fitted on train+valid" in refit["protocol"]
    assert "repeats allowed" in plain["protocol"]


def test_fixed_split_says_what_it_had_to_draw(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["fixed_split", "--quick", "--models", "popular", "--data"]
    nothing = last_line([*argv, str(folder)], capsys)
    assert nothing["protocol"].endswith("; test and valid drawn at random (10% of train)")
    part = without(folder, tmp_path, "timestamp", split=(["history"] * 9 + ["future"] * 3) * 80)
    found = last_line([*argv, str(part)], capsys)
    assert found["protocol"].endswith("; valid drawn at random (10% of train)")
    assert found["counts"]["train_interactions"] == 720


def test_fixed_split_in_the_listed_order_holds_out_what_comes_last() -> None:
    users = ["a"] * 10 + ["b"] * 6
    labels = np.array(["train"] * 6 + ["valid"] * 2 + ["test"] * 2 + ["train"] * 4 + ["test"] * 2)
    items = [f"i{n}" for n in (0, 1, 3, 4, 6, 7, 2, 5, 8, 9, 0, 1, 2, 3, 8, 9)]
    plain = data.Folder("made", Dataset.of(users, items), labels, clocked=False, ordered=False)
    source, found, note = fixed_split.listed(plain, labels)
    seen = source.data.items.array.take(pa.array(source.data.column("item"))).to_pylist()
    assert seen[:10] == ["i0", "i1", "i2", "i3", "i4", "i6", "i5", "i7", "i8", "i9"]
    assert found == ["train"] * 6 + ["valid"] * 2 + ["test"] * 2 + ["train"] * 4 + ["test"] * 2
    assert source.ordered
    assert "order of the file" in note


def test_a_model_that_cannot_take_part_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    weak = {"popular": Entrant("popular"), "ease": Entrant("ease", fixed={"max_items": 3})}
    monkeypatch.setattr(study, "line_up", lambda profile, keep_seen: weak)
    found = last_line(["temporal", "--data", str(folder)], capsys)
    assert "max_items" in found["skipped"]["ease"]
    assert "ease" not in found["models"]


def test_outcome_is_plain_json() -> None:
    with Meter() as meter:
        pass
    found = report.outcome(
        meter,
        protocol="p",
        figures={"a": np.float32(0.5), "b": float("nan"), "c": np.int64(3)},
        intervals={"a": (0.1, float("inf"))},
        extra=[np.bool_(True)],
    )
    assert set(found) == KEYS | {"extra"}
    assert json.loads(json.dumps(found, allow_nan=False))["figures"] == {
        "a": 0.5,
        "b": None,
        "c": 3,
    }
    assert found["intervals"] == {"a": [0.1, None]}
    assert found["versions"]["python"] == sys.version.split()[0]


def test_tables_show_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    report.show("title", {"one": {"a": 0.12345, "b": 1234567}, "two": {"a": None, "c": 12345.6}})
    text = capsys.readouterr().out
    for cell in ("one", "0.1235", "1,234,567", "12,345.6", "-"):
        assert cell in text


def test_default_data_are_found_by_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENDCAP_DATA", str(folder.parent))
    assert data.find(None, "never-seen") == folder


def test_peers_are_asked_in_their_own_process(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in environment whose Python runs a tiny library of one model."""
    monkeypatch.setattr(installing, "HOME", tmp_path)
    args = study.parser(None).parse_args(["--peers", "implicit", "--quick"])
    exam = Exam.of(Temporal(days=28).apply(data.load(folder).data))
    assert calling.ask_peers(args, exam, exam, (10,)) == (
        [],
        dict.fromkeys(
            calling.MODELS["implicit"],
            "implicit is not installed. Run `python -m benchmarks.peers.installing main`.",
        ),
    )
    library = tmp_path / "implicit"
    library.mkdir()
    (library / "__init__.py").write_text("")
    (library / "nearest_neighbours.py").write_text(
        "class BM25Recommender:\n"
        "    def __init__(self, K, K1, B): pass\n"
        "    def fit(self, train, show_progress): self.similarity = train.T @ train\n"
    )
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (result,), absent = calling.ask_peers(args, exam, exam, (10,))
    assert "implicit.als" in absent["implicit-als"]
    assert result.name == "implicit-bm25"
    assert result.settings == {"K": 100, "K1": 1.2, "B": 0.75}
    assert result.figures["ndcg@10"] > 0.2
    assert result.cost.fit_s > 0


def test_unknown_peer_is_named() -> None:
    args = study.parser(None).parse_args(["--peers", "implicid"])
    with pytest.raises(PluginError, match="'implicit'"):
        calling.ask_peers(args, None, None, (10,))
    assert calling._named("all") == list(calling.MODELS)
