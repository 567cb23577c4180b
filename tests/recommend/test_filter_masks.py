"""What a filter answered is kept, and never longer than the catalogue stays as it is."""

import pyarrow as pa

from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.filters.columns import Columns
from endcap.recommend.filters.expression import Expression
from endcap.recommend.filters.world import World

CHEAP = Expression.filter("stock < 3")
WORDS = Vocabulary(["a", "b", "c"])


def items(**stock: int) -> pa.Table:
    return pa.table({"item_id": list(stock), "stock": list(stock.values())})


def cheap(columns: Columns) -> list[int]:
    available = WORDS.rows(["a", "b", "c"])
    return columns.shown(WORDS, available, CHEAP.mask(columns, World())).tolist()


def test_what_changes_in_the_catalogue_changes_the_answer() -> None:
    columns = Columns(items(a=1, b=5))
    assert CHEAP.mask(columns, World()) is CHEAP.mask(columns, World())
    assert cheap(columns) == [0]
    columns.upsert(items(b=2))
    assert cheap(columns) == [0, 1]
    columns.upsert(items(c=0))
    assert cheap(columns) == [0, 1, 2]
    columns.delete(["a"])
    assert cheap(columns) == [1, 2]


def test_what_depends_on_shopper_page_or_moment_is_asked_each_time() -> None:
    columns = Columns(items(a=1, b=5))
    for text in ("stock > context.stock", "stock > user.bought.stock"):
        above = Expression.filter(text)
        scope = text.partition("> ")[2].rpartition(".")[0]
        told = [
            above.mask(columns, World({scope: columns.rows([item_id])})).tolist()
            for item_id in ("a", "b")
        ]
        assert told == [[False, False, True], [False, False, False]]


def test_an_item_that_came_after_the_filter_was_asked_is_not_shown() -> None:
    columns = Columns(items(a=1, b=5))
    asked = CHEAP.mask(columns, World())
    columns.upsert(items(c=0))
    assert columns.shown(WORDS, WORDS.rows(["a", "b", "c"]), asked).tolist() == [0]
