"""``endcap config``."""

import json
from pathlib import Path

import pytest

from endcap.cli.app import run


def test_config_shows_values_and_origins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENDCAP_SERVE__PORT", "9000")
    assert run(["config", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows["serve.port"] == {"value": 9000, "origin": "ENDCAP_SERVE__PORT"}
    assert rows["serve.host"]["origin"] == "default"
    assert run(["config"]) == 0
    assert "ENDCAP_SERVE__PORT" in capsys.readouterr().out
