"""What is written as TOML is read back as it was."""

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from endcap.recommend.recipe import Placement, load_recipe, recipe_names
from endcap.schema.toml_text import to_toml

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PLAIN = TEXTS | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_any_table_comes_back(values: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(values)) == values


def test_what_is_none_is_left_out() -> None:
    assert to_toml({"a": None, "b": {"c": None, "d": 1}}) == "b = { d = 1 }"


def test_every_placement_of_every_recipe_comes_back() -> None:
    for name in recipe_names():
        for placement in load_recipe(name).placements.values():
            plain = placement.model_dump(mode="json", exclude_defaults=True)
            again = Placement.parse(tomllib.loads(to_toml(plain)), where="test")
            assert again == placement
