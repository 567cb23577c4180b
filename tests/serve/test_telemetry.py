"""Traces arrive at a real receiver of OTLP: a span for each stage, under that of its request."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from served_shop import served

from endcap.prepare.run import prepare_store
from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train
from endcap.schema.settings import Settings
from endcap.schema.stages import traced
from endcap.serve.http.app import create_app

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


class Receiver:
    """Takes spans as a collector does."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: dict[str, str] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                receiver.take(self.path, body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        for told in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = told.resource.attributes
            self.resources |= {a.key: a.value.string_value for a in about}
            for scope in told.scope_spans:
                self.spans += scope.spans

    def named(self, name: str) -> Any:
        found = [span for span in self.spans if span.name == name]
        assert found, sorted({span.name for span in self.spans})
        return found[-1]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.close()


def told(folder: Path, **telemetry: Any) -> Settings:
    serve = {"timeout_ms": 30_000}
    return Settings.parse({"store": {"folder": folder}, "serve": serve, "telemetry": telemetry})


def test_every_stage_of_a_request_is_a_span_under_it(receiver: Receiver, tmp_path: Path) -> None:
    settings = told(tmp_path, endpoint=receiver.url, sample=0.0, service="the shop")
    rows = [
        {"kind": "purchase", "user_id": f"u{n % 9}", "item_id": f"i{n % 9 % 4 + n // 9}"}
        for n in range(45)
    ]
    with served(create_app(settings)) as shop:
        assert traced()
        assert shop.post(*rows).json()["stored"] == 45  # not sampled
        data = prepare_store(shop.runtime.store, settings).dataset
        train(data, load_recipe("simple"), tmp_path)
        shop.runtime.recommender.reload()
        event = {"kind": "view", "user_id": "u1", "item_id": "i2"}
        answer = shop.client.post("/v1/events", json=event, headers=CALLER)
        assert answer.status_code == 202
        slate = shop.client.get("/v1/recommendations?user_id=u1&k=3", headers=CALLER)
        assert slate.status_code == 200
        missing = shop.client.get("/v1/nothing", headers=CALLER)
        assert missing.status_code == 404
    assert not traced()
    assert {span.trace_id.hex() for span in receiver.spans} == {TRACE}
    asked, posted = receiver.named("GET /v1/recommendations"), receiver.named("POST /v1/events")
    assert asked.parent_span_id.hex() == posted.parent_span_id.hex() == PARENT
    for name in ("history", "retrieve", "compose"):
        assert receiver.named(name).parent_span_id == asked.span_id
    assert receiver.named("write").parent_span_id == posted.span_id
    facts = {a.key: a.value for a in asked.attributes}
    assert facts["http.response.status_code"].int_value == 200
    assert facts["endcap.request_id"].string_value == slate.headers["x-request-id"]
    assert asked.start_time_unix_nano <= receiver.named("retrieve").start_time_unix_nano
    assert receiver.named("GET unmatched")
    assert receiver.resources["service.name"] == "the shop"


def test_a_receiver_that_is_away_costs_no_answer(tmp_path: Path) -> None:
    with served(create_app(told(tmp_path, endpoint="http://127.0.0.1:9", sample=1.0))) as shop:
        assert shop.post({"kind": "view", "user_id": "u", "item_id": "i"}).status_code == 202
        assert shop.slate(user_id="u", k=1)["items"] == []


def test_off_it_costs_nothing_and_nothing_of_it_is_imported() -> None:
    code = "import endcap.serve.http.app, endcap.cli.serve_, sys; "
    code += "from endcap.schema.stages import stage; print(stage('history') is stage('write')); "
    code += "heavy = ('opentelemetry.sdk', 'endcap.serve.telemetry'); "
    code += "print([m for m in sys.modules if m.startswith(heavy)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "[]"]
