"""Brokers, each under one face."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import Broker, Nats, Rabbit, Redis

from endcap.testing.servers import RabbitServer
from real_servers import needs_nats, needs_rabbit, needs_redis


@pytest.fixture(scope="session")
def rabbit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    server = RabbitServer(tmp_path_factory.mktemp("rabbit"))
    yield server
    server.stop()


@pytest.fixture(
    params=[
        pytest.param("nats", marks=needs_nats),
        pytest.param("redis", marks=needs_redis),
        pytest.param("rabbit", marks=needs_rabbit),
    ]
)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    (tmp_path / "broker").mkdir()
    running: Broker
    if request.param == "rabbit":
        running = Rabbit(request.getfixturevalue("rabbit_server"))
    else:
        running = {"nats": Nats, "redis": Redis}[request.param](tmp_path / "broker")
    yield running
    running.stop()
