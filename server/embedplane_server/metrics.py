"""What the server says of itself to Prometheus: design.md section 6. All metrics carry `model` and `vector_space`.

Every series that the autoscaler reads exists from the start, with 0: an absent series is missing data. The names that
dashboards for text-embeddings-inference ask for are made from these in `tei_metrics.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.registry import Collector

from embedplane_server.model.chain import Task
from embedplane_server.scheduling.admission import Queued
from embedplane_server.scheduling.observer import BatchReport, Outcome
from embedplane_server.scheduling.work import Lane
from embedplane_server.tei_metrics import TeiMetrics

SECONDS = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.075,
    0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300,
)  # fmt: skip
POWERS_OF_TWO = tuple(2**power for power in range(18))
ARRIVAL_OUTCOMES = ("admitted", "rejected_overload")
TEI_HISTOGRAMS = {
    "te_request_duration": "request_duration_seconds",
    "te_request_tokenization_duration": "request_tokenization_duration_seconds",
    "te_request_queue_duration": "request_queue_duration_seconds",
    "te_request_inference_duration": "request_inference_duration_seconds",
    "te_batch_next_size": "batch_inputs",
    "te_batch_next_tokens": "batch_tokens",
}
"""Our histograms by the names that text-embeddings-inference has for them."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The labels that all metrics carry."""

    model: str
    vector_space: str

    @property
    def labels(self) -> dict[str, str]:
        return {"model": self.model, "vector_space": self.vector_space}


class Metrics:
    """The server's metrics in a registry of their own; listens to the scheduler as its `Observer`."""

    def __init__(self, identity: Identity, task: Task = "embedding") -> None:
        self.registry = CollectorRegistry()
        self.labels = self._identity = identity.labels
        self._histograms: dict[str, Histogram] = {}
        self._queued: Callable[[Lane], Queued] = lambda _: Queued()
        self._count_work()
        self._count_requests()
        self.tei = TeiMetrics(self._identity, self._queued_inputs, self._aliased(), self._rejected, task)
        self.registry.register(self.tei)

    def _count_work(self) -> None:
        arrived = self._counter("arrived_tokens", "Tokens of tokenised inputs, once each, at admission", "outcome")
        self._arrived = {outcome: self._child(arrived, outcome=outcome) for outcome in ARRIVAL_OUTCOMES}
        tokens = self._counter("tokens", "Admitted tokens by what became of them; padding is not counted", "outcome")
        self._tokens = {outcome: self._child(tokens, outcome=outcome.value) for outcome in Outcome}
        inputs = self._counter("inputs", "Admitted inputs by what became of them", "outcome")
        self._inputs = {outcome: self._child(inputs, outcome=outcome.value) for outcome in Outcome}
        self._busy = self._child(self._counter("engine_busy_seconds", "Seconds in which the engine had a batch"))
        self._padding = self._child(self._counter("padding_tokens", "Padding of the batches, were they rectangular"))
        self._batch_tokens = self._histogram("batch_tokens", "Tokens of a batch", POWERS_OF_TWO)
        self._batch_inputs = self._histogram("batch_inputs", "Inputs of a batch", POWERS_OF_TWO)

    def _count_requests(self) -> None:
        self._requests = self._counter("requests", "Answered HTTP requests", "route", "status")
        self._answered: dict[tuple[str, int], Counter] = {}
        self._rejected = self._counter("rejected", "Requests that were refused or failed", "reason")
        self.request_seconds = self._histogram("request_duration_seconds", "From request to answer, embeddings only")
        self.queue_seconds = self._histogram("request_queue_duration_seconds", "From admission to the first batch")
        self.tokenization_seconds = self._histogram(
            "request_tokenization_duration_seconds", "Tokenisation of a request"
        )
        self.inference_seconds = self._histogram("request_inference_duration_seconds", "First batch to last vector")

    def _aliased(self) -> dict[str, Histogram]:
        return {alias: self._histograms[name] for alias, name in TEI_HISTOGRAMS.items()}

    def _queued_inputs(self) -> int:
        return sum(self._queued(lane).inputs for lane in Lane)

    def watch_queue(self, queued: Callable[[Lane], Queued]) -> None:
        """Read the queue's gauges from the scheduler whenever they are asked for."""
        self._queued = queued
        for name, what in (("tokens", "Tokens"), ("inputs", "Inputs")):
            gauge = Gauge(
                f"embedplane_queued_{name}",
                f"{what} that wait for the engine",
                [*self._identity, "lane"],
                registry=self.registry,
            )
            for lane in Lane:
                gauge.labels(**self._identity, lane=lane.value).set_function(_reading(queued, lane, name))

    def describe_engine(self, facts: Mapping[str, str]) -> None:
        """Publish facts about the engine as labels of a gauge that is always 1."""
        gauge = Gauge(
            "embedplane_engine_info", "The engine that serves", [*self._identity, *facts], registry=self.registry
        )
        gauge.labels(**self._identity, **facts).set(1)

    def describe_conformance(self, measures: Mapping[str, float]) -> None:
        """Publish what was measured when the engine was built, a series for each measure."""
        gauge = Gauge(
            "embedplane_engine_conformance",
            "How near the engine was to the reference when it was built",
            [*self._identity, "measure"],
            registry=self.registry,
        )
        for measure, value in measures.items():
            gauge.labels(**self._identity, measure=measure).set(value)

    def register(self, collector: Collector) -> None:
        """Add another collector, such as the process's own figures."""
        self.registry.register(collector)

    def answered(self, route: str, status: int) -> None:
        """Count an HTTP request by its answer."""
        if (route, status) not in self._answered:
            self._answered[route, status] = self._child(self._requests, route=route, status=str(status))
        self._answered[route, status].inc()

    def rejected(self, reason: str) -> None:
        """Count a request that got no vectors."""
        self._rejected.labels(**self._identity, reason=reason).inc()

    def admitted(self, tokens: int) -> None:
        """Count what entered the queue."""
        self._arrived["admitted"].inc(tokens)

    def overloaded(self, tokens: int) -> None:
        """Count what found the queue full."""
        self._arrived["rejected_overload"].inc(tokens)

    def batch(self, report: BatchReport) -> None:
        """Count one call of the engine."""
        self._busy.inc(report.seconds)
        self._padding.inc(report.padding_tokens)
        self._batch_tokens.observe(report.tokens)
        self._batch_inputs.observe(report.inputs)
        self.dropped(report.tokens, report.inputs, report.outcome)

    def dropped(self, tokens: int, inputs: int, outcome: Outcome) -> None:
        """Count inputs by what became of them."""
        self._tokens[outcome].inc(tokens)
        self._inputs[outcome].inc(inputs)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"embedplane_{name}", text, [*self._identity, *labels], registry=self.registry)

    def _child(self, counter: Counter, **labels: str) -> Counter:
        return counter.labels(**self._identity, **labels)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...] = SECONDS) -> Histogram:
        histogram = Histogram(f"embedplane_{name}", text, list(self._identity), buckets=buckets, registry=self.registry)
        self._histograms[name] = histogram
        return histogram.labels(**self._identity)


def _reading(queued: Callable[[Lane], Queued], lane: Lane, name: str) -> Callable[[], float]:
    return lambda: float(getattr(queued(lane), name))
