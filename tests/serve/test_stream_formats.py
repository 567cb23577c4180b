"""Avro in, JSON out; what is no Avro goes to quarantine with its reason."""

import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pytest

from endcap.schema.errors import ConfigError, DataError
from endcap.schema.settings import EventSettings
from endcap.serve.intake import EVENT_ROWS, Context, UnreadableError, take_each
from endcap.serve.streams.formats import reader

SCHEMA = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "event_id", "type": "string"},
        {"name": "kind", "type": "string"},
        {"name": "user_id", "type": "string"},
        {"name": "item_id", "type": ["null", "string"], "default": None},
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {
            "name": "price",
            "type": [
                "null",
                {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
            ],
            "default": None,
        },
    ],
}
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROW = {"event_id": "e1", "kind": "purchase", "user_id": "u1", "item_id": "i1", "time": NOW}


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    path = tmp_path / "events.avsc"
    path.write_text(json.dumps(SCHEMA), encoding="utf-8")
    return path


def avro(row: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(SCHEMA), row)
    return out.getvalue()


def container(row: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.writer(out, fastavro.parse_schema(SCHEMA), [row])
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("avro", avro(ROW)),
        ("avro", container(ROW)),
        ("confluent-avro", b"\x00\x00\x00\x00\x07" + avro(ROW)),
    ],
)
def test_each_form_becomes_the_event_it_carries(schema: Path, name: str, body: bytes) -> None:
    plain = reader(name, schema)
    assert plain is not None
    told = json.loads(plain(body))
    assert told == {**ROW, "time": "2026-03-01T12:00:00Z"}  # what is null is left out


def test_it_is_taken_in_and_what_is_no_avro_says_so(schema: Path) -> None:
    bodies = [avro({**ROW, "price": Decimal("1.50")}), b"", b"\xff" * 40, avro(ROW)[:7]]
    context = Context(NOW, "test", EventSettings())
    intake = take_each(EVENT_ROWS, bodies, context, plain=reader("avro", schema))
    (row,) = intake.rows.to_pylist()
    assert (row["event_id"], row["price"], row["time"]) == ("e1", Decimal("1.5000"), NOW)
    assert [(error.index, error.reason) for error in intake.errors] == [
        (1, "bad-avro"),
        (2, "bad-avro"),
        (3, "bad-avro"),
    ]
    assert intake.quarantine.num_rows == 3


def test_a_container_needs_no_schema_and_the_others_do(schema: Path) -> None:
    plain = reader("avro")
    assert plain is not None
    assert json.loads(plain(container(ROW)))["event_id"] == "e1"
    with pytest.raises(UnreadableError, match="brings no schema"):
        plain(avro(ROW))
    with pytest.raises(ConfigError, match="needs the schema"):
        reader("confluent-avro")


def test_what_cannot_be_is_named(tmp_path: Path) -> None:
    assert reader("json") is None
    with pytest.raises(ConfigError, match=r"'avr'.*Did you mean 'avro'"):
        reader("avr")
    with pytest.raises(ConfigError, match="does not exist"):
        reader("avro", tmp_path / "none.avsc")
    (tmp_path / "bad.avsc").write_text('{"type": "recrod"}')
    with pytest.raises(DataError, match="no Avro schema"):
        reader("avro", tmp_path / "bad.avsc")
