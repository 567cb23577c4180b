"""New models that foresee far less than those that serve did, when those were chosen, stay out.

An import of the wrong file, or a kind of event that no longer comes, spoils what is learnt from as
much as what it is judged on beside (`champion.contest`): both recipes fare badly then. Only the
score from before tells.
"""

from typing import Final

import numpy as np

from endcap.evaluate.choosing import Chosen
from endcap.evaluate.intervals import bootstrap, percentile
from endcap.recommend.artefacts import Artefact
from endcap.schema.errors import WorseError

FALL: Final = 0.2
"""Share of the score before that may be lost: seasons come and go."""


def check_fall(champion: Artefact | None, chosen: Chosen, best: float) -> None:
    """Refuse models whose score has fallen by more than `FALL`, beyond what chance explains.

    Parameters
    ----------
    champion
        What serves; its manifest says how well it foresaw the weeks that were held back from it.
    chosen
        What was chosen anew, on the latest weeks.
    best
        The score there of what would serve.

    Raises
    ------
    WorseError
        When even the upper end of the score's 95 % interval lies below.
    """
    metric, exam = f"ndcg@{chosen.trial.k}", chosen.trial.exam
    told = champion.facts.get("choice", {}) if champion is not None else {}
    alike = (exam.split.protocol, not exam.exclude_seen)
    before = told.get(metric)
    if champion is None or not before or (told["protocol"], told.get("keep_seen")) != alike:
        return  # nothing that could be compared
    values = np.asarray(chosen.blend.values, np.float64)
    ((_, high),) = percentile(bootstrap(values[:, None], seed=exam.seed))
    if high + max(0.0, best - chosen.blend.score) >= (1 - FALL) * before:
        return
    raise WorseError(
        f"The new models foresee {best:.4f} ({metric.upper()}) of what shoppers did last; "
        f"{champion.id}, which serves, foresaw {before:.4f}: {1 - best / before:.0%} less. "
        "They were not fitted any further, and what serves goes on.",
        hint="See what has changed in the events: endcap prepare. If it is right so: "
        "endcap train --accept-worse",
    )
