"""Fuzz the filter language with atheris: only `FilterError` may come out, and nothing may be slow.

    make fuzz SECONDS=300
    python scripts/fuzz_filters.py -max_total_time=600 -timeout=10 CORPUS      (on a busy machine)

atheris stops at the first input that raises anything else, or takes longer than a second.
"""

import sys
from decimal import Decimal

import atheris

with atheris.instrument_imports(include=["endcap.recommend.filters"]):
    import pyarrow as pa

    from endcap.recommend.filters.columns import Columns
    from endcap.recommend.filters.errors import FilterError, TooExpensiveError
    from endcap.recommend.filters.expression import Expression
    from endcap.recommend.filters.nodes import unparse
    from endcap.recommend.filters.parser import parse
    from endcap.recommend.filters.suggest import suggest
    from endcap.recommend.filters.world import World

COLUMNS = Columns(
    pa.table(
        {
            "item_id": ["a", "b", "c"],
            "brand": ["Acme", None, "乐高"],
            "categories": [["Home > Lights"], ["Garden"], []],
            "price": [Decimal(3), None, Decimal(20)],
            "stock": [0, 4, None],
            "attributes": ['{"colour": "red", "watt": 7, "new": true}', None, None],
        }
    )
)
WORLD = World(
    {"user.bought": COLUMNS.rows(["a", "zzz"])},
    now=1,
    here={"user.lat": 48.9, "context.lat": -90.0},
)
SEEDS = (
    b"price < 50 and brand not in user.bought.brand and stock > 0",
    b"1 + 0.2 * (margin > 0.3) - days_since(created) / 7",
    b"distance(attributes.lat, attributes.lon, 48.86, -2.35) < 20",
    b"distance(user.lat, user.lon, context.lat, context.lon) < 20 or has(user.lat)",
    b'contains(categories, "Home") or not has(attributes.colour)',
    b"item in ['a', \"b\"] and price in [1, -2.5e3] == true",
)


def try_one(data: bytes) -> None:
    """Read, print, read again and evaluate one text."""
    text = data.decode("utf-8", "replace")
    suggest(text, COLUMNS)
    try:
        node = parse(text)
    except FilterError as error:
        str(error).encode("utf-8", "replace")
        return
    try:
        again = parse(unparse(node))
    except TooExpensiveError:
        again = node  # its own brackets or signs can pass a limit that the original kept
    assert again == node, text
    for read in (Expression.filter, Expression.boost):
        try:
            expression = read(text)
            expression.check(COLUMNS)
        except FilterError:
            continue
        (expression.mask if read == Expression.filter else expression.factor)(COLUMNS, WORLD)


def main() -> None:
    """Fuzz for as long as libFuzzer's flags say (``-max_total_time=300``)."""
    for seed in SEEDS:
        try_one(seed)
    flags = ["-timeout=1", "-max_len=4200", "-only_ascii=0"]  # those of the command line win
    atheris.Setup([sys.argv[0], *flags, *sys.argv[1:]], try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
