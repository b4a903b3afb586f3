"""PromQL for all models in one batch, and what its samples say about each of them. Pure; `prometheus.py` asks.

Every query returns, per namespace, model and vector space, a sum and the number of pods it covers, so that a pod whose
metrics are missing is seen. Nothing here reads a missing number as zero.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

from embedplane_operator.autoscale.observation import Missing, Observation
from embedplane_operator.prometheus import Sample

STATISTIC = "embedplane_statistic"
"""Label that tells the two halves of an answer apart."""


class Space(NamedTuple):
    """One vector space of one model: what a Deployment serves."""

    namespace: str
    model: str
    vector_space: str


@dataclass(frozen=True)
class LabelNames:
    """What the labels are called in this Prometheus; relabelling may have moved them (exported_namespace)."""

    namespace: str = "namespace"
    model: str = "model"
    vector_space: str = "vector_space"


@dataclass(frozen=True)
class DemandQueries:
    """How to ask: label names, and matchers such as `cluster="a"` that every selector carries."""

    labels: LabelNames = LabelNames()
    matchers: tuple[str, ...] = ()

    def promql(self) -> dict[str, str]:
        """Return one expression per number of an Observation, by the name of its field."""
        return {
            "admitted": self._recent_rate("embedplane_arrived_tokens_total", 'outcome="admitted"'),
            "rejected": self._recent_rate("embedplane_arrived_tokens_total", 'outcome="rejected_overload"'),
            "interactive_queue": self._recent_average("embedplane_queued_tokens", 'lane="interactive"'),
            "bulk_queue": self._recent_average("embedplane_queued_tokens", 'lane="bulk"'),
            "tokens": self._recent_rate("embedplane_tokens_total", 'outcome="success"'),
            "busy_replicas": self._recent_rate("embedplane_engine_busy_seconds_total"),
        }

    def observations(self, answers: Mapping[str, Iterable[Sample]]) -> dict[Space, Observation | Missing]:
        """Return what the answers to `promql()` say about every space that occurs in any of them."""
        readings: dict[Space, dict[tuple[str, str], float]] = {}
        for quantity, samples in answers.items():
            for sample in samples:
                if (space := self._space(sample)) is not None:
                    readings.setdefault(space, {})[quantity, sample.labels.get(STATISTIC, "")] = sample.value
        return {space: _observation(space, values) for space, values in readings.items()}

    def _space(self, sample: Sample) -> Space | None:
        names = (self.labels.namespace, self.labels.model, self.labels.vector_space)
        values = [sample.labels.get(name, "") for name in names]
        return Space(*values) if all(values) else None

    def _selector(self, metric: str, *matchers: str) -> str:
        return f"{metric}{{{', '.join((*matchers, *self.matchers))}}}"

    def _recent_rate(self, metric: str, *matchers: str) -> str:
        """Over one minute, or three where Prometheus scrapes too rarely for one to hold two samples."""
        selector = self._selector(metric, *matchers)
        return self._sum_and_series(f"(rate({selector}[1m]) or rate({selector}[3m]))", selector)

    def _recent_average(self, metric: str, *matchers: str) -> str:
        """Over two scrapes of 15 seconds; the newest one where Prometheus scrapes more rarely."""
        selector = self._selector(metric, *matchers)
        average = f"((avg_over_time({selector}[30s]) or {selector}) and {selector})"
        return self._sum_and_series(average, selector)

    def _sum_and_series(self, expression: str, selector: str) -> str:
        """Sum over all pods, and the number of those that still report: a pod that is gone counts for its work only."""
        by = f"by ({self.labels.namespace}, {self.labels.model}, {self.labels.vector_space})"
        return (
            f'label_replace(sum {by} ({expression}), "{STATISTIC}", "sum", "", "") or '
            f'label_replace(count {by} ({expression} and {selector}), "{STATISTIC}", "series", "", "")'
        )


def missing_space(space: Space) -> Missing:
    """Say that Prometheus knows nothing at all of a space."""
    return Missing(
        "MetricsMissing",
        f"Prometheus has no Embedplane metrics of model {space.model} ({space.vector_space}) in namespace "
        f"{space.namespace}. Check that it scrapes the server pods (PodMonitor or scrape annotations, NetworkPolicy), "
        "and prometheus.labels and prometheus.matchers in the operator's settings.",
    )


def _observation(space: Space, values: Mapping[tuple[str, str], float]) -> Observation | Missing:
    quantities = [field.name for field in fields(Observation) if field.name != "series"]
    lacking = [name for name in quantities if (name, "sum") not in values or (name, "series") not in values]
    if lacking:
        return Missing(
            "MetricsMissing",
            f"Prometheus lacks {', '.join(lacking)} of model {space.model} in namespace {space.namespace}. "
            "This is normal until the first pod was scraped twice; after that, check its scrape errors.",
        )
    sums = {name: values[name, "sum"] for name in quantities}
    return Observation(**sums, series=int(min(values[name, "series"] for name in quantities)))
