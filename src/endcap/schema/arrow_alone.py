"""Arrow without pandas, which nothing here needs."""

import importlib
import sys
from types import ModuleType


def leave_pandas() -> None:
    """Have Arrow go without pandas in this process, where nobody has imported it yet.

    Arrow looks for it once, when the first list becomes an array, to recognise what is a series;
    that takes half a second and 44 MB of memory. Who imports pandas or asks for a conversion
    (``table.to_pandas()``) gets it all the same.
    """
    if "pandas" in sys.modules:
        return
    sys.meta_path.insert(0, _Nowhere)
    try:
        importlib.import_module("pyarrow").array([0])
    finally:
        sys.meta_path.remove(_Nowhere)


class _Nowhere:
    """Where pandas is not found, nor sought any further."""

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: ModuleType | None = None) -> None:
        """See `importlib.abc.MetaPathFinder`."""
        if name == "pandas":
            raise ModuleNotFoundError(name)
