"""Reasons in words, in English and Chinese."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from endcap.models.base import PEOPLE
from endcap.recommend.counterfactual import Counterfactual
from endcap.recommend.slate import Reason, Step

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
PATHS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "node": "{relation}: {name}",
        "two": "{relation} / {other}: {name}",
        "names": "it names this as {relation}",
        "named": "this names it as {relation}",
        "names item": "it names {name} as {relation}",
        "named item": "{name} names it as {relation}",
        "link": "{one} {relation} {other}",
        "names it": "{name} names this as {relation}",
        "people": "taken by the same people",
        "people item": "who took it took {name}",
    },
    "zh": {
        "node": "{relation}：{name}",
        "two": "{relation} / {other}：{name}",
        "names": "它把此商品列为“{relation}”",
        "named": "此商品把它列为“{relation}”",
        "names item": "它把 {name} 列为“{relation}”",
        "named item": "{name} 把它列为“{relation}”",
        "link": "{one} 的“{relation}”是 {other}",
        "names it": "{name} 把此商品列为“{relation}”",
        "people": "同一群人也选了",
        "people item": "选它的人也选了 {name}",
    },
}
"""Steps of a path: over a node that both items are tied to, over several that are linked, or from
item to item."""
RELATIONS: Final[dict[str, str]] = {
    "author": "作者",
    "brand": "品牌",
    "category": "类别",
    "series": "系列",
    "artist": "艺术家",
    "director": "导演",
    "actor": "演员",
    "genre": "类型",
    "publisher": "出版社",
    "part_of": "所属系列",
    "accessory_of": "配套主商品",
    "consumable_for": "适用主商品",
    "related_to": "相关商品",
    "similar_to": "相似商品",
    "owned_by": "所有者",
    "worked_with": "合作者",
    "collaborated_with": "合作者",
    "teacher": "讲师",
}
"""Relations in Chinese; another is called as the catalogue calls it."""
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
        _title(r.item_id, facts)
        for r in ([first] if first.path else reasons)
        if r.kind == kind and r.event == event and r.item_id is not None
    ]
    verbs, texts = VERBS[language], SENTENCES[language]
    said = texts.get(kind, texts["history"]).format(
        verb=verbs.get(event, verbs[""]), items=_and(titles, *JOIN[language])
    )
    return " – ".join([said, *path_in_words(first.path, facts, language)]) if first.path else said


def path_in_words(
    path: Sequence[Step], facts: Mapping[str, dict[str, Any]], language: Language = "en"
) -> list[str]:
    """Say how a past item leads to a recommended one, in a few words for each tie.

    Examples
    --------
    >>> path_in_words([Step("author", name="Herbert"), Step("story", True, item_id="y")], {})
    ['author / story: Herbert']
    >>> path_in_words([Step("people", item_id="x"), Step("part_of", item_id="y")], {}, "zh")
    ['选它的人也选了 x', '它把此商品列为“所属系列”']
    >>> far = [Step("director", name="Lynch"), Step("worked_with", name="Laura Dern")]
    >>> path_in_words([*far, Step("actor", True, item_id="y")], {})
    ['director: Lynch', 'Lynch worked with Laura Dern', 'actor: Laura Dern']
    """
    texts, said, at = PATHS[language], list[str](), 0
    while at < len(path):
        step = path[at]
        people = step.relation == PEOPLE
        end = next((n for n in range(at, len(path)) if path[n].relation == PEOPLE), len(path))
        if not people and end - at > 1:
            said += _walk(path[at:end], facts, language)
            if end < len(path):
                said.append(_reached(path[end - 1], facts))
            at = end
            continue
        at += 1
        kind = "people" if people else "named" if step.inverse else "names"
        kind = kind if at == len(path) else f"{kind} item"
        relation = _relation(step.relation, language)
        said.append(texts[kind].format(relation=relation, name=_reached(step, facts)))
    return said


def _walk(
    steps: Sequence[Step], facts: Mapping[str, dict[str, Any]], language: Language
) -> list[str]:
    """Say how two items or more steps apart are tied, step by step."""
    texts = PATHS[language]
    relations = [_relation(step.relation, language) for step in steps]
    reached = [_reached(step, facts) for step in steps]
    first, last = steps[0], steps[-1]
    if len(steps) == 2 and not first.inverse and last.inverse:  # both are tied to what is between
        relation, other = relations
        kind = "node" if other == relation else "two"
        return [texts[kind].format(relation=relation, other=other, name=reached[0])]
    said = [
        texts["named item" if first.inverse else "node"].format(
            relation=relations[0], name=reached[0]
        )
    ]
    for at in range(1, len(steps) - 1):
        one, other = reached[at - 1 : at + 1]
        if steps[at].inverse:
            one, other = other, one
        said.append(texts["link"].format(one=one, relation=relations[at], other=other))
    kind = "node" if last.inverse else "names it"
    return [*said, texts[kind].format(relation=relations[-1], name=reached[-2])]


def _reached(step: Step, facts: Mapping[str, dict[str, Any]]) -> str:
    return step.name or _title(step.item_id or "", facts)


def _relation(name: str, language: Language) -> str:
    return RELATIONS.get(name, name) if language == "zh" else name.replace("_", " ")


def _title(item_id: str, facts: Mapping[str, dict[str, Any]]) -> str:
    return str(facts.get(item_id, _UNTITLED).get("title", item_id))


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
