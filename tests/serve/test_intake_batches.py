"""A batch that is opened at once says the same as its rows one by one."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap.events.validate.cells import NO_LIVE_PERSON, Id, Text
from endcap.events.validate.columns import attempt
from endcap.schema.settings import EventSettings
from endcap.serve.intake import EVENT_ROWS, ITEM_ROWS, Context, Sort, take_batch, take_each

NOW = datetime(2024, 5, 1, tzinfo=UTC)
CONTEXT = Context(NOW, "POST /v1/events/batch", EventSettings())
GOOD = b'{"event_id": "1", "kind": "view", "user_id": "u", "item_id": "i"}'
PIECES = [
    GOOD,
    b'{ "event_id":"2",  "kind":"view", "user_id":"null", "item_id":"i" }',  # its spaces are kept
    b'{"kind": "nothing", "visitor_id": "v", "\\u00fc": [1, {"a": null}]}',
    b'{"event_id": 7, "kind": "purchase", "user_id": "u", "item_id": 12, "price": "9.90"}',
    b'{"kind": "rating", "user_id": "u", "item_id": "i"}',
    b"{}",
]
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", " ", "null", " None ", "0", "\0", "\ud800", "u" * 256, "u" * 257, "ü"]),
)


@pytest.mark.parametrize("sort", [EVENT_ROWS, ITEM_ROWS])
def test_rows_that_can_all_be_read(sort: Sort) -> None:
    assert _batch(sort, PIECES) == take_each(sort, PIECES, CONTEXT)


@pytest.mark.parametrize(
    "odd",
    [
        b"[]", b"7", b'{"event_id": "8", "kind": "view", "user_id": "u", "value": NaN}',
        b'{"user_id": "' + b"u" * 32_768 + b'"}',
    ],
)  # fmt: skip
def test_one_row_that_cannot_be_read_does_not_change_what_the_others_say(odd: bytes) -> None:
    whole = _batch(EVENT_ROWS, [odd, *PIECES])
    assert whole.rows == take_each(EVENT_ROWS, PIECES, CONTEXT).rows
    assert whole.errors[0].index == 0


def test_a_row_that_is_too_large_is_found_in_a_batch_of_any_size() -> None:
    many = [GOOD.replace(b'"1"', b'"%d"' % n) for n in range(900)]
    assert _batch(EVENT_ROWS, many).rows.num_rows == 900
    large = b'{"kind": "view", "user_id": "u", "item_id": "i", "query": "' + b" " * 32_768 + b'"}'
    found = _batch(EVENT_ROWS, [*many, large])
    assert (found.rejected, found.rows.num_rows) == (1, 900)
    assert [(error.index, error.reason) for error in found.errors] == [(900, "row-too-large")]


def test_when_a_batch_was_sent_corrects_its_clocks() -> None:
    late = b'{"kind": "view", "user_id": "u", "item_id": "i", "time": "2023-04-30T23:50:00"}'
    content = b'{"sent_at": "2023-05-01T00:00:00", "events": [%s]}' % late
    (time,) = take_batch(EVENT_ROWS, content, CONTEXT).rows["time"].to_pylist()
    assert time == datetime(2024, 4, 30, 23, 50, tzinfo=UTC)


@pytest.mark.parametrize("parse", [Text(256), Id(), Id(NO_LIVE_PERSON)])
@given(texts=st.sets(TEXTS, min_size=1, max_size=5))
def test_texts_that_are_kept_are_what_the_parser_gives(parse: Any, texts: set[str]) -> None:
    same = all(attempt(parse, text, "field") == text for text in texts)
    assert parse.keeps(texts) == same


def _batch(sort: Sort, pieces: list[bytes]) -> Any:
    content = msgspec.json.encode({sort.table: [msgspec.Raw(piece) for piece in pieces]})
    return take_batch(sort, content, CONTEXT)
