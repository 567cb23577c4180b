"""What every model promises, as checks that run over every registered one.

``CHECKS`` maps a name to a function of a `Spec`; each raises AssertionError when the promise is
broken. A spec may list checks it cannot pass in ``contract_skips``, each with its reason.
A plug-in's own tests need no more than::

    @pytest.mark.parametrize("check", CHECKS)
    def test_contract(check):
        run(check, MySpec())
"""

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse
from threadpoolctl import threadpool_limits

from endcap.models import store
from endcap.models.base import Model, RatingModel, Spec
from endcap.models.candidates import Candidates
from endcap.models.inverted import Inverted
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.prepare.vocabulary import Vocabulary
from endcap.schema.errors import ConfigError

N_USERS: Final = 31
N_ITEMS: Final = 23
UNTOUCHED: Final = ("new0", "new1")
SUFFIXES: Final = {".npy", ".arrow", ".json"}


def shop(rename: Callable[[str], str] = str) -> Dataset:
    """Return 31 users x 25 described items, two of them untouched, with ratings and times."""
    rng = np.random.default_rng(5)
    rows = [
        (u, i, t)
        for u in range(N_USERS)
        for t, i in enumerate(rng.permutation(N_ITEMS)[: 3 + u % 7])
        if (u + i) % 3
    ]
    item_ids = [f"i{i:02d}" for i in range(N_ITEMS)] + list(UNTOUCHED)
    catalogue = pa.table(
        {
            "item_id": [rename(i) for i in item_ids],
            "title": [f"{'red 红色' if n % 2 else 'blue'} cup {n % 5}" for n in range(25)],
            "brand": [None if n % 4 == 0 else f"brand {n % 3}" for n in range(25)],
            "categories": [["Home > Lights"] if n % 3 else ["Garden"] for n in range(25)],
            "price": pa.array([1.25 * (n + 1) for n in range(25)]),
        }
    )
    return Dataset.of(
        [rename(f"u{u:02d}") for u, _, _ in rows],
        [rename(f"i{i:02d}") for _, i, _ in rows],
        times=np.array([t * 3_600_000_000 + u for u, _, t in rows]),
        weights=rng.uniform(0.5, 5, len(rows)),
        values=1.0 + rng.integers(0, 5, len(rows)),
        catalogue=catalogue,
    )


def run(check: str, spec: Spec) -> None:
    """Run one check of `CHECKS` on a spec; a skipped one does nothing."""
    if check not in spec.contract_skips:
        CHECKS[check](spec)


def same_seed_same_model(spec: Spec) -> None:
    """Same data, same seed: same bits, on one thread and on two."""
    threads = numba.get_num_threads()
    prints = []
    for count in (1, min(2, threads)):
        numba.set_num_threads(count)
        try:
            with threadpool_limits(count):
                prints.append(fingerprint(spec.fit(shop(), rng=3)))
        finally:
            numba.set_num_threads(threads)
    assert prints[0] == prints[1] == fingerprint(spec.fit(shop(), rng=np.random.default_rng(3)))


def batch_equals_single(spec: Spec) -> None:
    """A query is answered alike alone and among others."""
    model, queries = _asked(spec)
    together = model.retrieve(queries, 7)
    scores = model.scores(queries)
    for q in range(len(queries)):
        alone = queries[q : q + 1]
        _close(model.scores(alone)[0], scores[q])
        items, found = model.retrieve(alone, 7).row(0)
        _close(found, together.row(q)[1])
        _close(scores[q][items], found)


def input_stays_untouched(spec: Spec) -> None:
    """Neither fitting nor answering changes what it was given."""
    data = shop()
    before = data.fingerprint
    model = spec.fit(data)
    assert replace(data).fingerprint == before
    queries = _queries(data)
    prints = fingerprint(queries)
    _read_everything(model, queries)
    assert fingerprint(queries) == prints


def reads_do_not_write(spec: Spec) -> None:
    """Answering leaves the model as it was, strangers included."""
    model, queries = _asked(spec)
    before = fingerprint(model)
    _read_everything(model, queries)
    assert fingerprint(model) == before


def saved_and_loaded_it_is_the_same(spec: Spec) -> None:
    """A folder holds arrays and JSON alone, and gives back the same bits and answers."""
    model, queries = _asked(spec)
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "model"
        store.save(model, folder)
        for path in folder.rglob("*"):
            assert path.suffix in SUFFIXES, path
            assert not path.read_bytes().startswith(b"\x80"), f"{path} looks like a pickle"
        loaded = store.load(folder)
        assert type(loaded) is type(model)
        assert fingerprint(loaded) == fingerprint(model)
        assert fingerprint(loaded.retrieve(queries, 9)) == fingerprint(model.retrieve(queries, 9))


