"""``/metrics`` of the verbs that go on by themselves."""

from prometheus_client import CollectorRegistry, start_http_server

from endcap.schema.errors import ConfigError

LOOPBACK = "127.0.0.1"
"""Whoever can reach the port reads everything on it: other machines have to be let in by name."""


def serve_metrics(registry: CollectorRegistry, port: int, host: str = LOOPBACK) -> None:
    """Serve the metrics of a registry in a thread, until the process ends.

    Parameters
    ----------
    port
        0: not at all.

    Raises
    ------
    ConfigError
        When the address cannot be listened on.
    """
    if not port:
        return
    try:
        start_http_server(port, host, registry)
    except OSError as error:
        raise ConfigError(
            f"Cannot serve metrics on {host}, port {port}: {error.strerror or error}."
        ) from error
