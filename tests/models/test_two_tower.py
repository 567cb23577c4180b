"""Two towers: NumPy against PyTorch, and items that nobody has touched."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from endcap.models import store
from endcap.models.deep.inputs import Events, Facts
from endcap.models.deep.packing import pack, tails
from endcap.models.deep.pooling import pool
from endcap.models.deep.towers import build, tower
from endcap.models.deep.training import Course, vectors
from endcap.models.queries import Queries
from endcap.models.two_tower import TwoTower
from endcap.prepare.dataset import Dataset
from endcap.testing.contracts.models import shop

SMALL = TwoTower(width=16, max_events=6, epochs=2, held_out=0, dropout=0.2)


def course(lengths: list[int], n_items: int = 11) -> Course:
    rng = np.random.default_rng(0)
    n = sum(lengths)
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    zero = np.zeros(n, np.int64)
    history = Events(indptr, rng.integers(0, n_items, n).astype(np.int32), zero, zero)
    text = rng.standard_normal((n_items, 5)).astype(np.float32)
    said = Facts(text, rng.integers(0, 4, (n_items, 2)), 4)
    return Course(history, np.bincount(history.items, minlength=n_items), said, n_kinds=1)


@pytest.mark.parametrize("tied", [True, False])
def test_numpy_answers_what_the_towers_do(tied: bool) -> None:
    given = course([3, 9, 4, 1, 5, 3])
    spec = SMALL.model_copy(update={"tied": tied})
    torch.manual_seed(1)
    network = build(spec, given).eval()
    packed = pack(*tails(given.events.indptr, spec.max_events))
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
        items = network.inputs()[torch.from_numpy(given.events.items[packed.tokens]).long()]
        place = torch.from_numpy(packed.positions)
        states = network(items, place, place, place, packed.runs)
    expected = np.empty((6, spec.width), np.float32)
    expected[packed.order] = states[packed.last].numpy()
    inputs, outputs = vectors(network, given.facts, np.arange(11))
    found, some = pool(tower(network), inputs, given.events, spec.max_events)
    assert some.all()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(outputs, network.outputs().detach().numpy(), atol=1e-6)


def camps() -> Dataset:
    """Half take lamps, half take mugs; one of each is new."""
    names = [f"{kind}{n}" for kind in ("lamp", "mug") for n in range(9)]
    shelves = [[name.rstrip("0123456789")] for name in names]
    rng = np.random.default_rng(0)
    rows = [(u, 9 * (u % 2) + n) for u in range(120) for n in rng.permutation(8)[:4]]
    return Dataset.of(
        [f"u{u:03d}" for u, _ in rows],
        [names[i] for _, i in rows],
        catalogue=pa.table({"item_id": names, "categories": shelves}),
    )


LEARNT = {"width": 16, "epochs": 15, "held_out": 0, "batch_events": 100, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def camp_model():  # type: ignore[no-untyped-def]
    return TwoTower(**LEARNT).fit(camps(), rng=1)


def test_a_new_item_ranks_beside_its_like(camp_model) -> None:  # type: ignore[no-untyped-def]
    data = camps()
    lamp, mug = data.items.rows(["lamp8", "mug8"])
    histories = [data.items.rows(["lamp0", "lamp3"]), data.items.rows(["mug1", "mug5"])]
    scores = camp_model.scores(Queries.of_histories(histories))
    assert scores[0, lamp] > np.nanmax(scores[0, data.items.rows([f"mug{n}" for n in range(9)])])
    assert scores[1, mug] > np.nanmax(scores[1, data.items.rows([f"lamp{n}" for n in range(9)])])


def test_new_items_are_admitted_as_asked(camp_model) -> None:  # type: ignore[no-untyped-def]
    asked = Queries.of_histories([[0, 3]])
    plain = camp_model.scores(asked)[0]
    new = ~camp_model.touched
    assert new.sum() == 2
    for admit in (0.0, 3.0):
        spec = camp_model.spec.model_copy(update={"admit": admit})
        found = replace(camp_model, spec=spec).scores(asked)[0]
        np.testing.assert_array_equal(found[~new], plain[~new])
        expected = plain[new] + np.log(3.0) if admit else np.full(2, np.nan)
        np.testing.assert_allclose(found[new], expected, rtol=1e-5)


def test_memory_mapped_it_answers_without_pytorch(tmp_path: Path) -> None:
    model = SMALL.fit(shop())
    store.save(model, tmp_path / "model")
    np.save(tmp_path / "expected.npy", model.scores(Queries.of_histories([[0, 3, 5]])))
    code = """
import sys
import numpy as np
from pathlib import Path
from endcap.models import store
from endcap.models.queries import Queries
model = store.load(Path(sys.argv[1]) / "model")
found = model.scores(Queries.of_histories([[0, 3, 5]]))
np.testing.assert_allclose(found, np.load(sys.argv[1] + "/expected.npy"), atol=1e-6)
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
