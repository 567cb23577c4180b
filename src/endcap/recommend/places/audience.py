"""Whom an item or a campaign is for: everybody's blend, asked about a few items."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from endcap.models.base import Model
from endcap.models.queries import Queries
from endcap.recommend.artefacts import Artefact
from endcap.recommend.evidence import Evidence, Moment, seen
from endcap.recommend.recipe import Level, Placement
from endcap.recommend.state import State
from endcap.schema.errors import RequestError
from endcap.schema.progress import Progress, silent

CELLS: Final = 2**24
"""Scores held at once for each model: users times items, so that memory has a bound."""
BLOCK: Final = 128
"""Users scored at once, at most."""


@dataclass(frozen=True, slots=True)
class Member:
    """One user, with the item of the campaign that is most for them.

    Attributes
    ----------
    score
        What the item is worth to the user beside their best: 1 where it is their best.
    """

    user_id: str
    item_id: str
    score: float


def audience(
    artefact: Artefact,
    placement: Placement,
    item_ids: Sequence[str],
    state: State,
    *,
    k: int | None = None,
    progress: Progress = silent,
) -> list[Member]:
    """Return the users for whom some items are most, best first.

    Each user of the artefact is asked with the history of this moment; whoever has seen an item
    (by the placement's `hide`) is not a member for its sake. The level is the placement's first
    one that is asked with histories.

    Parameters
    ----------
    k
        At most so many; None takes everybody for whom anything speaks.

    Raises
    ------
    RequestError
        When the models know none of the items, or no level is asked with histories.
    """
    everybody = range(len(artefact.users))
    return members(artefact, placement, item_ids, state, everybody, progress=progress)[:k]


def members(
    artefact: Artefact,
    placement: Placement,
    item_ids: Sequence[str],
    state: State,
    among: range,
    *,
    progress: Progress = silent,
) -> list[Member]:
    """Return the same among some users alone, which are rows of the artefact's vocabulary.

    The parts of a range, each asked by itself, have the same members as the whole of it.

    Raises
    ------
    RequestError
        As `audience`.
    """
    rows = np.array([row for row in map(artefact.items.row, item_ids) if row >= 0], np.int32)
    if not len(rows):
        raise RequestError(f"The models know none of {list(item_ids)!r}.", hint="Train again.")
    told = [lv for lv in placement.levels if lv.weights and lv.evidence == "history"]
    if not told:
        raise RequestError("The placement has no level that is asked with histories.")
    now = int(state.now.timestamp() * 1_000_000)
    out: list[Member] = []
    users = artefact.users.ids(np.asarray(among, np.int32))
    block = max(1, min(BLOCK, CELLS // len(artefact.items)))
    for start in range(0, len(users), block):
        out += _members(
            artefact, placement, told[0], users[start : start + block], rows, state, now
        )
        progress(min(start + block, len(users)), len(users), "users")
    return sorted(out, key=lambda member: (-member.score, member.user_id))


def _members(  # noqa: PLR0917
    artefact: Artefact,
    placement: Placement,
    level: Level,
    users: Sequence[str],
    rows: npt.NDArray[np.int32],
    state: State,
    now: int,
) -> list[Member]:
    asked: list[tuple[str, Evidence, set[str]]] = []
    for user in users:
        history = state.history(user).settled()
        moment = Moment.of(history, (), now, artefact.items, artefact.users.row(user))
        evidence = moment.evidence("history", artefact.recipe.session_minutes, artefact.weigh)
        if len(evidence):
            asked.append((user, evidence, seen(history, placement.hide, now)))
    if not asked:
        return []
    scores = _scores(artefact, level, _joined([evidence.query for _, evidence, _ in asked]), rows)
    words = artefact.items.ids(rows)
    out = []
    for (user, _, had), row in zip(asked, scores, strict=True):
        fresh = [(float(score), word) for score, word in zip(row, words, strict=True)]
        best = max(((s, w) for s, w in fresh if w not in had and s > 0), default=None)
        if best:
            out.append(Member(user, best[1], best[0]))
    return out


def _scores(
    artefact: Artefact, level: Level, queries: Queries, rows: npt.NDArray[np.int32]
) -> npt.NDArray[np.float32]:
    """Return float32 (n, len(rows)): the blend of each item beside each user's best."""
    total = np.zeros((len(queries), len(artefact.items)), np.float32)
    for name, weight in level.weights.items():
        model: Model | None = artefact.models.get(name)
        if model is not None:
            dense = np.nan_to_num(model.scores(queries))
            top = dense.max(axis=1, keepdims=True)
            total += np.float32(weight) * np.divide(dense, top, out=dense, where=top > 0)
    best = total.max(axis=1, keepdims=True)
    beside = np.divide(total, best, out=np.zeros_like(total), where=best > 0)
    return np.asarray(beside[:, rows], np.float32)


def _joined(queries: Sequence[Queries]) -> Queries:
    names = [[q.kind_names[code] for code in q.kinds] for q in queries if q.kinds is not None]
    return Queries.of_histories(
        [q.items for q in queries],
        weights=[q.weights for q in queries],
        values=[q.values for q in queries],
        times=[q.times for q in queries],
        users=np.concatenate([q.users for q in queries]),
        now=np.concatenate([q.now for q in queries]),
        kinds=names if len(names) == len(queries) else None,
    )
