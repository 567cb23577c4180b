"""``endcap serve``: says where it is, and says plainly why it cannot be."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from endcap.cli import app as cli
from endcap.serve.keys import KeyRing

ENDCAP = str(Path(sys.prefix) / "bin" / "endcap")


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["serve", "--help"]) == 0
    told = capsys.readouterr().out
    assert "endcap serve --folder shop --port 9000" in told


def test_a_port_in_use_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.run(["serve", "--folder", str(tmp_path), "--port", str(port)]) == 2
    told = capsys.readouterr().err
    assert f"port {port}: Address already in use" in told
    assert f"--port {port + 1}" in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7"])
def test_an_impossible_address_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, host: str
) -> None:
    assert cli.run(["serve", "--folder", str(tmp_path), "--host", host, "--port", "0"]) == 2
    assert host in capsys.readouterr().err


def test_it_does_not_listen_to_others_without_keys(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.run(["serve", "--folder", str(tmp_path), "--host", "0.0.0.0", "--port", "0"]) == 2
    told = capsys.readouterr().err
    assert "there are no keys" in told
    assert f"endcap keys create --folder {tmp_path}" in told


@pytest.mark.parametrize(
    ("host", "stop", "code"), [("127.0.0.1", signal.SIGINT, 130), ("0.0.0.0", signal.SIGTERM, 0)]
)
def test_it_says_where_it_is_and_warns_while_it_is_open(
    tmp_path: Path, host: str, stop: int, code: int
) -> None:
    if host == "0.0.0.0":
        KeyRing(tmp_path).create("secret")
    command = [ENDCAP, "serve", "--folder", str(tmp_path), "--host", host, "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        assert httpx.get(f"{url}/livez").json() == {"status": "ok"}
        server.send_signal(stop)
        out, err = server.communicate(timeout=60)
    assert server.returncode == code, err
    assert out == ""
    assert ("no keys" in err) is (host == "127.0.0.1")


def test_a_server_starts_without_what_only_training_needs() -> None:
    code = "import sys, endcap.cli.serve_\n"
    code += "print({'ibis', 'duckdb', 'torch', 'scipy.optimize'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
