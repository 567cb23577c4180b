"""``endcap prepare`` on a store with a few events."""

import json

import pyarrow as pa
import pytest

from endcap.cli.app import run
from endcap.events.opening import open_store
from endcap.prepare.columns import conform
from endcap.schema.settings import StoreSettings
from endcap.schema.tables import EVENTS, TIME


@pytest.fixture
def folder(tmp_path):
    store = open_store(StoreSettings(folder=tmp_path))
    when = pa.array([1_700_000_000_000_000 + n for n in range(4)]).cast(TIME)
    table = pa.table(
        {
            "event_id": ["1", "2", "3", "4"],
            "kind": ["purchase", "view", "impression", "purchase"],
            "time": when,
            "received": when,
            "user_id": ["ann", None, "ann", None],
            "visitor_id": [None, "v1", None, "v2"],
            "item_id": ["lamp", "cup", "cup", "cup"],
        }
    )
    store.log.append(conform(table, EVENTS))
    store.alias("v1", "ann")
    store.close()
    return tmp_path


def test_it_prints_json_on_stdout_alone(folder, capsys, tmp_path):
    assert (
        run(["prepare", "--folder", str(folder), "--json", "--html", str(tmp_path / "p.html")]) == 0
    )
    caught = capsys.readouterr()
    found = json.loads(caught.out)
    assert (found["rows_in"], found["rows_out"], found["users"]) == (4, 3, 2)
    assert "p.html" in caught.err
    assert "<svg" in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_it_prints_a_table_for_people(folder, capsys):
    assert run(["prepare", "--folder", str(folder)]) == 0
    assert "3 interactions of 2 users" in " ".join(capsys.readouterr().out.split())
