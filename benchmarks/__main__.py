"""List the benchmarks, or run one: ``python -m benchmarks NAME [--data DIR] [--quick] …``."""

import ast
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from endcap.schema.errors import EndcapError, nearest

HERE = Path(__file__).parent


def listing() -> dict[str, str]:
    """Return each benchmark and the first line of its docstring, without importing one.

    A benchmark is a module of this folder with a function ``main(argv) -> dict``.
    """
    found = {}
    for path in sorted(HERE.glob("[a-z]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def run(argv: Sequence[str]) -> int:
    """Run the command line and return the exit code; the last line of stdout is JSON."""
    known = listing()
    if not argv or argv[0] in {"-h", "--help"}:
        width = max(map(len, known))
        print("python -m benchmarks NAME [--data DIR] [--peers a,b] [--quick] [--seed N]\n")
        print("\n".join(f"  {name:<{width}}  {text}" for name, text in known.items()))
        return 0
    if argv[0] not in known:
        print(f"No benchmark {argv[0]!r}. {nearest(argv[0], known)}", file=sys.stderr)
        return 2
    try:
        outcome = importlib.import_module(f"benchmarks.{argv[0]}").main(list(argv[1:]))
    except EndcapError as error:
        print(f"benchmarks {argv[0]}: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(outcome, ensure_ascii=False, allow_nan=False), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
