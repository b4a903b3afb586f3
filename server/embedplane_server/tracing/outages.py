"""A collector that does not answer is told of once, and once more when it does again, however long it takes."""

import logging
import threading
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

logger = logging.getLogger(__name__)

EXPORTER_LOG = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")
QUEUE_LOG = logging.getLogger("opentelemetry.sdk._shared_internal")


class QuietExporter(SpanExporter):
    """Speaks for an exporter, whose own log has several lines for each attempt."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._reaches: bool | None = None
        self._reason = ""
        self._thread = 0
        EXPORTER_LOG.addFilter(self._keep_reason)
        QUEUE_LOG.addFilter(self._is_news)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans."""
        self._reason = ""
        self._thread = threading.get_ident()
        result = self._exporter.export(spans)
        reaches = result is SpanExportResult.SUCCESS
        if reaches and self._reaches is False:
            logger.info("the collector takes traces again")
        elif not reaches and self._reaches is not False:
            logger.warning(
                "traces are lost until the collector takes them again; requests are not affected: %s", self._reason
            )
        self._reaches = reaches
        return result

    def shutdown(self) -> None:
        """Send no more."""
        self._exporter.shutdown()
        EXPORTER_LOG.removeFilter(self._keep_reason)
        QUEUE_LOG.removeFilter(self._is_news)

    def _keep_reason(self, record: logging.LogRecord) -> bool:
        """Keep the first line of an attempt of ours, which says why it failed, and let none of them through."""
        if record.thread != self._thread:
            return True
        self._reason = self._reason or record.getMessage()
        return False

    def _is_news(self, _: logging.LogRecord) -> bool:
        """Let the queue say that it is full only where that is not what an outage does."""
        return self._reaches is True and not self._reason
