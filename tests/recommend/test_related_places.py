"""The recipes that come along show what the catalogue ties together, other domains too, and why."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from recommend_worlds import NOW, MemoryState, catalogue_of, micros

from endcap.models.related import Related
from endcap.prepare.dataset import Dataset
from endcap.recommend.artefacts import Artefact
from endcap.recommend.recipe import Recipe, load_recipe
from endcap.recommend.recommender import Recommender
from endcap.recommend.sentences import sentence
from endcap.recommend.slate import Request, Slate
from endcap.recommend.training import fit

RECIPES = ("shop", "streaming", "courses")
BOOKS, FILMS = [f"book{n:02}" for n in range(13)], [f"film{n:02}" for n in range(11)]
ITEMS = [*BOOKS, *FILMS]
AUTHORS = ("Austen", "Herbert", "Lem")


def catalogue(*, tied: bool = True) -> pa.Table:
    """Each book has one of three authors, each film a story of one of them."""
    if not tied:
        return catalogue_of(ITEMS)
    told = [
        {"author" if item in BOOKS else "story": AUTHORS[int(item[-2:]) % len(AUTHORS)]}
        for item in ITEMS
    ]
    domains = ["books"] * len(BOOKS) + ["films"] * len(FILMS)
    return catalogue_of(ITEMS, domain=domains, relations=list(map(json.dumps, told)))


def artefact(name: str, *, tied: bool = True) -> Artefact:
    recipe = load_recipe(name)
    needed = {"tied", "related", "content", "trending", "popular"}
    models = {model: recipe.models[model] for model in needed}
    pages = {"related", "other-domains", "trending"}
    places: dict[str, Any] = {place: recipe.placements[place] for place in pages}
    small = Recipe(
        name=name, models=models, placements={**places, "home": recipe.placements["trending"]}
    )
    rng = np.random.default_rng(3)
    pairs = [(u, i) for u in range(29) for i in ITEMS if rng.random() < 0.3]
    data = Dataset.of(
        [f"u{u:02}" for u, _ in pairs],
        [i for _, i in pairs],
        times=[micros(NOW) - n for n in range(len(pairs))],
        catalogue=catalogue(tied=tied),
    )
    return Artefact("a", small, fit(data, small).models, data.users, data.items)


@pytest.fixture(scope="module", params=RECIPES)
def loaded(request: pytest.FixtureRequest) -> Artefact:
    return artefact(request.param)


def ask(loaded: Artefact, state: MemoryState, place: str, **more: Any) -> Slate:
    asked = Request(placement=place, k=20, **more)
    return Recommender(loaded).recommend([asked], state)[0]


def test_more_of_its_author_is_what_the_catalogue_says_and_why(loaded: Artefact) -> None:
    slate = ask(loaded, MemoryState(catalogue()), "related", context_items=("book01",))
    tied = {i for i in ITEMS if int(i[-2:]) % 3 == 1} - {"book01"}
    assert {item.item_id for item in slate.items} == tied
    assert slate.served_by == "tied"
    facts = {"book01": {"title": "Dune"}}
    for item in slate.items:
        relation = "author" if item.item_id in BOOKS else "author / story"
        said = sentence(item.reasons, facts)
        assert said == f"Goes with Dune – {relation}: Herbert", item.item_id


def test_a_book_leads_to_films(loaded: Artefact) -> None:
    state = MemoryState(catalogue())
    slate = ask(loaded, state, "other-domains", context_items=("book01",))
    assert slate.served_by == "page"
    assert {item.item_id for item in slate.items} <= set(FILMS)
    assert len(slate.items) > 3
    assert all(item.reasons[0].path for item in slate.items)
    state.add("ann", "book02", "play")
    state.add("ann", "book02", "purchase")
    past = ask(loaded, state, "other-domains", user_id="ann", filter="domain == 'films'")
    assert past.served_by == "past"
    assert {item.item_id for item in past.items} <= set(FILMS)
    assert past.items


@pytest.mark.parametrize("place", ["related", "other-domains"])
def test_where_nothing_is_tied_nothing_is_said(place: str) -> None:
    bare = artefact("shop", tied=False)
    assert not ask(bare, MemoryState(catalogue(tied=False)), place, context_items=("book01",)).items
    for name in ("tied", "related"):
        model = bare.models[name]
        kept = (model.effects, model.links, model.company, model.edges)
        assert [matrix.nnz for matrix in kept] == [0, 0, 0, 0]


def test_steps_over_people_are_not_looked_for_where_no_tie_is_known() -> None:
    taken = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
    data = Dataset.of([u for u, _ in taken], [i for _, i in taken])
    assert Related(people=10.0).fit(data).company.nnz == 0


@pytest.mark.parametrize("name", RECIPES)
def test_the_places_are_in_every_recipe(name: str) -> None:
    recipe = load_recipe(name)
    assert {"related", "other-domains"} <= set(recipe.placements)
    assert not recipe.placements["related"].fill