def renaming_permutes_the_answer(spec: Spec) -> None:
    """Other ids, and so other row numbers, give the same scores in another order."""

    def mirrored(name: str) -> str:
        return "".join(chr(187 - ord(c)) for c in name)  # turns the order of ids around

    one, two = shop(), shop(mirrored)
    left, right = spec.fit(one).scores(_queries(one)), spec.fit(two).scores(_queries(two))
    users = two.users.rows([mirrored(i) for i in one.users.ids(np.arange(len(one.users)))])
    items = two.items.rows([mirrored(i) for i in one.items.ids(np.arange(len(one.items)))])
    assert (np.diff(users) < 0).all()
    assert (np.diff(items) < 0).all()
    np.testing.assert_allclose(left, right[users][:, items], rtol=1e-3, atol=1e-4)


def exclusions_and_allowed_hold(spec: Spec) -> None:
    """What is excluded never comes, what is not allowed never comes, in `similar` neither."""
    model, queries = _asked(spec)
    allowed = np.arange(0, N_ITEMS, 2, dtype=np.int32)
    seen = queries.excluding_history()
    for asked in (seen, replace(seen, allowed=allowed)):
        found = model.retrieve(asked, 50)
        for q in range(len(asked)):
            assert not set(found.row(q)[0]) & set(queries[q : q + 1].items)
        assert asked.allowed is None or set(found.items) <= set(allowed)
    alike = model.similar(np.arange(N_ITEMS), 50, exclude=[4, 6, -1], allowed=allowed)
    assert len(alike.items)
    assert set(alike.items) <= set(allowed) - {4, 6}
    assert not (alike.items == alike.query_of).any()


def answers_are_well_formed(spec: Spec) -> None:
    """At most k, best first, ties by row number, none twice, never NaN; k may exceed all."""
    model, queries = _asked(spec)
    full = model.retrieve(queries, 1000)
    for k in (0, 1, 5, 1000):
        found = model.retrieve(queries, k)
        assert len(found) == len(queries)
        assert np.diff(found.indptr).max() <= k
        assert not np.isnan(found.scores).any()
        for q in range(len(queries)):
            items, scores = found.row(q)
            order = np.lexsort((items, -scores))
            assert (order == np.arange(len(items))).all()
            assert len(np.unique(items)) == len(items)
            assert (items == full.row(q)[0][: len(items)]).all()
    assert full.items.dtype == np.dtype(np.int32)
    assert full.scores.dtype == np.dtype(np.float32)


def unknowns_are_answered(spec: Spec) -> None:
    """Unknown users, unknown items and empty histories are no errors, and the flags tell true."""
    model = spec.fit(shop())
    histories = [[], [-1, -1], [0, -1, 2], [2]]
    asked = Queries.of_histories(histories, values=[[np.nan] * len(h) for h in histories])
    found = model.retrieve(asked, 5)
    lengths = np.diff(found.indptr)
    assert (lengths[:2] > 0).tolist() == [model.answers.empty] * 2
    assert not model.answers.strangers or lengths[2:].all()
    assert len(model.retrieve(asked[0:0], 5)) == 0
    assert len(model.similar([-1], 3)) == 1


def small_worlds_are_answered(spec: Spec) -> None:
    """Nothing at all, and one user with one item, can be learned from."""
    nothing = spec.fit(Dataset.of([], []))
    asked = Queries.of_histories([[], [-1]])
    assert nothing.scores(asked).shape == (2, 0)
    assert np.diff(nothing.retrieve(asked, 3).indptr).tolist() == [0, 0]
    one = Dataset.of(["u"], ["i"], values=[4.0])
    model = spec.fit(one)
    found = model.retrieve(Queries.of_users(one, [0]), 3)
    assert set(found.items) <= {0}
    assert not len(model.retrieve(Queries.of_users(one, [0]).excluding_history(), 3).items)


def misspelt_settings_are_refused(spec: Spec) -> None:
    """An unknown setting raises ConfigError, which names the nearest."""
    for name in type(spec).model_fields:
        hint = ""
        try:
            type(spec).parse({name + "x": 1})
        except ConfigError as error:
            hint = error.hint
        assert repr(name) in hint, f"{name}x should be refused, naming {name}"


def contributions_sum_to_the_score(spec: Spec) -> None:
    """A model that explains splits each score exactly over the past events."""
    model, queries = _asked(spec)
    everything = np.arange(len(model.items), dtype=np.int32)
    for q in range(len(queries)):
        query = queries[q : q + 1]
        shares = model.contributions(query, everything)
        assert (shares is not None) == model.answers.explains
        if shares is None:
            return
        scores = model.scores(query)[0]
        said = ~np.isnan(scores)
        assert shares.shape == (len(everything), len(query.items))
        _close(shares.sum(axis=1)[said], scores[said])


def a_stranger_is_answered_like_a_member(spec: Spec) -> None:
    """The history counts, not the row number: a member who lost their name gets the same."""
    model, queries = _asked(spec)
    if model.answers.strangers:
        stranger = replace(queries, users=np.full(len(queries), -1, np.int32))
        assert fingerprint(model.retrieve(queries, 9)) == fingerprint(model.retrieve(stranger, 9))


def candidates_are_scored_like_retrieved(spec: Spec) -> None:
    """`score` gives the scores of `scores`, in the order of the candidates."""
    model, queries = _asked(spec)
    asked = Candidates.of([np.arange(len(model.items))[::-1]] * len(queries))
    scored = model.score(queries, asked)
    assert scored.dtype == np.float32
    np.testing.assert_array_equal(scored.reshape(len(queries), -1)[:, ::-1], model.scores(queries))


