"""What showing items is expected to bring: chances by the model's score, money by the catalogue."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import nan
from typing import Final

import numpy as np
import numpy.typing as npt

from endcap.models.chances import OUTCOMES, Chances
from endcap.recommend.filters.columns import Columns, NumberColumn, TextColumn
from endcap.recommend.shelf import Pick
from endcap.recommend.slate import Expected
from endcap.recommend.slates.objective import WEIGHTS, Objective

UNTAUGHT: Final = "no chances were learnt: run endcap train"
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Worth:
    """What each of n picks is expected to bring, and what that is worth.

    Attributes
    ----------
    parts
        Outcome or kind of money -> float64 (n,), for each of `objective.WEIGHTS`; NaN where it
        cannot be told.
    values
        float64 (n,): the weighted sum; below 0 for what is sold at a loss.
    trouble
        Why the objective cannot be followed; empty where it can.
    """

    parts: Mapping[str, Floats]
    values: Floats
    trouble: str = ""

    def of(self, at: int) -> Expected:
        """Return what one pick is expected to bring."""
        told = [*(self.parts[name] for name in WEIGHTS), self.values]
        # One and the same NaN, so that two equal slates are equal.
        return Expected(*(nan if np.isnan(column[at]) else float(column[at]) for column in told))


def expected(
    picks: Sequence[Pick],
    objective: Objective,
    chances: Chances | None,
    columns: Columns,
    worth: Callable[[Sequence[Pick]], Floats],
) -> Worth:
    """Return what each pick is expected to bring.

    A pick's chance is told by its score and its place among what its level chose. A level for
    which no curve was learnt, or that chose a second time, knows less than the one before: the
    best of what it chose is as likely as the least of that, the others fall with their `worth`.

    Parameters
    ----------
    picks
        The shelf as it was filled, best first.
    worth
        Of picks without chances, in (0, 1] (see `composing.worth`).
    """
    if chances is None or not chances.curves:
        nothing = np.full(len(picks), np.nan)
        return Worth(dict.fromkeys(WEIGHTS, nothing), nothing, UNTAUGHT)
    odds = {outcome: _odds(picks, outcome, chances, worth(picks)) for outcome in OUTCOMES}
    price, margin, trouble = _money(objective, picks, columns)
    bought = odds["purchase"]
    parts = {
        "click": odds["click"],
        "purchase": bought,
        "revenue": np.nan_to_num(price) * bought,
        "profit": np.nan_to_num(margin) * bought,
    }
    lacking = next((name for name in objective.weights if np.isnan(parts[name]).any()), None)
    if lacking is not None:
        level = picks[int(np.isnan(parts[lacking]).argmax())].level
        trouble = f"no chance of a {_outcome(lacking)} was learnt for the level {level!r}"
    weighed = [weight * np.nan_to_num(parts[name]) for name, weight in objective.weights.items()]
    values = np.sum(weighed, axis=0) if weighed else np.zeros(len(picks))
    return Worth(parts, values, trouble)


def _outcome(name: str) -> str:
    return name if name in OUTCOMES else "purchase"


def _odds(picks: Sequence[Pick], outcome: str, chances: Chances, worth: Floats) -> Floats:
    """Return float64 (n,): the chance of an outcome for each pick; NaN where nobody can say."""
    out = np.zeros(len(picks))
    used: set[str] = set()
    at, least = 0, np.nan
    for told, group in groupby(picks, key=lambda pick: pick.told):
        some = list(group)
        span = slice(at, at + len(some))
        level = some[0].level
        curve = None if level in used else chances.curves.get((level, outcome))
        if told is None or not any(pick.score > 0 for pick in some):
            out[span] = 0.0
        elif curve is not None:
            scores = np.array([pick.score for pick in some], np.float64)
            out[span] = curve(scores, np.arange(1, len(some) + 1))
        else:
            out[span] = least * worth[span] / worth[span].max()
        used.add(level)
        least = float(out[span].min()) if told is not None else least
        at += len(some)
    return out


def _money(
    objective: Objective, picks: Sequence[Pick], columns: Columns
) -> tuple[Floats, Floats, str]:
    """Return float64 (n,) each, NaN where no price is known: price, and what is left of it."""
    with columns.lock:
        rows = columns.rows(pick.item_id for pick in picks)
        price, sale, cost = (columns.number(name)[rows] for name in ("price", "sale_price", "cost"))
        column = columns.columns.get(objective.returns)
        numbers = isinstance(column, NumberColumn)
        rate = (
            column.values[rows] if isinstance(column, NumberColumn) else np.full(len(rows), np.nan)
        )
        money = columns.columns["currency"]
        assert isinstance(money, TextColumn)
        held = sorted(money.held_by(rows[~np.isnan(price)]))
    paid = np.where(np.isnan(sale), price, sale)
    rate = np.clip(np.where(np.isnan(rate), objective.return_rate, rate), 0, 1)
    cost = np.where(np.isnan(cost), objective.cost_share * paid, cost)
    trouble = ""
    if objective.counts_money and len(held) > 1:
        trouble = f"prices are in {' and '.join(held)}"
    elif objective.profit and column is not None and not numbers:
        trouble = f"{objective.returns} holds no numbers"
    return paid, paid * (1 - rate * objective.return_loss) - cost, trouble
