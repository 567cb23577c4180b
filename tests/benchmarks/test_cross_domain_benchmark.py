"""The second domain is asked of people known from the first alone, by ties of both."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import __main__ as front
from benchmarks import cross_domain

TASTES, EACH, USERS = 7, 20, 210


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven tastes of twenty items, each tied to the node of its taste."""
    path = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(USERS), 8)
    drawn = np.concatenate([random.permutation(EACH)[:8] for _ in range(USERS)])
    items = TASTES * drawn + users % TASTES
    pq.write_table(pa.table({"user_id": users, "item_id": items}), path / "interactions.parquet")
    heads = np.arange(TASTES * EACH)
    ties = {"head": heads, "relation": ["taste"] * len(heads), "tail": 1000 + heads % TASTES}
    pq.write_table(pa.table(ties), path / "kg.parquet")
    return path


def test_ties_lead_where_nobody_is_known_from_both(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert front.run(["cross_domain", "--data", str(folder), "--quick"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    models = found["models"]
    assert models["apart: related"]["recall@20"] > 0.9
    assert models["apart: popular"]["recall@20"] < 0.6
    assert models["apart: item-knn"]["recall@20"] == 0
    assert models["together: item-knn"]["recall@20"] > 0.5
    assert found["intervals"]["apart: recall@20 over popular"][0] > 0
    assert found["figures"]["apart recall@20"] == models["apart: related"]["recall@20"]


def test_nobody_known_is_asked_and_apart_knows_one_domain_of_each(folder: Path) -> None:
    world = cross_domain.read(folder, apart=True, seed=3)
    known = set(world.train.users.array.to_pylist())
    assert not known & {str(user) for user in world.asked[0]}
    second = np.isin(world.train.column("item"), world.there)
    for user in range(len(world.train.users)):
        assert len(np.unique(second[world.train.column("user") == user])) == 1
    both = cross_domain.read(folder, apart=False, seed=3)
    assert both.train.interactions.num_rows > 1.5 * world.train.interactions.num_rows


def test_where_ties_are_split_by_domain_hops_alone_lead_across(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert front.run(["cross_domain", "--data", str(folder), "--quick", "--finer"]) == 0
    models = json.loads(capsys.readouterr().out.splitlines()[-1])["models"]
    assert models["apart: related"]["recall@20"] > 0.9
    assert models["apart: related, no hops"]["recall@20"] == 0
