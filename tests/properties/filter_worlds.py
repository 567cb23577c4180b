"""Expressions and catalogues drawn at random, and a slow interpreter that must agree."""

import json
import math
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from endcap.recommend.filters import nodes as n
from endcap.recommend.filters.kinds import split

DAY_US = 86_400_000_000
NOW = 20_000 * DAY_US
BRANDS = ["Acme", "B & B", 'Q"uote', "back\\slash", "乐高"]
CATEGORIES = ["Home", "Home > Lights", "Home > Lights > Desk", "Homely", "Garden"]
texts = st.sampled_from([*BRANDS, "other"])
numbers = st.sampled_from([0.0, 0.5, 1.0, 3.0, 20.25, 1e-7, 1e16])

rows = st.lists(
    st.fixed_dictionaries(
        {
            "brand": st.none() | st.sampled_from(BRANDS),
            "categories": st.none() | st.lists(st.sampled_from(CATEGORIES), max_size=2),
            "price": st.none() | st.sampled_from([0.5, 1.0, 3.0, 20.25]),
            "stock": st.none() | st.integers(0, 3),
            "created": st.none() | st.integers(NOW // DAY_US - 40, NOW // DAY_US),
            "colour": st.none() | texts,
            "fresh": st.none() | st.booleans(),
        }
    ),
    min_size=1,
    max_size=12,
)


def catalogue(items: list[dict[str, Any]]) -> pa.Table:
    attributes = [
        json.dumps({key: item[key] for key in ("colour", "fresh") if item[key] is not None})
        for item in items
    ]
    created = [None if i["created"] is None else i["created"] * DAY_US for i in items]
    return pa.table(
        {
            "item_id": [f"i{at}" for at in range(len(items))],
            "brand": pa.array([i["brand"] for i in items], pa.string()),
            "categories": pa.array([i["categories"] for i in items], pa.list_(pa.string())),
            "price": pa.array([i["price"] for i in items], pa.float64()),
            "stock": pa.array([i["stock"] for i in items], pa.int64()),
            "created": pa.array(created, pa.timestamp("us", tz="UTC")),
            "attributes": attributes,
        }
    )


NUMERIC = st.sampled_from(["price", "stock", "user.bought.price", "context.stock", "user.lat"]).map(
    n.Name
)
SETS = st.sampled_from(["user.bought.brand", "user.viewed.brand", "context.brand"]).map(n.Name)
PATHS = st.sampled_from(["categories", "user.bought.category"]).map(n.Name)
WORDS = st.lists(texts, max_size=4).map(lambda v: n.Listing(tuple(v)))


def arithmetic(conditions: st.SearchStrategy[n.Node]) -> st.SearchStrategy[n.Node]:
    leaves = st.one_of(
        NUMERIC, numbers.map(n.Number), st.just(n.Call("days_since", (n.Name("created"),)))
    )
    return st.recursive(
        leaves | conditions,
        lambda inner: st.one_of(
            st.builds(n.Infix, st.sampled_from("+-*/"), inner, inner),
            st.builds(n.Prefix, st.just("-"), inner),
        ),
        max_leaves=4,
    )


@st.composite
def compared(draw: st.DrawFn) -> n.Node:
    sums = arithmetic(st.nothing())
    text = st.sampled_from(["brand", "attributes.colour"]).map(n.Name)
    return draw(
        st.one_of(
            st.builds(n.Infix, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), sums, sums),
            st.builds(
                n.Infix,
                st.sampled_from(["in", "not in"]),
                sums,
                st.lists(numbers | st.just(-1.0), min_size=1, max_size=3).map(
                    lambda v: n.Listing(tuple(v))
                ),
            ),
            st.builds(n.Infix, st.sampled_from(["==", "!="]), text, texts.map(n.Text)),
            st.builds(n.Infix, st.sampled_from(["in", "not in"]), text | PATHS, SETS | WORDS),
            st.builds(n.Infix, st.sampled_from(["in", "not in"]), texts.map(n.Text), PATHS | SETS),
            st.builds(
                lambda a, b: n.Call("contains", (a, b)),
                PATHS,
                st.sampled_from(CATEGORIES).map(n.Text),
            ),
            st.builds(lambda a: n.Call("has", (a,)), NUMERIC | text | PATHS | SETS),
            st.just(n.Name("attributes.fresh")),
            st.booleans().map(n.Truth),
        )
    )


conditions = st.recursive(
    compared(),
    lambda inner: st.one_of(
        st.builds(n.Infix, st.sampled_from(["and", "or"]), inner, inner),
        st.builds(n.Prefix, st.just("not"), inner),
    ),
    max_leaves=5,
)


class Slow:
    """One item at a time, by the words of docs/filters.md: an unknown number is NaN, an unknown
    text is the empty set."""

    def __init__(
        self, item: dict[str, Any], scopes: dict[str, list[dict[str, Any]]], lat: float = math.nan
    ) -> None:
        self.item, self.scopes, self.lat = item, scopes, lat

    def of(self, node: n.Node) -> Any:
        match node:
            case n.Number(value) | n.Truth(value):
                return value
            case n.Text(value):
                return {value}
            case n.Listing(values):
                return set(values)
            case n.Name(path):
                return self.field(path)
            case n.Prefix("not", of):
                return not self.of(of)
            case n.Prefix("-", of):
                return -self.of(of)
            case n.Call("has", (name,)):
                value = self.of(name)
                return bool(value) if isinstance(value, set) else not math.isnan(value)
            case n.Call("days_since", (name,)):
                return (NOW - self.of(name)) / DAY_US
            case n.Call("contains", (paths, wanted)):
                (path,) = self.of(wanted)
                return any(p == path or p.startswith(f"{path} > ") for p in self.of(paths))
            case n.Infix(operator, left, right):
                return self.infix(operator, self.of(left), self.of(right))

    def infix(self, operator: str, left: Any, right: Any) -> Any:
        match operator:
            case "and":
                return left and right
            case "or":
                return left or right
            case "in" | "not in":
                found = bool((left if isinstance(left, set) else {left}) & right)
                return found == (operator == "in")
            case "==":
                return bool(left & right) if isinstance(left, set) else left == right
            case "!=":
                return not left & right if isinstance(left, set) else left != right
            case "/":
                return left / right if right else float("nan")
        return {
            "+": lambda: left + right,
            "-": lambda: left - right,
            "*": lambda: left * right,
            "<": lambda: left < right,
            "<=": lambda: left <= right,
            ">": lambda: left > right,
            ">=": lambda: left >= right,
        }[operator]()

    def field(self, path: str) -> Any:
        if path == "user.lat":
            return self.lat
        scope, name = split(path)
        if not scope:
            return self.value(self.item, name)
        values = [self.value(item, name) for item in self.scopes.get(scope, [])]
        if name in {"brand", "categories"}:
            return set().union(*values)
        known = [value for value in values if not math.isnan(value)]
        return sum(known) / len(known) if known else float("nan")

    def value(self, item: dict[str, Any], name: str) -> Any:
        raw = item[name.removeprefix("attributes.")]
        if name in {"brand", "attributes.colour"}:
            return set() if raw is None else {raw}
        if name == "categories":
            return set(raw or ())
        if name == "attributes.fresh":
            return raw is True
        if name == "created" and raw is not None:
            return raw * DAY_US
        return float("nan") if raw is None else float(raw)
