"""Where greedy gets stuck: which items, and how far rules must give, by linear programming.

Positions between two ends of windows are alike to every bound, so x[i, s] says whether candidate i
is in segment s; within a segment the best come first. Each bound has a slack, and a unit of it
costs more than all that the bounds after it and relevance could win: one program finds how little
must give, in order of precedence, and the best slate then. Its solution is mostly whole by itself;
where it is not, the same program is solved in integers (HiGHS through `scipy.optimize.milp`, which
is large, and imported by the first slate that needs it).
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from endcap.recommend.slates.problem import UNBOUNDED, Bound, Problem

if TYPE_CHECKING:
    from scipy.optimize import LinearConstraint

SECONDS: Final = 2.0
WHOLE: Final = 1e-6
"""A number as near to an integer is one."""
LARGEST: Final = 1e6
"""No cost of a slack is above this: a solver's digits are few. More bounds are let in by parts."""
UNIT: Final = 2.0
"""A unit of the last slack costs this; a whole slate's relevance is 1 at most."""
Order = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def solve(problem: Problem) -> tuple[Problem, Order]:
    """Return the problem with bounds widened as little as need be, and its best slate.

    A bound gives way only to those before it, to pins and to a full slate. The best is that of the
    most discounted relevance.

    Returns
    -------
    problem, order
        The very problem where all bounds can hold; int64 (k,): candidates by position.
    """
    rows = _undominated(problem)
    program = _Program(_of_rows(problem, rows))
    slacks: list[int] = []
    while True:
        found = program.solve(slacks)
        slacks = [round(slack) for slack in found[program.size :][: program.asked(slacks)]]
        if len(slacks) == len(problem.bounds):
            break
    return _widened(problem, slacks), rows[program.order(found)]


def _widened(problem: Problem, slacks: list[int]) -> Problem:
    if not any(slacks):
        return problem
    bounds = tuple(
        replace(bound, lo=max(0, bound.lo - slack), hi=min(bound.hi + slack, UNBOUNDED))
        for bound, slack in zip(problem.bounds, slacks, strict=True)
    )
    return replace(problem, bounds=bounds)


def _undominated(problem: Problem) -> Order:
    """Return the candidates that can matter: the best k of those that are alike to every bound."""
    n = len(problem.relevance)
    kind = np.zeros(n, np.int64)
    for bound in problem.bounds:
        kind = np.unique(
            kind * (int(bound.codes.max(initial=0)) + 2) + bound.codes + 1, return_inverse=True
        )[1]
    order = np.lexsort((-problem.relevance, kind))
    starts = np.searchsorted(kind[order], kind[order], side="left")
    best = order[np.arange(n) - starts < problem.k]
    return np.union1d(best, list(problem.pins.values())).astype(np.int64)


def _of_rows(problem: Problem, rows: Order) -> Problem:
    """Return the problem of some candidates alone, as far as the program looks at it."""
    place = {int(row): at for at, row in enumerate(rows)}
    return Problem(
        problem.k,
        problem.relevance[rows],
        pins={position: place[candidate] for position, candidate in problem.pins.items()},
        bounds=tuple(replace(bound, codes=bound.codes[rows]) for bound in problem.bounds),
    )


