"""The operator's own metrics, in a registry of their own. The servers' metrics are the server package's."""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from embedplane_operator.workqueue import Key

AUTOSCALER_COUNTS = {
    "ticks": "Looks of the autoscaler at all models",
    "prometheus_failures": "Ticks without an answer of Prometheus",
    "cluster_failures": "Calls of the autoscaler that the API server refused or did not answer",
    "changes": "Changes of replicas",
}


class AutoscalerCounts(Collector):
    """Shows what the autoscaler counts itself."""

    def __init__(self, read: Callable[[], Mapping[str, int]]) -> None:
        self._read = read

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yields one counter per number."""
        counts = self._read()
        for name, text in AUTOSCALER_COUNTS.items():
            yield CounterMetricFamily(f"embedplane_operator_autoscaler_{name}", text, value=counts[name])


class Metrics:
    """What Prometheus can know about this process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconciles = Counter(
            "embedplane_operator_reconciles_total",
            "Reconciles that ended, by result",
            ["result"],
            registry=self.registry,
        )
        self.reconcile_seconds = Histogram(
            "embedplane_operator_reconcile_seconds", "Time of one reconcile", registry=self.registry
        )
        self.queue_depth = Gauge(
            "embedplane_operator_queue_depth", "Models that wait for a worker", registry=self.registry
        )
        self.leading = Gauge(
            "embedplane_operator_leading", "1 while this process holds the Lease", registry=self.registry
        )
        self.api_calls = Counter(
            "embedplane_operator_api_calls_total",
            "Calls to the API server, by verb and HTTP status (0: no answer)",
            ["verb", "status"],
            registry=self.registry,
        )
        self.api_seconds = Histogram(
            "embedplane_operator_api_call_seconds",
            "Time of one call to the API server",
            ["verb"],
            registry=self.registry,
        )
        self.collections = Counter(
            "embedplane_operator_store_collections_total",
            "Jobs that looked for what nobody uses in a namespace's store, by result",
            ["result"],
            registry=self.registry,
        )
        self.collected_bytes = Counter(
            "embedplane_operator_store_collected_bytes_total", "Bytes they removed", registry=self.registry
        )
        self.desired_replicas = Gauge(
            "embedplane_operator_desired_replicas",
            "Replicas a model should have",
            ["namespace", "model"],
            registry=self.registry,
        )
        self.ready_replicas = Gauge(
            "embedplane_operator_ready_replicas",
            "Replicas of a model that are ready",
            ["namespace", "model"],
            registry=self.registry,
        )

    def observe_call(self, verb: str, status: int, seconds: float) -> None:
        """Counts one call to the API server."""
        self.api_calls.labels(verb, str(status)).inc()
        self.api_seconds.labels(verb).observe(seconds)

    def observe_collection(self, result: Literal["success", "failure"], removed_bytes: int) -> None:
        """Counts one collection of a store."""
        self.collections.labels(result).inc()
        self.collected_bytes.inc(removed_bytes)

    def observe_replicas(self, key: Key, desired: int, ready: int) -> None:
        """Notes a model's replicas."""
        self.desired_replicas.labels(key.namespace, key.name).set(desired)
        self.ready_replicas.labels(key.namespace, key.name).set(ready)

    def forget(self, key: Key) -> None:
        """Drops the series of a model that is gone."""
        for gauge in (self.desired_replicas, self.ready_replicas):
            gauge.remove(key.namespace, key.name)

    def render(self) -> bytes:
        """The text exposition."""
        return generate_latest(self.registry)
