"""Two towers: what a shopper has taken meets what the catalogue says, new items included."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pydantic

from endcap.models.base import Answers, Model, Rng
from endcap.models.deep.inputs import curriculum, events
from endcap.models.deep.pooling import Tower, pool
from endcap.models.deep.settings import DeepSpec
from endcap.models.inner import Product
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.prepare.vocabulary import Vocabulary
from endcap.schema.errors import PluginError
from endcap.schema.progress import Progress, silent

Array = npt.NDArray[np.float32]


class TwoTower(DeepSpec):
    """Score an item by ``u . y_j``, a tower for the shopper and one for the item.

    After Covington et al. 2016 and Yi et al. 2019, with the item tower of the latter: ``y_j = own_j
    + text_j W + sum of labels`` (category, brand, class of price), own_j hidden from a share
    `forget` of the items in each step, so that the rest learns to speak alone for items nobody has
    touched. The shopper is ``u = sum_k s_k m_k + MLP(m)`` over means m_k of the vectors in the
    history that fade at learnt rates. Loss: softmax over all items, or over drawn rivals with
    log-Q correction (Yi et al., eq. 3-5). Needs PyTorch to learn, not to answer.

    Time O(events (d^2 + n d)) an epoch, n items in the softmax; memory O(items d).

    Stability: caller.
    """

    contract_skips: ClassVar[Mapping[str, str]] = {
        "renaming_permutes_the_answer": "weights start and batches are drawn at random by row "
        "number, so another order of ids is another start"
    }

    text_dimensions: int = pydantic.Field(default=256, ge=0)
    """Directions of the items' words that are read; 0 reads none."""
    forget: float = pydantic.Field(default=0.5, ge=0, lt=1)
    """Share of items known by their content alone in a step, so that it learns to stand alone."""
    patience: int = pydantic.Field(default=2, ge=1)
    """Epochs without gain after which training ends."""
    admit: float = pydantic.Field(default=1.0, ge=0)
    """Times the odds of items nobody has touched: above 1 they come sooner, 0 keeps them out."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "TwoTowerModel":
        """Learn by descent; raises `PluginError` where PyTorch is missing."""
        try:
            from endcap.models.deep import towers, training
        except ImportError as error:
            raise PluginError(
                f"two-tower cannot learn without PyTorch: {error}.",
                hint="pip install 'endcap[deep]'",
            ) from error
        random = np.random.default_rng(rng)
        read = curriculum(self, data, random)
        course = training.Course(read.history, read.counts, read.facts, len(read.kinds))
        lesson = training.learn(self, course, random, progress, build=towers.build)
        inputs, outputs = training.vectors(lesson.network, read.said, read.rows)
        touched = np.zeros(len(data.items), bool)
        touched[read.rows] = True
        return TwoTowerModel(
            self,
            data.users,
            data.items,
            inputs,
            outputs,
            touched,
            read.answerable,
            *towers.tower(lesson.network),
            epochs=lesson.epochs,
            foreseen=lesson.foreseen,
            gain=lesson.gain,
        )


@dataclass(frozen=True)
class TwoTowerModel(Model):
    """A trained `TwoTower`: plain arrays.

    Attributes
    ----------
    inputs, outputs
        float32 (n_items, d): the vector of an item in a history, and as an answer.
    touched, said
        Bool (n_items,): items with events, and those that can be answered.
    rates, ..., down_shift
        As in `deep.pooling.Tower`.
    epochs, foreseen, gain
        How the training went, as in `SASRecModel`.
    """

    answers: ClassVar[Answers] = Answers(warm_items=True)

    spec: TwoTower
    inputs: Array
    outputs: Array
    touched: npt.NDArray[np.bool_]
    said: npt.NDArray[np.bool_]
    rates: Array
    shares: Array
    norm: Array
    up: Array
    up_shift: Array
    down: Array
    down_shift: Array
    epochs: int = 0
    foreseen: int = 0
    gain: float = 0.0

    def scores(self, queries: Queries) -> Array:
        """Compare each shopper with every item; NaN for an empty history."""
        out = self._shoppers(queries) @ self.outputs.T
        if self.spec.admit:
            out[:, ~self.touched] += np.float32(np.log(self.spec.admit))
        out[:, ~self._known] = np.nan
        return np.asarray(out, np.float32)

    def product(self, queries: Queries) -> Product | None:
        """See `Model.product`; None where `admit` moves the odds of some items."""
        if self.spec.admit not in {0.0, 1.0}:
            return None
        return Product(self._shoppers(queries), self.outputs, self._known)

    def _shoppers(self, queries: Queries) -> Array:
        """Return float32 (n, d): the tower of the shoppers, NaN for an empty history."""
        tower = Tower(*(getattr(self, name) for name in Tower._fields))
        history = events(queries, Vocabulary(()))
        shoppers, some = pool(tower, self.inputs, history, self.spec.max_events)
        shoppers[~some] = np.nan
        return shoppers

    @property
    def _known(self) -> npt.NDArray[np.bool_]:
        return self.said if self.spec.admit else self.touched
