"""The pages over HTTP: what they show, what their twins say, and what a form does."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from console_world import TITLES

from endcap.serve.console.guard import HEADERS
from endcap.serve.console.tiles import calm

PAGES = ("/", "/?user=1003", "/catalogue", "/events", "/?user=1003&like=k1", "/?q=10")


def form(
    item_id: str, *, kind: str = "purchase", event_id: str = "f1", **who: str
) -> dict[str, str]:
    return {"event_id": event_id, "kind": kind, "item_id": item_id, **who}


def seat(web: httpx.Client, **who: str) -> dict[str, Any]:
    answer = web.get("/index.json", params=who)
    assert answer.status_code == 200
    seat: dict[str, Any] = answer.json()
    return seat


def deeds(seat: dict[str, Any]) -> list[tuple[str, str]]:
    return [(d["kind"], d["item_id"]) for visit in seat["visits"] for d in visit["deeds"]]


def test_the_seat_shows_history_slate_and_reasons(web: httpx.Client) -> None:
    page = web.get("/", params={"user": "1003"}).text
    told = seat(web, user="1003")
    assert told["slate"]["served_by"] == "personal"
    assert len(told["visits"]) == 2
    for item in told["slate"]["items"]:
        assert calm(TITLES[item["item_id"]]) in page
    for _, item_id in deeds(told):
        assert calm(TITLES[item_id]) in page
    assert "Because you bought <b>" in page
    assert not {i["item_id"] for i in told["slate"]["items"]} & {i for _, i in deeds(told)}


def test_the_front_page_seats_a_lively_shopper(web: httpx.Client) -> None:
    told = seat(web)
    assert told["shopper"]["user_id"] in {str(1000 + n) for n in range(45)}
    assert told["shopper"]["events"] == 7


def test_buying_moves_an_item_from_the_shelf_to_the_history(web: httpx.Client) -> None:
    before = seat(web, user="1006")
    item_id = before["slate"]["items"][0]["item_id"]
    answer = web.post("/console/events", data=form(item_id, event_id="buy-1006", user="1006"))
    assert answer.status_code == 200
    assert [h.status_code for h in answer.history] == [303]
    assert f"<b>{calm(TITLES[item_id])}</b>" in answer.text
    assert "safely stored in" in answer.text
    after = seat(web, user="1006", did="buy-1006")
    assert item_id not in {i["item_id"] for i in after["slate"]["items"]}
    assert deeds(after)[0] == ("purchase", item_id)
    assert item_id in after["happening"]["left"]
    assert after["happening"]["fate"] == "stored"


def test_the_same_form_twice_counts_once(web: httpx.Client) -> None:
    data = form("k1", kind="view", event_id="twice", user="1009")
    first, second = (web.post("/console/events", data=data) for _ in range(2))
    assert first.status_code == second.status_code == 200
    assert deeds(seat(web, user="1009")).count(("view", "k1")) == 1
    assert seat(web, user="1009")["visits"][0]["deeds"][0]["times_done"] == 1


def test_a_brand_new_visitor_is_known_after_one_click(web: httpx.Client) -> None:
    landed = web.get("/console/visitor")
    visitor = parse_qs(urlsplit(str(landed.url)).query)["visitor"][0]
    assert "Nothing yet" in landed.text
    assert "Fallback answer" in landed.text
    assert seat(web, visitor=visitor)["slate"]["served_by"] == "popular"
    web.post("/console/events", data=form("k1", event_id=f"e-{visitor}", visitor=visitor))
    known = seat(web, visitor=visitor)
    assert known["slate"]["served_by"] == "personal"
    assert deeds(known) == [("purchase", "k1")]
    assert known["slate"]["items"][0]["item_id"].startswith("k")


def test_like_shows_similar_items(web: httpx.Client) -> None:
    told = seat(web, user="1003", like="t2")
    assert told["like"]["item_id"] == "t2"
    assert 0 < len(told["like"]["items"]) <= 5
    assert "t2" not in told["like"]["items"]
    assert "More like Party box" in web.get("/", params={"user": "1003", "like": "t2"}).text


def test_an_unknown_shopper_is_answered(web: httpx.Client) -> None:
    told = seat(web, user="nobody \U0001f600 <x>")
    assert told["slate"]["items"]
    assert (
        "nobody \U0001f600 &lt;x&gt;" in web.get("/", params={"user": "nobody \U0001f600 <x>"}).text
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "{own}"}, 303),
        ({"origin": "{own}", "sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_only_our_own_pages_may_post(
    console_site: str, headers: dict[str, str], status: int
) -> None:
    sent = {name: value.format(own=console_site) for name, value in headers.items()}
    data = form("k2", kind="view", event_id="own", user="1012")
    answer = httpx.post(f"{console_site}/console/events", data=data, headers=sent)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({}, 422),
        (form("k1", user=""), 422),
        (form("", user="1"), 422),
        (form("k1", kind="refund", user="1"), 422),
        (form("k" * 600, user="1"), 422),
        ({**form("k1", user="1"), "like": "x" * 20_000}, 413),
        ({f"f{n}": "x" for n in range(30)}, 422),
        ({**form("k1", user="1"), "kind": ["view", "purchase"]}, 422),
    ],
)
def test_a_form_that_is_not_whole_records_nothing(
    web: httpx.Client, data: dict[str, Any], status: int
) -> None:
    before = web.get("/events.json").json()["stored"]
    answer = web.post("/console/events", data=data)
    assert answer.status_code == status
    assert "nothing was recorded" in answer.text
    assert web.get("/events.json").json()["stored"] >= before


def test_bytes_that_are_no_text_are_refused(web: httpx.Client) -> None:
    answer = web.post("/console/events", content=b"kind=\xff\xfe")
    assert answer.status_code == 422


def test_what_fails_validation_goes_to_quarantine_and_says_so(web: httpx.Client) -> None:
    answer = web.post("/console/events", data=form("k1", event_id="q", user="undefined"))
    assert "went to quarantine" in answer.text
    told = web.get("/events.json").json()
    assert told["quarantined"] >= 1
    assert sum(r["rows"] for r in told["reasons"]) == told["quarantined"]
    assert told["reasons"][0]["code"] in web.get("/events").text


def test_the_events_page_shows_the_newest_first(web: httpx.Client) -> None:
    web.post("/console/events", data=form("g3", kind="view", event_id="newest", user="1015"))
    told = web.get("/events.json").json()
    times = [row["time"] for row in told["newest"]]
    assert times == sorted(times, reverse=True)
    assert ("view", "1015", "g3") in {(r["kind"], r["actor"], r["item_id"]) for r in told["newest"]}
    assert "Daisy pot" in web.get("/events").text


def test_the_catalogue_is_searched_and_paged(web: httpx.Client) -> None:
    everything = web.get("/catalogue.json").json()
    assert everything["total"] == len(TITLES)
    assert [i["item_id"] for i in everything["items"]] == sorted(TITLES)
    assert sum(i["sold"] for i in everything["items"]) >= 45 * 7
    found = web.get("/catalogue.json", params={"q": "caKe"}).json()["items"]
    assert {i["title"] for i in found} == {"CAKE STAND", "CAKE TINS"}
    page = web.get("/catalogue", params={"offset": 20}).text
    assert "21–24 of 24" in page
    assert 'rel="prev"' in page
    assert "No item matches" in web.get("/catalogue", params={"q": "%_\\"}).text
    assert web.get("/catalogue", params={"offset": "-1 or 1"}).status_code == 200


def test_shoppers_are_found_while_typing(web: httpx.Client) -> None:
    found = web.get("/console/shoppers", params={"q": "100"}).text
    assert 'href="/?user=1000"' in found
    assert "Open “100” as a new shopper" in found
    assert web.get("/console/shoppers", params={"q": " "}).text == ""
    assert web.get("/console/shoppers", params={"q": "1003"}).text.count("new shopper") == 0
    assert str(web.get("/", params={"q": "1003"}).url).endswith("/?user=1003")
    assert 'href="/?user=10"' in web.get("/", params={"q": "10"}).text


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_strict(web: httpx.Client, path: str) -> None:
    answer = web.get(path)
    assert answer.status_code == 200
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert not re.search(r"<[^>]+\sstyle=", answer.text)
    assert not re.search(r"<[^>]+\son[a-z]+=", answer.text)
    assert not re.search(r"<(style|script)(?![^>]*\ssrc=)", answer.text)
    assert not re.search(r"(src|href)=\"(https?:)?//", answer.text)


def test_languages_by_header_query_and_cookie(console_site: str) -> None:
    chinese = {"accept-language": "fr;q=0.9, zh-CN;q=0.8, en;q=0.5"}
    with httpx.Client(base_url=console_site, headers=chinese) as c:
        assert 'lang="zh-CN"' in c.get("/events").text.split("\n", 2)[1]
        assert "此刻的推荐" in c.get("/").text
        assert 'lang="en"' in c.get("/events?lang=en").text.split("\n", 2)[1]
        assert 'lang="en"' in c.get("/events").text.split("\n", 2)[1]
        assert 'lang="en"' in c.get("/events?lang=xx").text.split("\n", 2)[1]


def test_static_files_are_kept_packed_and_nothing_else_is_served(console_site: str) -> None:
    with httpx.Client(base_url=console_site) as c:
        link = re.search(r'href="(/console/static/console\.css\?v=\w+)"', c.get("/").text)
        assert link
        kept = c.get(link[1])
        assert "immutable" in kept.headers["cache-control"]
        assert kept.headers["content-encoding"] == "gzip"
        plain = c.get(link[1], headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.text == kept.text
        again = c.get(link[1], headers={"if-none-match": kept.headers["etag"]})
        assert again.status_code == 304
        assert c.get("/console/static/console.css").headers["cache-control"] == "no-cache"
        for path in ("../router.py", "%2e%2e/router.py", "vendor/VENDORED.md", "no.css"):
            assert c.get(f"/console/static/{path}").status_code == 404
