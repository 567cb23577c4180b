"""One variant of each product, in stock: what is shown, hidden and stood for."""

from typing import Any

import pyarrow as pa
import pytest
from recommend_worlds import MemoryState, artefact

from endcap.recommend.recipe import Hide, Placement
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Request, Slate

ITEMS = [f"i{i:02}" for i in range(13)]
NEW = ["i12-blue", "i12-red"]


@pytest.fixture(scope="module")
def model() -> Any:
    return artefact()


def state(sold_out: tuple[str, ...] = (), groups: dict[str, str] | None = None) -> MemoryState:
    ids = [*ITEMS, *NEW]
    group = groups or {"i01": "A", "i03": "A", "i05": "A", "i12": "B", **dict.fromkeys(NEW, "B")}
    colours = {"i12": "red", "i12-red": "red", "i12-blue": "blue"}
    table = {
        "item_id": ids,
        "group_id": pa.array([group.get(i) for i in ids], pa.string()),
        "stock": [0 if i in sold_out else 5 for i in ids],
        "attributes": [f'{{"colour": "{colours[i]}"}}' if i in colours else None for i in ids],
    }
    out = MemoryState(pa.table(table))
    out.add("ann", "i00")
    out.add("ann", "i02")
    return out


def ask(
    model: Any, shop: MemoryState, variants: str, k: int = 6, rules: dict | None = None
) -> list[str]:
    return [item.item_id for item in slate(model, shop, variants, k, rules).items]


def slate(
    model: Any, shop: MemoryState, variants: str, k: int = 6, rules: dict | None = None
) -> Slate:
    recommender = Recommender(model)
    home = recommender.placements["home"].model_dump(exclude_defaults=True)
    place = Placement.parse({**home, "variants": variants, "rules": rules or {}}, where="home")
    return recommender.placed({"home": place}).recommend([Request(user_id="ann", k=k)], shop)[0]


def test_each_product_comes_once_and_the_slate_is_full(model: Any) -> None:
    shop = state()
    every, one = ask(model, shop, "each", 13), ask(model, shop, "one", 9)
    assert len({"i01", "i03", "i05"} & set(every)) == 3
    shown = [item for item in one if item in {"i01", "i03", "i05"}]
    best = next(item for item in every if item in {"i01", "i03", "i05"})
    assert shown == [best]
    assert len(one) == 9
    others = [item for item in every if item not in {"i01", "i03", "i05"}]
    kept = [item for item in one if item != best]
    assert kept[:5] == others[:5]


def test_what_is_sold_out_speaks_for_the_variant_most_like_it(model: Any) -> None:
    plain = ask(model, state(), "one", 9)
    place = plain.index("i12")
    swapped = ask(model, state(("i12",)), "one", 9)
    assert swapped[place] == "i12-red"
    assert "i12" not in swapped
    assert ask(model, state(("i12", "i12-red")), "one", 9)[place] == "i12-blue"
    none = ask(model, state(("i12", *NEW)), "one", 9)
    assert not {"i12", *NEW} & set(none)
    assert none[:place] == plain[:place]


def test_its_reason_is_that_of_the_variant_that_speaks(model: Any) -> None:
    told = {item.item_id: item.reasons for item in slate(model, state(), "one", 9).items}
    swapped = {i.item_id: i.reasons for i in slate(model, state(("i12",)), "one", 9).items}
    assert swapped["i12-red"] == told["i12"]


def test_a_variant_that_was_taken_hides_its_like(model: Any) -> None:
    shop = state(groups={"i00": "C", "i04": "C", "i06": "C"})
    assert {"i04", "i06"} <= set(ask(model, shop, "each", 13))
    assert not {"i04", "i06"} & set(ask(model, shop, "one", 9))
    assert Hide().kinds == ("purchase", "dismiss")


def test_it_holds_under_rules(model: Any) -> None:
    rules = {"pins": [{"item": "i07", "position": 2}], "diversity": 0.2}
    found = ask(model, state(("i12",)), "one", 9, rules)
    assert found[1] == "i07"
    assert len({"i01", "i03", "i05"} & set(found)) == 1
    assert len(found) == len(set(found)) == 9


def test_without_products_nothing_changes(model: Any) -> None:
    shop = MemoryState(pa.table({"item_id": ITEMS}))
    shop.add("ann", "i00")
    assert slate(model, shop, "one").items == slate(model, shop, "each").items
