"""The sequence model: packing, loss, encoder, and what it learns of an order."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from endcap.models import deep, store
from endcap.models.deep.encoder import encode
from endcap.models.deep.inputs import GAPS, Events, Facts, events, facts
from endcap.models.deep.loss import cross_entropy, drawn, everybody
from endcap.models.deep.packing import batches, lessons, pack, tails
from endcap.models.deep.training import Course, build, learn, vectors, weights
from endcap.models.queries import Queries
from endcap.models.sasrec import SASRec
from endcap.prepare.dataset import Dataset
from endcap.prepare.vocabulary import Vocabulary
from endcap.schema.errors import ConfigError, PluginError
from endcap.schema.progress import silent
from endcap.testing.contracts.models import shop

SMALL = SASRec(width=16, layers=2, max_events=6, epochs=2, held_out=0, dropout=0.2)


def course(lengths, n_items=11, seed=0):
    """Random histories of the given lengths, with gaps, kinds and described items."""
    rng = np.random.default_rng(seed)
    n = sum(lengths)
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    history = Events(
        indptr,
        rng.integers(0, n_items, n).astype(np.int32),
        rng.integers(0, GAPS, n),
        rng.integers(0, 3, n),
    )
    said = Facts(
        rng.standard_normal((n_items, 5)).astype(np.float32), rng.integers(0, 4, (n_items, 2)), 4
    )
    counts = np.bincount(history.items, minlength=n_items)
    return Course(history, counts, said, n_kinds=2)


def stirred(spec, given, seed=1):
    """A network none of whose weights is zero."""
    torch.manual_seed(seed)
    network = build(spec, given).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return network


def states(network, given, packed):
    found = given.events
    with torch.no_grad():
        items = network.inputs()[torch.from_numpy(found.items[packed.tokens].astype(np.int64))]
        return network(
            items,
            torch.from_numpy(packed.positions),
            torch.from_numpy(found.gaps[packed.tokens]),
            torch.from_numpy(found.kinds[packed.tokens]),
            packed.runs,
        )


def test_spans_lie_end_to_end_by_length() -> None:
    packed = pack(np.array([0, 3, 3, 10]), np.array([3, 0, 1, 3]))
    assert packed.order.tolist() == [2, 0, 3]
    assert packed.tokens.tolist() == [3, 0, 1, 2, 10, 11, 12]
    assert packed.positions.tolist() == [0, 0, 1, 2, 0, 1, 2]
    assert packed.last.tolist() == [0, 3, 6]
    assert [tuple(run) for run in packed.runs] == [(0, 1, 1), (1, 2, 3)]


def test_each_event_but_the_first_is_foreseen_once() -> None:
    indptr = np.array([0, 0, 1, 3, 20], np.int64)
    starts, lengths = lessons(indptr, 5)
    foreseen = np.concatenate(
        [np.arange(s, s + n) + 1 for s, n in zip(starts, lengths, strict=True)]
    )
    assert sorted(foreseen) == [2, *range(4, 20)]
    assert lengths.max() == 5
    drawn_spans = np.concatenate(list(batches(lengths, 7, np.random.default_rng(0))))
    assert sorted(drawn_spans) == list(range(len(starts)))
    assert tails(indptr, 5)[1].tolist() == [0, 1, 2, 5]


def test_packed_is_what_each_sequence_gives_alone() -> None:
    given = course([3, 1, 4, 1, 5, 3])
    network = stirred(SMALL, given)
    starts, lengths = given.events.indptr[:-1], np.diff(given.events.indptr)
    packed = pack(starts, lengths)
    together = states(network, given, packed)
    ends = packed.last + 1
    for at, which in enumerate(packed.order):
        alone = states(network, given, pack(starts[[which]], lengths[[which]]))
        mine = together[ends[at] - lengths[which] : ends[at]]
        torch.testing.assert_close(mine, alone, rtol=1e-5, atol=1e-5)


def test_packed_is_what_padding_gives() -> None:
    """Padded at the end a causal model never sees the padding: PyTorch's own attention says so."""
    given = course([3, 1, 4, 6])
    spec = SMALL.model_copy(update={"layers": 1})
    network = stirred(spec, given)
    block = network.blocks[0]
    starts, lengths = given.events.indptr[:-1], np.diff(given.events.indptr)
    tokens = torch.randn(int(lengths.sum()), spec.width)
    packed = pack(starts, lengths)
    with torch.no_grad():
        found = block(tokens, packed.runs)
        padded = torch.zeros(len(lengths), 6, spec.width)
        real = torch.arange(6) < torch.from_numpy(lengths[packed.order])[:, None]
        padded[real] = tokens
        q, k, v = (
            part.view(len(lengths), 6, spec.heads, -1).transpose(1, 2)
            for part in block.qkv(block.norm_attention(padded)).chunk(3, dim=2)
        )
        apart = torch.arange(6)[:, None] - torch.arange(6)
        mask = block.nearness[:, apart.clamp(min=0)].masked_fill(apart < 0, -torch.inf)
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask[None])
        after = padded + block.out(mixed.transpose(1, 2).flatten(2))
        feed = torch.nn.functional.silu(block.up(block.norm_feed(after)))
        expected = (after + block.down(feed))[real]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("tied", [True, False])
