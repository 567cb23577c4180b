"""The front door: verbs, exit codes, manners."""

import subprocess
import sys
from importlib.util import find_spec

import pytest
import structlog

from endcap.cli import app as cli
from endcap.schema.errors import DataError
from endcap.serve.logs import configure_logs


def endcap(*argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "endcap", *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_every_verb_has_its_module() -> None:
    assert all(find_spec(f"endcap.cli.{verb}_") for verb in cli.VERBS)


@pytest.mark.parametrize("verb", sorted(cli.VERBS))
def test_every_verb_explains_itself_with_examples(verb: str) -> None:
    done = endcap(verb, "--help")
    assert done.returncode == 0, done.stderr
    assert "Example" in done.stdout
    assert f"endcap {verb}" in done.stdout


def test_the_front_page_lists_every_verb() -> None:
    done = endcap()
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in cli.VERBS)
    assert endcap("--version").stdout.startswith("endcap ")


def test_a_misspelt_verb_is_answered_with_the_nearest() -> None:
    done = endcap("trian")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean 'train'?" in done.stderr


def test_usage_errors_exit_2() -> None:
    assert endcap("config", "--no-such-flag").returncode == 2


@pytest.mark.parametrize(
    ("raised", "code"), [(DataError("Bad.", hint="Mend."), 3), (KeyboardInterrupt(), 130)]
)
def test_errors_become_exit_codes(
    raised: BaseException,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*args: object) -> int:
        raise raised

    monkeypatch.setattr(cli, "_call", fail)
    assert cli.run(["config"]) == code
    assert capsys.readouterr().err.startswith("endcap: ")


def test_a_verb_after_one_with_its_own_log_can_still_warn(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs(as_json=True)
    assert cli.run(["--version"]) == 0
    structlog.get_logger("later").warning("heard", number=7)
    assert "heard" in capsys.readouterr().err


def test_a_server_started_from_the_command_line_says_more_than_warnings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["--version"]) == 0
    structlog.get_logger("early").info("not heard")
    configure_logs(as_json=True)
    structlog.get_logger("later").info("heard", number=7)
    said = capsys.readouterr().err
    assert '"event": "heard"' in said
    assert "not heard" not in said
