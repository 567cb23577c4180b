"""One file, one tree of settings, and where each came from."""

from pathlib import Path

import pytest

from endcap.schema.errors import ConfigError, DataError
from endcap.schema.settings import Settings, load_settings


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "endcap.toml"
    path.write_text('[serve]\nport = 1\nhost = "file"\n[events.kinds]\ntry_on = 2.0\n')
    return path


def test_defaults_need_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(environ={}) == (Settings(), {})


def test_flag_beats_environment_beats_file(toml: Path) -> None:
    environ = {"ENDCAP_SERVE__PORT": "2", "ENDCAP_SERVE__DRAIN_SECONDS": "3", "HOME": "/"}
    flags = {"serve.drain_seconds": 4, "serve.max_body_bytes": None}
    settings, origins = load_settings(toml, environ=environ, flags=flags)
    assert (settings.serve.host, settings.serve.port) == ("file", 2)
    assert settings.serve.drain_seconds == 4
    assert settings.events.kinds == {"try_on": 2.0}
    assert origins["serve.host"] == str(toml)
    assert origins["serve.port"] == "ENDCAP_SERVE__PORT"
    assert origins["serve.drain_seconds"] == "flag"
    assert "serve.max_body_bytes" not in origins


def test_an_unknown_key_is_refused_with_the_nearest_and_its_origin(toml: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"ENDCAP_SERVE__PROT.*unknown key 'serve.prot'"
    ) as caught:
        load_settings(toml, environ={"ENDCAP_SERVE__PROT": "2"})
    assert caught.value.hint == "Did you mean 'port'?"


def test_an_impossible_value_is_named(toml: Path) -> None:
    with pytest.raises(ConfigError, match=r"serve.port = 'many'"):
        load_settings(toml, environ={"ENDCAP_SERVE__PORT": "many"})


def test_unknown_keys_deep_down_have_no_field_list() -> None:
    with pytest.raises(ConfigError, match="unknown key 'sevre'") as caught:
        Settings.parse({"sevre": {}})
    assert caught.value.hint == "Did you mean 'serve'?"


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_settings(tmp_path / "no.toml")
    (tmp_path / "bad.toml").write_text("[serve")
    with pytest.raises(DataError, match="is no TOML"):
        load_settings(tmp_path / "bad.toml")


def test_a_list_in_the_environment_is_json(toml: Path) -> None:
    environ = {"ENDCAP_SERVE__ORIGINS": '["https://a.example", "https://b.example"]'}
    settings, _ = load_settings(toml, environ=environ)
    assert settings.serve.origins == ("https://a.example", "https://b.example")
    with pytest.raises(ConfigError, match=r"serve.origins = '\[https"):
        load_settings(toml, environ={"ENDCAP_SERVE__ORIGINS": "[https://a.example]"})