def an_index_keeps_the_rules(spec: Spec) -> None:
    """All lists looked into, an index answers as a look at all does; one alone proposes less.

    Nothing that is excluded or not allowed comes, the answer is full where few may come, its
    scores are the model's own, and one question is answered as it is among others.
    """
    model, queries = _asked(spec)
    product = model.product(queries)
    if product is None:
        return
    lists = 3
    nearest = (product.y[product.known] @ product.y[:lists].T).argmax(axis=1).astype(np.int32)
    index = Inverted.of(product, np.ascontiguousarray(product.y[:lists]), nearest)
    seen = queries.excluding_history()
    for allowed in (None, np.arange(0, N_ITEMS, 2, dtype=np.int32), np.array([7], np.int32)):
        asked = replace(seen, allowed=allowed)
        exact = model.retrieve(asked, 9)
        whole = replace(model, index=replace(index, probes=lists)).retrieve(asked, 9)
        assert np.array_equal(whole.indptr, exact.indptr)
        _close(whole.scores, exact.scores)
        for probes in (1, lists):
            narrow = replace(model, index=replace(index, probes=probes))
            found = narrow.retrieve(asked, 9)
            _close(found.scores, model.score(asked, found))
            assert allowed is None or set(found.items) <= set(allowed)
            assert allowed is None or len(allowed) > 1 or len(found.items) == len(exact.items)
            for q in range(len(asked)):
                items, scores = found.row(q)
                assert not set(items) & set(queries[q : q + 1].items)
                alone = narrow.opinion(asked[q : q + 1], 9)
                assert np.array_equal(alone.proposed.items, items)
                assert np.array_equal(alone.proposed.scores, scores)
                _close(alone.score(alone.proposed), scores)


def warm_items_are_answered_as_declared(spec: Spec) -> None:
    """Items nobody touched have a score where `warm_items` is declared, and NaN elsewhere."""
    model, queries = _asked(spec)
    said = ~np.isnan(model.scores(queries)[:, model.items.rows(UNTOUCHED)])
    assert said.any() == model.answers.warm_items


def ratings_are_predicted_as_declared(spec: Spec) -> None:
    """`predict` stays on the scale of the ratings and knows what to say of the unknown."""
    model = spec.fit(shop())
    assert isinstance(model, RatingModel) == model.answers.ratings
    if isinstance(model, RatingModel):
        users, items = np.meshgrid(np.arange(-1, 31), np.arange(-1, 25), indexing="ij")
        found = model.predict(users.ravel().astype(np.int32), items.ravel().astype(np.int32))
        assert found.shape == users.ravel().shape
        assert found.dtype == np.float32
        assert ((found >= 1) & (found <= 5)).all()


CHECKS: Final[Mapping[str, Callable[[Spec], None]]] = {
    check.__name__: check
    for check in (
        same_seed_same_model,
        batch_equals_single,
        input_stays_untouched,
        reads_do_not_write,
        saved_and_loaded_it_is_the_same,
        renaming_permutes_the_answer,
        exclusions_and_allowed_hold,
        answers_are_well_formed,
        unknowns_are_answered,
        small_worlds_are_answered,
        misspelt_settings_are_refused,
        contributions_sum_to_the_score,
        a_stranger_is_answered_like_a_member,
        candidates_are_scored_like_retrieved,
        an_index_keeps_the_rules,
        warm_items_are_answered_as_declared,
        ratings_are_predicted_as_declared,
    )
}


def fingerprint(thing: Any) -> str:
    """Return a hash of every field of a model, of queries or of candidates."""
    digest = hashlib.sha256()
    for field in fields(thing):
        value = getattr(thing, field.name)
        parts = [value]
        if isinstance(value, sparse.csr_array):
            parts = [value.indptr, value.indices, value.data]
        for part in parts:
            digest.update(field.name.encode())
            digest.update(_bytes(part))
    return digest.hexdigest()


def _close(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> None:
    """Compare scores as float32: a product may sum in another order in another batch size."""
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def _bytes(part: Any) -> bytes:
    if isinstance(part, np.ndarray):
        return f"{part.dtype}{part.shape}".encode() + np.ascontiguousarray(part).tobytes()
    return repr(part.array.to_pylist() if isinstance(part, Vocabulary) else part).encode()


def _queries(data: Dataset) -> Queries:
    return Queries.of_users(data, np.arange(len(data.users)))


def _asked(spec: Spec) -> tuple[Model, Queries]:
    data = shop()
    return spec.fit(data), _queries(data)


def _read_everything(model: Model, queries: Queries) -> None:
    everything = np.arange(len(model.items), dtype=np.int32)
    model.retrieve(queries.excluding_history(), 5)
    model.score(queries, model.retrieve(queries, 5))
    model.similar(everything, 5)
    model.contributions(queries[0:1], everything)
    model.retrieve(Queries.of_histories([[0, 2, -1]]), 5)
    if isinstance(model, RatingModel):
        model.predict(queries.users, queries.users % len(model.items))
