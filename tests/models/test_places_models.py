"""Models of places: refills by interval, baskets apart from people, substitutes, trends nearby."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from endcap.models.candidates import Candidates
from endcap.models.queries import Queries
from endcap.models.refill import Refill
from endcap.models.substitutes import Substitutes
from endcap.models.together import Together
from endcap.models.trending_near import TrendingNear
from endcap.prepare.dataset import Dataset
from endcap.testing.contracts.models import CHECKS, run

DAY = 86_400_000_000
START = 20_000 * DAY


def habits(users: int = 40) -> Dataset:
    """Milk each 7 days, soap each 35, a lamp once."""
    rows = []
    for user in range(users):
        for day in range(user % 7, 140, 7):
            rows.append((user, "milk", day))
        for day in range(user % 35, 140, 35):
            rows.append((user, "soap", day))
        rows.append((user, "lamp", user % 100))
    rows.sort(key=lambda row: (row[0], row[2]))
    return Dataset.of(
        [f"u{u:02}" for u, _, _ in rows],
        [item for _, item, _ in rows],
        times=[START + day * DAY for _, _, day in rows],
        sessions=[200 * u + day for u, _, day in rows],
    )


def asked(data: Dataset, past: list[tuple[str, int]], now: int) -> Queries:
    return Queries.of_histories(
        [[data.items.row(item) for item, _ in past]],
        times=[[START + day * DAY for _, day in past]],
        now=[START + now * DAY],
    )


def test_intervals_are_those_of_the_population_after_one_purchase() -> None:
    data = habits()
    model = Refill().fit(data)
    query = asked(data, [("milk", 0), ("soap", 0)], 1)
    _, items, due = model.due(query)
    days = {data.items.ids([i])[0]: (t - START) / DAY for i, t in zip(items, due, strict=True)}
    assert days["milk"] == pytest.approx(7, abs=1)
    assert days["soap"] == pytest.approx(35, rel=0.2)


def test_the_shoppers_own_interval_takes_over() -> None:
    data = habits()
    model = Refill().fit(data)
    _, _, due = model.due(asked(data, [("milk", day) for day in range(0, 61, 3)], 62))
    assert (due[0] - START) / DAY - 60 == pytest.approx(3, abs=1)


def test_what_is_due_comes_before_what_was_just_bought() -> None:
    data = habits()
    model = Refill().fit(data)
    past = [("soap", 0), ("milk", 28), ("soap", 35), ("milk", 35), ("milk", 42), ("lamp", 44)]
    milk, soap, lamp = (data.items.row(item) for item in ("milk", "soap", "lamp"))
    fresh = model.scores(asked(data, past, 43))[0]
    assert fresh[milk] > fresh[lamp]
    late = model.scores(asked(data, past, 70))[0]
    assert late[soap] > fresh[soap]
    assert model.is_due(milk, START, START + 7 * DAY)
    assert not model.is_due(milk, START, START + 2 * DAY)
    assert not model.is_due(lamp, START, START + 100 * DAY)


def test_it_says_nothing_of_what_was_never_had() -> None:
    data = habits()
    scores = Refill().fit(data).scores(asked(data, [("milk", 0)], 7))[0]
    assert np.isnan(scores[[data.items.row("soap"), data.items.row("lamp")]]).all()


def test_baskets_make_pairs_and_people_do_not() -> None:
    rows = []
    for user in range(20):
        rows += [(user, "sofa", 0, "purchase"), (user, "cushion", 0, "purchase")]
        rows += [(user, "rake", 50, "purchase"), (user, "couch", 50, "view")]
    data = Dataset.of(
        [f"u{u:02}" for u, *_ in rows],
        [item for _, item, *_ in rows],
        times=[START + day * DAY for _, _, day, _ in rows],
        sessions=[100 * u + day for u, _, day, _ in rows],
        kinds=[kind for *_, kind in rows],
    )
    together = Together().fit(data)
    found = together.similar([data.items.row("sofa")], 5)
    assert data.items.ids(found.row(0)[0]) == ["cushion"]
    viewed = Together(kinds=("view",)).fit(data)
    assert not len(viewed.similar([data.items.row("sofa")], 5).row(0)[0])


def test_recent_baskets_count_more() -> None:
    rows = [("tea", "cup", 0)] * 6 + [("tea", "pot", 200)] * 4
    data = Dataset.of(
        [f"u{n}" for n, _ in enumerate(rows) for _ in range(2)],
        [item for pair in rows for item in pair[:2]],
        times=[START + row[2] * DAY for row in rows for _ in range(2)],
        sessions=[n for n, _ in enumerate(rows) for _ in range(2)],
    )
    tea = [data.items.row("tea")]
    first = [
        data.items.ids(Together(half_life_days=life).fit(data).similar(tea, 1).row(0)[0])[0]
        for life in (None, 30.0)
    ]
    assert first == ["cup", "pot"]


def test_two_sofas_stand_beside_the_same_cushions() -> None:
    rows = []
    for user in range(60):
        sofa = ("red sofa", "blue sofa")[user % 2]
        rows += [(user, item) for item in (sofa, "cushion", "throw")]
        rows += [(user + 60, item) for item in ("rake", "spade", ("hose", "bucket")[user % 2])]
    data = Dataset.of(
        [f"u{u}" for u, _ in rows], [item for _, item in rows], sessions=[u for u, _ in rows]
    )
    model = Substitutes(people=0.0).fit(data)
    for item, other in (("red sofa", "blue sofa"), ("hose", "bucket")):
        found = model.similar([data.items.row(item)], 1).row(0)[0]
        assert data.items.ids(found) == [other]
    pairs = Together().fit(data).similar([data.items.row("red sofa")], 5).row(0)[0]
    assert "blue sofa" not in data.items.ids(pairs)


def test_a_trend_nearby_is_not_that_of_everybody() -> None:
    cities = {f"u{n}": "Oslo" if n < 30 else "Rome" for n in range(100)}
    people = pa.table(
        {
            "user_id": [*cities, "new", "nowhere"],
            "attributes": [f'{{"city": "{city}"}}' for city in cities.values()]
            + ['{"city": "Oslo"}', None],
        }
    )
    data = Dataset.of(
        list(cities),
        ["ski" if city == "Oslo" else "vespa" for city in cities.values()],
        people=people,
    )
    model = TrendingNear().fit(data)
    best = {
        user: data.items.ids([int(np.nanargmax(scores))])[0]
        for user, scores in (
            (u, model.scores(Queries.of_histories([[]], users=[data.users.row(u)]))[0])
            for u in ("u0", "u99", "new", "nowhere", "stranger")
        )
    }
    assert best == {
        "u0": "ski",
        "u99": "vespa",
        "new": "ski",
        "nowhere": "vespa",
        "stranger": "vespa",
    }


def shelved(paths: dict[str, str]) -> pa.Table:
    """Return a catalogue of items, each in one category or none."""
    lists = pa.array([[path] if path else [] for path in paths.values()], pa.list_(pa.string()))
    return pa.table({"item_id": list(paths), "categories": lists})


def test_an_item_of_few_baskets_borrows_from_its_category() -> None:
    def basket(at: int) -> list[str]:
        return (["ipa", "crisps"], ["stout", "crisps"], ["tea", "milk"])[at % 3]

    lines = [(at, item) for at in range(90) for item in basket(at)]
    lines += [(90, "new beer"), (90, "milk"), (91, "loose"), (91, "milk")]
    shelf = dict.fromkeys(("ipa", "stout", "new beer"), "Drinks > Beer")
    data = Dataset.of(
        [f"u{at:02}" for at, _ in lines],
        [item for _, item in lines],
        times=[START + at for at, _ in lines],
        sessions=[at for at, _ in lines],
        catalogue=shelved({item: shelf.get(item, "") for _, item in lines}),
    )

    def first(item: str, borrow: float) -> str:
        model = Together(borrow=borrow).fit(data)
        found = model.similar(np.array([data.items.row(item)], np.int32), 1)
        return data.items.ids(found.items)[0]

    assert first("new beer", 0) == "milk"
    assert first("new beer", 20) == "crisps"
    assert first("loose", 20) == "milk"
    assert first("tea", 20) == "milk"


def test_borrowing_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    lines = [(at, f"i{i}") for at in range(60) for i in rng.choice(8, 3, replace=False)]
    paths = ["A"] * 3 + ["B"] * 3 + [""] * 2
    data = Dataset.of(
        [f"u{at}" for at, _ in lines],
        [item for _, item in lines],
        sessions=[at for at, _ in lines],
        catalogue=shelved({f"i{row}": path for row, path in enumerate(paths)}),
    )
    spec = Together(borrow=7.0, shrink=0.0, damp=1.0, source_norm=1.0)
    x = spec.baskets(data).toarray().astype(float)
    worth = (x**2).sum(axis=0)
    expected = np.zeros((8, 8))
    for i in range(8):
        own = x[:, i] @ x
        group = [r for r in range(8) if paths[r] == paths[i]]
        held = x.max(axis=1) * (x[:, group].max(axis=1) > 0)
        kin = held @ x / (held @ held)
        expected[i] = (own + 7 * kin) / (worth[i] + 7) if paths[i] else own / worth[i]
        expected[i, i] = 0
    effects = spec.fit(data).effects
    assert isinstance(effects, sparse.csr_array)
    np.testing.assert_allclose(effects.toarray(), expected, atol=1e-6)


def test_what_is_only_looked_at_is_asked_about_too() -> None:
    data = habits()
    model = Together().fit(data)
    milk = data.items.row("milk")
    bought, viewed = (
        model.scores(Queries.of_histories([[milk]], kinds=[[kind]]))
        for kind in ("purchase", "view")
    )
    assert np.isfinite(viewed).any()
    np.testing.assert_array_equal(bought, viewed)


def looking_at(data: Dataset, item: str, past: list[tuple[str, int]], now: int) -> Queries:
    """Return a shopper who bought some things on some days, and has an item before their eyes."""
    rows = [data.items.row(name) for name in (*(name for name, _ in past), item)]
    days = [*(day for _, day in past), now]
    return Queries.of_histories(
        [rows],
        times=[[START + day * DAY for day in days]],
        now=[START + now * DAY],
        kinds=[["purchase"] * len(past) + ["view"]],
    )


def test_what_a_shopper_needs_again_is_added_to_what_goes_with_an_item() -> None:
    data = habits()
    lamp, milk, soap = (data.items.row(name) for name in ("lamp", "milk", "soap"))
    plain, own = Together().fit(data), Together(own=2.0).fit(data)
    refill = Refill().fit(data)
    past = [("milk", 0), ("milk", 7), ("milk", 14), ("soap", 14)]
    query = looking_at(data, "lamp", past, 21)
    beside = np.nan_to_num(plain.scores(looking_at(data, "lamp", [], 21))[0])
    needed = np.nan_to_num(refill.scores(asked(data, past, 21))[0])
    scores = np.nan_to_num(own.scores(query)[0])
    np.testing.assert_allclose(scores, beside + 2 * needed, rtol=1e-6)
    assert needed[milk] > needed[soap] > 0
    parts = own.contributions(query, np.array([milk, soap, lamp], np.int32))
    assert parts is not None
    np.testing.assert_allclose(parts.sum(axis=1), scores[[milk, soap, lamp]], rtol=1e-5)


def test_who_has_bought_nothing_is_answered_by_the_item_alone() -> None:
    data = habits()
    query = looking_at(data, "lamp", [], 21)
    plain, own = (Together(own=share).fit(data).scores(query) for share in (0.0, 2.0))
    np.testing.assert_array_equal(plain, own)


def test_completing_keeps_every_promise_of_a_model() -> None:
    for check in CHECKS:
        run(check, Together(own=1.0))


def test_one_shopper_is_answered_from_lists_as_many_are_from_all_scores() -> None:
    data = habits()
    model = Together(own=2.0).fit(data)
    past = [("milk", 0), ("milk", 7), ("soap", 7)]
    for exclude, k in (([], 3), (["milk"], 3), ([], 1)):
        one = looking_at(data, "lamp", past, 21).excluding(
            Queries.of_histories([[data.items.row(name) for name in exclude]])
        )
        opinion, dense = model.opinion(one, k), model.scores(one)
        found, expected = opinion.proposed.row(0), model.retrieve(one, k).row(0)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-6)
        assert len(found[0]) == min(k, 2 - len(exclude))
        every = Candidates.of([np.arange(len(data.items), dtype=np.int32)])
        np.testing.assert_allclose(opinion.score(every), dense[0], rtol=1e-6)
