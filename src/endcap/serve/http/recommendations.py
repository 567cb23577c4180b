"""Slates over HTTP: always an answer, which says how good it is."""

from collections.abc import Mapping
from dataclasses import astuple, replace
from math import isfinite, nan
from typing import Any, Final, cast

import msgspec

from endcap.recommend.counterfactual import Counterfactual, counterfactuals, rule_of
from endcap.recommend.places.groups import Group, groups
from endcap.recommend.recipe import SIMILAR
from endcap.recommend.sentences import SENTENCES, Language, sentence, what_if
from endcap.recommend.slate import Expected, Reason, Request, Slate, SlateItem
from endcap.recommend.slates.compose import Effect
from endcap.schema.stages import stage
from endcap.schema.tokens import dated_token
from endcap.serve.answered import Kept
from endcap.serve.http.calls import Answer, Call
from endcap.serve.http.in_time import answer_in_time
from endcap.serve.http.problems import ApiError
from endcap.serve.http.shapes import (
    Ask,
    CounterfactualOut,
    ExpectedOut,
    GroupOut,
    GroupsOut,
    GroupsQuery,
    ReasonOut,
    RuleOut,
    SimilarQuery,
    SlateItemOut,
    SlateOut,
)
from endcap.serve.impressions import Shown

UNKEPT: Final = {"cache-control": "no-store"}


async def get_recommendations(call: Call) -> Answer:
    """Answer what the query string asks."""
    return await _recommend(call, call.query)


async def post_recommendations(call: Call) -> Answer:
    """Answer what the body asks."""
    return await _recommend(call, call.body)


async def get_similar(call: Call) -> Answer:
    """Answer what goes with an item; an unknown one gets a fallback."""
    query: SimilarQuery = call.query
    request = Request(
        placement=SIMILAR,
        context_items=(call.path("item_id"),),
        k=query.k,
        lat=_degrees(query.lat),
        lon=_degrees(query.lon),
        request_id=dated_token(),
    )
    return await _show(call, await answer_in_time(call.runtime, request, query.timeout_ms), query)


async def get_groups(call: Call) -> Answer:
    """Answer which categories, brands or other groups are most for a shopper."""
    query: GroupsQuery = call.query
    _forbid_accounts(call, query)
    request = Request(
        user_id=query.user_id,
        visitor_id=query.visitor_id,
        placement=query.placement,
        k=query.k,
        filter=query.filter,
        lat=_degrees(query.lat),
        lon=_degrees(query.lon),
        vouched=not _is_stranger(call, query),
    )
    runtime = call.runtime

    def work() -> list[Group]:
        recommender = runtime.recommender.current
        return groups(recommender, request, runtime.live, by=query.by, level=query.level)

    found = await runtime.run(work)
    told = [GroupOut(g.value, g.share, [item.item_id for item in g.items]) for g in found]
    out = GroupsOut(query.by, query.placement, told)
    return Answer(200, out, UNKEPT)


def _degrees(said: float | msgspec.UnsetType | None) -> float | None:
    return None if isinstance(said, msgspec.UnsetType) else said


def _forbid_accounts(call: Call, ask: Ask | GroupsQuery) -> None:
    """Refuse a browser's key that asks what an account did."""
    boost = ask.boost if isinstance(ask, Ask) else ""
    if _is_stranger(call, ask) and "user." in ask.filter + boost:
        detail = "A public key may not ask what an account did."
        raise ApiError(403, "key-too-weak", detail, hint="Ask with a secret key, from a server.")


async def _recommend(call: Call, ask: Ask) -> Answer:
    request = asked(call, ask)
    return await _show(call, await answer_in_time(call.runtime, request, ask.timeout_ms), ask)


def asked(call: Call, ask: Ask) -> Request:
    """Return what is asked of the recommender, named anew.

    Raises
    ------
    ApiError
        403 where the key may not ask that.
    """
    _forbid_accounts(call, ask)
    return Request(
        user_id=ask.user_id,
        visitor_id=ask.visitor_id,
        placement=ask.placement,
        k=ask.k,
        context_items=tuple(ask.context_items),
        exclude=tuple(ask.exclude),
        rank=tuple(ask.rank),
        filter=ask.filter,
        boost=ask.boost,
        seed=ask.seed,
        lat=_degrees(ask.lat),
        lon=_degrees(ask.lon),
        vouched=not _is_stranger(call, ask),
        prices=ask.prices,
        request_id=dated_token(),
    )


async def _show(call: Call, kept: Kept, ask: Ask | SimilarQuery) -> Answer:
    return Answer(200, await show(call, kept, ask), UNKEPT)