class _Program:
    """The program of a problem: a variable for each candidate and segment, then the slacks.

    Attributes
    ----------
    size
        How many variables there are before the slacks.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        k, self._n = problem.k, len(problem.relevance)
        ends = sorted({min(bound.first, k) for bound in problem.bounds} | {k})
        self._starts, self._ends = [0, *ends[:-1]], ends
        self.size = self._n * len(ends)
        self._lower, self._upper = np.zeros(self.size), np.ones(self.size)
        for position, candidate in problem.pins.items():
            segment = int(np.searchsorted(ends, position, side="right"))
            self._upper[candidate :: self._n] = 0
            here = segment * self._n + candidate
            self._lower[here] = self._upper[here] = 1
        shares = [
            problem.discounts[a:b].mean() for a, b in zip(self._starts, self._ends, strict=True)
        ]
        self._value = np.outer(shares, problem.relevance).ravel()
        self._rows = [
            (*row, at) for at, bound in enumerate(problem.bounds) for row in self._of(bound)
        ]

    def asked(self, known: list[int]) -> int:
        """Return how many bounds the next program lets in, those whose slack is known included."""
        return len(known) + len(self._costs(known))

    def solve(self, known: list[int]) -> Floats:
        """Return the best solution where the first bounds give way by what is known."""
        costs = self._costs(known)
        count = len(known) + len(costs)
        upper = np.concatenate((self._upper, known, np.full(len(costs), np.inf)))
        lower = np.concatenate((self._lower, known, np.zeros(len(costs))))
        value = self._value if count == len(self.problem.bounds) else np.zeros(self.size)
        cost = np.concatenate((-value, np.zeros(len(known)), costs))
        constraint = self._constraint(count)
        found = _solved(cost, lower, upper, constraint, whole=False)
        if found is None or np.abs(found - np.round(found)).max() > WHOLE:
            found = _solved(cost, lower, upper, constraint, whole=True)
        assert found is not None  # with every slack free there is always a solution
        return found

    def order(self, solution: Floats) -> Order:
        """Return the candidates by position: pins in place, the best first in each segment."""
        pins = self.problem.pins
        order = np.full(self.problem.k, -1, np.int64)
        for position, candidate in pins.items():
            order[position] = candidate
        chosen = solution[: self.size].reshape(len(self._ends), self._n) > 0.5
        for row, start, end in zip(chosen, self._starts, self._ends, strict=True):
            free = [p for p in range(start, end) if p not in pins]
            items = np.array([i for i in np.flatnonzero(row) if i not in pins.values()], np.int64)
            order[free] = items[np.argsort(-self.problem.relevance[items], kind="stable")]
        return order

    def _costs(self, known: list[int]) -> list[float]:
        """Return what a unit of the next slacks costs, each more than all after it together."""
        k = self.problem.k
        for count in range(len(self.problem.bounds), len(known), -1):
            costs: list[float] = []
            total = UNIT
            for bound in reversed(self.problem.bounds[len(known) : count]):
                costs.insert(0, total)
                total += total * max(bound.lo, min(bound.first, k) - bound.hi, 0)
            if costs[0] <= LARGEST or count == len(known) + 1:
                return costs
        return []

    def _constraint(self, count: int) -> "LinearConstraint":
        """Return all rows: each candidate once, each segment full, and the first bounds."""
        from scipy import sparse
        from scipy.optimize import LinearConstraint

        parts = len(self._ends)
        rows = [row for row in self._rows if row[-1] < count]
        held = np.zeros((len(rows), self.size + count))
        low, high = np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
        for at, (members, lo, hi, bound) in enumerate(rows):
            held[at, : self.size] = members
            held[at, self.size + bound] = 1 if lo > 0 else -1
            low[at], high[at] = (lo, np.inf) if lo > 0 else (-np.inf, hi)
        spare = sparse.csr_array((parts, count))
        full = sparse.hstack([sparse.kron(sparse.eye_array(parts), np.ones((1, self._n))), spare])
        sizes = np.array(self._ends) - np.array(self._starts)
        blocks, lows, highs = [full, sparse.csr_array(held)], [sizes, low], [sizes, high]
        if parts > 1:
            once = [sparse.eye_array(self._n)] * parts + [sparse.csr_array((self._n, count))]
            blocks.append(sparse.hstack(once))
            lows.append(np.zeros(self._n))
            highs.append(np.ones(self._n))
        matrix = sparse.vstack(blocks, "csc")
        return LinearConstraint(matrix, np.concatenate(lows), np.concatenate(highs))

    def _of(self, bound: Bound) -> list[tuple[npt.NDArray[np.bool_], int, int]]:
        """Return (members, at least or 0, at most) for each row of a bound."""
        covered = np.repeat(np.array(self._ends) <= min(bound.first, self.problem.k), self._n)
        codes = np.where(covered, np.tile(bound.codes, len(self._ends)), -1)
        rows = []
        if bound.hi < UNBOUNDED:
            sizes = np.bincount(bound.codes[bound.codes >= 0], minlength=1)
            rows += [(codes == c, 0, bound.hi) for c in np.flatnonzero(sizes > bound.hi)]
        if bound.lo > 0:
            rows.append((codes == 0, bound.lo, UNBOUNDED))
        return rows


def _solved(
    cost: Floats, lower: Floats, upper: Floats, constraint: "LinearConstraint", *, whole: bool
) -> Floats | None:
    from scipy.optimize import Bounds, milp

    found: Floats | None = milp(
        cost,
        integrality=np.full(len(cost), int(whole)),
        bounds=Bounds(lower, upper),
        constraints=constraint,
        options={"time_limit": SECONDS, "mip_rel_gap": 1e-9} if whole else {},
    ).x
    return found
