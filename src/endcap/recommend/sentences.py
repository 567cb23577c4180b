"""Reasons in words, in English and Chinese."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from endcap.recommend.counterfactual import Counterfactual
from endcap.recommend.slate import Reason

Language = Literal["en", "zh"]

SENTENCES: Final[dict[str, dict[str, str]]] = {
    "en": {
        "history": "Because you {verb} {items}",
        "content": "Because it resembles {items}",
        "similar": "Goes with {items}",
        "trending": "Trending now",
        "popular": "Popular in the shop",
        "unexplained": "Chosen for you from what you did here",
        "catalogue": "From the catalogue",
        "new": "New here, and like what is recommended to you",
        "rule": "Placed here by the shop",
        "explored": "Tried out here, to see who likes it",
        "fall": "Had you not {verb} {items}, it would fall from {rank} to {other}",
        "rise": "Had you not {verb} {items}, it would rise from {rank} to {other}",
        "stay": "Had you not {verb} {items}, it would stay at {rank} all the same",
        "gone": "Had you not {verb} {items}, it would not be among the first {among}",
    },
    "zh": {
        "history": "因为你{verb} {items}",
        "content": "因为它与 {items} 相似",
        "similar": "与 {items} 相配",
        "trending": "近期热门",
        "popular": "店内畅销",
        "unexplained": "根据你的浏览和购买为你挑选",
        "catalogue": "来自商品目录",
        "new": "新品，与为你推荐的商品相似",
        "rule": "由店铺安排在此",
        "explored": "在此试推，看看谁会喜欢",
        "fall": "如果你没有{verb} {items}，它会从第 {rank} 位降到第 {other} 位",
        "rise": "如果你没有{verb} {items}，它会从第 {rank} 位升到第 {other} 位",
        "stay": "即使你没有{verb} {items}，它仍会在第 {rank} 位",
        "gone": "如果你没有{verb} {items}，它不会出现在前 {among} 位",
    },
}
VERBS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "purchase": "bought",
        "view": "looked at",
        "click": "looked at",
        "cart": "put into your cart",
        "wish": "wished for",
        "rating": "rated",
        "play": "played",
        "complete": "finished",
        "": "chose",
    },
    "zh": {
        "purchase": "买过",
        "view": "看过",
        "click": "看过",
        "cart": "加购了",
        "wish": "收藏了",
        "rating": "评价过",
        "play": "播放过",
        "complete": "看完了",
        "": "选过",
    },
}
_UNTITLED: Final[dict[str, Any]] = {}
JOIN: Final = {"en": (", ", " and "), "zh": ("、", " 和 ")}


def sentence(
    reasons: Sequence[Reason], facts: Mapping[str, dict[str, Any]], language: Language = "en"
) -> str:
    """Say why, for people.

    Parameters
    ----------
    reasons
        Those of one item, weightiest first. Past items are named together as long as they share
        the first one's kind of reason and of event.
    facts
        `State.facts` of the past items; one without a title is called by its id.

    Examples
    --------
    >>> why = [Reason("history", "x", 0.6, "purchase"), Reason("history", "y", 0.3, "purchase")]
    >>> sentence(why, {"x": {"title": "Red mug"}, "y": {"title": "Tea"}})
    'Because you bought Red mug and Tea'
    >>> sentence(why, {"x": {"title": "红杯"}, "y": {"title": "茶"}}, "zh")
    '因为你买过 红杯 和 茶'
    """
    if not reasons:
        return SENTENCES[language]["catalogue"]
    first = reasons[0]
    if first.item_id is None:
        kind = first.kind if first.kind in SENTENCES[language] else "unexplained"
        return SENTENCES[language]["unexplained" if kind == "history" else kind]
    kind, event = first.kind, first.event
    titles = [
        str(facts.get(r.item_id, _UNTITLED).get("title", r.item_id))
        for r in reasons
        if r.kind == kind and r.event == event and r.item_id is not None
    ]
    verbs, texts = VERBS[language], SENTENCES[language]
    return texts.get(kind, texts["history"]).format(
        verb=verbs.get(event, verbs[""]), items=_and(titles, *JOIN[language])
    )


def what_if(
    found: Counterfactual, facts: Mapping[str, dict[str, Any]], language: Language = "en"
) -> str:
    """Say where an item would stand without what speaks for it most.

    Examples
    --------
    >>> told = Counterfactual("y", "x", "view", 3, 41, 100)
    >>> what_if(told, {"x": {"title": "Red mug"}})
    'Had you not looked at Red mug, it would fall from 3 to 41'
    >>> what_if(told, {"x": {"title": "红杯"}}, "zh")
    '如果你没有看过 红杯，它会从第 3 位降到第 41 位'
    """
    verbs = VERBS[language]
    rank, other = found.rank, found.rank_without
    kind = "gone"
    if other is not None:
        kind = "stay" if other == rank else ("fall" if other > rank else "rise")
    return SENTENCES[language][kind].format(
        verb=verbs.get(found.event, verbs[""]),
        items=facts.get(found.without, {}).get("title", found.without),
        rank=rank,
        other=other,
        among=found.among,
    )


def _and(words: Sequence[str], comma: str, last: str) -> str:
    return comma.join(words[:-1]) + last + words[-1] if len(words) > 1 else words[0]
