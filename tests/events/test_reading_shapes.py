"""Odd but whole files: column types of data frames, and every shape that JSON comes in."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from collecting import collect, write

from endcap.events.reading import Source, read_json, read_table
from endcap.events.validate import Fault


def test_parquet_as_data_frames_write_it(tmp_path: Path) -> None:
    when = [1_700_000_000_123_456_789, 1_700_000_001_000_000_000]
    table = pa.table(
        {
            "customer_id": pa.array([17850.0, float("nan")]),
            "visitor_id": pa.array([None, "v"], pa.large_string()),
            "sku": pa.array(["茶壶", "lamp"]).dictionary_encode(),
            "event": ["buy", "pv"],
            "InvoiceDate": pa.array(when, pa.timestamp("ns")),
            "price": [0.1, float("nan")],
            "bad": pa.array([None, None], pa.null()),
        }
    )
    pq.write_table(table, tmp_path / "log.parquet")
    got = collect(tmp_path / "log.parquet")
    first, second = got.events.values()
    assert (first["user_id"], first["item_id"], first["kind"]) == ("17850", "茶壶", "purchase")
    assert first["time"] == datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)
    assert (second["visitor_id"], second["kind"]) == ("v", "view")
    assert "price" not in second
    pq.write_table(table.set_column(3, "event", pa.array(["?", "pv"])), tmp_path / "log.parquet")
    (bad,) = collect(tmp_path / "log.parquet").bad
    payload = json.loads(bad["payload"])
    assert payload["customer_id"] == 17850.0  # by the names of the file
    assert payload["event"] == "?"


A, B = {"a": 1}, {"b": {"c": "}{"}}


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}\n{"b": {"c": "}{"}}\n',
        '\n  {"a": 1}\n\n{"b": {"c": "}{"}}',
        '[{"a": 1}, {"b": {"c": "}{"}}]',
        '[\n {"a": 1},\n {"b":\n  {"c": "}{"}}\n]',
        '{"x": [{"a": 1}, {"b": {"c": "}{"}}]}',
        '{"x": [{"a": 1}], "n": 7, "y": [{"b": {"c": "}{"}}]}',
        '{"x": [{"a": 1}]}\n{"x": [{"b": {"c": "}{"}}]}\n',
        '{"a":\n1}{"b": {"c": "}{"}}',
    ],
)
def test_json_of_every_shape(text: str, tmp_path: Path) -> None:
    source = Source(write(tmp_path / "a.json", [text.encode()]))
    assert [piece.content for piece in read_json(source, lists=("x", "y"))] == [A, B]


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("7\n{}\n", ["bad-record"]),
        ('{"a": NaN}\n{"a": 1}\n', ["bad-json"]),
        ('[{"a": NaN}, {"a": 1}]', ["bad-json"]),
        ('[3, {"a": 1}]', ["bad-record"]),
        ('["lone", {"a": 1}]', ["bad-record"]),
        ('[{"a": ' + "[" * 100_000 + ', {"a": 1}]', ["bad-json"]),
        ('{"a": ' + "[" * 100_000 + "\n" + '{"a": 1}\n', ["bad-json"]),
    ],
)
def test_json_that_is_no_record(text: str, reasons: list[str], tmp_path: Path) -> None:
    source = Source(write(tmp_path / "a.json", [text.encode()]))
    pieces = [piece.content for piece in read_json(source)]
    assert [piece.reason for piece in pieces if isinstance(piece, Fault)] == reasons
    assert [piece for piece in pieces if isinstance(piece, dict)] in ([{"a": 1}], [{}])


def test_a_long_document_is_read_in_pieces(tmp_path: Path) -> None:
    rows = [{"n": n, "text": "茶" * (n % 300)} for n in range(2000)]
    source = Source(write(tmp_path / "a.json", [json.dumps(rows, indent=1).encode()]))
    pieces = list(read_json(source))
    assert [piece.content for piece in pieces] == rows
    assert [piece.line for piece in pieces] == [2 + 4 * n for n in range(2000)]


def test_a_cell_may_span_lines_but_a_stray_quote_may_not(tmp_path: Path) -> None:
    text = 'a,b,c\n1,"two\nlines",3\n4,"stray,6\n7,8,9\n10,11,"q"\n12,13,"never\n'
    source = Source(write(tmp_path / "a.csv", [text.encode()]))
    pieces = list(read_table(source, delimiter=","))
    rows = [list(p.content.values()) for p in pieces if isinstance(p.content, dict)]
    assert rows == [["1", "two\nlines", "3"], ["7", "8", "9"], ["10", "11", "q"]]
    faults = [(p.line, p.content.reason) for p in pieces if isinstance(p.content, Fault)]
    assert faults == [(4, "open-quote"), (7, "open-quote")]
