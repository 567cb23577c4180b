from contextlib import suppress
from time import thread_time

import pyarrow as pa
import pytest

from endcap.recommend.filters.columns import Columns
from endcap.recommend.filters.errors import FilterError, TooExpensiveError
from endcap.recommend.filters.expression import MAX_CELLS, Expression
from endcap.recommend.filters.suggest import suggest
from endcap.recommend.filters.world import World
from endcap.recommend.state import History

CATALOGUE = pa.table(
    {
        "item_id": ["lamp", "bulb", "rake"],
        "brand": ["Acme", "Acme", None],
        "categories": [["Home>Lights"], ["Home > Lights > Bulbs"], ["Garden"]],
        "price": [40.0, 4.0, None],
        "sale_price": [30.0, None, None],
        "cost": [15.0, 3.0, 1.0],
        "attributes": ['{"colour": "red", "sizes": ["S", "M"]}', '{"watt": 7, "new": true}', None],
    }
)
COLUMNS = Columns(CATALOGUE)
NAN = float("nan")


def found(text: str, world: World = World()) -> list[str]:  # noqa: B008
    expression = Expression.filter(text)
    expression.check(COLUMNS)
    ids = CATALOGUE["item_id"].to_pylist()
    return [
        i
        for i, row in zip(ids, COLUMNS.rows(ids), strict=True)
        if expression.mask(COLUMNS, world)[row]
    ]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("price < 10", ["bulb"]),
        ("not price < 10", ["lamp", "rake"]),
        ('brand != "Acme"', ["rake"]),
        ('has(brand) and brand != "Other"', ["lamp", "bulb"]),
        ('contains(category, "Home > Lights")', ["lamp", "bulb"]),
        ('contains(category, "Home")', ["lamp", "bulb"]),
        ('contains(category, "Hom")', []),
        ('category in ["Garden"]', ["rake"]),
        ("margin > 0.3", ["lamp"]),
        ("discount >= 0.25", ["lamp"]),
        ('attributes.colour == "red"', ["lamp"]),
        ('"M" in attributes.sizes', ["lamp"]),
        ("attributes.watt + 1 == 8", ["bulb"]),
        ("attributes.new", ["bulb"]),
        ("price / 0 > 1", []),
        ("item not in ['rake', \"lamp\"]", ["bulb"]),
        ("price in [4, 5] or -price <= -40", ["lamp", "bulb"]),
    ],
)
def test_an_expression_finds_its_items(text: str, ids: list[str]) -> None:
    assert found(text) == ids


def test_what_the_shopper_did_can_be_asked() -> None:
    did = [
        ("lamp", "purchase", 1, NAN),
        ("bulb", "cart", 2, NAN),
        ("rake", "cart", 3, NAN),
        ("rake", "uncart", 4, NAN),
    ]
    world = World.of(COLUMNS, History.of(did), ["bulb"], now=5)
    assert found("brand in user.bought.brand", world) == ["lamp", "bulb"]
    assert found("item in user.cart.item", world) == ["bulb"]
    assert found("price < user.bought.price", world) == ["bulb"]
    assert found("price > 2 * context.price", world) == ["lamp"]
    assert found("item in user.viewed.item", world) == []
    assert found('contains(user.bought.category, "Home")', world) == ["lamp", "bulb", "rake"]


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("price <", 7, "must stand here"),
        ("pric < 5", 0, "Did you mean 'price'?"),
        ("stock > 1 and user.bougt.brand == 'x'", 14, "Did you mean 'user.bought.brand'?"),
        ("brand = 'x'", 6, "write =="),
        ("brand < 3", 0, "a number must stand here"),
        ("category == 'x'", 0, "Write in instead"),
        ("created > 3", 0, "days_since(created)"),
        ("brand == 'abc", 9, "has no end"),
        ("1 < price < 3", 10, "chained"),
        ("hass(price)", 0, "Did you mean 'has'?"),
        ("has(price, cost)", 0, "Write has(field)"),
        ("brand == attributes.colour", 6, "Two texts of the item"),
        ("price", 0, "a condition is needed"),
        ("price in [1, 'a']", 9, "mixes"),
        ("price < 1e999", 8, "no number"),
        ("price < 5 5", 10, "cannot stand here"),
        ("attributes.color == 'red'", 0, "Did you mean 'attributes.colour'?"),
        ("\tprice <\n\x00", 9, "means nothing"),
    ],
)
def test_an_error_points_at_its_character(text: str, at: int, said: str) -> None:
    with pytest.raises(FilterError, match=r"at character") as caught:
        found(text)
    assert said in str(caught.value)
    assert caught.value.at == at
    shown, caret = caught.value.message.splitlines()[1:3]
    assert caret == " " * (2 + at) + "^"
    assert len(shown) == len(text) + 2


