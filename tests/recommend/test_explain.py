"""Reasons: exact against deleting the evidence, bounded, and put into words."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recommend_worlds import NOW, MemoryState, artefact, catalogue_of, micros

from endcap.models.base import Answers, Model
from endcap.models.queries import Queries
from endcap.models.specs import make
from endcap.prepare.dataset import Dataset
from endcap.recommend.artefacts import Artefact
from endcap.recommend.blend import blend
from endcap.recommend.evidence import Moment
from endcap.recommend.explain import explain
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Reason, Request
from endcap.recommend.state import History
from endcap.recommend.weighing import Weighing

ITEMS = [f"i{i:02}" for i in range(13)]
T = micros(NOW)
WEIGHTS = {"ease": 0.6, "item-knn": 0.4}


@pytest.fixture(scope="module")
def model():
    """Models of random tastes, so that evidence speaks for and against."""
    rng = np.random.default_rng(11)
    pairs = [(u, i) for u in range(31) for i in range(13) if rng.random() < 0.4]
    return artefact(Dataset.of([f"u{u}" for u, _ in pairs], [ITEMS[i] for _, i in pairs]))


@dataclasses.dataclass(frozen=True)
class Unsplit(Model):
    """Scores that are no sum over the history, and that nobody splits."""

    inner: Model

    def scores(self, queries: Queries):
        return np.square(self.inner.scores(queries))


@pytest.fixture(scope="module")
def peculiar(model):
    """Beside linear models, those whose scores change otherwise than by a sum."""
    rng = np.random.default_rng(3)
    pairs = [(u, i) for u in range(31) for i in range(13) if rng.random() < 0.4]
    titles = [f"{'red' if i % 2 else 'blue'} {'mug' if i % 3 else 'pot'} {i}" for i in range(13)]
    data = Dataset.of(
        [f"u{u}" for u, _ in pairs],
        [ITEMS[i] for _, i in pairs],
        catalogue=pa.table({"item_id": ITEMS, "title": titles}),
    )
    specs_of = {
        "ease": ("ease", {"l2": 5.0}),
        "fading": ("ease", {"l2": 5.0, "decay_events": 2.0, "confidence": "log"}),
        "ials": ("ials", {"factors": 6, "epochs": 4, "decay_events": 3.0}),
        "user-knn": ("user-knn", {"neighbours": 5}),
        "content": ("content", {"dimensions": 0}),
        "popular": ("popular", {}),
    }
    models = {name: make(*spec).fit(data) for name, spec in specs_of.items()}
    inner = models["ease"]
    models["unsplit"] = Unsplit(inner.spec, inner.users, inner.items, inner)
    return Artefact("p", model.recipe, models, inner.users, inner.items)


def evidence_of(model, item_ids, kinds=None, context=()):
    kinds = kinds or ["purchase"] * len(item_ids)
    rows = [
        (i, kind, T + n, float("nan"))
        for n, (i, kind) in enumerate(zip(item_ids, kinds, strict=True))
    ]
    moment = Moment.of(History.of(rows), context, T + 99, model.items)
    return moment.evidence("history", 30, Weighing(T))


def blended(model, scales, item_ids):
    """The score of every item in the blend, as far as the models can say."""
    query = evidence_of(model, item_ids).query
    return sum(
        scale * np.nan_to_num(model.models[name].scores(query)[0]) for name, scale in scales.items()
    )


@settings(deadline=None, max_examples=12)
@given(
    st.lists(st.sampled_from(ITEMS), min_size=2, max_size=8),
    st.sampled_from(["ease", "fading", "ials", "user-knn", "content", "unsplit"]),
)
def test_a_loss_is_what_asking_again_without_the_evidence_gives(peculiar, history, name):
    weights = {name: 0.8, "popular": 0.2}
    evidence = evidence_of(peculiar, history)
    boost = np.linspace(0.5, 2.0, len(peculiar.items), dtype=np.float32)
    answer = blend(peculiar.models, weights, evidence.query, candidates=13, k=13, boost=boost)
    reasons = explain(peculiar.models, answer, evidence, otherwise="none")
    for row, score, told in zip(answer.items, answer.scores, reasons, strict=True):
        for reason in told:
            left = [i for i in history if i != reason.item_id]
            if reason.item_id is None:
                continue
            without = blended(peculiar, answer.scales, left)[row] * boost[row]
            assert reason.loss == pytest.approx(1 - without / score, abs=1e-4)
            assert 0 < reason.share <= 1


histories = st.lists(st.sampled_from(ITEMS), min_size=1, max_size=6)


@settings(deadline=None, max_examples=12)
@given(histories)
def test_a_share_is_what_the_score_loses_when_the_evidence_is_deleted(model, history):
    evidence = evidence_of(model, history)
    answer = blend(model.models, WEIGHTS, evidence.query, candidates=13, k=13)
    reasons = explain(model.models, answer, evidence, otherwise="none", top=99)
    whole = blended(model, answer.scales, history)
    loss = {
        past: whole - blended(model, answer.scales, [i for i in history if i != past])
        for past in set(history)
    }
    for row, told in zip(answer.items, reasons, strict=True):
        speaks_for = sum(max(0, lost[row]) for lost in loss.values())
        assert told[0].item_id is not None
        for reason in told:
            expected = loss[reason.item_id][row] / speaks_for
            assert reason.share == pytest.approx(expected, abs=1e-4)
        if all(lost[row] >= 0 for lost in loss.values()):
            assert speaks_for == pytest.approx(whole[row], abs=1e-4)


@settings(deadline=None, max_examples=40)
@given(histories, st.sampled_from([("ease",), ("ease", "ials"), ("item-knn", "popular")]))
def test_shares_are_bounded_whatever_is_blended(model, history, names):
    state = MemoryState(catalogue_of(ITEMS))
    for item_id in history:
        state.add("ann", item_id)
    evidence = evidence_of(model, history)
    answer = blend(model.models, dict.fromkeys(names, 1.0), evidence.query, candidates=13, k=13)
    for told in explain(model.models, answer, evidence, otherwise="history"):
        shares = [reason.share for reason in told if reason.item_id]
        assert len(told) <= 3
        assert sum(shares) <= 1 + 1e-6
        assert all(share > 0 for share in shares)
        assert shares == sorted(shares, reverse=True)


def test_a_model_that_does_not_explain_takes_its_part_of_the_share(model):
    evidence = evidence_of(model, ["i00", "i05", "i07"])
    alone = blend(model.models, {"item-knn": 1}, evidence.query, candidates=13, k=1)
    mixed = blend(model.models, {"item-knn": 1, "popular": 1}, evidence.query, candidates=13, k=13)
    whole = explain(model.models, alone, evidence, otherwise="")[0]
    assert sum(r.share for r in whole) == pytest.approx(1, abs=1e-5)
    place = mixed.items.tolist().index(alone.items[0])
    parts = dict(zip(mixed.scales, mixed.parts[:, place], strict=True))
    part = explain(model.models, mixed, evidence, otherwise="")[place]
    expected = parts["item-knn"] / (parts["item-knn"] + parts["popular"])
    assert sum(r.share for r in part) == pytest.approx(expected, abs=1e-5)


def test_events_on_one_item_make_one_reason_named_by_the_weightiest(model):
    evidence = evidence_of(model, ["i03", "i03", "i03"], ["view", "cart", "view"])
    answer = blend(model.models, {"item-knn": 1}, evidence.query, candidates=13, k=2)
    told = explain(model.models, answer, evidence, otherwise="")[0]
    assert [(r.kind, r.item_id, r.event) for r in told] == [("history", "i03", "cart")]


def test_a_context_item_is_a_similar_item(model):
    evidence = evidence_of(model, ["i03"], context=("i05",))
    answer = blend(model.models, {"item-knn": 1}, evidence.query, candidates=13, k=9)
    kinds = {
        r.item_id: r.kind
        for told in explain(model.models, answer, evidence, otherwise="")
        for r in told
    }
    assert kinds == {"i03": "history", "i05": "similar"}


@dataclasses.dataclass(frozen=True)
class Resembling(Model):
    """Explains like a model that knows what items are like."""

    answers = Answers(warm_items=True, explains=True)

    def scores(self, queries: Queries):
        told = np.diff(queries.indptr) > 0
        return np.tile(told[:, None], len(self.items)).astype(np.float32)

    def contributions(self, query, items):
        return np.full((len(items), len(query.items)), 1 / len(query.items), np.float32)


def test_resemblance_is_said_to_be_that(model):
    alike = {"alike": Resembling(model.models["popular"].spec, model.users, model.items)}
    evidence = evidence_of(model, ["i03"])
    answer = blend(alike, {"alike": 1}, evidence.query, candidates=3, k=1)
    assert explain(alike, answer, evidence, otherwise="")[0] == (
        Reason("content", "i03", 1.0, "purchase", 1.0),
    )


@dataclasses.dataclass(frozen=True)
class Mute(Resembling):
    def contributions(self, query, items):
        raise ZeroDivisionError

    def left_out(self, query, items, groups, n):
        raise ZeroDivisionError


def test_an_item_without_its_reason_is_better_than_no_item(model):
    mute = {"mute": Mute(model.models["popular"].spec, model.users, model.items)}
    state = MemoryState(catalogue_of(ITEMS))
    state.add("ann", "i01")
    changed = dataclasses.replace(
        model, models={**model.models, "ease": mute["mute"], "item-knn": mute["mute"]}
    )
    slate = Recommender(changed).recommend([Request(user_id="ann", k=2)], state)[0]
    assert [[(r.kind, r.item_id) for r in item.reasons] for item in slate.items] == [
        [("history", None)]
    ] * 2


def test_where_the_crowd_decides_it_is_named_first(model):
    evidence = evidence_of(model, ["i03"])
    weights = {"trending": 9.0, "item-knn": 1.0}
    crowd = blend(model.models, weights, evidence.query, candidates=13, k=13)
    for told, parts in zip(
        explain(model.models, crowd, evidence, otherwise="history"), crowd.parts.T, strict=True
    ):
        share = parts[0] / parts.sum()
        if share > 0.5:
            assert (told[0].kind, told[0].item_id) == ("trending", None)
            assert told[0].share == pytest.approx(share, abs=1e-5)
        else:
            assert told[0].item_id == "i03"
        assert sum(reason.share for reason in told) == pytest.approx(1, abs=1e-5)
