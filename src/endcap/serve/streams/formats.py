"""How a message carries an event: JSON, or Avro."""

import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from endcap.events.validate import Fault
from endcap.schema.errors import ConfigError, DataError, PluginError, nearest
from endcap.serve.intake import UnreadableError

FORMATS: Final = ("json", "avro", "confluent-avro")
Plain = Callable[[bytes], bytes]
"""From what a broker carried to JSON."""
CONTAINER: Final = b"Obj\x01"
HEADER: Final = 5
"""Confluent's: a zero and the schema's number, four bytes."""


def reader(name: str, schema: Path | None = None) -> Plain | None:
    """Return what makes JSON of a message; None where it is JSON already.

    Parameters
    ----------
    name
        ``json``; ``avro``: one record without or an object container with its schema;
        ``confluent-avro``: with the five bytes that Confluent's serialiser puts before it.
    schema
        An ``.avsc`` file: that of the writers; needed for all but containers.

    Raises
    ------
    ConfigError
        When there is no such format, or Avro comes without a schema.
    """
    if name == "json":
        return None
    if name not in FORMATS:
        raise ConfigError(f"There is no format {name!r}.", hint=nearest(name, FORMATS))
    if name == "confluent-avro" and schema is None:
        raise ConfigError("confluent-avro needs the schema.", hint="--schema events.avsc")
    return _avro(schema, skip=HEADER if name == "confluent-avro" else 0)


def _avro(path: Path | None, skip: int) -> Plain:
    try:
        import fastavro
    except ImportError as error:
        raise PluginError(
            f"Avro cannot be read: {error}.", hint="pip install 'endcap[stream]'"
        ) from error
    schema = None if path is None else _parsed(fastavro, path)

    def plain(body: bytes) -> bytes:
        content = io.BytesIO(body)
        try:
            if body.startswith(CONTAINER):
                record = next(iter(fastavro.reader(content)))
            elif schema is None:
                raise ValueError("it brings no schema and --schema names none")
            else:
                content.seek(skip)
                record = fastavro.schemaless_reader(content, schema, None)
            return _json(record)
        except Exception as error:  # of any kind: fastavro raises what Python raises
            why = str(error) or type(error).__name__
            raise UnreadableError(Fault("bad-avro", f"The row is no Avro: {why}.")) from error

    return plain


def _parsed(fastavro: Any, path: Path) -> Any:
    try:
        return fastavro.parse_schema(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist.") from error
    except Exception as error:  # of any kind, again
        raise DataError(f"{path} is no Avro schema: {error}.") from error


def _json(record: Any) -> bytes:
    if not isinstance(record, dict):
        raise TypeError("the schema is not that of a record")
    return msgspec.json.encode(
        {name: value for name, value in record.items() if value is not None}, enc_hook=_hook
    )


def _hook(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in an event")