def test_numpy_answers_what_the_network_does(layers: int, tied: bool) -> None:
    given = course([3, 9, 4, 1, 5, 3])
    spec = SMALL.model_copy(update={"layers": layers, "tied": tied})
    network = stirred(spec, given)
    packed = pack(*tails(given.events.indptr, spec.max_events))
    expected = np.empty((6, spec.width), np.float32)
    expected[packed.order] = states(network, given, packed)[packed.last].numpy()
    rows = np.arange(11)
    inputs, outputs = vectors(network, given.facts, rows)
    found, some = encode(weights(network), inputs, given.events)
    assert some.all()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(outputs, network.outputs().detach().numpy(), atol=1e-6)


def test_the_loss_is_the_cross_entropy_with_its_gradients() -> None:
    torch.manual_seed(0)
    table, state = torch.randn(700, 8), torch.randn(900, 8)
    wanted = torch.randint(0, 700, (900,))
    rivals = everybody(700)
    grads = []
    for own in (True, False):
        h, e = state.clone().requires_grad_(), table.clone().requires_grad_()
        if own:
            loss = cross_entropy(h, e[wanted], e, rivals.offsets, rivals.place[wanted])
        else:
            loss = torch.nn.functional.cross_entropy(h @ e.T, wanted)
        (2 * loss).backward()
        grads.append((loss.detach(), h.grad, e.grad))
    for mine, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_drawn_rivals_are_right_on_average() -> None:
    """The log-Q correction makes the drawn sum unbiased however unevenly rivals are drawn."""
    torch.manual_seed(0)
    n = 40
    table, state = torch.randn(n, 4), torch.randn(1, 4)
    share = torch.softmax(torch.randn(n), 0)
    wanted = torch.tensor([7])
    sums, naive = [], []
    for _ in range(400):
        rivals = drawn(share, 25)
        asked = (state, table[wanted], table[rivals.rows])
        hits = rivals.place[wanted]
        sums.append(cross_entropy(*asked, rivals.offsets, hits).exp())
        naive.append(cross_entropy(*asked, torch.zeros_like(rivals.offsets), hits).exp())
    exact = torch.nn.functional.cross_entropy(state @ table.T, wanted).exp()
    spread = torch.stack(sums).std() / len(sums) ** 0.5
    assert abs(torch.stack(sums).mean() - exact) < 4 * spread
    assert abs(torch.stack(naive).mean() - exact) > 10 * spread


def cycle(n_items: int, users: int) -> Dataset:
    """Everybody walks around the same circle, each from another place."""
    rows = [(u, (u + t) % n_items) for u in range(users) for t in range(4 + u % 5)]
    return Dataset.of([f"u{u:03d}" for u, _ in rows], [f"i{i:02d}" for _, i in rows])


@pytest.mark.parametrize("full", [0, 100])
def test_an_order_is_learnt(full: int) -> None:
    """After a comes b, whatever came before: exact and drawn softmax, for strangers too."""
    spec = SASRec(
        width=16, epochs=15, dropout=0.1, batch_events=100, learning_rate=0.01,
        full_softmax_items=full, negatives=8, held_out=0,
    )  # fmt: skip
    model = spec.fit(cycle(12, 120), rng=1)
    histories = [[(a + step) % 12 for step in range(a % 3 + 1)] for a in range(12)]
    best = model.scores(Queries.of_histories(histories)).argmax(axis=1)
    assert best.tolist() == [(h[-1] + 1) % 12 for h in histories]


