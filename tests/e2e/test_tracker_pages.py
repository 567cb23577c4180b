"""What the tracker hears of a page: routes of a shop of one page, items, carts, GA4's dataLayer."""

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from http_shop import ShopProcess
from playwright.sync_api import Browser
from tracked import IN_CHROMIUM, Visit, browsing, selling, visiting

from endcap.events.dialects.ga4 import _KINDS

pytestmark = IN_CHROMIUM


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as running:
        yield running


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ShopProcess, Path]]:
    with selling(tmp_path_factory.mktemp("tracked") / "data") as running:
        yield running


@pytest.fixture
def visit(
    browser: Browser, shop: tuple[ShopProcess, Path], request: pytest.FixtureRequest
) -> Iterator[Visit]:
    with visiting(browser, shop, f"user-{request.node.name}"[:60]) as one:
        yield one


def test_ga4_means_here_what_it_means_when_it_is_imported(visit: Visit) -> None:
    visit.open(f'data-url data-user="{visit.user}" data-layer')
    visit.run("document.querySelector('h1').remove()")
    items = [
        {"item_id": 7, "item_variant": "blue", "quantity": "2", "price": "9.50", "index": 0},
        {"item_name": "(not set)"},
    ]
    about = {"transaction_id": 81, "item_list_name": "home", "search_term": "lamps"}
    shop = {"items": items, "currency": "EUR", "request_id": "r1", **about}
    for name in (*_KINDS, "page_view", "toString", "generate_lead"):
        visit.run(f"dataLayer.push({json.dumps({'event': name, 'ecommerce': shop})})")
    own = {"event": "view_item_list", "ecommerce": {"item_list_id": "own", "items": items}}
    visit.run(f"dataLayer.push({json.dumps(own)})")  # of the shop's own, no slate of ours
    visit.delivered()
    assert visit.kinds() == Counter(_KINDS.values()) + Counter(["view"])  # of the page itself
    told = next(row for row in visit.stored() if row["kind"] == "impression")
    assert {key: told[key] for key in ("item_id", "variant_id", "quantity", "price")} == {
        **{"item_id": "7", "variant_id": "blue", "quantity": 2, "price": Decimal("9.5")}
    }
    assert {key: told[key] for key in ("placement", "request_id", "position", "order_id")} == {
        **{"placement": "home", "request_id": "r1", "position": 0, "order_id": "81"}
    }


def shows(*products: str) -> str:
    """Script that lets the page show these products, as a shop of one page renders a route."""
    made = "".join(f"<h1 data-endcap-view={product}></h1>" for product in products)
    return (
        "document.querySelectorAll('h1').forEach(h => h.remove());"
        f"document.body.insertAdjacentHTML('beforeend', '{made}');"
    )


def viewed(visit: Visit) -> list[str]:
    visit.page.wait_for_timeout(100)
    visit.delivered()
    return sorted(row["item_id"] for row in visit.stored() if row["kind"] == "view")


PUSH = "history.pushState({{}}, '', '/{}');"


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((PUSH.format("vase"), shows("vase")), id="address first, page when loaded"),
        pytest.param((PUSH.format("vase") + shows("vase"),), id="both in one go"),
        pytest.param((shows("vase") + PUSH.format("vase"),), id="page first"),
        pytest.param((shows("vase"), PUSH.format("vase")), id="page first, address later"),
        pytest.param(
            (PUSH.format("vase"), "document.querySelector('h1').dataset.endcapView='vase'"),
            id="same element",
        ),
        pytest.param((PUSH.format("vase"), shows(), shows("vase"), shows("vase")), id="twice made"),
        pytest.param(
            (PUSH.format("vase"), shows("vase"), "endcap.page(); endcap.page()"), id="said as well"
        ),
        pytest.param(
            (
                PUSH.format("vase"),
                "dataLayer.push({event: 'page_view'})",
                shows("vase"),
                "dataLayer.push({event: 'page_view'})",
            ),
            id="GA4 says it as well",
        ),
        pytest.param(("history.replaceState({}, '', '/vase');" + shows("vase"),), id="replaced"),
        pytest.param((PUSH.format("vase"), shows(), PUSH.format("x"), shows("vase")), id="empty"),
    ],
)
def test_a_route_of_one_page_is_a_view_once(visit: Visit, steps: tuple[str, ...]) -> None:
    visit.open(f'data-url data-user="{visit.user}" data-layer')
    for step in steps:
        visit.run(step)
        visit.page.wait_for_timeout(50)
    assert viewed(visit) == ["lamp", "vase"]