async def show(call: Call, kept: Kept, ask: Ask | SimilarQuery) -> SlateOut:
    """Log a slate as shown, count it, and put it into words.

    Raises
    ------
    ApiError
        403 where the key may not ask that.
    """
    runtime = call.runtime
    stranger = _is_stranger(call, ask)
    if ask.explain and getattr(call.request.state, "key_kind", "") == "public":
        detail = "A public key may not ask what would be without: it takes many slates."
        raise ApiError(403, "key-too-weak", detail, hint="Ask with a secret key, from a server.")
    slate = kept.slate
    told: dict[str, Counterfactual] = {}
    if ask.explain:
        told = await runtime.run(
            counterfactuals, kept.recommender, kept.request, kept.slate, kept.witness
        )
    runtime.answered.put(kept)
    runtime.metrics.served.labels(slate.served_by).inc()
    if slate.degraded:
        runtime.metrics.fallback.labels(slate.served_by).inc()
    runtime.impressions.put(Shown(slate, ask.user_id, ask.visitor_id))
    language, facts = language_of(call, ask.lang), runtime.live.facts(slate.sources)
    if getattr(call.request.state, "key_kind", "") == "public":
        bare = tuple(msgspec.structs.replace(item, expected=None) for item in slate.items)
        # Margins and promotions are the shop's own.
        slate = replace(slate, items=bare, rules=(), cost=nan, objective={})
    if stranger:
        slate = _discreet(slate, set(ask.context_items) if isinstance(ask, Ask) else set())
    with stage("say"):
        return shown(slate, facts, language, told, explain=bool(ask.explain))


def _is_stranger(call: Call, ask: Ask | SimilarQuery | GroupsQuery) -> bool:
    """Return whether a browser's key asks about an account: anybody can write any user_id."""
    return getattr(call.request.state, "key_kind", "") == "public" and ask.user_id is not None


def _discreet(slate: Slate, told: set[str]) -> Slate:
    """Leave out which past items speak for an item, but for those that the request named."""
    items = [
        msgspec.structs.replace(
            item, reasons=tuple(r if r.item_id in told else _vague(r) for r in item.reasons)
        )
        for item in slate.items
    ]
    return replace(slate, items=tuple(items))


def _vague(reason: Reason) -> Reason:
    return Reason(reason.kind, share=reason.share)


def shown(
    slate: Slate,
    facts: Mapping[str, dict[str, Any]],
    language: Language,
    told: Mapping[str, Counterfactual] | None = None,
    *,
    explain: bool = False,
) -> SlateOut:
    """Return a slate as it is sent, its reasons in words; `facts` are those of `slate.sources`.

    With `explain`, what its items are expected to bring is told as well.
    """
    told = told or {}
    whys = [_why(slate, item, facts, language) for item in slate.items]
    what_ifs = [
        _what_if(told[item.item_id], facts, language) if item.item_id in told else None
        for item in slate.items
    ]
    return SlateOut(
        slate.request_id,
        slate.placement,
        slate.served_by,
        slate.artefact,
        slate.generated_at,
        slate.degraded,
        slate.reason,
        [
            _item(item, why, rule_of(slate, item), found, explain=explain)
            for item, why, found in zip(slate.items, whys, what_ifs, strict=True)
        ],
        slate.answered_as,
        [_rule(effect) for effect in slate.rules],
        _finite(slate.cost),
        slate.objective,
        _expected(slate.expected) if explain else None,
    )


def _why(
    slate: Slate, item: SlateItem, facts: Mapping[str, dict[str, Any]], language: Language
) -> str:
    if item.explored:
        return SENTENCES[language]["explored"]
    if rule_of(slate, item):
        return SENTENCES[language]["rule"]
    return sentence(item.reasons, facts, language)


def _expected(told: Expected | None) -> ExpectedOut | None:
    return None if told is None else ExpectedOut(*map(_finite, astuple(told)))


def _rule(effect: Effect) -> RuleOut:
    price = _finite(effect.price)
    moved = None if price is None else effect.moved
    return RuleOut(effect.name, effect.met, effect.relaxed, moved, price)


def _what_if(
    found: Counterfactual, facts: Mapping[str, dict[str, Any]], language: Language
) -> CounterfactualOut:
    why = what_if(found, facts, language)
    return CounterfactualOut(found.without, found.event, found.rank_without, found.among, why)


def _item(
    item: SlateItem, why: str, rule: str, found: CounterfactualOut | None, *, explain: bool
) -> SlateItemOut:
    return SlateItemOut(
        item.item_id,
        item.rank,
        _finite(item.score),
        item.source,
        why,
        cast("list[ReasonOut]", item.reasons),  # the same fields; NaN is sent as null
        item.properties,
        rule,
        found,
        _expected(item.expected) if explain else None,
        item.explored,
        item.propensity if explain else None,
    )


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def language_of(call: Call, asked: str) -> Language:
    """Return the language that was asked for; else the first one that the browser names."""
    accepted = call.request.headers.get("accept-language", "")
    named = accepted.strip().lower() if asked == "auto" else asked
    return "zh" if named.startswith("zh") else "en"
