"""What a model must show before it may serve: it answers, and its scores are numbers."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Final

import numpy as np
from scipy import sparse

from endcap.models.base import Model
from endcap.models.queries import Queries
from endcap.schema.errors import ArtefactError

PROBES: Final = 16
"""Items asked about, spread over the catalogue."""


def check_models(models: Mapping[str, Model]) -> None:
    """Ask each model about single items, and about nobody where it says that it can answer.

    Raises
    ------
    ArtefactError
        When scores have another shape or type or are infinite, or what was learned holds NaN. A
        model may have nothing to say (content without a catalogue): then others answer.
    """
    for name, model in models.items():
        n_items = len(model.items)
        if not n_items:
            continue
        probes = np.unique(np.linspace(0, n_items - 1, PROBES).astype(np.int32))
        histories = [[row] for row in probes] + ([[]] if model.answers.empty else [])
        stars = [[1.0] * len(rows) for rows in histories]
        scores = model.scores(Queries.of_histories(histories, values=stars))
        if scores.shape != (len(histories), n_items) or scores.dtype != np.float32:
            raise ArtefactError(f"Model {name!r} scores as {scores.dtype}{scores.shape}.")
        if np.isinf(scores).any() or _holds_nan(model):
            raise ArtefactError(f"Model {name!r} gives scores that are no numbers.")


def _holds_nan(model: Model) -> bool:
    for field in fields(model):
        value = getattr(model, field.name)
        part = value.data if isinstance(value, sparse.csr_array) else value
        if isinstance(part, np.ndarray) and part.dtype.kind == "f" and np.isnan(part).any():
            return True
    return False
