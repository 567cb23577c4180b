"""Filters: what is printed is what is read, masks agree with a slow interpreter, no escape."""

import math

import numpy as np
import pytest
from filter_worlds import NOW, Slow, arithmetic, catalogue, conditions, rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from endcap.recommend.filters.columns import Columns
from endcap.recommend.filters.errors import FilterError, TooExpensiveError
from endcap.recommend.filters.expression import MAX_BOOST, Expression
from endcap.recommend.filters.nodes import Node, unparse
from endcap.recommend.filters.parser import parse
from endcap.recommend.filters.suggest import suggest
from endcap.recommend.filters.world import World

calm = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)  # trees are slow to draw on a busy machine


@calm
@given(conditions)
def test_what_is_printed_is_what_is_read(node: Node) -> None:
    try:
        again = parse(unparse(node))
    except TooExpensiveError:
        return  # random trees may be nested deeper than the language allows
    assert again == node


@calm
@given(rows, conditions, st.none() | st.sampled_from([0.5, 3.0, -90.0]), st.data())
def test_masks_agree_with_one_item_at_a_time(
    items, node: Node, lat: float | None, data: st.DataObject
) -> None:
    picked = st.lists(st.integers(0, len(items) - 1), max_size=3, unique=True)
    scopes = {s: data.draw(picked) for s in ("user.bought", "user.viewed", "context")}
    columns = Columns(catalogue(items))
    ids = [f"i{at}" for at in range(len(items))]
    here = {} if lat is None else {"user.lat": lat}
    world = World({s: columns.rows(ids[at] for at in ats) for s, ats in scopes.items()}, NOW, here)
    try:
        mask = Expression.filter(unparse(node)).mask(columns, world)
    except TooExpensiveError:
        return
    slow = {s: [items[at] for at in ats] for s, ats in scopes.items()}
    expected = [bool(Slow(item, slow, here.get("user.lat", math.nan)).of(node)) for item in items]
    assert mask[columns.rows(ids)].tolist() == expected


@calm
@given(rows, arithmetic(conditions))
def test_boosts_agree_with_one_item_at_a_time(items, node: Node) -> None:
    columns = Columns(catalogue(items))
    try:
        boost = Expression.boost(unparse(node))
    except FilterError:
        return  # too deep, or a condition alone
    factor = boost.factor(columns, World(now=NOW))
    values = [float(Slow(item, {}).of(node)) for item in items]
    expected = [1.0 if math.isnan(v) else min(max(v, 0.0), MAX_BOOST) for v in values]
    np.testing.assert_allclose(factor[1:], expected, rtol=1e-12)


@calm
@given(rows, rows, st.integers(0, 11))
def test_columns_follow_changes_as_if_they_were_built_anew(before, after, gone: int) -> None:
    grown = Columns(catalogue(before))
    grown.upsert(catalogue(after))
    grown.delete([f"i{gone}"])
    final = {f"i{at}": item for at, item in enumerate(before)}
    final |= {f"i{at}": item for at, item in enumerate(after)}
    final.pop(f"i{gone}", None)
    asked = Expression.filter(
        'price > 1 and brand in ["Acme", "乐高"] or contains(category, "Home")'
    )
    mask = asked.mask(grown, World())
    shown = [bool(mask[row]) for row in grown.rows(final)]
    assert shown == [bool(Slow(item, {}).of(asked.node)) for item in final.values()]
    assert not mask[grown.rows([f"i{gone}", "never heard of"])].any()


ALPHABET = [
    *"()[],.<>=!+-*/ \"'\\\n\x00",
    *["price", "in", "not", "and", "or", "user.bought.brand", "1e9", "乐"],
]


@settings(deadline=None)
@given(st.text() | st.lists(st.sampled_from(ALPHABET)).map("".join))
def test_garbage_is_refused_with_its_place_and_nothing_worse(text: str) -> None:
    suggest(text, Columns())
    try:
        Expression.filter(text).mask(Columns(), World())
    except FilterError as error:
        assert 0 <= error.at <= len(text)  # noqa: PT017


@pytest.mark.parametrize(
    "hostile",
    [
        "__import__('os').system('true')",
        "price.__class__ == 1",
        "1; DROP TABLE items",
        "' OR '1'='1",
        'brand == "x" UNION SELECT * FROM events --',
        "(lambda: 1)() == 1",
        "has(price) and globals()",
        "${jndi:ldap://x}",
    ],
)
def test_what_would_be_code_elsewhere_is_no_expression(hostile: str) -> None:
    with pytest.raises(FilterError):
        Expression.filter(hostile)
