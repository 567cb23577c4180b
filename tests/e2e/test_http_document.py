"""Rows 59 and 68: the document is what the server does, and no input that fits it breaks it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from http_shop import ShopProcess

from endcap.serve.keys import KeyRing

pytestmark = pytest.mark.slow
SCHEMATHESIS = str(Path(sys.prefix) / "bin" / "schemathesis")
CONFIG = Path(__file__).parent / "schemathesis.toml"
HOOKS = Path(__file__).parent / "schemathesis_hooks.py"


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    shown, _ = KeyRing(tmp_path / "shop").create("secret")
    bearer = f"Authorization: Bearer {shown}"
    with ShopProcess(tmp_path / "shop") as shop:
        with shop.client() as client:
            client.headers["authorization"] = bearer.partition(": ")[2]
            items = [{"item_id": f"i{n}", "title": f"Item {n}"} for n in range(20)]
            assert client.put("/v1/items", json={"items": items}).status_code == 200
        found = subprocess.run(
            [
                *(
                    SCHEMATHESIS,
                    "--config-file",
                    str(CONFIG),
                    "run",
                    f"{shop.url}/openapi.json",
                ),
                *(
                    "-H",
                    bearer,
                    "--max-examples",
                    "10",
                    "--seed",
                    "68",
                    "--generation-deterministic",
                ),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS)},
        )
        assert found.returncode == 0, found.stdout[-20000:] + shop.said()
        assert shop.process.poll() is None
