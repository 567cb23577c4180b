"""How the network learns. Needs PyTorch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from endcap.models.deep.encoder import Array, Weights
from endcap.models.deep.inputs import GAPS, Events, Facts
from endcap.models.deep.loss import BLOCK_BYTES, cross_entropy, drawn, everybody
from endcap.models.deep.network import ItemTable, Network
from endcap.models.deep.packing import Ints, Packed, batches, lessons, pack, tails
from endcap.models.deep.settings import DeepSpec, SequenceSpec
from endcap.schema.progress import Progress

S = TypeVar("S", bound=DeepSpec)

WARM_UP = 100
"""Steps in which the rate grows to its full size."""
STEPS = 32
"""An epoch has at least so many where there is little to learn from: batches are smaller then."""
SMALLEST = 64
"""Events foreseen in a step, at least."""
AVERAGE = 0.995
"""Of the running mean of the weights, which is what answers; less at the start."""
ANSWERED = 10
"""Items of a list, for the held-out histories."""


@dataclass(frozen=True)
class Course:
    """What is learnt from.

    Attributes
    ----------
    events
        Histories of items ``0 .. n_items - 1``, every one of which occurs.
    counts
        int64 (n_items,): events of each.
    facts
        Of these items.
    n_kinds
        How many kinds of event there are.
    """

    events: Events
    counts: Ints
    facts: Facts
    n_kinds: int


@dataclass(frozen=True)
class Lesson:
    """How it went.

    Attributes
    ----------
    network
        With the averaged weights of the best epoch, in `eval` mode.
    epochs, foreseen
        Until the end: epochs, and events foreseen in them.
    gain
        NDCG of the held-out events at that epoch; NaN where none were held out.
    """

    network: Any
    epochs: int
    foreseen: int
    gain: float


@contextmanager
def one_thread(seed: int) -> Iterator[None]:
    """Seed PyTorch and let each of its operations run on one thread: sums are then always the same.

    What runs on several cores are blocks of a fixed size, see `loss`.
    """
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def learn(
    spec: S,
    course: Course,
    rng: np.random.Generator,
    progress: Progress,
    *,
    build: Callable[[S, Course], nn.Module],
    clock: Callable[[], float] = perf_counter,
) -> Lesson:
    """Train until the held-out events are foreseen no better, or epochs or minutes are over.

    Parameters
    ----------
    build
        Returns a network with random weights: it has two tables, `inputs` and `outputs`, and is
        called like `Network`.
    """
    with one_thread(int(rng.integers(2**31))):
        return _Learner(spec, course, rng, build(spec, course)).run(progress, clock)


def item_tables(spec: DeepSpec, facts: Facts) -> tuple[ItemTable, ItemTable]:
    """Return the tables of items as inputs and as answers: one and the same where they are tied."""

    def table() -> ItemTable:
        text, labels = torch.from_numpy(facts.text), torch.from_numpy(facts.labels)
        return ItemTable(spec.width, text, labels, facts.n_labels, spec.forget)

    inputs = table()
    return inputs, inputs if spec.tied else table()


def build(spec: SequenceSpec, course: Course) -> Network:
    """Return a network of self-attention with random weights."""
    return Network(
        *item_tables(spec, course.facts),
        layers=spec.layers,
        heads=spec.heads,
        most=spec.max_events,
        dropout=spec.dropout,
        gaps=GAPS if spec.time_gap and course.events.gaps.any() else 0,
        kinds=course.n_kinds + 1 if spec.event_kind and course.n_kinds > 1 else 0,
    )


class _Learner:
    """One training, step by step."""

    def __init__(
        self, spec: DeepSpec, course: Course, rng: np.random.Generator, network: nn.Module
    ) -> None:
        self.spec, self.course, self.rng = spec, course, rng
        self.network: Any = network
        self.mean = [weight.detach().clone() for weight in self.network.parameters()]
        self.optimiser = torch.optim.Adam(
            self.network.parameters(), lr=spec.learning_rate, betas=(0.9, 0.98)
        )
        self.steps = 0
        self.share = torch.from_numpy(course.counts / course.counts.sum()).float()
        self.held = held_out(course.events.indptr, spec.held_out, rng)

    def run(self, progress: Progress, clock: Callable[[], float]) -> Lesson:
        spec, starts, lengths = self.spec, *self._lessons()
        size = min(spec.batch_events, max(SMALLEST, int(lengths.sum()) // STEPS))
        seconds, tokens, done = 0.0, 0, 0
        best, score, since = self.mean, -1.0, 0
        for epoch in range(spec.epochs if len(starts) else 0):
            for batch in batches(lengths, size, self.rng):
                begun = clock()
                tokens += self._step(pack(starts[batch], lengths[batch]))
                seconds += clock() - begun
                if seconds > 60 * spec.train_minutes:
                    break
            done, since = epoch + 1, since + 1
            found = self._examine()
            progress(done, spec.epochs, f"NDCG {found:.4f}" if len(self.held) else "")
            if not len(self.held) or found > score:
                best, score, since = [weight.clone() for weight in self.mean], found, 0
            if since >= spec.patience or seconds > 60 * spec.train_minutes:
                break
        _assign(self.network, best)
        self.network.eval()
        return Lesson(self.network, done, tokens, score if len(self.held) else float("nan"))

    def _lessons(self) -> tuple[Ints, Ints]:
        """Spans to learn from: of the held-out histories all but the last event."""
        stops = self.course.events.indptr.copy()
        counts = np.diff(stops)
        counts[self.held] -= 1
        owner_start = stops[:-1]
        starts, lengths = lessons(
            np.concatenate(([0], np.cumsum(counts))).astype(np.int64), self.spec.max_events
        )
        shift = owner_start - (np.cumsum(counts) - counts)
        owner = np.searchsorted(np.cumsum(counts), starts, side="right")
        return starts + shift[owner], lengths

    def _states(self, packed: Packed, items: Tensor) -> Tensor:
        events = self.course.events
        classes = (packed.positions, events.gaps[packed.tokens], events.kinds[packed.tokens])
        states: Tensor = self.network(items, *map(torch.from_numpy, classes), packed.runs)
        return states

    def _step(self, packed: Packed) -> int:
        items = self.course.events.items.astype(np.int64)
        given, wanted = (torch.from_numpy(items[packed.tokens + ahead]) for ahead in (0, 1))
        if len(self.share) <= self.spec.full_softmax_items:
            rivals, rows = everybody(len(self.share)), None
        else:
            rivals = drawn(self.share, self.spec.negatives)
            rows, place = torch.unique(torch.cat((given, wanted, rivals.rows)), return_inverse=True)
            given, right, others = place.split((len(given), len(wanted), len(rivals.rows)))
        inputs = self.network.inputs(rows)
        outputs = inputs if self.spec.tied else self.network.outputs(rows)
        states = self._states(packed, functional.embedding(given, inputs))
        if rows is None:
            right, others = wanted, rivals.rows
        loss = cross_entropy(
            states,
            functional.embedding(right, outputs),
            outputs if rows is None else functional.embedding(others, outputs),
            rivals.offsets,
            rivals.place[wanted],
        )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for group in self.optimiser.param_groups:
            group["lr"] = self.spec.learning_rate * min(1, (self.steps + 1) / WARM_UP)
        self.optimiser.step()
        self.steps += 1
        keep = min(AVERAGE, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            torch._foreach_lerp_(self.mean, list(self.network.parameters()), 1 - keep)
        return len(given)

    def _examine(self) -> float:
        """NDCG of the held-out events by the averaged weights, among all items."""
        if not len(self.held):
            return 0.0
        current = [weight.detach().clone() for weight in self.network.parameters()]
        _assign(self.network, self.mean)
        self.network.eval()
        with torch.no_grad():
            found = self._gain()
        self.network.train()
        _assign(self.network, current)
        return found

    def _gain(self) -> float:
        events = self.course.events
        ends = events.indptr[1:][self.held] - 1
        spans = np.stack((events.indptr[:-1][self.held], ends), axis=1).ravel()
        starts, lengths = (side[::2] for side in tails(spans, self.spec.max_events))
        packed = pack(starts, lengths)
        states = self._states(packed, self.network.inputs()[events.items[packed.tokens]])
        states = states[torch.from_numpy(packed.last)]
        wanted = torch.from_numpy(events.items[ends[packed.order]].astype(np.int64))
        rank = ranks(states, self.network.outputs(), wanted)
        gains = torch.where(rank < ANSWERED, 1 / torch.log2(rank + 2.0), 0.0)
        return float(gains.mean())


def ranks(states: Tensor, table: Tensor, wanted: Tensor) -> Tensor:
    """Return int64 (n,): how many items score more than the wanted one, in blocks."""
    size = max(1, BLOCK_BYTES // (4 * len(table)))
    parts = []
    for mine, right in zip(torch.split(states, size), torch.split(wanted, size), strict=True):
        scores = mine @ table.T
        parts.append((scores > scores.gather(1, right[:, None])).sum(1))
    return torch.cat(parts)


def held_out(indptr: Ints, most: int, rng: np.random.Generator) -> Ints:
    """Return rows of histories whose last event is held out: at most 5 % of those of 3 and more."""
    able = np.flatnonzero(np.diff(indptr) >= 3)
    return np.sort(rng.choice(able, min(most, len(able) // 20), replace=False))


def vectors(network: Any, said: Facts, rows: Ints) -> tuple[Array, Array]:
    """Return float32 (n_items, d) of all items as inputs and as answers.

    Parameters
    ----------
    said
        Of all items; what is not in `rows` is known by it alone.
    rows
        int64: the items that the network learnt, in its order.
    """
    text, labels = torch.from_numpy(said.text), torch.from_numpy(said.labels)

    def table(of: ItemTable) -> Array:
        with torch.no_grad():
            out = of.content(text, labels)
            out[torch.from_numpy(rows)] += of.own
        return np.asarray(out.numpy(), np.float32)

    inputs = table(network.inputs)
    return inputs, inputs if network.outputs is network.inputs else table(network.outputs)


def weights(network: Network) -> Weights:
    """Return what was learnt, but for the items, as arrays for `encoder.encode`."""
    turn = {("qkv.weight",), ("out.weight",), ("up.weight",), ("down.weight",)}

    def stacked(*names: str) -> Array:
        """One array of a weight, or of a scale and a shift, of every block."""
        rows = [
            torch.stack([block.get_parameter(name) for name in names]) for block in network.blocks
        ]
        found = torch.stack(rows if len(names) > 1 else [row[0] for row in rows])
        turned = found.transpose(1, 2) if names in turn else found
        return np.ascontiguousarray(turned.detach().numpy())

    def plain(*parts: Tensor) -> Array:
        return np.array(torch.stack(parts).detach().numpy())

    return Weights(
        position=plain(network.position)[0],
        gap=plain(network.gap)[0],
        kind=plain(network.kind)[0],
        norm_attention=stacked("norm_attention.weight", "norm_attention.bias"),
        qkv=stacked("qkv.weight"),
        qkv_shift=stacked("qkv.bias"),
        out=stacked("out.weight"),
        out_shift=stacked("out.bias"),
        nearness=stacked("nearness"),
        norm_feed=stacked("norm_feed.weight", "norm_feed.bias"),
        up=stacked("up.weight"),
        up_shift=stacked("up.bias"),
        down=stacked("down.weight"),
        down_shift=stacked("down.bias"),
        norm=plain(network.norm.weight, network.norm.bias),
    )


def _assign(network: nn.Module, values: list[Tensor]) -> None:
    with torch.no_grad():
        for weight, value in zip(network.parameters(), values, strict=True):
            weight.copy_(value)
