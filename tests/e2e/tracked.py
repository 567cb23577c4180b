"""A shopper's Chromium on a shop's page that has the tracker, and the server behind it."""

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from http_shop import ShopProcess
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from endcap.events.opening import open_store
from endcap.schema.settings import StoreSettings

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-features=LocalNetworkAccessChecks",  # the server of the test is on the loopback
]
PAGE = """<!doctype html><title>shop</title><script src="/endcap.js" {tag}></script>
<h1 data-endcap-view="lamp">Lamp</h1><p style="height:3000px">far</p>
<a id="vase" data-endcap-item="vase" data-endcap-request="r1" data-endcap-position="2">Vase
</a>"""
READ_QUEUE = "JSON.parse(localStorage.getItem('endcap.queue') || '[]').length"

IN_CHROMIUM = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


@contextmanager
def browsing() -> Iterator[Browser]:
    """Start Chromium."""
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@contextmanager
def selling(folder: Path) -> Iterator[tuple[ShopProcess, Path]]:
    """Start a server; give it and its folder."""
    with ShopProcess(folder) as server:
        yield server, folder


class Visit:
    """One shopper's browser: every error of the page counts."""

    def __init__(self, browser: Browser, shop: tuple[ShopProcess, Path], user: str) -> None:
        self.server, self.folder = shop
        self.user = user
        self.context: BrowserContext = browser.new_context()
        self.errors: list[str] = []
        self.page: Page = self.tab()

    def tab(self) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        return page

    def open(self, tag: str | None = None, page: Page | None = None) -> None:
        page = page or self.page
        tag = f'data-url data-user="{self.user}"' if tag is None else tag
        body = PAGE.format(tag=tag)
        page.route("**/shop.html", lambda r: r.fulfill(body=body, content_type="text/html"))
        page.goto(self.server.url + "/shop.html")

    def run(self, script: str) -> Any:
        return self.page.evaluate(script)

    def delivered(self) -> None:
        self.page.wait_for_function(f"{READ_QUEUE} === 0", timeout=20_000)

    def stored(self) -> list[dict[str, Any]]:
        store = open_store(StoreSettings(folder=self.folder))
        try:
            rows = [row for batch in store.log.scan() for row in batch.to_pylist()]
        finally:
            store.close()
        return [row for row in rows if row["user_id"] == self.user]

    def kinds(self) -> Counter[str]:
        return Counter(row["kind"] for row in self.stored())


@contextmanager
def visiting(browser: Browser, shop: tuple[ShopProcess, Path], user: str) -> Iterator[Visit]:
    """Let a shopper come; no page may have had an error when they go."""
    one = Visit(browser, shop, user)
    yield one
    one.context.close()
    assert one.errors == []
