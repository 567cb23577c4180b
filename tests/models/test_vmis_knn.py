"""VMIS-kNN against a plain triple loop, on sessions of every shape."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from endcap.models.queries import Queries
from endcap.models.vmis_knn import VMISKNN
from endcap.prepare.dataset import Dataset

SESSIONS = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6), min_size=1, max_size=8)
SPECS = st.builds(
    VMISKNN,
    neighbours=st.sampled_from([1, 2, 50]),
    sample=st.sampled_from([1, 3, 50]),
    before=st.sampled_from([0.0, 0.4, 1.0]),
    recency=st.sampled_from([0.0, 0.3]),
    sharpness=st.sampled_from([0.5, 1.0, 2.0]),
    length_norm=st.sampled_from([0.0, 0.5]),
    weighting=st.sampled_from(["none", "idf"]),
    decay_events=st.sampled_from([0.0, 1.5]),
    popularity=st.sampled_from([0.0, -0.5]),
)


def shop(sessions: list[list[int]]) -> Dataset:
    users = [f"s{s:02d}" for s, items in enumerate(sessions) for _ in items]
    return Dataset.of(users, [f"i{item}" for items in sessions for item in items])


def naive(spec: VMISKNN, sessions: list[list[int]], query: list[int]) -> dict[int, float]:
    """Score by the definition, the latest session first."""
    latest = sessions[::-1]
    held = {i: [s for s, items in enumerate(latest) if i in items] for i in range(6)}
    n = len(latest)
    weight = {}
    for age, item in enumerate(query[::-1]):
        if item not in weight and held[item]:
            rare = np.log1p((n - len(held[item]) + 0.5) / (len(held[item]) + 0.5))
            fade = np.exp(-age / spec.decay_events) if spec.decay_events else 1.0
            weight[item] = fade * (rare if spec.weighting == "idf" else 1.0)
    trust = [
        len(set(items)) ** -spec.length_norm
        * (np.exp(-s / (spec.recency * n)) if spec.recency else 1.0)
        for s, items in enumerate(latest)
    ]
    similar = {
        s: trust[s] * sum(w for i, w in weight.items() if s in held[i][: spec.sample])
        for s in range(n)
    }
    near = sorted((s for s in similar if similar[s] > 0), key=lambda s: (-similar[s], s))
    edge = [similar[s] for s in near[spec.neighbours - 1 : spec.neighbours + 1]]
    assume(len(edge) < 2 or edge[0] > edge[1] * (1 + 1e-5))  # a tie is broken by rounding
    out: dict[int, float] = {}
    for s in near[: spec.neighbours]:
        for a, source in enumerate(latest[s]):
            for b, target in enumerate(latest[s]):
                if source not in weight or a == b:
                    continue
                share = 1.0 if b > a else spec.before
                told = share * weight[source] * np.exp(-(abs(b - a) - 1) / spec.gap_decay)
                told *= similar[s] ** (spec.sharpness - 1) * trust[s]
                if share:
                    out[target] = out.get(target, 0.0) + told
    return {i: score * len(held[i]) ** spec.popularity for i, score in out.items()}


@settings(max_examples=60, deadline=None)
@given(spec=SPECS, sessions=SESSIONS, query=st.lists(st.integers(0, 5), max_size=5))
def test_scores_follow_the_definition(
    spec: VMISKNN, sessions: list[list[int]], query: list[int]
) -> None:
    data = shop(sessions)
    rows = data.items.rows([f"i{i}" for i in query])
    found = spec.fit(data).scores(Queries.of_histories([rows]))[0]
    wanted = naive(spec, sessions, [i for i, row in zip(query, rows, strict=True) if row >= 0])
    # An unknown item keeps its place in the history, so ages are compared only without one.
    if (rows >= 0).all():
        expected = [wanted.get(int(name[1:]), np.nan) for name in data.items.array.to_pylist()]
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_visit_is_a_session_where_asked() -> None:
    visits = Dataset.of(["u"] * 4, list("abcd"), sessions=[0, 0, 1, 1])
    query = Queries.of_histories([visits.items.rows(["b"])])
    whole = VMISKNN().fit(visits).scores(query)[0]
    apart = VMISKNN(unit="session").fit(visits).scores(query)[0]
    assert np.isfinite(whole).tolist() == [True, False, True, True]
    assert np.isfinite(apart).tolist() == [True, False, False, False]


@pytest.mark.parametrize("recency", [0.0, 0.2])
def test_what_is_newer_counts_more_where_asked(recency: float) -> None:
    data = shop([[0, 1], [0, 2], [0, 3], [0, 4]])
    query = Queries.of_histories([data.items.rows(["i0"])])
    scores = VMISKNN(recency=recency).fit(data).scores(query)[0][1:]
    apart = [newer / older for older, newer in pairwise(scores)]
    assert apart == pytest.approx([np.exp(0.25 / recency) if recency else 1.0] * 3, rel=1e-4)