def test_going_back_is_a_view_again(visit: Visit) -> None:
    visit.open()
    visit.run(PUSH.format("vase") + shows("vase"))
    visit.page.wait_for_timeout(50)
    visit.run(f"addEventListener('popstate', () => {{ {shows('lamp')} }}); history.back()")
    assert viewed(visit) == ["lamp", "lamp", "vase"]
    visit.run(PUSH.format("home") + shows())
    visit.page.wait_for_timeout(50)
    visit.run(PUSH.format("lamp") + shows("lamp"))
    assert viewed(visit) == ["lamp", "lamp", "lamp", "vase"]


def test_an_address_that_showed_nothing_lies_between_two_views(visit: Visit) -> None:
    visit.open()
    for step in (shows(), PUSH.format("empty"), PUSH.format("shop.html") + shows("lamp")):
        visit.run(step)
        visit.page.wait_for_timeout(50)
    assert viewed(visit) == ["lamp", "lamp"]
    for step in (shows(), "history.back()", PUSH.format("shop.html") + shows("lamp")):
        visit.run(step)
        visit.page.wait_for_timeout(100)
    assert viewed(visit) == ["lamp", "lamp", "lamp"]


def test_what_stays_while_the_address_changes_is_a_view_when_the_page_says_so(visit: Visit) -> None:
    visit.open()
    visit.run("history.replaceState({}, '', '?colour=red')")
    assert viewed(visit) == ["lamp"]
    visit.run("endcap.page(); endcap.page()")
    assert viewed(visit) == ["lamp", "lamp"]


def test_a_shop_without_addresses_says_page_view(visit: Visit) -> None:
    visit.open(f'data-url data-user="{visit.user}" data-layer')
    for product in ("vase", "lamp", "vase"):
        visit.run(f"dataLayer.push({{event: 'page_view'}}); {shows(product)}")
        visit.page.wait_for_timeout(50)
    assert viewed(visit) == ["lamp", "lamp", "vase", "vase"]


def test_history_works_as_before(visit: Visit) -> None:
    visit.open()
    told = visit.run(
        "(() => { try { history.pushState({}, '', 'https://elsewhere.example/') }"
        " catch (error) { return error.name } })()"
    )
    assert told == "SecurityError"
    visit.run("history.pushState({n: 1}, '', '/one'); history.replaceState({n: 2}, '', '/two')")
    assert visit.run("[history.state.n, location.pathname]") == [2, "/two"]


def test_items_that_come_later_or_change_are_seen_without_being_told(visit: Visit) -> None:
    visit.open()
    visit.run(
        "document.body.insertAdjacentHTML('afterbegin', '<a id=new data-endcap-item=cup>Cup</a>')"
    )
    visit.page.wait_for_timeout(1_300)
    visit.run("document.getElementById('new').dataset.endcapItem = 'plate'")
    visit.page.wait_for_timeout(1_300)
    visit.delivered()
    shown = [row["item_id"] for row in visit.stored() if row["kind"] == "impression"]
    assert sorted(shown) == ["cup", "plate"]


CARTS = """<ul><li data-endcap-item="cup" data-endcap-request="r9" data-endcap-position="3">Cup
  <button id="tile" data-endcap-cart data-endcap-quantity="2"><b>Add</b></button></li></ul>
<button id="page" data-endcap-cart>Add this</button>
<form data-endcap-cart="bowl" action="javascript:void 0">
  <input name="quantity" type="number" max="9" value="3"><button id="form">Add</button></form>
<form action="javascript:void 0"><input name="quantity" value="many"><button id="inner"
  data-endcap-cart="jug">Add</button></form>"""


def test_what_says_cart_puts_into_the_cart(visit: Visit) -> None:
    visit.open()
    visit.run(f"document.body.insertAdjacentHTML('afterbegin', `{CARTS}`)")
    for button in ("#tile b", "#page", "#form", "#inner"):
        visit.page.click(button)
    visit.page.fill("form input[type=number]", "12")
    visit.page.click("#form")  # more than may be: the browser does not send it
    visit.page.fill("form input[type=number]", "4")
    visit.page.press("form input[type=number]", "Enter")
    visit.delivered()
    rows = [row for row in visit.stored() if row["kind"] == "cart"]
    told = sorted((row["item_id"], row["quantity"] or 0, row["request_id"] or "") for row in rows)
    assert told == [
        ("bowl", 3, ""),
        ("bowl", 4, ""),
        ("cup", 2, "r9"),
        ("jug", 0, ""),
        ("lamp", 0, ""),
    ]
    assert visit.kinds()["click"] == 0
