"""Components are found by name, lazily."""

import pytest

from endcap import plugins
from endcap.schema.actors import actor
from endcap.schema.errors import PluginError
from endcap.schema.progress import silent


@pytest.mark.parametrize("group", plugins.GROUPS)
def test_every_built_in_loads(group: str) -> None:
    assert plugins.names(group)
    for name in plugins.names(group):
        assert plugins.load(group, name) is not None


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(PluginError, match="There is no model named 'eas'") as caught:
        plugins.load("endcap.models", "eas")
    assert caught.value.hint == "Did you mean 'ease'?"


def test_a_plugin_whose_imports_fail_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    broken = {"x": EntryPoint("x", "endcap.no_such_module:X", "endcap.models")}
    monkeypatch.setattr(plugins, "_found", lambda group: broken)
    with pytest.raises(PluginError, match=r"cannot be loaded.*no_such_module"):
        plugins.load("endcap.models", "x")


def test_a_visitor_never_meets_an_account_of_the_same_name() -> None:
    assert actor("7", "7") == "7"
    assert actor(None, "7") not in (None, "7")
    assert actor("", "") is None


def test_silent_progress_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    silent(1, 2, "note")
    assert capsys.readouterr() == ("", "")
