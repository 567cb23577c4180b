import pytest

from endcap.models.base import PEOPLE
from endcap.recommend.sentences import PATHS, SENTENCES, VERBS, path_in_words, sentence
from endcap.recommend.slate import Reason, Step

FACTS = {"x": {"title": "Red mug"}, "y": {"title": "Tea"}, "z": {"title": "{verb}"}}


def history(*items, event="purchase"):
    return [Reason("history", item, 0.3, event) for item in items]


@pytest.mark.parametrize(
    ("reasons", "en", "zh"),
    [
        (history("x"), "Because you bought Red mug", "因为你买过 Red mug"),
        (history("x", "y"), "Because you bought Red mug and Tea", "因为你买过 Red mug 和 Tea"),
        (
            history("x", "y", "q"),
            "Because you bought Red mug, Tea and q",
            "因为你买过 Red mug、Tea 和 q",
        ),
        (history("x", event="view"), "Because you looked at Red mug", "因为你看过 Red mug"),
        (history("x", event="knit"), "Because you chose Red mug", "因为你选过 Red mug"),
        (history("z"), "Because you bought {verb}", "因为你买过 {verb}"),
        ([Reason("similar", "x", 1.0, "view")], "Goes with Red mug", "与 Red mug 相配"),
        ([Reason("content", "x", 1.0)], "Because it resembles Red mug", "因为它与 Red mug 相似"),
        ([Reason("trending")], "Trending now", "近期热门"),
        ([Reason("popular")], "Popular in the shop", "店内畅销"),
        ([Reason("history")], "Chosen for you from what you did here", None),
        ([Reason("of-a-plug-in")], "Chosen for you from what you did here", None),
        ([], "From the catalogue", "来自商品目录"),
    ],
)
def test_reasons_in_words(reasons, en, zh):
    assert sentence(reasons, FACTS) == en
    if zh:
        assert sentence(reasons, FACTS, "zh") == zh


def test_only_what_shares_the_first_reason_is_named_with_it():
    mixed = [*history("x"), *history("y", event="view"), *history("q")]
    assert sentence(mixed, FACTS) == "Because you bought Red mug and q"


def test_both_languages_say_everything():
    assert SENTENCES["en"].keys() == SENTENCES["zh"].keys()
    assert VERBS["en"].keys() == VERBS["zh"].keys()
    assert PATHS["en"].keys() == PATHS["zh"].keys()


@pytest.mark.parametrize(
    ("path", "en", "zh"),
    [
        (
            [Step("author", name="Herbert"), Step("author", True, item_id="q")],
            "Because you bought Red mug – author: Herbert",
            "因为你买过 Red mug – 作者：Herbert",
        ),
        (
            [Step("author", name="{verb}"), Step("story_by", True, item_id="q")],
            "Because you bought Red mug – author / story by: {verb}",
            "因为你买过 Red mug – 作者 / story_by：{verb}",
        ),
        (
            [Step("accessory_of", item_id="y"), Step("accessory_of", True, item_id="q")],
            "Because you bought Red mug – accessory of: Tea",
            "因为你买过 Red mug – 配套主商品：Tea",
        ),
        (
            [Step("series", item_id="q")],
            "Because you bought Red mug – it names this as series",
            "因为你买过 Red mug – 它把此商品列为“系列”",
        ),
        (
            [Step("series", True, item_id="y"), Step(PEOPLE, item_id="q")],
            "Because you bought Red mug – Tea names it as series – taken by the same people",
            "因为你买过 Red mug – Tea 把它列为“系列” – 同一群人也选了",
        ),
        (
            [Step(PEOPLE, item_id="y"), Step("series", True, item_id="q")],
            "Because you bought Red mug – who took it took Tea – this names it as series",
            "因为你买过 Red mug – 选它的人也选了 Tea – 此商品把它列为“系列”",
        ),
        (
            [Step("brand", name="B"), Step("brand", True, item_id="y"), Step(PEOPLE, item_id="q")],
            "Because you bought Red mug – brand: B – Tea – taken by the same people",
            "因为你买过 Red mug – 品牌：B – Tea – 同一群人也选了",
        ),
    ],
)
def test_paths_in_words(path, en, zh):
    led = [Reason("history", "x", 0.5, "purchase", path=tuple(path)), *history("z")]
    assert sentence(led, FACTS) == en
    assert sentence(led, FACTS, "zh") == zh


def test_paths_over_entities_that_are_tied_to_each_other_are_told_step_by_step():
    over = [Step("director", name="Lynch"), Step("worked_with", name="Dern")]
    for path, en, zh in (
        (
            [*over, Step("actor", True, item_id="y")],
            ["director: Lynch", "Lynch worked with Dern", "actor: Dern"],
            ["导演：Lynch", "Lynch 的“合作者”是 Dern", "演员：Dern"],
        ),
        (
            [
                Step("maker", name="Acme"),
                Step("owned_by", name="Globex"),
                Step("owned_by", True, name="Zed"),
                Step("maker", True, item_id="y"),
            ],
            ["maker: Acme", "Acme owned by Globex", "Zed owned by Globex", "maker: Zed"],
            ["maker：Acme", "Acme 的“所有者”是 Globex", "Zed 的“所有者”是 Globex", "maker：Zed"],
        ),
        (
            [Step("author", name="Frost"), Step("wrote", item_id="y")],
            ["author: Frost", "Frost names this as wrote"],
            ["作者：Frost", "Frost 把此商品列为“wrote”"],
        ),
        (
            [Step("wrote", True, name="Frost"), Step("author", True, item_id="y")],
            ["Frost names it as wrote", "author: Frost"],
            ["Frost 把它列为“wrote”", "作者：Frost"],
        ),
        (
            [
                Step(PEOPLE, item_id="x"),
                *over,
                Step("actor", True, item_id="y"),
                Step(PEOPLE, item_id="z"),
            ],
            [
                "who took it took Red mug",
                "director: Lynch",
                "Lynch worked with Dern",
                "actor: Dern",
                "Tea",
                "taken by the same people",
            ],
            None,
        ),
    ):
        assert path_in_words(path, FACTS) == en
        assert zh is None or path_in_words(path, FACTS, "zh") == zh
