"""A second stage that pays is published, read back, and orders the home page as it was judged."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from endcap.evaluate.exam import Exam
from endcap.evaluate.learning import learn, validation
from endcap.evaluate.learning_report import to_dict, write_html
from endcap.evaluate.lineup import Entrant
from endcap.evaluate.ranking import Ranked, learn_ranker, rank_lists
from endcap.models import specs
from endcap.models.base import Model
from endcap.models.ranking import Ranker
from endcap.prepare.dataset import Dataset
from endcap.prepare.split import DAY_US
from endcap.recommend.artefacts import ids, load_artefact, promote, publish
from endcap.recommend.blend import blend
from endcap.recommend.chain import Question, descend
from endcap.recommend.evidence import Moment
from endcap.recommend.recipe import Recipe
from endcap.recommend.second import DEPTH, rank_again, ranks
from endcap.recommend.shelf import Shelf, explained
from endcap.recommend.state import History
from endcap.recommend.training import train
from endcap.schema.errors import ArtefactError

WEIGHTS = {"popular": 1.0, "item-knn": 0.01}
MOMENT = datetime(2026, 3, 1, tzinfo=UTC)
RECIPE = Recipe.parse(
    {
        "name": "thrift",
        "models": {name: {"plugin": name} for name in WEIGHTS},
        "placements": {
            "home": {"levels": [{"name": "personal", "weights": WEIGHTS, "ranked": True}]}
        },
    }
)


def thrifty(users: int) -> Dataset:
    """Everybody keeps to a price band, while popularity knows one order for all."""
    random = np.random.default_rng(4)
    rows = []
    for user in range(users):
        items = random.permutation(np.arange(20) + 20 * (user % 2))[:7]
        rows += [(user, item, 10 + t) for t, item in enumerate(items[:5])]
        rows += [(user, item, 150 + t) for t, item in enumerate(items[5:])]
    who, what, days = zip(*rows, strict=True)
    names = [f"i{n:02d}" for n in range(40)]
    prices = [1.0 + 99.0 * (n >= 20) + n % 3 for n in range(40)]
    return Dataset.of(
        [f"u{u:04d}" for u in who],
        [f"i{i:02d}" for i in what],
        times=np.array(days) * DAY_US,
        catalogue=pa.table({"item_id": names, "price": prices}),
    )


@pytest.fixture(scope="module")
def data() -> Dataset:
    return thrifty(300)


@pytest.fixture(scope="module")
def found(data: Dataset) -> tuple[Exam, dict[str, Model], Ranked]:
    exam = Exam.of(validation(data))
    models = {name: specs.make(name).fit(exam.split.train) for name in WEIGHTS}
    small = {"verbosity": -1, "objective": "lambdarank", "num_leaves": 7, "num_threads": 1}
    small |= {"metric": "ndcg"}
    return exam, models, learn_ranker(models, WEIGHTS, exam, enough=200, rounds=20, settings=small)


@pytest.fixture(scope="module")
def folder(
    data: Dataset, found: tuple[Exam, dict, Ranked], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    place = tmp_path_factory.mktemp("shop")
    train(data, RECIPE, place, ranker=found[2].ranker, now=MOMENT)
    return place


def ask(artefact, *bought: str, k: int = 10, **how) -> Shelf:
    history = History.of([(item, "purchase", int(1e15) + n, 0.0) for n, item in enumerate(bought)])
    moment = Moment.of(history, (), int(2e15), artefact.items)
    shelf = Shelf(k, set(bought), notes=[])
    descend(artefact, RECIPE.placements["home"].levels[0], Question(
        moment, how.get("allowed"), 0, artefact.weigh, how.get("boost")
    ), shelf)  # fmt: skip
    return shelf


def test_one_at_a_time_it_answers_as_in_lists(found: tuple[Exam, dict, Ranked]) -> None:
    exam, models, ranked = found
    lists = rank_lists(models, WEIGHTS, ranked.ranker, exam.queries, 10)
    for q in range(0, 30):
        query = exam.queries[q : q + 1]
        first = blend(models, WEIGHTS, query, candidates=200, k=DEPTH)
        again = rank_again(ranked.ranker, models, WEIGHTS, first, query, k=10)
        np.testing.assert_array_equal(again.items, lists.row(q)[0])
        assert again.scores[0] == 1
        assert (np.diff(again.scores) <= 0).all()


def test_it_is_published_read_back_and_asked(folder: Path, data: Dataset) -> None:
    artefact = load_artefact(folder, promote(folder, _only(folder)).id)
    assert isinstance(artefact.ranker, Ranker)
    assert artefact.ranker.facts.end == data.end  # of everything, not of the training part
    cheap = ask(artefact, "i01", "i05", "i09")
    dear = ask(artefact, "i21", "i25", "i29")
    assert sum(pick.item_id < "i20" for pick in cheap.picks) >= 9
    assert sum(pick.item_id >= "i20" for pick in dear.picks) >= 9
    plain = ask(replace(artefact, ranker=None), "i01", "i05", "i09")
    assert sum(pick.item_id < "i20" for pick in plain.picks) < 9
    assert all(explained(cheap.picks))


def test_filters_and_boosts_hold_in_the_second_stage(folder: Path) -> None:
    artefact = load_artefact(folder, _only(folder))
    dear = np.arange(20, 40, dtype=np.int32)
    held = ask(artefact, "i01", "i05", allowed=dear)
    assert {pick.item_id for pick in held.picks} <= {f"i{n:02d}" for n in range(20, 40)}
    boost = np.ones(40, np.float32)
    boost[33] = 1e6
    assert ask(artefact, "i01", "i05", boost=boost).picks[0].item_id == "i33"


def test_where_it_fails_the_blend_stands_and_says_so(folder: Path) -> None:
    artefact = load_artefact(folder, _only(folder))
    broken = replace(artefact, ranker=replace(artefact.ranker, model="no trees"))
    shelf = ask(broken, "i01", "i05", "i09")
    plain = ask(replace(artefact, ranker=None), "i01", "i05", "i09")
    assert [p.item_id for p in shelf.picks] == [p.item_id for p in plain.picks]
    assert shelf.notes == ["personal: the second stage failed"]


def test_damage_is_refused(folder: Path, tmp_path: Path) -> None:
    artefact = replace(load_artefact(folder, _only(folder)), id="20260302T000000000-00000000")
    publish(tmp_path, artefact)
    text = next(tmp_path.rglob("trees.txt"))
    text.write_text(text.read_text().replace("leaf_value=", "leaf_value=9", 1))
    with pytest.raises(ArtefactError, match=r"trees\.txt is missing or damaged"):
        load_artefact(tmp_path, artefact.id)


def test_it_reads_only_the_models_it_learned_from(found: tuple[Exam, dict, Ranked]) -> None:
    _, models, ranked = found
    assert ranks(ranked.ranker, models, WEIGHTS)
    assert not ranks(ranked.ranker, models, {"popular": 1.0})
    assert not ranks(ranked.ranker, {}, WEIGHTS)


def test_training_learns_one_where_there_are_shoppers_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        "endcap.evaluate.learning.line_up",
        lambda *asked, **how: {"popular": Entrant("popular")},
    )
    learnt = learn(thrifty(5_200), tmp_path, budget_s=110, keep_seen=False)
    assert learnt.ranked is not None
    assert learnt.ranked.lists > 3_000
    assert learnt.ranked.pays  # popularity alone knows no price
    assert learnt.artefact.ranker is not None
    assert learnt.artefact.recipe.placements["home"].levels[0].ranked
    assert to_dict(learnt)["second_stage"]["kept"]
    assert "精排" in write_html(learnt, tmp_path / "page.html").read_text(encoding="utf-8")
    again = learn(thrifty(300), tmp_path, budget_s=110)
    assert again.ranked is None  # too few shoppers


def _only(folder: Path) -> str:
    (one,) = ids(folder)
    return one
