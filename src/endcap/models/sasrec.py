"""SASRec: what comes next, by causal self-attention over the events so far."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from endcap.models.base import Answers, Model, Rng
from endcap.models.deep.encoder import Weights, encode
from endcap.models.deep.inputs import curriculum, events
from endcap.models.deep.settings import SequenceSpec
from endcap.models.inner import Product
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.prepare.vocabulary import Vocabulary
from endcap.schema.errors import PluginError
from endcap.schema.progress import Progress, silent

Array = npt.NDArray[np.float32]


class SASRec(SequenceSpec):
    """Foresee the next event from a history by causal self-attention.

    Kang and McAuley 2018 (arXiv 1808.09781), with what later work found to matter more than the
    architecture: cross entropy over all items or over many drawn rivals with log-Q correction
    (Klenitskiy and Vasilev 2023, eq. 4; Yi et al. 2019, eq. 3). An item's vector is its own plus
    what its text, categories, brand and price say, so that untouched items are answered too.
    Needs PyTorch to learn, not to answer.

    Time O(events (d² + n d) ) an epoch, n items in the softmax; memory O(items d) and a block of
    scores for each thread.

    Stability: caller.
    """

    contract_skips: ClassVar[Mapping[str, str]] = {
        "renaming_permutes_the_answer": "weights start and batches are drawn at random by row "
        "number, so another order of ids is another start"
    }

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "SASRecModel":
        """Learn by descent; raises `PluginError` where PyTorch is missing."""
        try:
            from endcap.models.deep import training
        except ImportError as error:
            raise PluginError(
                f"sasrec cannot learn without PyTorch: {error}.",
                hint="pip install 'endcap[deep]'",
            ) from error
        random = np.random.default_rng(rng)
        read = curriculum(self, data, random)
        course = training.Course(read.history, read.counts, read.facts, len(read.kinds))
        lesson = training.learn(self, course, random, progress, build=training.build)
        inputs, outputs = training.vectors(lesson.network, read.said, read.rows)
        return SASRecModel(
            self,
            data.users,
            data.items,
            read.kinds,
            inputs,
            outputs,
            read.answerable,
            *training.weights(lesson.network),
            epochs=lesson.epochs,
            foreseen=lesson.foreseen,
            gain=lesson.gain,
        )


@dataclass(frozen=True)
class SASRecModel(Model):
    """A trained `SASRec`: plain arrays.

    Attributes
    ----------
    kinds
        Kinds of event that were seen.
    inputs, outputs
        float32 (n_items, d): the vector of an item in a history, and as an answer.
    said
        Bool (n_items,): items that can be answered: they have events, or the catalogue says
        something of them.
    position, ..., norm
        As in `deep.encoder.Weights`.
    epochs, foreseen, gain
        How the training went: epochs, events foreseen in them, and NDCG@10 of the held-out
        events by the best (NaN where none were).
    """

    answers: ClassVar[Answers] = Answers(warm_items=True)

    spec: SASRec
    kinds: Vocabulary
    inputs: Array
    outputs: Array
    said: npt.NDArray[np.bool_]
    position: Array
    gap: Array
    kind: Array
    norm_attention: Array
    qkv: Array
    qkv_shift: Array
    out: Array
    out_shift: Array
    nearness: Array
    norm_feed: Array
    up: Array
    up_shift: Array
    down: Array
    down_shift: Array
    norm: Array
    epochs: int = 0
    foreseen: int = 0
    gain: float = 0.0

    def scores(self, queries: Queries) -> Array:
        """Encode each history and compare it with every item; NaN for an empty one."""
        states, outputs, said = self.product(queries)
        out = states @ outputs.T
        out[:, ~said] = np.nan
        return np.asarray(out, np.float32)

    def product(self, queries: Queries) -> Product:
        """See `Model.product`."""
        weights = Weights(*(getattr(self, name) for name in Weights._fields))
        states, some = encode(weights, self.inputs, events(queries, self.kinds))
        states[~some] = np.nan
        return Product(states, self.outputs, self.said)
