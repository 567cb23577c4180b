"""Arrow goes without pandas, and nobody else misses it."""

import subprocess
import sys

ARRAY = "import sys, pyarrow as pa; pa.array(['a']); print('pandas' in sys.modules)"


def said(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.split()


def test_arrow_goes_without_pandas() -> None:
    before = "from endcap.schema.arrow_alone import leave_pandas; leave_pandas(); "
    assert said(before + ARRAY) == ["False"]
    asked = "; t = pa.table({'a': [1]}).to_pandas(); print(t.shape[0], len(pa.array(t['a'])))"
    assert said(before + ARRAY + asked) == ["False", "1", "1"]


def test_twin_arrow_left_to_itself_imports_it() -> None:
    assert said(ARRAY) == ["True"]


def test_whoever_imported_it_before_keeps_it() -> None:
    before = "import pandas; from endcap.schema.arrow_alone import leave_pandas; leave_pandas(); "
    assert said(before + ARRAY + "; print(len(pa.array(pandas.Series([1, 2]))))") == ["True", "2"]
