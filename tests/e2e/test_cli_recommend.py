"""``endcap train`` and ``endcap recommend`` from a shell, on a small shop."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from endcap.events.opening import open_store
from endcap.schema.settings import StoreSettings
from endcap.schema.tables import EVENTS, ITEMS

START = datetime(2026, 1, 1, tzinfo=UTC)
ITEM_IDS = [f"i{i:02}" for i in range(13)]


def endcap(*argv: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "endcap", *argv, "--folder", str(folder)]
    wide = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=wide
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("shop")
    store = open_store(StoreSettings(folder=place))
    pairs = [(u, i) for u in range(29) for i in range(13) if (u - i) % 2 == 0 and i != u % 13]
    store.log.append(
        pa.Table.from_pylist(
            [
                {
                    "event_id": f"e{n}",
                    "kind": "purchase",
                    "user_id": f"u{u:02}",
                    "item_id": ITEM_IDS[i],
                    "time": START + timedelta(hours=n),
                    "received": START + timedelta(hours=n),
                }
                for n, (u, i) in enumerate(pairs)
            ],
            schema=EVENTS,
        )
    )
    items = [{"item_id": i, "title": f"茶杯 {i} [red]", "currency": "GBP"} for i in ITEM_IDS]
    store.catalogue.upsert_items(pa.Table.from_pylist(items, schema=ITEMS))
    store.close()
    return place


@pytest.fixture(scope="module")
def trained(folder: Path) -> str:
    done = endcap("train", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "interactions of 29 shoppers with 13 items" in done.stderr
    return done.stdout.strip()


def test_before_training_the_catalogue_answers_and_says_what_to_do(tmp_path: Path) -> None:
    store = open_store(StoreSettings(folder=tmp_path))
    items = pa.Table.from_pylist([{"item_id": "a"}], schema=ITEMS)
    store.catalogue.upsert_items(items)
    store.close()
    done = endcap("recommend", "--user", "x", "--json", folder=tmp_path)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["served_by"], answer["degraded"]) == (0, "catalogue", True)
    assert [item["item_id"] for item in answer["items"]] == ["a"]
    refused = endcap("train", folder=tmp_path)
    assert (refused.returncode, refused.stdout) == (3, "")
    assert "nothing to learn from" in refused.stderr


def test_a_shopper_gets_a_table_with_titles_and_reasons(folder: Path, trained: str) -> None:
    done = endcap("recommend", "--user", "u02", "--k", "1", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "i02" in done.stdout  # the one even item that u02 has not bought
    assert "茶杯 i02 [red]" in done.stdout
    assert "Because you bought" in done.stdout
    assert "Lately" in done.stderr
    assert f"served by: personal; artefact {trained}" in done.stderr


def test_a_misspelt_shopper_is_answered_and_told_so(folder: Path, trained: str) -> None:
    done = endcap("recommend", "--user", "u2", "--k", "2", folder=folder)
    assert done.returncode == 0
    assert "Nothing is known of 'u2'" in done.stderr
    assert "served by: trending" in done.stderr
    assert done.stdout.count("Trending now") == 2


def test_what_goes_with_an_item_in_chinese_as_json(folder: Path, trained: str) -> None:
    done = endcap("recommend", "--like", "i03", "--k", "2", "--lang", "zh", "--json", folder=folder)
    answer = json.loads(done.stdout)
    assert answer["served_by"] == "session"
    assert answer["artefact"] == trained
    assert all(int(item["item_id"][1:]) % 2 for item in answer["items"])
    assert answer["items"][0]["why"] == "与 茶杯 i03 [red] 相配"
    assert answer["items"][0]["reasons"][0]["item_id"] == "i03"
    shown = endcap("recommend", "--like", "nothing", "--k", "1", folder=folder)
    assert "nothing: not in the catalogue" in shown.stderr


def test_popularity_has_no_share_in_json(folder: Path, trained: str) -> None:
    done = endcap("recommend", "--visitor", "new", "--exclude", "i12", "--json", folder=folder)
    items = json.loads(done.stdout)["items"]
    assert items[0]["reasons"] == [{"kind": "trending"}]
    assert "i12" not in [item["item_id"] for item in items]


def test_whom_must_be_said(folder: Path) -> None:
    done = endcap("recommend", folder=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--user ID" in done.stderr


def test_list_train_again_and_roll_back(folder: Path, trained: str) -> None:
    again = endcap("train", "--recipe", "simple", "--seed", "7", "--json", folder=folder)
    made = json.loads(again.stdout)
    assert (made["recipe"], made["seed"], made["users"]) == ("simple", 7, 29)
    listed = json.loads(endcap("train", "--list", "--json", folder=folder).stdout)
    assert [(line["artefact"], line["current"]) for line in listed][:2] == [
        (made["artefact"], True),
        (trained, False),
    ]
    assert trained in endcap("train", "--list", folder=folder).stdout
    assert endcap("train", "--rollback", folder=folder).stdout.strip() == trained
    wrong = endcap("train", "--recipe", "simpel", folder=folder)
    assert (wrong.returncode, "Did you mean 'simple'?" in wrong.stderr) == (2, True)
