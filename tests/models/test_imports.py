"""What the start of a process costs: the libraries that come with an import, in one of its own."""

import subprocess
import sys

import pytest

HEAVY = ("duckdb", "ibis", "lightgbm", "matplotlib", "numba", "numpy", "optuna", "pandas")
HEAVY += ("pyarrow", "pydantic", "scipy", "sqlalchemy", "starlette", "torch")
ANSWER = """
import numpy as np
from endcap.models.ials import IALS, IALSModel
from endcap.models.queries import Queries
from endcap.prepare.vocabulary import Vocabulary

words, y = Vocabulary(["a", "b", "c"]), np.eye(3, dtype=np.float32)
model = IALSModel(IALS(factors=3), words, words, y, np.ones(3, bool), np.eye(3, dtype=np.float32))
answers = model.retrieve(Queries.of_histories([[0], [1, 2]]), 2)
assert words.ids(answers.items[:2]) == ["a", "b"], answers
"""


@pytest.mark.parametrize(
    ("code", "comes"),
    [
        ("import endcap", set()),
        ("import endcap.models.ials", {"numba", "numpy", "pydantic", "scipy"}),
        ("import endcap.models.local_ridge", {"numba", "numpy", "pydantic", "scipy"}),
        (ANSWER, {"numba", "numpy", "pydantic", "scipy"}),
    ],
    ids=["endcap", "ials", "local_ridge", "an answer"],
)
def test_an_import_brings_no_more_libraries_than_it_needs(code: str, comes: set[str]) -> None:
    told = f"{code}\nimport sys; print(*sys.modules.keys() & set({HEAVY}))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == comes
