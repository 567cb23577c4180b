"""The console in a real Chromium, against a real server with a small trained shop."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "console"))
from console_world import build, items, purchases, serving
from hostile_texts import HOSTILE

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip
AXE = (Path(__file__).parents[1] / "data" / "axe" / "axe.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("browser") / "data"
    build(folder, items(), purchases())
    with serving(folder) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def watched(browser: Browser, site: str) -> Iterator[Open]:
    """Open a page; the test fails when it wrote an error, broke a policy or opened a dialog."""
    with watching(browser) as start:
        yield lambda path="/", **options: start(site + path, **options)


@contextmanager
def watching(browser: Browser) -> Iterator[Open]:
    troubles: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            troubles.append(f"{message.type}: {message.text}")

    def start(url: str, **options: Any) -> Page:
        context = browser.new_context(**{"locale": "en-GB", **options})
        contexts.append(context)
        context.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error('CSP '"
            " + e.violatedDirective + ' ' + e.blockedURI + ' ' + e.sample))"
        )
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: troubles.append(f"thrown: {error}"))
        page.on("dialog", lambda dialog: (troubles.append("a dialog"), dialog.dismiss())[0])
        page.goto(url)
        return page

    contexts: list[Any] = []
    yield start
    for context in contexts:
        context.close()
    assert troubles == []


def shelf(page: Page) -> list[str]:
    return page.locator("#cards .card-title").all_inner_texts()


def test_pick_a_shopper_buy_and_see_the_shelf_change(watched: Open) -> None:
    page = watched("/")
    page.get_by_role("searchbox").fill("1003")
    page.get_by_role("list", name="Shoppers found").get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="1003")).to_be_visible()
    before = shelf(page)
    assert len(before) == 12
    assert page.locator(".visit").count() == 2
    assert page.locator("#cards .why").first.inner_text().startswith("Because you bought")
    page.evaluate("window.stays = true")
    page.get_by_role("button", name=f"Buy {before[0]}").click()
    strip = page.get_by_role("status")
    expect(strip).to_contain_text(f"1003 bought {before[0]}")
    expect(strip).to_contain_text("safely stored in")
    assert page.evaluate("window.stays") is True  # in place: no page was loaded
    after = shelf(page)
    assert before[0] not in after
    assert page.locator(".visit").first.locator(".deed-title").all_inner_texts() == [before[0]]
    assert page.locator(".card-new, .card-up, .card-down").count() > 0
    page.get_by_role("button", name=f"View {after[3]}").click()
    expect(strip).to_contain_text(f"1003 viewed {after[3]}")
    expect(page.locator(".visit").first).to_contain_text("viewed")
    page.reload()
    assert page.locator(".visit").first.locator(".deed-title").count() == 2


def test_a_brand_new_visitor(watched: Open) -> None:
    page = watched("/?user=1000")
    page.get_by_role("link", name="A brand-new visitor").click()
    expect(page.locator(".history")).to_contain_text("Nothing yet")
    expect(page.locator(".shelf-head")).to_contain_text("Popular")
    expect(page.locator(".shelf-head")).to_contain_text("Fallback answer")
    bought = shelf(page)[0]
    page.get_by_role("button", name=f"Buy {bought}").click()
    expect(page.locator(".shelf-head")).to_contain_text("Personal")
    expect(page.locator("#cards .why").first).to_have_text(f"Because you bought {bought}")
    expect(page.locator(".history")).to_contain_text(bought)


def test_more_like_this_opens_and_closes(watched: Open) -> None:
    page = watched("/?user=1001")
    page.locator("#cards .similar").first.click()
    panel = page.locator("#like")
    expect(panel).to_be_visible()
    assert 0 < panel.locator(".card").count() <= 5
    assert "like=" in page.url
    panel.get_by_role("link", name="Close").click()
    expect(panel).to_have_count(0)
    page.go_back()
    expect(page.locator("#like")).to_be_visible()


def test_the_keyboard_alone_is_enough(watched: Open) -> None:
    page = watched("/?user=1002")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#cards') !== null")
    ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert ring == "solid"
    bought = shelf(page)[0]
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text(f"bought {bought}")
    assert page.evaluate("document.activeElement.id") == "strip"  # its button is gone
    page.get_by_role("searchbox").focus()
    page.keyboard.type("103")
    expect(page.locator(".found a").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator(".person-name")).to_have_text("1030")
    page.get_by_role("searchbox").focus()
    page.keyboard.type("1")
    expect(page.locator(".found")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".found")).to_have_count(0)


def test_the_language_switch_stays(watched: Open) -> None:
    page = watched("/?user=1004")
    page.get_by_role("link", name="中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("这是谁的货架？")
    expect(page.locator(".person-name")).to_have_text("1004")
    page.get_by_role("link", name="商品目录").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("商品目录")
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Catalogue")
    assert watched("/", locale="zh-CN").title().startswith("1")


def test_a_place_is_tried_out_published_and_undone(watched: Open) -> None:
    page = watched("/placements?name=similar")
    base = page.url.split("/placements")[0]
    expect(page.get_by_role("heading", name="Instead of this")).to_be_visible()
    body = page.get_by_role("textbox", name="Change it")
    text = body.input_value()
    assert "[[levels]]" in text

    def send(said: str, button: str) -> None:
        body.fill(said)
        page.get_by_role("button", name=button).click()

    send(f"filtr = 'price < 3'\n{text}", "Publish")
    expect(page.get_by_role("alert").filter(has_text="filtr")).to_contain_text("filter")
    assert body.input_value().startswith("filtr = 'price < 3'")  # nothing typed is lost

    ruled = (
        f"filter = 'price < 4'\n{text}\n[rules]\nquotas = [{{ where = 'price > 2', max = 3 }}]\n"
    )
    send(ruled, "Try it out")
    trial = page.locator("#trial-panel")
    expect(trial).to_contain_text("lively shoppers")
    expect(trial.locator(".prices tbody tr")).to_have_count(1)
    expect(trial.locator(".pair")).to_have_count(4)
    now = page.request.get(f"{base}/v1/placements/similar").json()
    assert (now["origin"], now["version"]) == ("recipe", 0)  # nothing was changed

    send(ruled, "Publish")
    expect(page.get_by_role("status")).to_have_text(
        "Published. The next request is answered by it."
    )
    slate = page.request.get(
        f"{base}/v1/recommendations?placement=similar&context_items=k1&k=8"
    ).json()["items"]
    assert slate
    assert all(float(item["properties"]["price"]) < 4 for item in slate)
    page.get_by_role("button", name="Undo the last change").click()
    expect(page.get_by_role("status")).to_have_text("Undone. The version before answers again.")
    assert page.request.get(f"{base}/v1/placements/similar").json()["origin"] == "recipe"


def test_a_new_place_begins_from_the_home_page(watched: Open) -> None:
    page = watched("/placements")
    base = page.url.split("/placements")[0]
    page.get_by_label("A new place").fill("garden-sale")
    page.get_by_role("button", name="Begin from the home page").click()
    expect(page.locator(".lead").first).to_contain_text("There is no such place yet")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("link", name="garden-sale")).to_have_attribute("aria-current", "page")
    slate = page.request.get(
        f"{base}/v1/recommendations?placement=garden-sale&user_id=1001&k=3"
    ).json()
    assert (slate["placement"], slate["degraded"]) == ("garden-sale", False)


def test_the_heat_map_is_drawn_and_has_a_table(watched: Open) -> None:
    page = watched("/?user=1005", color_scheme="dark")
    page.locator("#heat").scroll_into_view_if_needed()
    expect(page.locator("#heat canvas").first).to_be_visible()
    page.locator("#heat").hover(position={"x": 260, "y": 25})
    page.emulate_media(color_scheme="light")
    page.get_by_text("Show as a table").click()
    cells = page.locator("#heat-table td").all_inner_texts()
    assert any(cell.endswith(" %") for cell in cells)
    page.get_by_text("Show places").click()
    assert page.locator("#tail-table tbody tr").count() == 12


def test_the_catalogue_searches_in_place_and_the_log_is_followed_on_request(watched: Open) -> None:
    page = watched("/catalogue")
    page.get_by_role("searchbox").fill("cake")
    expect(page.locator("tbody tr")).to_have_count(2)
    assert page.url.endswith("?q=cake")
    page = watched("/events")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(3500)
    assert not [url for url in asked if url.endswith("/events")]
    page.get_by_label("Follow live").check()
    with page.expect_response(lambda response: response.url.endswith("/events")):
        pass


def test_all_works_without_scripts(watched: Open) -> None:
    page = watched("/?user=1007", java_script_enabled=False)
    bought = shelf(page)[0]
    page.get_by_role("button", name=f"Buy {bought}").click()
    expect(page.locator(".strip")).to_contain_text(f"1007 bought {bought}")
    assert bought not in shelf(page)
    page.get_by_role("searchbox").fill("1008")
    page.get_by_role("button", name="Find").click()
    expect(page.locator(".person-name")).to_have_text("1008")
    page.locator("#cards .similar").first.click()
    expect(page.locator("#like")).to_be_visible()
    page.locator("#like").get_by_role("link", name="Close").click()
    expect(page.locator("#like")).to_have_count(0)


@pytest.mark.slow
@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("zh", "dark")])
def test_axe_finds_nothing(watched: Open, language: str, scheme: str) -> None:
    visited = (
        "/?user=1010",
        "/?visitor=v1&like=t2",
        "/placements?name=similar",
        "/catalogue",
        "/events",
        "/?q=zzz",
    )
    page = watched(f"/?lang={language}", color_scheme=scheme, reduced_motion="reduce")
    base = page.url.split("/?")[0]
    for path in visited:
        page.goto(base + path)
        if path.startswith("/?user"):
            page.get_by_role("button").nth(1).click()
            page.locator(".strip").wait_for()
            for details in page.locator("details").all():
                details.evaluate("element => { element.open = true }")
        page.evaluate(AXE)
        found = page.evaluate("tags => axe.run({runOnly: {type: 'tag', values: tags}})", RULES)
        told = [(v["id"], [n["html"][:160] for n in v["nodes"]]) for v in found["violations"]]
        assert told == [], path
        assert len(found["passes"]) > 10


@pytest.mark.parametrize("width", [320, 360, 720, 1024, 1600])
def test_no_page_scrolls_sideways(watched: Open, width: int) -> None:
    """720 px at 200 % zoom is 360 px, and 1280 px at 400 % is 320 px."""
    page = watched("/?user=1011&like=k3", viewport={"width": width, "height": 800})
    base = page.url.split("/?")[0]
    for path in ("", "/placements", "/catalogue", "/events"):
        if path:
            page.goto(base + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        small = page.evaluate(
            """() => [...document.querySelectorAll('a, button, input, summary')]
              .filter(e => e.offsetParent && !e.closest('.skip') && e.type !== 'hidden')
              .map(e => [e.outerHTML.slice(0, 90), e.getBoundingClientRect()])
              .filter(([, box]) => box.height < 24 || box.width < 24).map(([html]) => html)"""
        )
        assert small == [], path


def test_nobody_but_htmx_writes_html(browser: Browser, site: str) -> None:
    page = browser.new_page()
    page.goto(f"{site}/?user=1014")
    attempts = {
        "markup": "document.body.innerHTML = '<b>x</b>'",
        "script": "document.body.append(Object.assign(document.createElement('script'), "
        "{textContent: 'window.ran = true'}))",
    }
    for name, code in attempts.items():
        tried = f"() => {{ try {{ {code}; return 'done' }} catch (e) {{ return e.name }} }}"
        assert page.evaluate(tried) == "TypeError", name
    assert page.evaluate("window.ran") is None
    page.close()


def test_a_server_that_is_gone_is_told(browser: Browser, site: str) -> None:
    page = browser.new_page(locale="en-GB")
    page.goto(f"{site}/?user=1013")
    page.route("**/console/events", lambda route: route.abort())
    page.get_by_role("button", name="Buy").nth(0).click()
    expect(page.get_by_role("alert")).to_contain_text("No answer from the server")
    page.close()


@pytest.fixture(scope="module")
def hostile_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("hostile") / "data"
    titles = {f"h{n:03}": text for n, text in enumerate(HOSTILE)}
    build(
        folder,
        items(titles),
        purchases(tuple(titles), shoppers=30),
        url=[*HOSTILE[1:], HOSTILE[0]],
        image=[*HOSTILE[2:], *HOSTILE[:2]],
        categories=[[text] for text in HOSTILE],
    )
    with serving(folder) as address:
        yield address


@pytest.mark.slow
def test_hostile_catalogues_stay_text(browser: Browser, hostile_site: str) -> None:
    assert len(HOSTILE) >= 50
    with watching(browser) as start:
        page = start(f"{hostile_site}/?user=1003")
        page.locator("#heat").scroll_into_view_if_needed()
        expect(page.locator("#heat canvas").first).to_be_visible()
        page.locator("#heat").hover(position={"x": 250, "y": 20})
        page.get_by_role("button").nth(1).click()
        page.locator(".strip").wait_for()
        for card in range(3):
            page.locator("#cards .similar").nth(card).click()
            expect(page.locator("#like")).to_be_visible()
        shown = set()
        for offset in (0, 50):
            page.goto(f"{hostile_site}/catalogue?offset={offset}")
            shown |= set(page.locator(".thumb-words > span").all_inner_texts())
            for link in page.locator("tbody a").all():
                assert (link.get_attribute("href") or "").startswith(("http://", "https://"))
            for image in page.locator("tbody img").all():
                assert (image.get_attribute("src") or "").startswith(("http://", "https://"))
        assert any("<script>" in text.lower() for text in shown)
        for text in HOSTILE[:40:4]:
            page.goto(f"{hostile_site}/?{urlencode({'q': text})}")
            assert page.get_by_role("searchbox").input_value() == text
        page.goto(f"{hostile_site}/events")
