"""Boosted trees as arrays: LightGBM's answers without LightGBM."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

import numba
import numpy as np
import numpy.typing as npt

from endcap.schema.errors import DataError

CATEGORICAL: Final = 1
ZERO: Final = float(np.float32(1e-35))
"""LightGBM takes what is nearer to 0 than this for 0."""


@dataclass(frozen=True)
class Trees:
    """A sum of decision trees; node t of a tree stands at its root + t, leaf l is the child -1 - l.

    Attributes
    ----------
    roots, leaves
        int64 (trees,): where the inner nodes and the leaf values of each tree begin; a tree with
        a single leaf has root -1.
    features, thresholds
        int32 and float64 (nodes,): ``row[feature] <= threshold`` goes left.
    defaults, missing
        bool (nodes,): whether what is missing goes left; int8: what is missing: 0 nothing (NaN
        counts as 0), 1 zero, 2 NaN.
    left, right
        int32 (nodes,): children, within the tree.
    values
        float64 (all leaves,).
    n_features
        The width of a row.

    Stability: caller.
    """

    roots: npt.NDArray[np.int64]
    leaves: npt.NDArray[np.int64]
    features: npt.NDArray[np.int32]
    thresholds: npt.NDArray[np.float64]
    defaults: npt.NDArray[np.bool_]
    missing: npt.NDArray[np.int8]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    values: npt.NDArray[np.float64]
    n_features: int

    def predict(self, rows: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
        """Return float64 (n,): the raw score of each row of (n, n_features); NaN is missing.

        Time O(n trees depth).

        Raises
        ------
        DataError
            When the rows have another width.
        """
        if rows.ndim != 2 or rows.shape[1] != self.n_features:
            raise DataError(
                f"Rows of shape {rows.shape} for trees that read {self.n_features} features.",
                hint="Compute the features with the settings of training.",
            )
        return np.asarray(
            _predict(
                np.ascontiguousarray(rows, np.float64),
                self.roots,
                self.leaves,
                self.features,
                self.thresholds,
                self.defaults,
                self.missing,
                self.left,
                self.right,
                self.values,
            )
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read LightGBM's text format (``Booster.model_to_string()``).

        Raises
        ------
        DataError
            When it is not that, or has categorical splits or linear leaves.
        """
        head, *blocks = text.split("\nTree=")
        width = _pairs(head).get("max_feature_idx")
        if width is None:
            raise DataError("This is no LightGBM model: it does not say max_feature_idx.")
        trees = [_pairs(block.partition("\n\n")[0]) for block in blocks]
        inner = [tree for tree in trees if int(tree["num_leaves"]) > 1]
        decisions = _column(inner, "decision_type", np.int32)
        linear = any(tree.get("is_linear", "0") != "0" for tree in trees)
        if linear or (decisions & CATEGORICAL).any():
            raise DataError("Categorical splits and linear leaves cannot be read.")
        leaves = np.array([int(tree["num_leaves"]) for tree in trees], np.int64)
        ends = np.cumsum(leaves - 1)
        return cls(
            roots=np.where(leaves > 1, ends - (leaves - 1), -1),
            leaves=np.cumsum(leaves) - leaves,
            features=_column(inner, "split_feature", np.int32),
            thresholds=_column(inner, "threshold", np.float64),
            defaults=(decisions & 2) > 0,
            missing=((decisions >> 2) & 3).astype(np.int8),
            left=_column(inner, "left_child", np.int32),
            right=_column(inner, "right_child", np.int32),
            values=_column(trees, "leaf_value", np.float64),
            n_features=int(width) + 1,
        )


def _pairs(block: str) -> dict[str, str]:
    lines: Iterator[tuple[str, str, str]] = (line.partition("=") for line in block.splitlines())
    return {name: value for name, _, value in lines}


def _column(trees: list[dict[str, str]], name: str, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    words = [word for tree in trees for word in tree[name].split()]
    return np.array(words, np.float64).astype(dtype)


@numba.njit(cache=True, nogil=True)
def _predict(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    rows, roots, leaves, features, thresholds, defaults, missing, left, right, values
):
    out = np.zeros(len(rows))
    for n in range(len(rows)):
        for t in range(len(roots)):
            node = 0 if roots[t] >= 0 else -1
            while node >= 0:
                at = roots[t] + node
                value = rows[n, features[at]]
                if abs(value) <= ZERO or (np.isnan(value) and missing[at] != 2):
                    value = 0.0
                absent = (missing[at] == 1 and value == 0.0) or (
                    missing[at] == 2 and np.isnan(value)
                )
                goes_left = defaults[at] if absent else value <= thresholds[at]
                node = left[at] if goes_left else right[at]
            out[n] += values[leaves[t] - 1 - node]
    return out
