"""Real servers to test and measure with: each in a folder of its own, on a free port.

Nothing here is for production; what a server keeps is gone when it is removed.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

RABBIT_PROGRAM: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""The one in the search path changes to a user of its own, who may not see a test's folder."""
POSTGRES_PROGRAMS: Final = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until `condition` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class RedisServer:
    """A redis-server that keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        """Start, and wait until it listens."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1"]
        quiet = ["--save", "", "--dir", str(self._folder), "--logfile", "redis.log"]
        self._process = subprocess.Popen([*command, *quiet])  # noqa: S603
        until(lambda: _listens(self.port))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """Kill it, stopped or not."""
        self._process.send_signal(signal.SIGCONT)
        self._process.kill()
        self._process.wait()


class NatsServer:
    """A nats-server with JetStream."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        command = ["nats-server", "-js", "-sd", str(folder), "-a", "127.0.0.1"]
        quiet = ["-p", str(self.port), "-l", str(folder / "log")]
        self._process = subprocess.Popen([*command, *quiet])  # noqa: S603
        until(lambda: _listens(self.port))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """Kill it, stopped or not."""
        self._process.kill()
        self._process.wait()


class RabbitServer:
    """A RabbitMQ broker of one node, with user ``guest``; its start takes some ten seconds."""

    def __init__(self, folder: Path) -> None:
        self.port, beside = free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"
        plugins = folder / "plugins"
        plugins.write_text("[].")
        told = {
            "NODENAME": f"endcap{self.port}@localhost",
            "NODE_IP_ADDRESS": "127.0.0.1",
            "NODE_PORT": str(self.port),
            "DIST_PORT": str(beside),
            "MNESIA_BASE": str(folder / "base"),
            "LOG_BASE": str(folder / "log"),
            "PID_FILE": str(folder / "pid"),
            "CONFIG_FILE": str(folder / "none"),
            "ENABLED_PLUGINS_FILE": str(plugins),
        }
        env = {f"RABBITMQ_{name}": value for name, value in told.items()}
        with (folder / "said").open("wb") as said:
            self._process = subprocess.Popen(  # noqa: S603
                [str(RABBIT_PROGRAM)],
                env={**os.environ, **env, "HOME": str(folder)},
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        until(lambda: _listens(self.port), seconds=120)

    def stop(self) -> None:
        """Kill it and what it started."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class PostgresServer:
    """A throw-away PostgreSQL cluster with fsync on; root is refused, so root runs it as nobody.

    Parameters
    ----------
    options
        Of the server: ``fsync=off``.
    data
        An empty folder that anybody may reach; default: one of its own.
    """

    def __init__(self, *options: str, data: Path | None = None) -> None:
        self.options = options
        # Not below pytest's own folder, which others than its owner may not enter.
        self._data = data or Path(tempfile.mkdtemp(prefix="endcap-postgres-"))
        self._programs = POSTGRES_PROGRAMS[-1].parent
        self.port = free_port()
        self._databases = 0
        self._as_other: list[str] = []
        if os.geteuid() == 0:
            self._as_other = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
            shutil.chown(self._data, "nobody", "nogroup")
        sync = [] if data else ["--no-sync"]  # nobody cuts the power of a folder of its own
        how = ["--auth=trust", "--username=shop", "--encoding=UTF8", "--locale=C"]
        self._run("initdb", *how, *sync)
        self.start()

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database."""
        return f"postgresql://shop@127.0.0.1:{self.port}/{database}"

    def pid(self) -> int:
        """Return the process id of the postmaster, whose children do the work."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def new_database(self) -> str:
        """Return the URL of an empty database."""
        self._databases += 1
        name = f"shop{self._databases}"
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' "
        options += " ".join(f"-c {option}" for option in self.options)
        self._run("pg_ctl", "-w", "-l", str(self._data / "log"), "-o", options, "start")
        self._master = self.pid()  # a disk that is gone tells it no more

    def stop(self, mode: str = "fast") -> None:
        """Stop; ``immediate`` is a crash: what is not on disk is gone."""
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def kill(self) -> None:
        """``kill -9`` the postmaster and all that it started, at once."""
        master = self._master
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        for pid in (master, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in (master, *children)))

    def start_after_crash(self) -> None:
        """Start on what a killed server, or a power cut, left behind."""
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        self.start()

    def remove(self) -> None:
        """Stop for good."""
        with suppress(subprocess.CalledProcessError):  # a test may have stopped it
            self.stop("immediate")
        shutil.rmtree(self._data)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_other, str(self._programs / program), "-D", str(self._data)]
        subprocess.run(  # noqa: S603
            [*command, *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/"
        )
