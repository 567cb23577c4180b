"""The tracker in a real Chromium, against a real server: patient, harmless, nothing twice."""

import gzip
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from http_shop import ShopProcess
from playwright.sync_api import Browser, Route
from tracked import IN_CHROMIUM, PAGE, READ_QUEUE, Visit, browsing, selling, visiting

from endcap.serve.keys import KeyRing
from rounds import sized

pytestmark = IN_CHROMIUM
OFFLINE_SECONDS = sized(0, 600)
"""Ten minutes in the long form, here for a moment."""


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


def test_views_clicks_impressions_and_orders_arrive(visit: Visit) -> None:
    visit.open()
    visit.page.click("#vase")  # scrolls there: it is in view now
    visit.page.wait_for_timeout(1_300)
    visit.run(
        "endcap.purchase({order_id: 'o1', currency: 'EUR', items: ["
        "{item_id: 'lamp', quantity: 2, price: 9.5}, {item_id: 'vase', quantity: 1, price: 3}]})"
    )
    visit.delivered()
    assert visit.kinds() == {"view": 1, "click": 1, "impression": 1, "purchase": 2}
    impression = next(row for row in visit.stored() if row["kind"] == "impression")
    assert (impression["request_id"], impression["position"]) == ("r1", 2)
    assert all(row["visitor_id"] and row["session_id"] for row in visit.stored())


def test_what_is_not_in_view_is_no_impression(visit: Visit) -> None:
    visit.open()
    visit.page.wait_for_timeout(1_300)
    visit.delivered()
    assert visit.kinds() == {"view": 1}


def test_ga4_data_layer_is_understood(visit: Visit) -> None:
    visit.open(f'data-url data-user="{visit.user}" data-layer')
    visit.run(
        "dataLayer.push({event: 'add_to_cart', ecommerce: {currency: 'EUR', items: ["
        "{item_id: 'lamp', quantity: 2, price: 9.5}]}}, {event: 'gtm.js'})"
    )
    visit.run(
        "(function(){dataLayer.push(arguments)})('event', 'purchase', {transaction_id: 't1',"
        "currency: 'EUR', items: [{item_id: 'lamp', quantity: 2, price: 9.5}]})"
    )
    visit.delivered()
    assert visit.kinds() == {"view": 1, "cart": 1, "purchase": 1}
    assert {row["order_id"] for row in visit.stored()} == {None, "t1"}


@pytest.mark.torture
def test_twin_a_page_that_only_fetches_loses_what_it_says_offline(visit: Visit) -> None:
    visit.open()
    visit.delivered()
    say = (
        "fetch('/v1/events', {method: 'POST', headers: {'content-type': 'application/json'}, "
        f"body: JSON.stringify({{kind: 'view', user_id: '{visit.user}', item_id: 'x'}})}})"
        ".then(() => true, () => false)"
    )
    assert visit.run(say) is True
    visit.context.set_offline(True)
    assert visit.run(say) is False
    visit.context.set_offline(False)
    visit.page.reload()
    visit.delivered()
    assert visit.kinds() == {"view": 3}  # two of the page itself, and one of two


@pytest.mark.torture
def test_offline_events_wait_across_a_reload(visit: Visit) -> None:
    visit.open()
    visit.delivered()
    visit.context.set_offline(True)
    visit.run("for (let n = 0; n < 120; n++) endcap.track('view', {item_id: 'i' + n})")
    visit.page.wait_for_timeout(500 + 1000 * OFFLINE_SECONDS)
    assert visit.run(READ_QUEUE) == 120
    visit.context.set_offline(False)
    visit.page.reload()
    visit.delivered()
    assert visit.kinds() == {"view": 122}  # and one for each time the page was opened


def test_what_two_pages_say_offline_outlives_the_one_that_is_closed(visit: Visit) -> None:
    other = visit.tab()
    visit.open()
    visit.delivered()
    visit.open(page=other)
    other.wait_for_timeout(800)  # longer than events gather
    for page in (visit.page, other):
        page.wait_for_function(f"{READ_QUEUE} === 0", timeout=20_000)
    visit.context.set_offline(True)
    said = ((visit.page, "a1"), (other, "b1"), (visit.page, "a2"))
    for number, (page, item) in enumerate(said, 1):
        page.evaluate(f"endcap.track('cart', {{item_id: '{item}'}})")
        for each in (visit.page, other):  # a browser takes a moment to tell the other page
            each.wait_for_function(f"{READ_QUEUE} === {number}", timeout=5_000)
    visit.page.close()
    other.wait_for_timeout(500)
    visit.context.set_offline(False)
    other.wait_for_function(f"{READ_QUEUE} === 0", timeout=20_000)
    carts = [row["item_id"] for row in visit.stored() if row["kind"] == "cart"]
    assert sorted(carts) == ["a1", "a2", "b1"]


