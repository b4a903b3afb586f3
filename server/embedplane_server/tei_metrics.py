"""The names that dashboards for text-embeddings-inference ask for, `te_*`, read from our own metrics.

Our labels stand on all of them. The counters keep TEI's names, which have no `_total`: the format has them as untyped
then, and `rate()` does not mind. `te_embed_*_duration` and `te_predict_*_duration` are left out: they are of single
inputs, and inputs share batches.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from embedplane_server.model.chain import Task

LENGTHS = tuple(float(2**power) for power in range(20))
FAILURES: Mapping[str, str] = {
    "overloaded": "overloaded",
    "never_fits": "overloaded",
    "too_much_held": "overloaded",
    "engine_failed": "inference",
    "internal": "inference",
    "time_is_up": "dropped",
    "client_left": "dropped",
    "shutting_down": "dropped",
    "foreign_tokens": "tokenization",
    "too_many_inputs": "batch_size",
    "not_offered": "model_type",
}
"""TEI's value of the label `err` for our reasons; what is not here is `validation`."""
NO_FAILURES = frozenset({"http", "not_ready", "unauthorized"})
"""Reasons that are none of a request to embed."""
METHODS = ("single", "batch")
TASKS: Mapping[str, Task] = {"embed": "embedding", "predict": "classification"}
"""What TEI calls the work of a model; a server has models of one task, and the other stays at 0."""
FEW = 16
"""So many lengths are counted one by one; numpy is faster beyond."""


class TeiMetrics(Collector):
    """Counts what only TEI counts, and renames the rest."""

    def __init__(
        self,
        identity: Mapping[str, str],
        queued_inputs: Callable[[], int],
        histograms: Mapping[str, Histogram],
        rejected: Counter,
        task: Task,
    ) -> None:
        self._identity = dict(identity)
        self._queued_inputs = queued_inputs
        self._histograms = histograms
        self._rejected = rejected
        self._task = task
        self._requests = dict.fromkeys(METHODS, 0)
        self._successes = dict.fromkeys(METHODS, 0)
        self._inputs = self._done = self._tokens = 0
        self._lengths: NDArray[np.int64] = np.zeros(len(LENGTHS) + 1, dtype=np.int64)

    def asked(self, inputs: int, *, batch: bool) -> None:
        """Count a request for vectors or scores; `batch` says whether its inputs came as a list."""
        self._requests[METHODS[batch]] += 1
        self._inputs += inputs

    def answered(self, lengths: list[int], *, batch: bool) -> None:
        """Count one that got them."""
        self._successes[METHODS[batch]] += 1
        self._done += len(lengths)
        self._tokens += sum(lengths)
        if len(lengths) <= FEW:
            for length in lengths:
                self._lengths[bisect_left(LENGTHS, length)] += 1
        else:
            self._lengths += np.bincount(np.searchsorted(LENGTHS, lengths), minlength=len(self._lengths))

    def collect(self) -> Iterable[Metric]:
        """Return all of TEI's metrics as they are now."""
        yield self._gauge("te_queue_size", "Inputs that wait for the engine", self._queued_inputs())
        yield self._counts("te_request_count", "Requests for vectors or scores", "method", self._requests)
        yield self._counts("te_request_success", "Requests that got them", "method", self._successes)
        yield self._counts("te_request_failure", "Requests that did not", "err", self._failures())
        for name, task in TASKS.items():
            asked, done = (self._inputs, self._done) if task == self._task else (0, 0)
            yield self._counts(f"te_{name}_count", f"Inputs of requests to {name}", None, {"": asked})
            yield self._counts(f"te_{name}_success", "Inputs for which that was done", None, {"": done})
        yield self._input_lengths()
        for name, histogram in self._histograms.items():
            yield from self._renamed(name, histogram)

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        metric = Metric(name, text, "gauge")
        metric.add_sample(name, self._identity, value)
        return metric

    def _counts(self, name: str, text: str, label: str | None, values: Mapping[str, float]) -> Metric:
        metric = Metric(name, text, "unknown")
        for value, count in values.items():
            metric.add_sample(name, {**self._identity, **({label: value} if label else {})}, count)
        return metric

    def _failures(self) -> dict[str, float]:
        found = dict.fromkeys(sorted({*FAILURES.values(), "validation"}), 0.0)
        for metric in self._rejected.collect():
            for sample in metric.samples:
                reason = sample.labels["reason"]
                if sample.name.endswith("_total") and reason not in NO_FAILURES:
                    found[FAILURES.get(reason, "validation")] += sample.value
        return found

    def _input_lengths(self) -> Metric:
        name = "te_request_input_length"
        metric = Metric(name, "Tokens of each input that was computed", "histogram")
        bounds = [*(str(bound) for bound in LENGTHS), "+Inf"]
        for bound, count in zip(bounds, np.cumsum(self._lengths).tolist(), strict=True):
            metric.add_sample(f"{name}_bucket", {**self._identity, "le": bound}, count)
        metric.add_sample(f"{name}_count", self._identity, self._done)
        metric.add_sample(f"{name}_sum", self._identity, self._tokens)
        return metric

    def _renamed(self, name: str, histogram: Histogram) -> Iterable[Metric]:
        for metric in histogram.collect():
            renamed = Metric(name, metric.documentation, "histogram")
            for sample in metric.samples:
                suffix = sample.name.removeprefix(metric.name)
                if suffix in ("_bucket", "_count", "_sum"):
                    renamed.add_sample(name + suffix, dict(sample.labels), sample.value)
            yield renamed
