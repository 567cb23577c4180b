"""What the knowledge graph brought says by which path, and loses what it says without its start."""

import json
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recommend_worlds import NOW, MemoryState, catalogue_of, micros

from endcap.models.base import Model
from endcap.models.popular import Popular
from endcap.models.related import Related
from endcap.prepare.dataset import Dataset
from endcap.recommend.artefacts import Artefact
from endcap.recommend.blend import blend
from endcap.recommend.evidence import Moment
from endcap.recommend.explain import explain
from endcap.recommend.recipe import Recipe
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Request, Slate, Step
from endcap.recommend.state import History
from endcap.recommend.weighing import Weighing
from endcap.serve.console.cards import why
from endcap.serve.http.recommendations import shown

BOOKS = [f"book{n:02}" for n in range(11)]
FILMS = [f"film{n:02}" for n in range(7)]
AUTHORS = ("Austen", "Herbert", "<b>Lem</b>\x02")
T = micros(NOW)


def told() -> pa.Table:
    """Each book has one of three authors, each film a story of one of them."""
    items = [*BOOKS, *FILMS]
    named = [*((n % 3, "author") for n in range(11)), *((n % 3, "story") for n in range(7))]
    relations = [json.dumps({relation: AUTHORS[author]}) for author, relation in named]
    return catalogue_of(
        items, domain=["books"] * len(BOOKS) + ["films"] * len(FILMS), relations=relations
    )


def dataset() -> Dataset:
    rng = np.random.default_rng(7)
    pairs = [(u, i) for u in range(31) for i in [*BOOKS, *FILMS] if rng.random() < 0.3]
    return Dataset.of([f"u{u}" for u, _ in pairs], [i for _, i in pairs], catalogue=told())


def recipe() -> Recipe:
    level = {"name": "personal", "weights": {"related": 0.9, "popular": 0.1}}
    return Recipe.parse(
        {
            "name": "graph",
            "models": {"related": {"plugin": "popular"}, "popular": {"plugin": "popular"}},
            "placements": {"home": {"levels": [level], "filter": "domain == 'films'"}},
        }
    )


def models_of(data: Dataset, **settings_: float) -> dict[str, Model]:
    return {"related": Related.parse(settings_).fit(data), "popular": Popular().fit(data)}


@pytest.fixture(scope="module")
def model() -> Artefact:
    data = dataset()
    return Artefact("g", recipe(), models_of(data, people=0.0), data.users, data.items)


@pytest.fixture
def slate(model: Artefact) -> Slate:
    state = MemoryState(told())
    state.add("ann", "book01")
    return Recommender(model).recommend([Request(user_id="ann", k=2)], state)[0]


FACTS: dict[str, dict[str, Any]] = {"book01": {"title": "Dune"}}


def test_a_book_brings_films_and_says_by_whom(slate: Slate) -> None:
    assert {item.item_id for item in slate.items} == {"film01", "film04"}
    for item in slate.items:
        assert item.source == "related"
        reason = item.reasons[0]
        assert (reason.kind, reason.item_id) == ("history", "book01")
        assert reason.path == (
            Step("author", name="Herbert"),
            Step("story", inverse=True, item_id=item.item_id),
        )
    assert set(slate.sources) >= {"book01", "film01"}


def test_the_api_tells_the_path_in_both_languages(slate: Slate) -> None:
    for language, said in (
        ("en", "Because you bought Dune – author / story: Herbert"),
        ("zh", "因为你买过 Dune – 作者 / story：Herbert"),
    ):
        sent = msgspec.json.decode(msgspec.json.encode(shown(slate, FACTS, language)))
        item = sent["items"][0]
        assert item["why"] == said
        assert item["reasons"][0]["path"] == [
            {"relation": "author", "inverse": False, "name": "Herbert", "item_id": None},
            {"relation": "story", "inverse": True, "name": "", "item_id": item["item_id"]},
        ]


def test_the_console_shows_it_and_runs_nothing_of_it(model: Artefact, slate: Slate) -> None:
    assert why(slate.items[0], "en", FACTS) == (
        "Because you bought <b>Dune</b> – author / story: Herbert"
    )
    state = MemoryState(told())
    state.add("eve", "book02")
    forged = Recommender(model).recommend([Request(user_id="eve", k=1)], state)[0]
    assert why(forged.items[0], "en", {}) == (
        "Because you bought <b>book02</b> – author / story: &lt;b&gt;Lem&lt;/b&gt;"
    )


@pytest.fixture(scope="module", params=[0.0, 3.0])
def world(request: pytest.FixtureRequest) -> tuple[Dataset, dict[str, Model]]:
    data = dataset()
    return data, models_of(data, people=request.param)


@settings(deadline=None, max_examples=30)
@given(history=st.lists(st.sampled_from(BOOKS), min_size=1, max_size=6))
def test_without_the_start_of_its_path_an_item_loses_what_is_said(
    world: tuple[Dataset, dict[str, Model]], history: list[str]
) -> None:
    data, models = world
    weights = {"related": 0.8, "popular": 0.2}
    rows = [(i, "purchase", T + n, float("nan")) for n, i in enumerate(history)]

    def evidence_of(kept: list[tuple[str, str, int, float]]):
        moment = Moment.of(History.of(kept), (), T + 99, data.items)
        return moment.evidence("history", 30, Weighing(T))

    evidence = evidence_of(rows)
    answer = blend(models, weights, evidence.query, candidates=18, k=18)
    for row, score, source, reasons in zip(
        answer.items,
        answer.scores,
        answer.sources,
        explain(models, answer, evidence, otherwise="none"),
        strict=True,
    ):
        for reason in reasons:
            if reason.item_id is None:
                assert not reason.path
                continue
            assert bool(reason.path) <= (source == "related")
            left = evidence_of([event for event in rows if event[0] != reason.item_id]).query
            without = sum(
                scale * float(np.nan_to_num(models[name].scores(left)[0, row]))
                for name, scale in answer.scales.items()
            )
            assert reason.loss == pytest.approx(1 - without / score, abs=1e-4)
            if reason.path:
                assert reason.path[-1].item_id == data.items.ids([row])[0]
