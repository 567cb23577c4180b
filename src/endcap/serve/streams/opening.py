"""Which broker a URL names."""

from collections.abc import Callable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from endcap.schema.errors import ConfigError, PluginError, nearest
from endcap.serve.streams.source import Source

RETRY_SECONDS: Final = 30.0


class Where(NamedTuple):
    """What `open_source` is asked for."""

    url: str
    stream: str
    subject: str
    group: str
    retry_seconds: float


def open_source(
    url: str, *, stream: str, subject: str, group: str, retry_seconds: float = RETRY_SECONDS
) -> Source:
    """Return the source that a URL names, not open yet.

    Parameters
    ----------
    stream, subject
        JetStream has both; elsewhere `stream` alone names the stream, queue or topic.
    group
        Workers of one group share the messages.
    retry_seconds
        After so long without a word a message is handed out again.

    Raises
    ------
    ConfigError
        When no broker of that scheme is known.
    PluginError
        When its client is not installed.
    """
    scheme = urlsplit(url).scheme
    if scheme not in MAKERS:
        hint = nearest(scheme, MAKERS)
        raise ConfigError(f"No broker takes {url!r}.", hint=f"{hint} Such as nats://host:4222")
    try:
        return MAKERS[scheme](Where(url, stream, subject, group, retry_seconds))
    except ImportError as error:
        extra = "kafka" if scheme == "kafka" else "stream"
        raise PluginError(
            f"{url} cannot be reached: {error}.", hint=f"pip install 'endcap[{extra}]'"
        ) from error


def _nats(where: Where) -> Source:
    from endcap.serve.streams.nats_source import NatsSource

    return NatsSource(*where)


def _redis(where: Where) -> Source:
    from endcap.serve.streams.redis_source import RedisSource

    return RedisSource(where.url, where.stream, where.group, where.retry_seconds)


def _rabbit(where: Where) -> Source:
    from endcap.serve.streams.rabbit_source import RabbitSource

    return RabbitSource(where.url, where.stream)


def _kafka(where: Where) -> Source:
    from endcap.serve.streams.kafka_source import KafkaSource

    return KafkaSource(where.url, where.stream, where.group)


MAKERS: Final[dict[str, Callable[[Where], Source]]] = {
    "nats": _nats,
    "redis": _redis,
    "rediss": _redis,
    "valkey": _redis,
    "amqp": _rabbit,
    "amqps": _rabbit,
    "kafka": _kafka,
}
