"""Behaviours against the formula it names, and against what only several kinds can tell."""

from dataclasses import replace

import numpy as np
import pytest

from endcap import plugins
from endcap.models import specs
from endcap.models.behaviours import Behaviours, BehavioursModel
from endcap.models.ease import EASE
from endcap.models.queries import Queries
from endcap.models.weighting import HistorySpec
from endcap.prepare.dataset import Dataset


def shop(seed: int = 0) -> Dataset:
    """Return 41 users x 17 items: each buys some, collects some, and buys some they collected."""
    random = np.random.default_rng(seed)
    rows = []
    for user in range(41):
        likes = random.permutation(17)[:7]
        rows += [(user, item, "wish") for item in likes[:5]]
        rows += [(user, item, "purchase") for item in likes[3:]]
        rows += [(user, likes[0], "cart")] * (user % 2)
    users, items, kinds = zip(*rows, strict=True)
    return Dataset.of([f"u{u:02d}" for u in users], [f"i{i:02d}" for i in items], kinds=list(kinds))


def parts(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    mask = data.of_kind("purchase")
    return data.where(mask).matrix(None).toarray(), data.where(~mask).matrix(None).toarray()


def everybody(data: Dataset) -> Queries:
    return Queries.of_users(data, np.arange(len(data.users)))


def test_it_solves_the_two_ridges_of_its_docstring() -> None:
    data = shop()
    x, y = parts(data)
    inverse = np.linalg.inv(x.T @ x + 7.0 * np.eye(17))
    b = -inverse / np.diag(inverse)
    np.fill_diagonal(b, 0)
    c = np.linalg.solve(y.T @ y + 3.0 * np.eye(17), y.T @ x)
    model = Behaviours(l2=7.0, other_l2=3.0, share=0.5, itself=0.25).fit(data)
    expected = x @ b + 0.5 * (y @ c) + 0.25 * y
    np.testing.assert_allclose(model.scores(everybody(data)), expected, atol=1e-4)


def test_purchases_alone_are_ease() -> None:
    data = shop()
    bought = data.where(data.of_kind("purchase"))
    queries = everybody(bought)
    one, other = (spec.fit(bought).scores(queries) for spec in (Behaviours(), EASE()))
    np.testing.assert_array_equal(one, other)


def test_the_reasons_of_every_kind_sum_to_the_score() -> None:
    data = shop()
    model = Behaviours(decay_events=3.0, share=0.7).fit(data)
    queries = everybody(data)
    scores = model.scores(queries)
    items = np.arange(17, dtype=np.int32)
    for q in range(len(queries)):
        shares = model.contributions(queries[q : q + 1], items)
        np.testing.assert_allclose(shares.sum(axis=1), scores[q], atol=1e-5)


def collector(seed: int = 1) -> Dataset:
    """Everybody buys one item of chance, and the very item that they collected."""
    random = np.random.default_rng(seed)
    rows = [
        row
        for user in range(120)
        for item, chance in [random.choice(13, 2, replace=False)]
        for row in (
            (user, item, "wish"),
            (user, item, "purchase"),
            (user, chance, "purchase"),
        )
    ]
    users, items, kinds = zip(*rows, strict=True)
    return Dataset.of([f"u{u:03d}" for u in users], [f"i{i:02d}" for i in items], kinds=list(kinds))


def test_what_is_collected_is_foreseen_to_be_bought_itself() -> None:
    data = collector()
    model = Behaviours().fit(data)
    asked = np.arange(13, dtype=np.int32)
    wished = Queries.of_histories(asked[:, None], kinds=[["wish"]] * 13)
    assert (model.retrieve(wished, 1).items == asked).all()
    bought = replace(wished, kinds=None)
    assert not model.scores(bought)[asked, asked].any()


def test_another_target_turns_the_kinds_around() -> None:
    data = shop()
    swapped = data.interactions["kind"].to_pylist()
    names = {"wish": "purchase", "purchase": "wish"}
    turned = Dataset.of(
        data.users.ids(data.column("user")),
        data.items.ids(data.column("item")),
        kinds=[names.get(kind, kind) for kind in swapped],
    )
    one = Behaviours().fit(data).scores(everybody(data))
    other = Behaviours(target="wish").fit(turned).scores(everybody(turned))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_an_unknown_kind_tells_nothing_of_the_target_only_as_another() -> None:
    data = shop()
    model = Behaviours().fit(data)
    assert isinstance(model, BehavioursModel)
    strange = Queries.of_histories([[3]], kinds=[["zoom"]])
    wished = Queries.of_histories([[3]], kinds=[["wish"]])
    np.testing.assert_array_equal(model.scores(strange), model.scores(wished))


OF_BASKETS = ["substitutes", "together"]
"""`kinds` say which baskets they learn from; what is asked about speaks, also what is viewed."""
HEARING = [
    name
    for name in plugins.names(specs.GROUP)
    if isinstance(specs.make(name), HistorySpec)
    and name not in {"behaviours", "content", "bpr", *OF_BASKETS}
]
"""bpr draws pairs at random by row number, and fewer rows are another course."""


@pytest.mark.parametrize("name", HEARING)
def test_a_model_that_hears_one_kind_learns_and_answers_as_if_there_were_no_other(
    name: str,
) -> None:
    data = shop()
    bought = data.where(data.of_kind("purchase"))
    expected = specs.make(name).fit(bought, rng=0).scores(everybody(bought))
    found = specs.make(name, {"kinds": ["purchase"]}).fit(data, rng=0).scores(everybody(data))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", OF_BASKETS)
def test_a_model_of_baskets_learns_from_one_kind_and_hears_all(name: str) -> None:
    data = shop()
    bought = data.where(data.of_kind("purchase"))
    model = specs.make(name, {"kinds": ["purchase"]}).fit(data, rng=0)
    expected = specs.make(name).fit(bought, rng=0).scores(everybody(bought))
    np.testing.assert_allclose(model.scores(everybody(bought)), expected, atol=1e-5)
    viewed = Queries.of_histories([[3]], kinds=[["view"]])
    taken = Queries.of_histories([[3]], kinds=[["purchase"]])
    np.testing.assert_array_equal(model.scores(viewed), model.scores(taken))
    assert np.nanmax(model.scores(viewed)) > 0
