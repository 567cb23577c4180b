"""Where greedy gets stuck: which items, and how far rules must give, by integer programming.

Positions between two ends of windows are alike to every bound, so x[i, s] says whether candidate i
is in segment s; within a segment the best come first. HiGHS solves it (`scipy.optimize.milp`);
that is large, most processes never need it, and the first slate that does imports it.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap.recommend.slates.problem import UNBOUNDED, Bound, Problem

if TYPE_CHECKING:
    from scipy.optimize import LinearConstraint

SECONDS: Final = 2.0
Order = npt.NDArray[np.int64]


def best_of(problem: Problem) -> Order | None:
    """Return the slate of the most discounted relevance under all rules; None if there is none."""
    rows = _undominated(problem)
    program = _Program(_of_rows(problem, rows))
    found = program.solve(program.rows(program.problem.bounds))
    return None if found is None else rows[program.order(found)]


def relax(problem: Problem) -> Problem:
    """Return the problem with bounds widened as little as need be, the last ones first.

    One bound after the other is let in, in order of precedence, each widened by the least that the
    ones before leave room for: a bound gives way only to those before it, to pins and to a full
    slate.
    """
    program = _Program(_of_rows(problem, _undominated(problem)))
    kept: list[Bound] = []
    wide: list[Bound] = []
    for bound, small in zip(problem.bounds, program.problem.bounds, strict=True):
        slack = program.least_slack(kept, small)
        lo, hi = max(0, bound.lo - slack), min(bound.hi + slack, UNBOUNDED)
        kept.append(replace(small, lo=lo, hi=hi))
        wide.append(replace(bound, lo=lo, hi=hi))
    return replace(problem, bounds=tuple(wide))


def _undominated(problem: Problem) -> Order:
    """Return the candidates that can matter: the best k of those that are alike to every bound."""
    n = len(problem.relevance)
    codes = np.array([bound.codes for bound in problem.bounds], np.int32).reshape(-1, n)
    kind = np.unique(codes, axis=1, return_inverse=True)[1].ravel()
    order = np.lexsort((-problem.relevance, kind))
    starts = np.searchsorted(kind[order], kind[order], side="left")
    best = order[np.arange(n) - starts < problem.k]
    return np.union1d(best, list(problem.pins.values())).astype(np.int64)


def _of_rows(problem: Problem, rows: Order) -> Problem:
    """Return the problem of some candidates alone, as far as integer programming looks at it."""
    place = {int(row): at for at, row in enumerate(rows)}
    return Problem(
        problem.k,
        problem.relevance[rows],
        pins={position: place[candidate] for position, candidate in problem.pins.items()},
        bounds=tuple(replace(bound, codes=bound.codes[rows]) for bound in problem.bounds),
    )


class _Program:
    """The integer program of a problem; the last variable is a slack, unused unless asked for."""

    def __init__(self, problem: Problem) -> None:
        from scipy.optimize import Bounds, LinearConstraint

        self.problem = problem
        k, self._n = problem.k, len(problem.relevance)
        ends = sorted({min(bound.first, k) for bound in problem.bounds} | {k})
        self._starts, self._ends = [0, *ends[:-1]], ends
        size = self._n * len(ends)
        upper = np.ones(size + 1)
        lower = np.zeros(size + 1)
        for position, candidate in problem.pins.items():
            segment = int(np.searchsorted(ends, position, side="right"))
            upper[candidate : size : self._n] = 0
            upper[segment * self._n + candidate] = lower[segment * self._n + candidate] = 1
        upper[size] = np.inf
        self._limits = Bounds(lower, upper)
        weights = problem.discounts
        self._value = np.concatenate(
            [
                problem.relevance * weights[a:b].mean()
                for a, b in zip(self._starts, ends, strict=True)
            ]
            + [np.zeros(1)]
        )
        once = sparse.hstack(
            [sparse.eye_array(self._n)] * len(ends) + [sparse.csr_array((self._n, 1))]
        )
        full = sparse.kron(sparse.eye_array(len(ends)), np.ones((1, self._n)))
        full = sparse.hstack([full, sparse.csr_array((len(ends), 1))])
        sizes = np.array(ends) - np.array(self._starts)
        self._always = [LinearConstraint(once, 0, 1), LinearConstraint(full, sizes, sizes)]

    def rows(
        self, bounds: tuple[Bound, ...] | list[Bound], slack: bool = False
    ) -> "list[LinearConstraint]":
        """Return the constraints of some bounds; with `slack`, the last variable widens them."""
        return [row for bound in bounds for row in self._rows(bound, slack)]

    def solve(
        self, rows: "list[LinearConstraint]", cost: npt.NDArray[np.float64] | None = None
    ) -> npt.NDArray[np.float64] | None:
        """Return the solution of least `cost`, by default of most value; None if there is none."""
        from scipy.optimize import milp

        found = milp(
            -self._value if cost is None else cost,
            integrality=np.ones(len(self._value)),
            bounds=self._limits,
            constraints=[*self._always, *rows],
            options={"time_limit": SECONDS, "mip_rel_gap": 1e-4},
        )
        solution: npt.NDArray[np.float64] | None = found.x
        return solution

    def least_slack(self, kept: list[Bound], bound: Bound) -> int:
        """Return by how much `bound` must give way to those that are kept."""
        cost = np.zeros(len(self._value))
        cost[-1] = 1
        found = self.solve([*self.rows(kept), *self.rows([bound], slack=True)], cost)
        return UNBOUNDED if found is None else round(found[-1])

    def order(self, solution: npt.NDArray[np.float64]) -> Order:
        """Return the candidates by position: pins in place, the best first in each segment."""
        pins = self.problem.pins
        order = np.full(self.problem.k, -1, np.int64)
        for position, candidate in pins.items():
            order[position] = candidate
        chosen = solution[:-1].reshape(len(self._ends), self._n) > 0.5
        for row, start, end in zip(chosen, self._starts, self._ends, strict=True):
            free = [p for p in range(start, end) if p not in pins]
            items = np.array([i for i in np.flatnonzero(row) if i not in pins.values()], np.int64)
            order[free] = items[np.argsort(-self.problem.relevance[items], kind="stable")]
        return order

    def _rows(self, bound: Bound, slack: bool) -> "list[LinearConstraint]":
        from scipy.optimize import LinearConstraint

        covered = np.repeat(np.array(self._ends) <= min(bound.first, self.problem.k), self._n)
        codes = np.where(covered, np.tile(bound.codes, len(self._ends)), -1)
        sizes = np.bincount(bound.codes[bound.codes >= 0], minlength=1)
        rows = []
        if bound.hi < UNBOUNDED:
            held = np.flatnonzero(sizes > bound.hi)
            rows += [
                LinearConstraint(self._row(codes == c, -slack), -np.inf, bound.hi) for c in held
            ]
        if bound.lo > 0:
            rows.append(LinearConstraint(self._row(codes == 0, slack), bound.lo, np.inf))
        return rows

    @staticmethod
    def _row(members: npt.NDArray[np.bool_], slack: float) -> npt.NDArray[np.float64]:
        return np.append(members.astype(np.float64), slack)[None, :]
