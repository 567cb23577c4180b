"""Items nobody has touched rank where items described alike do, and change nothing else."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap.features.descriptions import fit_descriptions
from endcap.models.aligned import Aligned, AlignedModel, trust
from endcap.models.queries import Queries
from endcap.models.transitions import Transitions
from endcap.prepare.dataset import Dataset
from endcap.schema.errors import ConfigError

WORDS = {"tea": ("green tea", "tea pot", "tea cup"), "oil": ("olive oil", "oil jug", "oil lamp")}
NEW = {"new-pot": ("cast iron tea pot", "Iron"), "new-jug": ("steel oil jug", "Steel")}
UNSAID = "nameless"


def a_shop() -> Dataset:
    """Forty shoppers: tea people take tea things in order, oil people oil things."""
    users, items = [], []
    for u in range(40):
        for title in WORDS["tea" if u % 2 else "oil"]:
            users.append(f"u{u:02d}")
            items.append(title.replace(" ", "-"))
    titles = {t.replace(" ", "-"): t for group in WORDS.values() for t in group}
    titles |= {name: title for name, (title, _) in NEW.items()} | {UNSAID: None}
    catalogue = pa.table({"item_id": list(titles), "title": pa.array(titles.values(), pa.string())})
    return Dataset.of(users, items, catalogue=catalogue)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return a_shop()


@pytest.fixture(scope="module")
def model(data: Dataset) -> AlignedModel:
    return Aligned().fit(data)


def asked(data: Dataset, *items: str) -> Queries:
    return Queries.of_histories([data.items.rows(list(items))])


def told(model: AlignedModel, data: Dataset, item: str) -> npt.NDArray[np.float32]:
    return np.nan_to_num(model.scores(asked(data, item))[0])


def test_a_new_item_goes_to_those_whom_its_like_would_suit(
    data: Dataset, model: AlignedModel
) -> None:
    new = data.items.rows(["new-pot", "new-jug"])
    tea, oil = (told(model, data, item)[new] for item in ("green-tea", "olive-oil"))
    assert tea[0] > tea[1]
    assert oil[1] > oil[0]


def test_known_items_keep_their_scores(data: Dataset, model: AlignedModel) -> None:
    plain = Transitions(decay_events=2.5).fit(data)
    known = model.events > 0
    queries = Queries.of_users(data, np.arange(len(data.users)))
    np.testing.assert_allclose(
        model.scores(queries)[:, known], plain.scores(queries)[:, known], rtol=1e-5
    )


def test_a_new_item_in_a_history_speaks_through_its_like(
    data: Dataset, model: AlignedModel
) -> None:
    scores = told(model, data, "new-pot")
    assert scores[data.items.row("tea-cup")] > scores[data.items.row("oil-lamp")]


def test_an_item_of_which_nothing_is_known_is_not_judged(
    data: Dataset, model: AlignedModel
) -> None:
    row = data.items.row(UNSAID)
    assert np.isnan(model.scores(asked(data, "green-tea"))[0, row])
    assert np.isnan(model.scores(asked(data, UNSAID))).all()


def test_strength_scales_what_is_borrowed_and_nothing_else(
    data: Dataset, model: AlignedModel
) -> None:
    half = Aligned(strength=0.5).fit(data)
    one, other = (m.scores(asked(data, "green-tea"))[0] for m in (model, half))
    new = model.events == 0
    np.testing.assert_allclose(other[new], one[new] / 2, rtol=1e-5)
    np.testing.assert_array_equal(other[~new], one[~new])


def test_a_score_is_the_formula(data: Dataset) -> None:
    model = Aligned(base="ease", settings={"l2": 5.0}, shrink=7.0, decay_events=0).fit(data)
    x = np.zeros(len(data.items))
    x[data.items.rows(["green-tea", "tea-pot"])] = 1
    effects = np.zeros((len(x), len(x)))
    effects[np.ix_(model.rows, model.rows)] = model.effects
    near, learnt = model.near.toarray(), x @ effects
    t = model.events / (model.events + 7.0)
    wanted = t * learnt + (1 - t) * (model.borrowed * near @ learnt + model.direct * near @ x)
    found = model.scores(asked(data, "green-tea", "tea-pot"))[0]
    said = ~np.isnan(found)
    np.testing.assert_allclose(found[said], wanted[said], rtol=1e-4, atol=1e-6)


def test_nobody_borrows_from_itself_or_from_who_has_nothing(model: AlignedModel) -> None:
    assert not model.near.diagonal().any()
    assert (model.events[model.near.indices] > 0).all()
    sums = model.near.sum(axis=1)
    np.testing.assert_allclose(sums[sums > 0], 1, rtol=1e-5)


def test_an_item_posted_later_is_described_as_it_would_have_been(
    data: Dataset, model: AlignedModel
) -> None:
    later = data.item_table.filter(pa.compute.equal(data.item_table["item_id"], "new-pot"))
    np.testing.assert_allclose(
        model.describe(later).toarray()[0],
        model.near[[data.items.row("new-pot")]].toarray()[0],
        rtol=1e-5,
    )


def test_descriptions_of_unknown_words_are_not_refused(data: Dataset) -> None:
    encoder = fit_descriptions(data.item_table)
    strange = Dataset.of([], [], catalogue=pa.table({"item_id": ["x"], "title": ["火星"]}))
    assert encoder.transform(strange.item_table).nnz > 0


@given(
    st.lists(st.integers(0, 10**6), min_size=2, max_size=50).map(sorted),
    st.floats(0, 1e4),
    st.floats(0, 1e4),
)
def test_trust_grows_with_events_and_falls_with_shrinkage(
    events: list[int], one: float, other: float
) -> None:
    less, more = (trust(np.array(events), shrink) for shrink in sorted((one, other)))
    assert ((more >= 0) & (more <= less) & (less <= 1)).all()
    assert (np.diff(more) >= 0).all()
    assert not more[np.array(events) == 0].any()


def test_a_base_without_effects_is_refused(data: Dataset) -> None:
    with pytest.raises(ConfigError, match="'ials'"):
        Aligned(base="ials", settings={"epochs": 1}).fit(data)
