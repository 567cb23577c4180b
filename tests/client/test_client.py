"""The Python client against a real server; it speaks the server's own shapes."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from endcap import client
from endcap.client import Client, Receipt, Refused, Slate, answers, asks
from endcap.schema.settings import Settings, StoreSettings
from endcap.serve.http import problems, shapes
from endcap.serve.http.app import create_app

sys.path.insert(0, str(Path(__file__).parents[1] / "serve"))
from served_shop import served


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("client")
    with served(create_app(Settings(store=StoreSettings(folder=folder)))) as shop:
        yield str(shop.client.base_url)


@pytest.fixture
def shop(address: str) -> Iterator[Client]:
    with Client(address) as client:
        yield client


def fields(shape: type) -> set[str]:
    return {field.name for field in msgspec.structs.fields(shape)}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (answers.Receipt, shapes.ReceiptOut),
        (answers.Slate, shapes.SlateOut),
        (answers.SlateItem, shapes.SlateItemOut),
        (answers.Reason, shapes.ReasonOut),
        (answers.Step, shapes.StepOut),
        (answers.Rule, shapes.RuleOut),
        (answers.Counterfactual, shapes.CounterfactualOut),
        (answers.Group, shapes.GroupOut),
        (answers.Member, shapes.MemberOut),
        (answers.Place, shapes.PlacementOut),
        (answers.Replayed, shapes.ReplayOut),
        (answers.HistoryEvent, shapes.HistoryEvent),
        (answers.Fault, problems.Fault),
    ],
)
def test_the_client_knows_every_field_of_the_server(ours: type, theirs: type) -> None:
    assert fields(ours) == fields(theirs)


def test_from_the_catalogue_to_a_slate_that_follows_an_event(shop: Client) -> None:
    rows = [{"item_id": f"i/{n}", "title": f"Item {n}", "brand": None} for n in range(5)]
    assert shop.put_items(rows).stored == 5
    assert shop.put_users([{"user_id": "anna", "attributes": {"tier": "gold"}}]).stored == 1
    before = shop.recommend(user_id="anna", k=5)
    assert isinstance(before, Slate)
    assert isinstance(before.generated_at, datetime)
    assert "i/2" in before.item_ids
    again = shop.replay(before.request_id)
    assert (again.identical, list(again.answered)) == (True, before.item_ids)
    assert again.slate is not None
    assert again.slate.items == before.items
    assert shop.track("purchase", user_id="anna", item_id="i/2", price="9.50").stored == 1
    assert "i/2" not in shop.recommend(user_id="anna", k=5).item_ids
    assert [event.kind for event in shop.history("anna")] == ["purchase"]
    assert "i/0" not in shop.similar("i/0", k=3).item_ids
    shop.alias("browser-1", "anna")
    assert shop.delete_item("i/1")
    assert not shop.delete_item("i/1")


def kinds(shape: Any) -> dict[str, set[str]]:
    """Return which types of JSON each field may have; null says nothing, and is left out."""
    hints = get_type_hints(shape)
    # A moment is sent as a text, which it is an alternative to.
    told = [(name, str if datetime in get_args(kind) else kind) for name, kind in hints.items()]
    _, components = msgspec.json.schema_components([msgspec.defstruct("Told", told)])
    found = components["Told"]["properties"]
    return {name: _types(schema) - {"null"} for name, schema in found.items()}


def _types(schema: dict[str, Any]) -> set[str]:
    if "anyOf" in schema:
        return set.union(*map(_types, schema["anyOf"]))
    if "enum" in schema:
        return {repr(sorted(schema["enum"]))}
    if schema.get("type") == "array":
        return {f"array of {sorted(_types(schema['items']))}"}
    return {schema["type"]}


@pytest.mark.parametrize(
    ("ours", "named", "theirs"),
    [
        (asks.Event, set(), shapes.Event),
        (asks.Ask, set(), shapes.Ask),
        (asks.AskMore, {"user_id", "visitor_id", "placement", "k"}, shapes.Ask),
        (asks.SimilarMore, {"k"}, shapes.SimilarQuery),
        (asks.GroupsMore, {"by", "user_id", "k"}, shapes.GroupsQuery),
    ],
)
def test_what_is_sent_is_typed_as_the_server_takes_it(
    ours: Any, named: set[str], theirs: type
) -> None:
    known = kinds(theirs)
    assert named <= set(known)
    assert kinds(ours) == {name: types for name, types in known.items() if name not in named}
    needed = {field.name for field in msgspec.structs.fields(theirs) if field.required}
    assert ours.__required_keys__ == needed


@pytest.mark.slow
def test_a_type_checker_finds_what_is_misspelt(tmp_path: Path) -> None:
    good = """
from endcap.client import Ask, Client, Event, Slate

def ask(shop: Client, events: list[Event], asks: list[Ask]) -> None:
    shop.track("view", user_id="u", item_id="i", quantity=2, price="9.50")
    shop.events(events)
    shop.events([{"kind": "view", "visitor_id": "v"}])
    slate: Slate = shop.recommend(user_id="u", context_items=["i"], lang="zh", prices=True)
    shop.recommend_many([{"user_id": "u"}, *asks])
    shop.similar("i", lat=1.0)
    shop.groups("brand", level=1)
"""
    bad = """
from endcap.client import Client

