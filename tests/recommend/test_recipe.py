import os
from pathlib import Path

import pytest

from endcap.recommend.recipe import ModelChoice, Recipe, load_recipe, recipe_names
from endcap.schema.errors import ConfigError, DataError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", recipe_names())
def test_each_shipped_recipe_is_wired_and_says_what_it_is(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description
    assert recipe.specs(1_000)


def test_the_recipes_at_the_root_are_the_shipped_ones():
    outside = {p.stem: p.resolve() for p in (ROOT / "pipelines").glob("*.toml")}
    shipped = ROOT / "src" / "endcap" / "recommend" / "recipes"
    assert outside == {name: shipped / f"{name}.toml" for name in recipe_names()}


def test_size_decides_which_models_are_fitted():
    big = ModelChoice(plugin="item-knn", min_items=100)
    small = ModelChoice(plugin="ease", max_items=100)
    assert [big.fits(n) for n in (99, 100)] == [False, True]
    assert [small.fits(n) for n in (100, 101)] == [True, False]
    assert "ease" not in load_recipe("shop").specs(1_000_000)


def write(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


SOUND = """
[models.pop]
plugin = "popular"
[[placements.home.levels]]
name = "popular"
evidence = "none"
weights = { pop = 1.0 }
"""


def test_a_file_names_the_recipe(tmp_path):
    recipe = load_recipe(write(tmp_path, SOUND))
    assert recipe.name == "mine"
    assert recipe.placements["home"].hide.kinds == ("purchase", "dismiss")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("pop = 1.0", "popp = 1.0"), "Did you mean 'pop'"),
        (("placements.home", "placements.hom"), "no placement 'home'"),
        (("weights =", "weigths ="), "unknown key"),
        (("pop = 1.0", "pop = -1.0"), "greater than 0"),
        (("pop = 1.0", ""), "either weights"),
        (('name = "popular"', 'name = "Pop luar"'), "match pattern"),
    ],
)
def test_a_mistake_is_named(tmp_path, change, complaint):
    with pytest.raises(ConfigError, match=complaint):
        load_recipe(write(tmp_path, SOUND.replace(*change)))


def test_a_wrong_name_is_told_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'shop'"):
        load_recipe("shp")
    with pytest.raises(ConfigError, match="There is no recipe"):
        load_recipe(os.path.join("nowhere", "mine.toml"))


def test_what_is_no_toml_is_refused(tmp_path):
    with pytest.raises(DataError, match="is no TOML"):
        load_recipe(write(tmp_path, "= ="))


def test_a_model_setting_that_does_not_exist_is_refused_before_anything_is_fitted():
    recipe = Recipe.parse(
        {
            "name": "x",
            "models": {"pop": {"plugin": "popular", "settings": {"cuont": "users"}}},
            "placements": {"home": {"levels": [{"name": "popular", "weights": {"pop": 1}}]}},
        }
    )
    with pytest.raises(ConfigError, match="Did you mean 'count'"):
        recipe.specs(10)
