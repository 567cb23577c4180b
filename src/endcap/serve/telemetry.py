"""OpenTelemetry traces: a span for each request and for each of its stages, sent by OTLP.

Imported only where ``telemetry.endpoint`` is set.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from endcap.schema.settings import TelemetrySettings
from endcap.schema.stages import trace_by
from endcap.schema.version import __version__

PATH: Final = "/v1/traces"
SEND_SECONDS: Final = 2
"""A receiver that takes longer misses them: a stopping server waits for it, too."""
_remote: Final = TraceContextTextMapPropagator()


class Telemetry:
    """Traces the requests of a process until it is closed.

    Parameters
    ----------
    settings
        Where to, and which share of the requests.
    exporter
        What sends; default: OTLP over HTTP to ``settings.endpoint``.
    """

    def __init__(self, settings: TelemetrySettings, exporter: SpanExporter | None = None) -> None:
        where = settings.endpoint.rstrip("/") + PATH
        sends = exporter or OTLPSpanExporter(endpoint=where, timeout=SEND_SECONDS)
        about = {"service.name": settings.service, "service.version": __version__}
        self._provider = TracerProvider(
            resource=Resource.create(about),
            sampler=ParentBased(TraceIdRatioBased(settings.sample)),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(sends))
        self._tracer = self._provider.get_tracer("endcap", __version__)
        trace_by(self._tracer.start_as_current_span)

    def request(
        self, method: str, headers: Mapping[str, str], request_id: str
    ) -> AbstractContextManager[Span]:
        """Surround a request; it is part of the caller's trace where ``traceparent`` names one."""
        context: Context = _remote.extract(headers)
        return self._tracer.start_as_current_span(
            method,
            context=context,
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "endcap.request_id": request_id},
        )

    def trace_id(self, span: Span) -> str:
        """Return the id of the trace that a span is part of, in hex."""
        return format_trace_id(span.get_span_context().trace_id)

    def close(self) -> None:
        """Send what is left, and trace no more."""
        trace_by(None)
        self._provider.shutdown()

    def finish(self, span: Span, name: str, route: str, status: int) -> None:
        """Say of a request's span what is known at its end."""
        span.update_name(name)
        span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_status(StatusCode.ERROR)