def ask(shop: Client) -> None:
    shop.track("view", usr_id="u")
    shop.track("view", quantity="two")
    shop.events([{"visitor_id": "v"}])
    shop.recommend(contxt_items=["i"])
    shop.recommend(lang="de")
    shop.recommend_many([{"user": "u"}])
    shop.similar("i", boost="1")
    shop.groups("brand", levels=1)
"""
    for name, text in (("good.py", good), ("bad.py", bad)):
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", "cache", "good.py", "bad.py"],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=300,
        env={**os.environ, "MYPYPATH": str(Path(client.__file__).parents[2])},
    )  # fmt: skip
    found = {tuple(line.split(":")[:2]) for line in done.stdout.splitlines() if ": error:" in line}
    assert {place for place in found if place[0] in {"good.py", "bad.py"}} == {
        ("bad.py", str(number)) for number in range(5, 13)
    }, done.stdout + done.stderr


def test_many_are_asked_for_in_portions_and_a_bad_one_is_named(shop: Client) -> None:
    shop.put_items([{"item_id": f"m{n}", "title": "M"} for n in range(3)])
    patched = shop.patch_items([{"item_id": f"m{n}", "title": None} for n in range(4)])
    assert (patched.stored, patched.quarantined) == (3, 1)
    many: list[asks.Ask] = [
        {"user_id": None, "rank": [f"m{n % 3}"], "k": 1, "placement": "home"} for n in range(230)
    ]
    many[117] = {"k": 0}
    found = shop.recommend_many(iter(many), timeout_ms=60_000)
    refused = found.pop(117)
    assert isinstance(refused, Refused)
    assert (refused.status, refused.problem) == (422, "invalid-request")
    assert [fault.field for fault in refused.errors] == ["k"]
    del many[117]
    for ask, slate in zip(many, found, strict=True):
        assert isinstance(slate, Slate)
        assert slate.item_ids == ask["rank"]
    assert shop.recommend_many([]) == []


def test_a_place_is_edited_and_taken_back(shop: Client) -> None:
    shop.put_items([{"item_id": f"p{n}", "brand": f"B{n % 2}"} for n in range(4)])
    level = {"name": "popular", "evidence": "none", "weights": {"popular": 1.0}}
    pin = {"item": "p2", "position": 1}
    place = shop.put_placement("home", {"levels": [level], "rules": {"pins": [pin]}}, version=0)
    assert (place.origin, place.version) == ("edited", 1)
    slate = shop.recommend(k=2, prices=True)
    assert slate.item_ids[0] == "p2"
    assert [(rule.name, rule.met) for rule in slate.rules] == [("pin at 1", True)]
    with pytest.raises(Refused) as refused:
        shop.put_placement("home", {"levels": [level]}, version=0)
    assert (refused.value.status, refused.value.problem) == (409, "conflict")
    assert {p.name: p.origin for p in shop.placements()}["home"] == "edited"
    shop.delete_placement("home")
    assert shop.recommend(k=2).rules == ()
    shop.undo_placement("home")
    assert shop.recommend(k=2).item_ids[0] == "p2"
    shop.delete_placement("home")
    assert {group.value for group in shop.groups("brand", k=9)} >= {"B0", "B1"}


def test_many_events_are_sent_in_portions_and_faults_name_their_row(shop: Client) -> None:
    events: list[dict[str, Any]] = [
        {"kind": "view", "user_id": "bob", "item_id": f"i{n}"} for n in range(2_500)
    ]
    events[1_700]["kind"] = "veiw"
    told = shop.events(iter(events))
    assert (told.received, told.stored, told.quarantined) == (2_500, 2_499, 1)
    assert [fault.index for fault in told.errors] == [1_700]
    assert "view" in told.errors[0].message


def test_large_rows_are_sent_in_smaller_portions(shop: Client) -> None:
    rows = [{"item_id": f"large-{n}", "description": "x" * 9_000} for n in range(300)]
    assert shop.put_items(rows).stored == 300


def test_a_refusal_names_what_is_wrong(shop: Client) -> None:
    with pytest.raises(Refused) as refused:
        shop.recommend(user_id="anna", k=0)
    assert refused.value.status == 422
    assert refused.value.problem == "invalid-request"
    assert refused.value.request_id


def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    waits: list[float] = []
    with Client(url, attempts=3, sleep=waits.append) as client, pytest.raises(Refused) as refused:
        client.track("view", user_id="u", item_id="i")
    assert refused.value.problem == "unreachable"
    assert len(waits) == 2
    assert waits[0] < waits[1] * 2


class Flaky(BaseHTTPRequestHandler):
    """Answers 503, then cuts the connection, then forwards nothing but a receipt."""

    seen: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.seen.append((self.headers["idempotency-key"], body))
        if len(self.seen) == 1:
            self.send_response(503)
            self.send_header("retry-after", "2")
            self.end_headers()
        elif len(self.seen) == 2:
            self.close_connection = True
        else:
            answer = b'{"received": 1, "stored": 1, "a_newer_field": true}'
            self.send_response(202)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_what_had_no_answer_is_sent_again_as_it_was() -> None:
    seen: list[tuple[str, bytes]] = []
    server = HTTPServer(("127.0.0.1", 0), type("Handler", (Flaky,), {"seen": seen}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    waits: list[float] = []
    try:
        with Client(f"http://127.0.0.1:{server.server_port}", sleep=waits.append) as client:
            assert client.track("view", user_id="u", item_id="i") == Receipt(1, 1)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert len(seen) == 3
    assert len(set(seen)) == 1  # the same key, the same event_id, the same bytes
    assert waits[0] == 2.0
