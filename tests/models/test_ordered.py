"""What came before and after every cut, against a plain double loop."""

import numpy as np
import pytest

from endcap.models.ordered import FAINT, windows
from endcap.models.queries import Queries
from endcap.models.slit import SLIT
from endcap.models.transitions import Transitions
from endcap.prepare.dataset import Dataset
from endcap.schema.errors import ConfigError


@pytest.fixture
def data() -> Dataset:
    rng = np.random.default_rng(5)
    users = [f"u{n}" for n in rng.integers(0, 13, 150)]
    return Dataset.of(users, [f"i{n}" for n in rng.integers(0, 17, 150)])


def naive(data: Dataset, past: float, future: float) -> tuple[np.ndarray, np.ndarray]:
    seq, before, after = data.sequences(), [], []
    for start, end in zip(seq.indptr[:-1], seq.indptr[1:], strict=True):
        for cut in range(start + 1, end):
            left, right = np.zeros(len(data.items)), np.zeros(len(data.items))
            for at in range(start, cut):
                left[seq.items[at]] += np.exp(-(cut - 1 - at) / past)
            for at in range(cut, end):
                right[seq.items[at]] += np.exp(-(at - cut) / future)
            before.append(left)
            after.append(right)
    return np.array(before), np.array(after)


def test_windows_equal_the_double_loop_but_for_what_is_faint(data: Dataset) -> None:
    for found, wanted in zip(windows(data, 1.5, 1.0), naive(data, 1.5, 1.0), strict=True):
        np.testing.assert_allclose(found.toarray(), wanted, atol=3 * FAINT)


def test_slit_is_the_ridge_of_the_future_on_the_past(data: Dataset) -> None:
    spec = SLIT(l2=7.0, past_decay=0.6, future_decay=0.5)
    past, future = (side.toarray().astype(float) for side in windows(data, 0.6, 0.5))
    wanted = np.linalg.solve(past.T @ past + 7.0 * np.eye(past.shape[1]), past.T @ future)
    np.testing.assert_allclose(spec.fit(data).effects, wanted, atol=1e-5)


def test_slit_refuses_what_does_not_fit(data: Dataset) -> None:
    with pytest.raises(ConfigError, match="max_items is 5"):
        SLIT(max_items=5).fit(data)


def test_bestsellers_can_be_held_back(data: Dataset) -> None:
    plain, held = SLIT().fit(data), SLIT(popularity=-0.5).fit(data)
    counts = np.bincount(data.column("item"), minlength=len(data.items))[plain.rows]
    np.testing.assert_allclose(held.effects, plain.effects * counts**-0.5, rtol=1e-5)


def test_transitions_of_one_step_are_counts_of_what_followed() -> None:
    chain = Dataset.of(["u"] * 4 + ["v"] * 2, ["a", "b", "a", "c", "a", "b"])
    model = Transitions(reach=0.1, second_step=0, source=1, target=0).fit(chain)
    wanted = [[0, 2 / 3, 1 / 3], [1 / 2, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(model.effects.toarray(), wanted, atol=1e-3)


def test_the_second_step_reaches_what_never_followed_directly() -> None:
    chain = Dataset.of(["u", "u", "v", "v"], ["a", "b", "b", "c"])
    ask = Queries.of_histories([[0]]).excluding_history()
    one, two = (Transitions(reach=0.1, second_step=s).fit(chain).retrieve(ask, 3) for s in (0, 0.3))
    assert one.items.tolist() == [1]
    assert two.items.tolist() == [1, 2]


def test_a_second_step_is_a_product_of_which_the_largest_stay(data: Dataset) -> None:
    one = Transitions(second_step=0, source=0, target=0).fit(data)
    t = one.effects.toarray().astype(float)
    sums = t.sum(axis=1, keepdims=True)
    whole = t + 0.3 * np.divide(t, sums, out=np.zeros_like(t), where=sums > 0) @ t
    np.fill_diagonal(whole, 0)
    counts = np.bincount(data.column("item"), minlength=len(data.items))[one.rows].astype(float)
    whole *= counts**-0.3 / counts[:, None]
    found = Transitions().fit(data)
    np.testing.assert_allclose(found.effects.toarray(), whole, rtol=1e-5)
    assert found.effects.has_sorted_indices
    few = Transitions(neighbours=3).fit(data).effects.toarray()
    least = np.sort(whole, axis=1)[:, -3:][:, :1]
    np.testing.assert_allclose(few, np.where(whole >= np.maximum(least, 1e-9), whole, 0), rtol=1e-5)


def test_slist_is_the_joint_ridge_of_both_directions(data: Dataset) -> None:
    spec = SLIT(l2=7.0, past_decay=0.6, future_decay=0.5, order_free=0.4)
    past, future = (side.toarray().astype(float) for side in windows(data, 0.6, 0.5))
    left = np.vstack([past, np.sqrt(0.4) * future])
    right = np.vstack([future, np.sqrt(0.4) * past])
    wanted = np.linalg.solve(left.T @ left + 7.0 * np.eye(left.shape[1]), left.T @ right)
    np.testing.assert_allclose(spec.fit(data).effects, wanted, atol=1e-5)


def test_a_few_sources_are_the_ridge_on_those_of_the_largest_gain(data: Dataset) -> None:
    spec = SLIT(l2=7.0, past_decay=0.6, future_decay=0.5, sources=4, max_items=1, popularity=-0.5)
    past, future = (side.toarray().astype(float) for side in windows(data, 0.6, 0.5))
    gram, cross = past.T @ past + 7.0 * np.eye(past.shape[1]), past.T @ future
    wanted = np.zeros_like(cross)
    for j in range(cross.shape[1]):
        best = np.argsort(-(cross[:, j] ** 2) / np.diag(gram), kind="stable")[:4]
        best = best[cross[best, j] > 0]
        wanted[best, j] = np.linalg.solve(gram[np.ix_(best, best)], cross[best, j])
    wanted *= np.bincount(data.column("item"), minlength=len(data.items)) ** -0.5
    np.testing.assert_allclose(spec.fit(data).effects.toarray(), wanted, atol=1e-5)
