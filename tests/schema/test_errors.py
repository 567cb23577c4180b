"""The error tree and its hints."""

import pytest

from endcap.schema import errors
from endcap.schema.errors import BusyError, ConfigError, EndcapError, nearest


def all_errors() -> list[type[EndcapError]]:
    found, queue = [], [EndcapError]
    while queue:
        queue += (kinds := queue.pop().__subclasses__())
        found += kinds
    return found


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    for kind in all_errors():
        if kind.__module__ == errors.__name__:
            line = next(x for x in errors.__doc__.splitlines() if f" {kind.__name__} " in x)
            assert line.split()[-1] == str(kind.http_status)
            assert line.split("exit ")[1].split()[0] == str(kind.exit_code)


def test_codes_are_distinct_and_stable() -> None:
    codes = [kind.code for kind in all_errors()]
    assert len(set(codes)) == len(codes)
    assert {"config", "data", "store", "store-full", "store-read-only", "busy"} <= set(codes)


def test_a_message_carries_its_hint() -> None:
    assert str(ConfigError("No.", hint="Do this.")) == "No. Do this."
    assert str(ConfigError("No.")) == "No."
    assert BusyError("Full.", retry_after=2.5).retry_after == 2.5


@pytest.mark.parametrize(
    ("name", "hint"),
    [("purchse", "Did you mean 'purchase'?"), ("xyz", "Known: purchase, view.")],
)
def test_nearest(name: str, hint: str) -> None:
    assert nearest(name, ["view", "purchase"]) == hint
