"""Row 31: artefacts change under load; nobody is refused and no answer is of two of them."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from http_shop import ENDCAP, ODD, ShopProcess

from endcap.events.opening import open_store
from endcap.prepare.run import prepare_store
from endcap.recommend.artefacts import promote
from endcap.recommend.recipe import Recipe, load_recipe
from endcap.recommend.training import train
from endcap.schema.settings import Settings
from endcap.testing.contracts.sample_rows import event, events
from endcap.testing.servers import until
from rounds import sized

pytestmark = [pytest.mark.slow, pytest.mark.torture]
SWAPS = sized(6, 50)
SHOPPERS = [f"u{n}" for n in range(12)]
Answers = list[tuple[str, str, list[str]]]
"""Artefact, shopper and items of each."""
LEVEL = {"name": "popular", "evidence": "none", "weights": {"popular": 1.0}}
POPULAR = {
    "name": "popular-only",
    "models": {"popular": {"plugin": "popular"}},
    "placements": {name: {"levels": [LEVEL]} for name in ("home", "similar")},
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, str]]:
    """A folder, and two artefacts in it that answer differently."""
    folder = tmp_path_factory.mktemp("swap") / "shop"
    settings = Settings.parse({"store": {"folder": folder}})
    store = open_store(settings.store)
    bought = [
        event(
            u * 10 + n,
            user_id=f"u{u}",
            kind="purchase",
            item_id=f"i{(u % 3) * 7 + n * (u % 2 + 1)}",
        )
        for u in range(60)
        for n in range(6)
    ]
    store.log.append(events(*bought))
    data = prepare_store(store, settings).dataset
    store.close()
    recipes = [load_recipe("simple"), Recipe.parse(POPULAR, where="this test")]
    first, second = (train(data, recipe, folder).id for recipe in recipes)
    return folder, (first, second)


def alone(shop: ShopProcess, artefact: str, folder: Path) -> dict[str, list[str]]:
    """Return what every shopper is answered while nothing but `artefact` serves."""
    promote(folder, artefact)
    with shop.client() as client:
        end = time.monotonic() + 60
        seen: list[str] = []
        while set(seen[-30:]) != {artefact} or len(seen) < 30:  # whichever worker answers
            seen.append(httpx.get(f"{shop.url}/version", timeout=30).json()["artefact"])
            assert time.monotonic() < end, seen[-5:]
        return {who: ask(client, who)[2] for who in SHOPPERS}


def ask(client: httpx.Client, who: str) -> tuple[str, str, list[str]]:
    answer = client.get("/v1/recommendations", params={"user_id": who, "k": 6})
    assert answer.status_code == 200, answer.text
    slate: dict[str, Any] = answer.json()
    return slate["artefact"], who, [item["item_id"] for item in slate["items"]]


def swapped_under_load(shop: ShopProcess, folder: Path, artefacts: Sequence[str]) -> Answers:
    """Let one artefact follow the other while four clients ask; return all that was answered."""
    answers: Answers = []
    wrong: list[str] = []
    leave = threading.Event()

    def visit(number: int) -> None:
        try:
            while not leave.is_set():
                with shop.client() as client:  # another connection, perhaps another worker
                    for who in SHOPPERS[number::2]:
                        answers.append(ask(client, who))
        except (httpx.HTTPError, AssertionError) as error:
            wrong.append(repr(error))

    visitors = [threading.Thread(target=visit, args=(number % 2,)) for number in range(4)]
    for visitor in visitors:
        visitor.start()
    for swap in range(SWAPS):
        promote(folder, artefacts[swap % 2])
        seen = len(answers)
        end = time.monotonic() + 60
        while not any(a == artefacts[swap % 2] for a, *_ in answers[seen:]):
            assert time.monotonic() < end, wrong
            assert wrong == []
            time.sleep(0.02)
    leave.set()
    for visitor in visitors:
        visitor.join()
    assert wrong == []
    return answers


def held(shop: ShopProcess) -> set[str]:
    """Return the artefacts of which any process of a server holds a file in its memory."""
    family = psutil.Process(shop.process.pid)
    pids = [one.pid for one in (family, *family.children(recursive=True))]
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    return {line.rpartition("/models/")[2].split("/")[0] for line in lines if "/models/" in line}


def held_while_asked(shop: ShopProcess) -> set[str]:
    """As `held`; a worker whom nobody asks any more may keep what its last answer came from."""
    for who in SHOPPERS:
        with shop.client() as client:  # another connection, perhaps another worker
            ask(client, who)
    return held(shop)


def test_two_workers_change_over_and_every_answer_is_of_one_artefact(
    shop: tuple[Path, tuple[str, str]],
) -> None:
    folder, artefacts = shop
    with ShopProcess(folder, [*ENDCAP, "--workers", "2"]) as running:
        expected = {artefact: alone(running, artefact, folder) for artefact in artefacts}
        first, second = expected.values()
        assert all(first[who] != second[who] for who in SHOPPERS)
        answers = swapped_under_load(running, folder, artefacts)
        assert {artefact for artefact, *_ in answers} == set(artefacts)
        assert [a for a in answers if expected[a[0]][a[1]] != a[2]] == []
        last = artefacts[(SWAPS - 1) % 2]
        until(lambda: held_while_asked(running) == {last}, 30)  # 10 s are promised
        assert running.stop() == 0


def test_twin_a_server_that_names_one_and_asks_another_is_caught(
    shop: tuple[Path, tuple[str, str]],
) -> None:
    folder, artefacts = shop
    with ShopProcess(folder, ENDCAP) as running:
        expected = {artefact: alone(running, artefact, folder) for artefact in artefacts}
        assert running.stop() == 0
    with ShopProcess(folder, [*ODD, "torn"]) as torn:
        answers = swapped_under_load(torn, folder, artefacts)
        assert [a for a in answers if expected[a[0]][a[1]] != a[2]] != []
