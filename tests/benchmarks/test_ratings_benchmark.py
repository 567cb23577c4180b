"""The ratings benchmark runs on any folder with stars, with its own split or five folds."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import ratings
from endcap.models.biased_mf import BiasedMF
from endcap.schema.errors import DataError, PluginError
from endcap.testing.oracles import rank_one_ratings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    data = rank_one_ratings().data
    columns = {"user_id": data.column("user"), "item_id": data.column("item")}
    table = pa.table({**columns, "rating": data.column("value").astype(np.float64)})
    pq.write_table(table, tmp_path / "interactions.parquet")
    quick = {"biased-mf": BiasedMF(factors=2, epochs=30), "sgd": BiasedMF(solver="sgd", epochs=2)}
    monkeypatch.setattr(ratings, "OURS", quick)
    return tmp_path


def test_five_folds_end_in_one_object(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = ratings.main(["--data", str(folder)])
    assert len(outcome["models"]["biased-mf"]["folds"]) == 5
    low, high = outcome["intervals"]["rmse"]
    assert low < outcome["figures"]["rmse"] < high
    assert outcome["figures"]["rmse"] < outcome["models"]["sgd"]["figures"]["rmse"]
    assert "5 random folds" in outcome["protocol"]
    assert "fold 5" in capsys.readouterr().out


def test_its_own_split_is_followed(folder: Path) -> None:
    path = folder / "interactions.parquet"
    table = pq.read_table(path)
    split = np.where(np.arange(table.num_rows) % 10 == 0, "test", "train")
    pq.write_table(table.append_column("split", pa.array(split)), path)
    outcome = ratings.main(["--data", str(folder), "--quick"])
    assert len(outcome["models"]["biased-mf"]["folds"]) == 1
    assert "its own split" in outcome["protocol"]


def test_rows_without_stars_are_refused(folder: Path) -> None:
    path = folder / "interactions.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["rating"]), path)
    with pytest.raises(DataError, match="without a rating"):
        ratings.main(["--data", str(folder)])


def test_a_misspelt_peer_is_named(folder: Path) -> None:
    with pytest.raises(PluginError, match="Did you mean 'surprise'"):
        ratings.main(["--data", str(folder), "--quick", "--peers", "surprize"])
