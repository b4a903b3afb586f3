"""Whether requests are traced, by OpenTelemetry's standard variables. Wrong ones cost the traces, not the server."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from embedplane_server.tracing.request_trace import Tracing

logger = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"


@contextmanager
def configured_tracing(model: str) -> Iterator[Tracing | None]:
    """Trace the requests of a model until the block ends; None when nobody asked for it."""
    tracing = _start(model)
    try:
        yield tracing
    finally:
        if tracing is not None:
            tracing.close()


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Tell whether traces are to be sent; warn where they are but cannot be as it is said."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or not _first(environment, ENDPOINTS):
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    protocol = _first(environment, PROTOCOLS) or PROTOCOL
    if exporter == "otlp" and protocol == PROTOCOL:
        return True
    if exporter != "none":
        logger.warning(
            "traces are sent by otlp as %s only, not by %s as %s: none are sent", PROTOCOL, exporter, protocol
        )
    return False


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((environment[name] for name in names if environment.get(name)), None)


def _start(model: str) -> Tracing | None:
    if not is_wanted(os.environ):
        return None
    try:
        from embedplane_server.tracing.open_telemetry import OpenTelemetry  # noqa: PLC0415 -- heavy, by need

        return OpenTelemetry(model)
    except Exception:
        logger.exception("the OTEL_* variables cannot be used as they are: no traces are sent")
        return None
