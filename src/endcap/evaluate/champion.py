"""Let what serves now and what was chosen anew foresee the same validation slice."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from endcap.evaluate.choosing import Chosen
from endcap.evaluate.intervals import Interval, bootstrap, percentile
from endcap.evaluate.mixing import Mixer
from endcap.evaluate.pool import pool
from endcap.models.base import Model
from endcap.models.specs import make
from endcap.recommend.recipe import HOME, Recipe

PERSONAL: Final = "personal"


@dataclass(frozen=True)
class Contest:
    """A champion against the blend that was chosen anew, on the same shoppers.

    Attributes
    ----------
    champion
        Name of the recipe that serves.
    score
        Its NDCG@k when it is fitted on the same training part.
    gain, interval
        Mean of (challenger - champion), and its 95 % bootstrap interval (paired).
    """

    champion: str
    score: float
    gain: float
    interval: Interval

    @property
    def won(self) -> bool:
        """Whether the challenger may serve: it is not worse."""
        return self.gain >= 0


def contest(champion: Recipe, chosen: Chosen) -> Contest | None:
    """Judge the home page's personal level of a recipe beside a chosen blend.

    The champion's models are fitted anew on the training part, for those that serve have seen
    what is to be foreseen; models with settings that were tried are not fitted twice.

    Returns
    -------
    None where the champion has no personal level to compare.
    """
    levels = champion.placements[HOME].levels
    level = next((level for level in levels if level.name == PERSONAL), None)
    if level is None:
        return None
    exam = chosen.trial.exam
    fitted = {repr(choice.model.spec): choice.model for choice in chosen.choices.values()}
    models: dict[str, Model] = {}
    for name in level.weights:
        if champion.models[name].fits(exam.split.train.shape[1]):
            spec = make(champion.models[name].plugin, champion.models[name].settings)
            models[name] = fitted.get(repr(spec)) or spec.fit(exam.split.train, rng=exam.seed)
    weights = {name: level.weights[name] for name in models}
    asked = pool(models, exam.queries, level.candidates)
    values = Mixer(asked, exam, chosen.trial.k).values(weights)
    apart = chosen.blend.values - values
    (interval,) = percentile(bootstrap(apart[:, None], seed=exam.seed))
    return Contest(champion.name, float(np.mean(values)), float(np.mean(apart)), interval)
