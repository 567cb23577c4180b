"""Connections to the server, and what is set on each."""

import select
from collections.abc import Sequence
from functools import cache
from typing import Any, Final, Literal

import psycopg
from psycopg import conninfo
from psycopg.types.string import StrDumper

from endcap.events.sql.pool import Pool
from endcap.schema.errors import ConfigError, StoreError

DEFAULTS: Final[dict[str, Any]] = {
    "application_name": "endcap",
    "connect_timeout": 2,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""A server that is gone is noticed in seconds; the URL may say otherwise."""
Durability = Literal["on", "off"]
"""``on`` waits for the disk at each commit. ``off`` exists so that tests can show what it loses."""

SILENCE_SECONDS: Final = 5
ESCAPE: Final = "\x10"
"""PostgreSQL keeps no NUL in text. It is kept as this sign (data link escape) and a 0, and the
sign itself twice; both are met in hostile input alone."""


class Session:
    """A connection whose statements bind values to ``?``."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self.connection = connection

    def execute(self, sql: str, bound: Sequence[Any] = (), /) -> "psycopg.Cursor[Any]":
        """Run a statement."""
        return self.connection.execute(_marked(sql), bound)

    def close(self) -> None:
        """End the connection."""
        self.connection.close()


def target(url: str) -> tuple[str, str]:
    """Return how to connect to `url`, and its name without the password.

    Raises
    ------
    ConfigError
        When it is no URL of a PostgreSQL server.
    """
    scheme, _, rest = url.partition("://")
    try:
        told = conninfo.conninfo_to_dict(f"{scheme.partition('+')[0]}://{rest}")
    except psycopg.ProgrammingError as error:
        raise ConfigError(
            f"store.url cannot be read: {str(error).strip()}.",
            hint="postgresql://user@host:5432/database",
        ) from error
    where = f"{told.get('host', 'localhost')}:{told.get('port', 5432)}"
    name = f"PostgreSQL {told.get('dbname', '')!r} at {where}"
    return conninfo.make_conninfo("", **{**DEFAULTS, **told}), name


def connect(target: str, name: str) -> Session:
    """Open a connection that begins no transaction by itself.

    Raises
    ------
    StoreError
        When the server cannot be reached.
    """
    try:
        connection = psycopg.connect(target, autocommit=True)
    except psycopg.OperationalError as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise StoreError(
            f"{name} cannot be reached: {why}.", hint="Nothing was stored; try again."
        ) from error
    connection.adapters.register_dumper(str, TextDumper)
    connection.adapters.register_loader("text", TextLoader)
    return Session(connection)


def let_go_soon(session: Session) -> None:
    """Have the server end a connection of whose owner it hears nothing, and free its locks.

    Who is cut off in the middle of a transaction would otherwise keep all others from writing for
    as long as TCP is patient, which is hours.
    """
    for setting, value in (
        ("idle_in_transaction_session_timeout", f"{SILENCE_SECONDS}s"),
        ("tcp_keepalives_idle", str(SILENCE_SECONDS)),
        ("tcp_keepalives_interval", "2"),
        ("tcp_keepalives_count", "3"),
    ):
        session.execute("SELECT set_config(?, ?, false)", (setting, value))


def readers(target: str, name: str) -> Pool[Session]:
    """Return connections for reading."""
    return Pool(name, lambda: connect(target, name), alive=_alive, error=psycopg.Error)


def escaped(text: str) -> str:
    """Return `text` as PostgreSQL can keep it."""
    if "\x00" in text or ESCAPE in text:
        return text.replace(ESCAPE, ESCAPE * 2).replace("\x00", ESCAPE + "0")
    return text


def unescaped(text: str) -> str:
    """Return what `escaped` was given."""
    if ESCAPE not in text:
        return text
    return ESCAPE.join(part.replace(ESCAPE + "0", "\x00") for part in text.split(ESCAPE * 2))


class TextDumper(StrDumper):
    """Text on its way to the server."""

    def dump(self, obj: str) -> "psycopg.abc.Buffer | None":
        """Escape and encode."""
        return super().dump(escaped(obj))


class TextLoader(psycopg.adapt.Loader):
    """Text on its way from the server."""

    def load(self, data: "psycopg.abc.Buffer") -> str:
        """Decode and unescape."""
        return unescaped(bytes(data).decode())


def _alive(session: Session) -> bool:
    """Whether an idle connection has heard nothing: a server that left has said so, or hung up."""
    if session.connection.closed:
        return False
    heard, _, _ = select.select([session.connection.fileno()], [], [], 0)
    return not heard


@cache
def _marked(sql: str) -> str:
    return sql.replace("?", "%s")
