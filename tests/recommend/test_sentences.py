import pytest

from endcap.recommend.sentences import SENTENCES, VERBS, sentence
from endcap.recommend.slate import Reason

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
