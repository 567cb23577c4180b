"""Which broker a URL names."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from endcap.schema.errors import ConfigError, PluginError, nearest
from endcap.serve.streams.source import Source

RETRY_SECONDS: Final = 30.0


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

    def nats() -> Source:
        from endcap.serve.streams.nats_source import NatsSource

        return NatsSource(url, stream, subject, group, retry_seconds)

    def redis() -> Source:
        from endcap.serve.streams.redis_source import RedisSource

        return RedisSource(url, stream, group, retry_seconds)

    def rabbit() -> Source:
        from endcap.serve.streams.rabbit_source import RabbitSource

        return RabbitSource(url, stream)

    def kafka() -> Source:
        from endcap.serve.streams.kafka_source import KafkaSource

        return KafkaSource(url, stream, group)

    makers: dict[str, Callable[[], Source]] = {
        "nats": nats,
        "redis": redis,
        "rediss": redis,
        "valkey": redis,
        "amqp": rabbit,
        "amqps": rabbit,
        "kafka": kafka,
    }
    scheme = urlsplit(url).scheme
    if scheme not in makers:
        hint = nearest(scheme, makers)
        raise ConfigError(f"No broker takes {url!r}.", hint=f"{hint} Such as nats://host:4222")
    try:
        return makers[scheme]()
    except ImportError as error:
        extra = "kafka" if scheme == "kafka" else "stream"
        raise PluginError(
            f"{url} cannot be reached: {error}.", hint=f"pip install 'endcap[{extra}]'"
        ) from error