@pytest.mark.parametrize(
    "text",
    [
        "price < 1" + " " * 4096,
        "brand == '" + "乐" * 1400 + "'",
        "(" * 9 + "price < 1" + ")" * 9,
        "not " * 9 + "true",
        "price < " + "-" * 9 + "1",
        " or ".join(["stock > 0"] * 101),
        f"price in [{','.join(['1'] * 1001)}]",
    ],
    ids=["long", "bytes", "brackets", "nots", "minuses", "terms", "list"],
)
def test_what_is_too_expensive_is_refused_before_it_costs(text: str) -> None:
    with pytest.raises(TooExpensiveError) as caught:
        Expression.filter(text)
    assert caught.value.code == "filter-too-expensive"


def test_work_is_bounded_by_the_size_of_the_catalogue() -> None:
    class Huge(Columns):
        def __len__(self) -> int:
            return MAX_CELLS // 2

    with pytest.raises(TooExpensiveError, match="3 parts for"):
        Expression.filter("price < 5").mask(Huge(), World())


def test_the_largest_expressions_allowed_are_answered() -> None:
    assert found(" or ".join(["price < 10"] * 100)) == ["bulb"]
    assert found(f"price in [{','.join(['4'] * 1000)}]") == ["bulb"]
    assert found("(" * 8 + "price < 10" + ")" * 8) == ["bulb"]


@pytest.mark.parametrize(
    ("before", "start", "first"),
    [
        ("pri", 0, ["price"]),
        ("price ", 6, ["<", "<=", ">", ">=", "==", "!=", "in", "and", "or"]),
        ("price < 5 a", 10, ["and"]),
        ("brand == ", 9, ['"Acme"']),
        ('brand not in ["Ac', 14, ['"Acme"']),
        ('attributes.colour in ["x", ', 27, ['"red"']),
        ("user.cart.b", 0, ["user.cart.brand"]),
        ("has(attributes.w", 4, ["attributes.watt"]),
        ("price < 5 and con", 14, ["contains(", "context.item_id"]),
        ("price ; ", 8, []),
    ],
)
def test_an_editor_is_told_what_may_follow(before: str, start: int, first: list[str]) -> None:
    at, suggestions = suggest(before, COLUMNS)
    assert at == start
    assert [one.text for one in suggestions][: len(first)] == first


@pytest.mark.parametrize(
    "text",
    [
        'brand == "' + "a" * 4_080 + '"',
        "a" * 4_090 + "$",
        "a." * 2_040 + "$",
        "9" * 4_000 + "a",
        'contains(categories, "' + ">" * 4_000 + '")',
        "contains(['" + ">" * 2_000 + "'], '" + ">" * 2_000 + "')",
    ],
    ids=["text", "name", "path", "number", "category", "categories"],
)
def test_no_text_costs_more_than_its_length(text: str) -> None:
    def once() -> float:
        before = thread_time()
        suggest(text, COLUMNS)
        with suppress(FilterError):
            Expression.filter(text).mask(Columns(), World())
        return thread_time() - before

    assert min(once() for _ in range(3)) < 0.02  # the square of 4,000 letters took .05 to .13 s


def test_an_editor_is_not_kept_by_a_text_beyond_the_limit() -> None:
    text = "a" * 1_000_000
    assert suggest(text, COLUMNS) == (len(text), [])


def test_a_given_list_of_categories_is_asked_by_its_paths() -> None:
    assert found("contains(['Home > Lights>Bulbs'], 'Home>Lights')") == found("price > 0 or true")
    assert found("contains(['Home', 'Garden'], ['Home > Lights', 'Home > L'])") == []