def test_what_another_page_writes_over_is_written_again(visit: Visit) -> None:
    visit.open()
    visit.delivered()
    visit.context.set_offline(True)
    visit.run("endcap.track('cart', {item_id: 'a1'})")
    visit.run("localStorage.setItem('endcap.queue', '[]')")  # two pages wrote at one moment
    visit.page.goto("about:blank")
    visit.context.set_offline(False)
    visit.open("")
    assert visit.run(READ_QUEUE) == 1
    visit.open()
    visit.delivered()
    assert visit.kinds() == {"view": 2, "cart": 1}


@pytest.mark.parametrize("stored", ["{}", "7", "[null]", "["], ids=list("abcd"))
def test_a_queue_that_is_none_harms_nothing(visit: Visit, stored: str) -> None:
    visit.open("")
    visit.run(f"localStorage.setItem('endcap.queue', '{stored}')")
    visit.open()
    visit.delivered()
    assert visit.kinds() == {"view": 1}


def test_a_lost_answer_stores_nothing_twice(visit: Visit) -> None:
    lost: list[int] = []

    def lose(route: Route) -> None:
        if len(lost) < 2:
            lost.append(route.fetch().status)  # the server has it, the browser hears nothing
            route.abort()
        else:
            route.continue_()

    visit.page.route("**/v1/events/batch", lose)
    visit.open()
    visit.run("endcap.track('cart', {item_id: 'lamp'})")
    visit.delivered()
    assert lost == [202, 202]
    assert visit.kinds() == {"view": 1, "cart": 1}


def test_a_busy_server_is_asked_again_and_a_refusal_is_not(visit: Visit) -> None:
    answers = [503, 429, 422]
    asked: list[int] = []

    def refuse(route: Route) -> None:
        asked.append(answers[len(asked)])
        route.fulfill(status=asked[-1], headers={"Retry-After": "1"}, body="{}")

    visit.page.route("**/v1/events/batch", refuse)
    visit.open()
    visit.delivered()
    assert asked == answers
    assert visit.kinds() == {}


def test_a_beacon_carries_what_waits_when_the_page_is_left(visit: Visit) -> None:
    visit.open("")
    visit.run(
        f"endcap.init({{url: location.origin, userId: '{visit.user}', flushMs: 600000}});"
        "for (let n = 0; n < 30; n++) endcap.track('view', {item_id: 'i' + n})"
    )
    visit.page.goto("about:blank")
    for _ in range(100):
        if visit.kinds():
            break
        visit.page.wait_for_timeout(100)
    assert visit.kinds() == {"view": 31}
    visit.open()  # what was queued is sent again: the same events
    visit.delivered()
    assert visit.kinds() == {"view": 32}


def test_nothing_leaves_before_consent(visit: Visit) -> None:
    sent: list[str] = []
    visit.page.on("request", lambda request: sent.append(request.method))
    visit.open(f'data-url data-user="{visit.user}" data-consent="wait"')
    visit.page.wait_for_timeout(600)
    assert "POST" not in sent
    assert visit.run("localStorage.length") == 0
    visit.run("endcap.consent(true)")
    visit.page.wait_for_timeout(400)
    visit.delivered()
    assert visit.kinds() == {"view": 1}
    visit.run("endcap.consent(false); endcap.track('view', {item_id: 'x'})")
    visit.page.wait_for_timeout(400)
    assert visit.run("localStorage.length") == 0
    assert visit.kinds() == {"view": 1}


def test_what_was_said_offline_outlives_pages_that_wait_for_consent(visit: Visit) -> None:
    wait = f'data-url data-user="{visit.user}" data-consent="wait"'
    visit.open(wait)
    visit.run("endcap.consent(true)")
    visit.delivered()
    visit.context.set_offline(True)
    visit.run("endcap.track('cart', {item_id: 'a1'})")
    kept = visit.run("localStorage.getItem('endcap.queue')")
    visit.page.goto("about:blank")  # else this page sends it as soon as it can
    visit.context.set_offline(False)
    sent: list[str] = []
    visit.page.on("request", lambda request: sent.append(request.method))
    visit.open(wait)
    visit.page.wait_for_timeout(600)
    assert "POST" not in sent  # not even what earlier pages were allowed to say
    assert visit.run("localStorage.getItem('endcap.queue')") == kept
    visit.run("endcap.consent(true)")
    visit.delivered()
    assert visit.kinds() == {"view": 2, "cart": 1}
    assert len({row["session_id"] for row in visit.stored()}) == 1


