"""``endcap preview`` on a small shop."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from endcap.cli.app import run
from endcap.events.opening import open_store
from endcap.schema.settings import StoreSettings
from endcap.schema.tables import EVENTS, ITEMS

START = datetime(2026, 1, 1, tzinfo=UTC)
RULES = """
pins = [{ item = "i12", position = 1 }]
[[quotas]]
by = "brand"
max = 2
[[quotas]]
where = "brand == 'none of these'"
min = 1
name = "impossible"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("shop")
    pairs = [(u, i) for u in range(29) for i in range(13) if (u - i) % 2 == 0 and i != u % 13]
    events = [
        {
            "event_id": f"e{n}",
            "kind": "purchase",
            "user_id": f"u{u:02}",
            "item_id": f"i{i:02}",
            "time": START + timedelta(hours=n),
            "received": START + timedelta(hours=n),
        }
        for n, (u, i) in enumerate(pairs)
    ]
    items = [{"item_id": f"i{i:02}", "title": f"The {i}", "brand": f"b{i % 5}"} for i in range(13)]
    store = open_store(StoreSettings(folder=place))
    store.log.append(pa.Table.from_pylist(events, schema=EVENTS))
    store.catalogue.upsert_items(pa.Table.from_pylist(items, schema=ITEMS))
    store.close()
    assert run(["train", "--recipe", "simple", "--folder", str(place)]) == 0
    (place / "rules.toml").write_text(RULES, encoding="utf-8")
    return place


def test_before_after_and_prices_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [str(folder / "rules.toml"), "--folder", str(folder), "--json", "--users", "5"]
    assert run(["preview", *asked, "--k", "4"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert len(said["users"]) == 5
    for user in said["users"]:
        assert len(user["before"]) == len(user["after"]) == 4
        brands = [int(item[1:]) % 5 for item in user["after"]]
        assert max(map(brands.count, brands)) <= 2
        assert user["after"][0] == "i12" or user["unset"] == ["i12"]
    by_name = {line["name"]: line for line in said["rules"]}
    assert by_name["at most 2 of each brand"]["met"] == 1
    assert by_name["impossible"]["met"] == 0


def test_a_table_names_the_rules_and_what_gave_way(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    args = ["preview", str(folder / "rules.toml"), "--folder", str(folder), "--user", "u03"]
    assert run(args) == 0
    text = capsys.readouterr().out
    assert "shopper u03" in text
    assert "at most 2 of each brand" in text
    assert "impossible: at least 1 became 0" in text


def test_without_an_artefact_it_says_what_to_do(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["preview", str(folder / "rules.toml"), "--folder", str(tmp_path)]) == 1
    assert "endcap train" in capsys.readouterr().err