def test_training_ends_when_nothing_is_gained() -> None:
    spec = SASRec(width=8, epochs=200, dropout=0.0, learning_rate=0.01)
    model = spec.fit(cycle(12, 120), rng=1)
    assert model.epochs < 200
    assert model.foreseen > 0
    assert model.gain > 0.5
    assert SASRec(train_minutes=1e-9, epochs=9).fit(cycle(12, 120)).epochs == 1


def test_untouched_items_are_known_by_what_is_said_of_them() -> None:
    """A new cup without any sale ranks beside the cups; with nothing read it is not answered."""
    model = SMALL.model_copy(update={"epochs": 8}).fit(shop())
    queries = Queries.of_histories([[0, 2]])
    assert np.isfinite(model.scores(queries)).all()
    mute = {"text_dimensions": 0, "category": False, "brand": False, "price": False}
    silent_model = SMALL.model_copy(update=mute).fit(shop())
    assert np.isnan(silent_model.scores(queries)[0, -2:]).all()
    assert np.isfinite(silent_model.scores(queries)[0, :-2]).all()


def test_facts_are_read_as_asked() -> None:
    table = shop().item_table
    random = np.random.default_rng(0)
    both = facts(table, 8, ("category", "brand", "price"), random)
    assert both.text.shape == (25, 8)
    assert both.labels.max() == both.n_labels - 1
    brands = facts(table, 0, ("brand",), random)
    assert brands.text.shape == (25, 0)
    assert brands.n_labels == 4
    assert (brands.labels[::4] == 0).all()
    assert not facts(pa.table({n: table[n].slice(0, 0) for n in table.column_names}), 8, (), random
                     ).known.any()  # fmt: skip


def test_gaps_and_kinds_are_read() -> None:
    second = 1_000_000
    asked = Queries.of_histories(
        [[1, -1, 2, 3], [4]],
        times=[[10 * second, 11 * second, 14 * second, 74 * second], [0]],
        kinds=[["view", "view", "cart", "odd"], ["view"]],
    )
    found = events(asked, Vocabulary(["cart", "view"]))
    assert found.items.tolist() == [1, 2, 3, 4]
    assert found.indptr.tolist() == [0, 3, 4]
    assert found.gaps.tolist() == [0, 1 + 2, 1 + 5, 0]
    assert found.kinds.tolist() == [2, 1, 0, 2]


def test_a_kind_of_event_changes_the_answer() -> None:
    """What follows a purchase is another item than what follows a view."""
    rows = [
        (u, *step)
        for u in range(80)
        for step in ((0, "view"), (1, "view"))
        + (((0, "buy"), (2, "buy")) if u % 2 else ((0, "view"), (1, "view")))
    ]
    data = Dataset.of(
        [f"u{u:02d}" for u, *_ in rows],
        [f"i{i}" for _, i, _ in rows],
        kinds=[kind for *_, kind in rows],
    )
    spec = SASRec(width=16, epochs=30, dropout=0.0, batch_events=60, learning_rate=0.01, held_out=0)
    scores = spec.fit(data).scores(
        Queries.of_histories([[0, 1, 0]] * 2, kinds=[["view"] * 3, ["view", "view", "buy"]])
    )
    assert scores.argmax(axis=1).tolist() == [1, 2]


def test_memory_mapped_it_answers_without_pytorch(tmp_path: Path) -> None:
    model = SMALL.fit(shop())
    store.save(model, tmp_path / "model")
    expected = model.scores(Queries.of_histories([[0, 3, 5]]))
    np.save(tmp_path / "expected.npy", expected)
    code = """
import sys
import numpy as np
from pathlib import Path
from endcap.models import deep, store
from endcap.models.queries import Queries
model = store.load(Path(sys.argv[1]) / "model")
found = model.scores(Queries.of_histories([[0, 3, 5]]))
np.testing.assert_allclose(found, np.load(sys.argv[1] + "/expected.npy"), atol=1e-6)
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_without_pytorch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("loss", "network", "training"):
        monkeypatch.delitem(sys.modules, f"endcap.models.deep.{name}")
        monkeypatch.delattr(deep, name)
    with pytest.raises(PluginError, match=r"pip install 'endcap\[deep\]'"):
        SMALL.fit(shop())


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="width 10 is no multiple of heads 4"):
        SASRec.parse({"width": 10, "heads": 4})


def test_the_state_of_pytorch_is_left_as_it_was() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    learn(SMALL, course([4, 5, 6]), np.random.default_rng(0), silent, build=build)
    assert torch.get_num_threads() == threads
    assert torch.rand(1) == expected
