"""The loop writes what the policy decides, once, and outlives whatever fails around it."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import pytest

from embedplane_operator.autoscale.demand import STATISTIC, DemandQueries
from embedplane_operator.autoscale.loop import AutoscaleLoop, Outlets
from embedplane_operator.autoscale.observation import Observation
from embedplane_operator.autoscale.report import ScalingReport, ScalingReports
from embedplane_operator.autoscale.rules import ScalingRules
from embedplane_operator.autoscale.scalable import Scalable
from embedplane_operator.prometheus import MetricsUnavailableError, Sample
from embedplane_operator.workqueue import Key

KEY = Key("search", "minilm")
MINILM = Scalable(
    namespace="search",
    model="minilm",
    vector_space="vs1-abc",
    deployment="minilm-abc",
    replicas=2,
    ready_replicas=2,
    replicas_owned=True,
    rules=ScalingRules(max_replicas=10),
    benchmark_tokens_per_second=1000.0,
)


@dataclass
class Deployments:
    """A cluster in memory."""

    scalables: list[Scalable] = field(default_factory=lambda: [MINILM])
    written: list[tuple[str, str, int]] = field(default_factory=list)
    list_error: Exception | None = None
    write_error: Exception | None = None

    async def list_scalable(self) -> list[Scalable]:
        if self.list_error:
            raise self.list_error
        return list(self.scalables)

    async def set_replicas(self, namespace: str, deployment: str, replicas: int) -> None:
        if self.write_error:
            raise self.write_error
        self.written.append((namespace, deployment, replicas))
        self.scalables = [
            replace(s, replicas=replicas, replicas_owned=True) if s.deployment == deployment else s
            for s in self.scalables
        ]


@dataclass
class Numbers:
    """A Prometheus that knows the same of every model in `spaces`."""

    admitted: float = 3200.0
    spaces: tuple[tuple[str, str, str], ...] = (("search", "minilm", "vs1-abc"),)
    error: MetricsUnavailableError | None = None
    asked: int = 0

    async def query_all(self, promql: Mapping[str, str]) -> dict[str, list[Sample]]:
        self.asked += 1
        if self.error:
            raise self.error
        return {name: [*self._samples(name)] for name in promql}

    def _samples(self, name: str) -> list[Sample]:
        value = self.admitted if name == "admitted" else 0.0
        return [
            Sample({"namespace": ns, "model": model, "vector_space": space, STATISTIC: statistic}, number)
            for ns, model, space in self.spaces
            for statistic, number in (("sum", value), ("series", 99.0))
        ]


@dataclass
class Scene:
    cluster: Deployments = field(default_factory=Deployments)
    numbers: Numbers = field(default_factory=Numbers)
    reports: ScalingReports = field(default_factory=lambda: ScalingReports(lambda: 0.0))
    told: list[Key] = field(default_factory=list)

    def loop(self, *, has_prometheus: bool = True) -> AutoscaleLoop:
        outlets = Outlets(self.reports, self.told.append)
        return AutoscaleLoop(self.cluster, self.numbers if has_prometheus else None, DemandQueries(), outlets)

    @property
    def report(self) -> ScalingReport:
        report = self.reports.get(KEY)
        assert report is not None
        return report


def test_every_number_of_an_observation_is_asked_for() -> None:
    assert set(DemandQueries().promql()) == {f.name for f in fields(Observation)} - {"series"}


async def test_a_decision_is_written_once_and_reported() -> None:
    scene = Scene()
    loop = scene.loop()
    await loop.tick(0.0)
    await loop.tick(15.0)
    assert scene.cluster.written == [("search", "minilm-abc", 4)]
    assert (scene.report.desired_replicas, scene.report.reason, scene.report.active) == (4, "AsDemanded", True)
    assert scene.report.arriving_tokens_per_second == 3200
    assert scene.report.capacity_tokens_per_second == 1000
    assert scene.report.last_scale_time is not None
    assert scene.told == [KEY]
    assert loop.counts.changes == 1


async def test_all_models_are_asked_for_at_once() -> None:
    scene = Scene()
    scene.cluster.scalables = [replace(MINILM, model=f"m{n}", deployment=f"m{n}-abc") for n in range(50)]
    await scene.loop().tick(0.0)
    assert scene.numbers.asked == 1
    assert len(scene.reports.keys()) == 50


async def test_prometheus_failing_holds_and_shows() -> None:
    scene = Scene(numbers=Numbers(error=MetricsUnavailableError("Prometheus at http://p answered 503.")))
    loop = scene.loop()
    await loop.tick(0.0)
    assert scene.cluster.written == []
    assert (scene.report.reason, scene.report.active) == ("MetricsUnavailable", False)
    assert "answered 503" in scene.report.message
    assert loop.counts.prometheus_failures == 1


async def test_an_outage_is_logged_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    scene = Scene(numbers=Numbers(admitted=1600.0, error=MetricsUnavailableError("Prometheus is away.")))
    loop = scene.loop()
    for tick in range(3):
        await loop.tick(15.0 * tick)
    scene.numbers.error = None
    await loop.tick(60.0)
    await loop.tick(75.0)
    assert [record.levelname for record in caplog.records if "metrics" in record.message] == ["WARNING", "INFO"]


async def test_a_model_that_prometheus_does_not_know_is_missing_and_says_where_to_look() -> None:
    scene = Scene(numbers=Numbers(spaces=(("search", "minilm", "vs1-other"),)))
    await scene.loop().tick(0.0)
    assert scene.cluster.written == []
    assert scene.report.reason == "MetricsMissing"
    assert "PodMonitor" in scene.report.message


async def test_without_a_prometheus_bounds_are_still_kept() -> None:
    scene = Scene()
    scene.cluster.scalables = [replace(MINILM, rules=ScalingRules(min_replicas=3, max_replicas=5))]
    loop = scene.loop(has_prometheus=False)
    await loop.tick(0.0)
    await loop.tick(15.0)
    assert scene.cluster.written == [("search", "minilm-abc", 3)]
    assert scene.report.reason == "PrometheusNotConfigured"


async def test_a_new_deployment_gets_its_minimum_and_an_owner_of_replicas() -> None:
    scene = Scene(numbers=Numbers(spaces=()))
    scene.cluster.scalables = [replace(MINILM, replicas=1, ready_replicas=0, replicas_owned=False)]
    loop = scene.loop()
    await loop.tick(0.0)
    await loop.tick(15.0)
    assert scene.cluster.written == [("search", "minilm-abc", 1)]
    assert scene.report.last_scale_time is None


async def test_mode_disabled_sets_the_minimum_once_and_lets_go() -> None:
    scene = Scene()
    rules = ScalingRules(min_replicas=3, max_replicas=5, is_disabled=True)
    scene.cluster.scalables = [replace(MINILM, replicas=1, replicas_owned=False, rules=rules)]
    loop = scene.loop()
    await loop.tick(0.0)
    scene.cluster.scalables = [replace(scene.cluster.scalables[0], replicas=7)]
    await loop.tick(15.0)
    assert scene.cluster.written == [("search", "minilm-abc", 3)]
    assert (scene.report.reason, scene.report.active) == ("ScalingDisabled", False)


async def test_a_paused_model_is_reported_but_not_written() -> None:
    scene = Scene()
    scene.cluster.scalables = [replace(MINILM, rules=ScalingRules(max_replicas=10, is_paused=True))]
    await scene.loop().tick(0.0)
    assert scene.cluster.written == []
    assert (scene.report.reason, scene.report.desired_replicas) == ("ScalingPaused", 4)


async def test_a_refused_write_is_reported_and_tried_again() -> None:
    scene = Scene()
    scene.cluster.write_error = RuntimeError("admission webhook denied the request")
    loop = scene.loop()
    await loop.tick(0.0)
    assert (scene.report.reason, scene.report.active) == ("ScaleFailed", False)
    assert "denied" in scene.report.message
    scene.cluster.write_error = None
    await loop.tick(15.0)
    assert scene.cluster.written == [("search", "minilm-abc", 4)]
    assert scene.report.active


async def test_one_refused_write_does_not_stop_the_others() -> None:
    scene = Scene(numbers=Numbers(spaces=(("search", "minilm", "vs1-abc"), ("search", "other", "vs1-abc"))))
    scene.cluster.scalables = [MINILM, replace(MINILM, model="other", deployment="other-abc")]
    scene.cluster.write_error = RuntimeError("no")
    await scene.loop().tick(0.0)
    assert scene.reports.keys() == {KEY, Key("search", "other")}


async def test_an_api_server_that_fails_changes_nothing() -> None:
    scene = Scene()
    loop = scene.loop()
    await loop.tick(0.0)
    before = scene.report
    scene.cluster.list_error = TimeoutError()
    await loop.tick(15.0)
    assert scene.report == before
    assert loop.counts.cluster_failures == 1


async def test_a_model_that_is_gone_is_forgotten() -> None:
    scene = Scene()
    loop = scene.loop()
    await loop.tick(0.0)
    scene.cluster.scalables = []
    await loop.tick(15.0)
    assert scene.reports.keys() == frozenset()


async def test_the_loop_survives_its_own_bugs_and_shows_that_it_lives() -> None:
    scene, ticks, enough = Scene(), [], asyncio.Event()

    def explode(_: Key) -> None:
        raise ValueError("a bug")

    def ticked() -> None:
        ticks.append(None)
        if len(ticks) == 3:
            enough.set()

    outlets = Outlets(scene.reports, explode, ticked)
    loop = AutoscaleLoop(scene.cluster, scene.numbers, DemandQueries(), outlets)
    running = asyncio.create_task(loop.run(tick_seconds=0.001))
    await asyncio.wait_for(enough.wait(), 10)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert loop.counts.ticks >= 3


async def test_the_report_is_about_the_active_space() -> None:
    scene = Scene()
    candidate = replace(MINILM, deployment="minilm-def", vector_space="vs1-def", replicas=1, is_active=False)
    scene.cluster.scalables = [MINILM, candidate]
    loop = scene.loop()
    await loop.tick(0.0)
    await loop.tick(15.0)

    assert scene.report.reason == "AsDemanded"
    assert scene.told == [KEY]
