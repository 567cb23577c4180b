"""Where servers that tests need are not installed, the tests say so and are skipped."""

import shutil

import pytest

from endcap.testing.servers import POSTGRES_PROGRAMS, RABBIT_PROGRAM

needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server")
needs_nats = pytest.mark.skipif(shutil.which("nats-server") is None, reason="needs nats-server")
needs_postgres = pytest.mark.skipif(not POSTGRES_PROGRAMS, reason="needs PostgreSQL")
needs_rabbit = pytest.mark.skipif(not RABBIT_PROGRAM.exists(), reason="needs rabbitmq-server")
