"""Traces by OpenTelemetry's SDK, sent by OTLP over HTTP from a thread of its own. Reads the standard variables.

Nothing is registered globally, and the SDK's queue drops what it cannot send: serving never waits for a collector.
"""

import socket
import threading
from collections.abc import Mapping

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from embedplane_server import __version__
from embedplane_server.tracing.outages import QuietExporter
from embedplane_server.tracing.request_trace import Attributes

CLOSE_SECONDS = 3.0
"""Less than the pod's grace period has left after the last request."""


class OpenTelemetry:
    """The `Tracing` of a process that has an OTLP endpoint."""

    def __init__(self, model: str) -> None:
        ours = {"service.name": model, "service.version": __version__, "host.name": socket.gethostname()}
        resource = Resource.create().merge(Resource(ours)).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(QuietExporter(OTLPSpanExporter())))
        self._tracer = self._provider.get_tracer("embedplane_server", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, name: str, attributes: Attributes, headers: Mapping[str, str]) -> "OpenTelemetryTrace | None":
        """Begin the span of a request."""
        caller = self._propagator.extract(headers)
        span = self._tracer.start_span(name, caller, SpanKind.SERVER, attributes)
        return OpenTelemetryTrace(self._tracer, span) if span.is_recording() else None

    def close(self) -> None:
        """Send what is left; a collector that does not answer is left behind."""
        closing = threading.Thread(target=self._provider.shutdown, name="tracing-close", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


class OpenTelemetryTrace:
    """The span of one request and those below it."""

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span

    def note(self, attributes: Attributes) -> None:
        """Add attributes."""
        self._span.set_attributes(attributes)

    def stage(self, name: str, begun: int, ended: int) -> None:
        """Add a span below."""
        self._tracer.start_span(name, set_span_in_context(self._span), start_time=begun).end(ended)

    def end(self, failure: str | None) -> None:
        """End the span."""
        if failure is not None:
            self._span.set_attribute("error.type", failure)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()