def test_consent_alone_sends_what_earlier_pages_left(visit: Visit) -> None:
    visit.open()
    visit.delivered()
    visit.context.set_offline(True)
    visit.run("endcap.track('cart', {item_id: 'a1'})")
    visit.page.goto("about:blank")
    visit.context.set_offline(False)
    visit.open("")  # this page says nothing by itself
    visit.run(
        "document.querySelector('h1').remove();"
        f"endcap.init({{url: location.origin, userId: '{visit.user}', consent: null}});"
        "endcap.consent(true)"
    )
    visit.delivered()
    assert visit.kinds() == {"view": 1, "cart": 1}


def test_consent_taken_back_while_events_are_on_their_way_keeps_nothing(visit: Visit) -> None:
    visit.open()
    visit.delivered()

    def withdraw(route: Route) -> None:
        visit.run("endcap.consent(false)")
        route.continue_()

    visit.page.route("**/v1/events/batch", withdraw)
    visit.run("endcap.track('cart', {item_id: 'a1'})")
    visit.page.wait_for_timeout(1_500)
    assert visit.run("localStorage.length") == 0


def test_a_pause_of_half_an_hour_ends_the_session(visit: Visit) -> None:
    visit.page.clock.install()
    visit.open()
    for minutes in (10, 20, 31):
        visit.page.clock.fast_forward(minutes * 60_000)
        visit.run(f"endcap.track('cart', {{item_id: 'after-{minutes}'}})")
    visit.page.clock.run_for(1_000)
    visit.delivered()
    session = {row["item_id"]: row["session_id"] for row in visit.stored()}
    assert session["lamp"] == session["after-10"] == session["after-20"] != session["after-31"]


def test_the_next_slate_knows_what_was_tracked(visit: Visit) -> None:
    with visit.server.client() as client:
        rows = [{"item_id": f"item-{n}", "title": f"Item {n}"} for n in range(6)]
        assert client.put("/v1/items", json={"items": rows}).status_code == 200
    visit.open()
    slate = visit.run("(endcap.track('purchase', {item_id: 'item-3'}), endcap.recommend({k: 5}))")
    shown = [item["item_id"] for item in slate["items"]]
    assert shown
    assert "item-3" not in shown
    assert visit.kinds()["purchase"] == 1


def test_a_page_of_modules_imports_it_as_it_is(visit: Visit) -> None:
    folder = Path(str(files("endcap.serve.tracker")))
    visit.page.route(
        "**/package/*",
        lambda r: r.fulfill(path=folder / Path(r.request.url).name, content_type="text/javascript"),
    )
    module = "import { init, track } from '/package/endcap.mjs'; init({userId: document.title});"
    body = (
        f"<!doctype html><title>{visit.user}</title>"
        f"<script type=module>{module} track('cart', {{item_id: 'lamp'}})</script>"
    )
    visit.page.route("**/shop.html", lambda r: r.fulfill(body=body, content_type="text/html"))
    visit.page.goto(visit.server.url + "/shop.html")
    visit.page.wait_for_function(f"{READ_QUEUE} === 1")
    visit.delivered()
    assert visit.kinds() == {"cart": 1}


def test_the_script_is_small_and_cached() -> None:
    content = files("endcap.serve.tracker").joinpath("endcap.js").read_bytes()
    assert len(gzip.compress(content, 9)) < 5_000


def test_a_shop_elsewhere_with_a_public_key(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("keyed") / "data"
    folder.mkdir()
    key, _ = KeyRing(folder).create("public")
    with ShopProcess(folder, env={"ENDCAP_SERVE__ORIGINS": '["http://localhost:9999"]'}) as server:
        visit = Visit(browser, (server, folder), "somebody")
        tag = f'src="{server.url}/endcap.js" data-url data-key="{key}" data-user="somebody"'
        body = PAGE.format(tag="").replace('<script src="/endcap.js" >', f"<script {tag}>")
        visit.page.route(
            "http://localhost:9999/*", lambda r: r.fulfill(body=body, content_type="text/html")
        )
        visit.page.goto("http://localhost:9999/shop.html")
        visit.delivered()
        visit.run("endcap.track('cart', {item_id: 'lamp'})")
        visit.page.goto("about:blank")
        for _ in range(100):
            if visit.kinds()["cart"]:
                break
            visit.page.wait_for_timeout(100)
        assert visit.kinds() == {"view": 1, "cart": 1}
        visit.context.close()
        assert visit.errors == []
