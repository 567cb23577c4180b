"""Spans of time as people write them."""

import pytest

from endcap.schema.errors import ConfigError
from endcap.schema.spans import seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [("90s", 90), ("10m", 600), ("1.5h", 5400), ("45", 45), (" 2 M ", 120)],
)
def test_a_span_is_read(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "10 minutes", "-3m", "0", "m", "1e3s", "٣m x"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="span"):
        seconds(text)
