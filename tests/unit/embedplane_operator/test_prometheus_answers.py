"""A real Prometheus answers our PromQL: sums, pods that are counted, pods that are not.

The targets tell their history in fast motion: each scrape is one sample, 15 seconds after the one before, the last of
them of the first scrape's time. So minutes of many pods are there within seconds.
"""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import urlopen

import pytest

from embedplane_operator.autoscale.demand import DemandQueries, LabelNames, Space
from embedplane_operator.autoscale.observation import Missing, Observation
from embedplane_operator.prometheus import Endpoint, MetricsUnavailableError, Prometheus
from tests.support.ports import free_port
from tests.support.waiting import wait_for

pytestmark = pytest.mark.cluster

STEP = 15
SAMPLES = 20
SPACE = "vs1-abc"


@dataclass
class Pod:
    """One target. Rates are tokens per second; it reports from `first` to `last` seconds ago, every `step` seconds."""

    namespace: str
    model: str
    admitted: float = 0.0
    rejected: float = 0.0
    interactive: tuple[float, float] = (0.0, 0.0)
    bulk: float = 0.0
    tokens: float = 0.0
    busy: float = 0.0
    first: float = STEP * SAMPLES
    last: float = 0.0
    step: float = STEP
    lacks: str = "nothing"
    scrapes: int = field(default=0, init=False)
    is_taken: bool = field(default=False, init=False)
    """Prometheus came again after the last sample, so it has taken that one."""

    @property
    def is_told(self) -> bool:
        return self.first - self.scrapes * self.step < self.last

    def next(self, now: float) -> str:
        ago = self.first - self.scrapes * self.step
        if self.is_told:
            self.is_taken = True
            return ""
        self.scrapes += 1
        age, lane = self.first - ago, self.interactive[self.scrapes % 2]
        common = f'model="{self.model}", vector_space="{SPACE}"'
        values = {
            f'embedplane_arrived_tokens_total{{{common}, outcome="admitted"}}': self.admitted * age,
            f'embedplane_arrived_tokens_total{{{common}, outcome="rejected_overload"}}': self.rejected * age,
            f'embedplane_queued_tokens{{{common}, lane="interactive"}}': lane,
            f'embedplane_queued_tokens{{{common}, lane="bulk"}}': self.bulk,
            f'embedplane_tokens_total{{{common}, outcome="success"}}': self.tokens * age,
            f'embedplane_tokens_total{{{common}, outcome="cancelled"}}': 1e6 * age,
            f"embedplane_engine_busy_seconds_total{{{common}}}": self.busy * age,
        }
        lines = (
            f"{name} {value} {int((now - ago) * 1000)}\n" for name, value in values.items() if self.lacks not in name
        )
        return "".join(lines)


PODS = {
    "a0": Pod("search", "busy", admitted=1000, rejected=100, interactive=(300, 500), bulk=60, tokens=900, busy=0.9),
    "a1": Pod("search", "busy", admitted=500, rejected=0, interactive=(0, 100), bulk=0, tokens=450, busy=0.6),
    "gone": Pod("search", "busy", admitted=200, tokens=200, busy=0.1, first=600, last=400, step=10),
    "new": Pod("search", "fresh", admitted=10, first=0),
    "old": Pod("search", "fresh", admitted=10),
    "twin": Pod("shop", "busy", admitted=7, tokens=7, busy=0.01),
    "mute": Pod("shop", "mute", admitted=7, lacks="rejected_overload"),
    "rare": Pod("shop", "rare", admitted=60, tokens=60, interactive=(8, 8), busy=0.5, step=60),
}


@pytest.fixture(scope="module")
def targets() -> Iterator[int]:
    first_scrape: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            first_scrape.append(time.time())
            body = PODS[self.path.removeprefix("/")].next(first_scrape[0]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def url(targets: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("no prometheus on the PATH (hack/cluster builds one)")
    folder = tmp_path_factory.mktemp("prometheus")
    address = f"127.0.0.1:{free_port()}"
    static = [
        {
            "targets": [f"127.0.0.1:{targets}"],
            "labels": {"__metrics_path__": f"/{name}", "namespace": pod.namespace, "pod": name},
        }
        for name, pod in PODS.items()
    ]
    scrape = {"job_name": "pods", "scrape_interval": "250ms", "scrape_timeout": "250ms", "static_configs": static}
    (folder / "prometheus.yml").write_text(json.dumps({"scrape_configs": [scrape]}))
    command = [binary, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    log = (folder / "log").open("w")
    process = subprocess.Popen([*command, f"--web.listen-address={address}"], stderr=log, stdout=log)
    try:
        wait_for("all history is scraped", lambda: all(pod.is_taken for pod in PODS.values()))
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(10)
        log.close()


async def observations(url: str, queries: DemandQueries | None = None) -> dict[Space, Observation | Missing]:
    queries = queries or DemandQueries()
    return queries.observations(await Prometheus(Endpoint(url)).query_all(queries.promql()))


async def test_numbers_are_summed_over_pods(url: str) -> None:
    found = (await observations(url))[Space("search", "busy", SPACE)]
    assert isinstance(found, Observation)
    assert found.admitted == pytest.approx(1500, rel=0.02)
    assert found.rejected == pytest.approx(100, rel=0.02)
    assert found.tokens == pytest.approx(1350, rel=0.02), "cancelled tokens were not computed"
    assert found.busy_replicas == pytest.approx(1.5, rel=0.02)


async def test_queues_are_averaged_over_two_scrapes(url: str) -> None:
    found = (await observations(url))[Space("search", "busy", SPACE)]
    assert isinstance(found, Observation)
    assert found.interactive_queue == pytest.approx(450)
    assert found.bulk_queue == pytest.approx(60)


async def test_a_pod_that_is_gone_is_not_counted(url: str) -> None:
    found = (await observations(url))[Space("search", "busy", SPACE)]
    assert isinstance(found, Observation)
    assert found.series == 2


async def test_a_pod_with_one_sample_is_not_counted_yet(url: str) -> None:
    found = (await observations(url))[Space("search", "fresh", SPACE)]
    assert isinstance(found, Observation)
    assert found.series == 1


async def test_models_of_one_name_in_two_namespaces_stay_apart(url: str) -> None:
    found = (await observations(url))[Space("shop", "busy", SPACE)]
    assert isinstance(found, Observation)
    assert (round(found.admitted), found.series) == (7, 1)


async def test_a_counter_that_is_not_there_is_missing(url: str) -> None:
    found = (await observations(url))[Space("shop", "mute", SPACE)]
    assert isinstance(found, Missing)
    assert "rejected" in found.message


async def test_one_scrape_a_minute_is_enough(url: str) -> None:
    found = (await observations(url))[Space("shop", "rare", SPACE)]
    assert isinstance(found, Observation)
    assert found.admitted == pytest.approx(60, rel=0.1)
    assert found.interactive_queue == 8
    assert found.tokens_per_busy_second == pytest.approx(120, rel=0.02)


async def test_matchers_narrow_every_query(url: str) -> None:
    found = await observations(url, DemandQueries(matchers=('pod=~"a.*"', 'namespace!="shop"')))
    assert set(found) == {Space("search", "busy", SPACE)}


async def test_other_label_names_group_by_other_labels(url: str) -> None:
    found = await observations(url, DemandQueries(LabelNames(namespace="pod")))
    assert Space("a0", "busy", SPACE) in found


async def test_a_model_that_is_not_scraped_is_not_there(url: str) -> None:
    assert Space("search", "unknown", SPACE) not in await observations(url)


async def test_a_broken_matcher_is_told_in_the_words_of_prometheus(url: str) -> None:
    with pytest.raises(MetricsUnavailableError, match=r"answered 400: .*parse error"):
        await observations(url, DemandQueries(matchers=("cluster=",)))


async def test_a_url_that_is_not_the_base_is_explained(url: str) -> None:
    with pytest.raises(MetricsUnavailableError, match=r"answered 404.*before /api/v1"):
        await observations(url + "/api/v1")


def test_the_targets_were_scraped_without_error(url: str) -> None:
    with urlopen(url + "/api/v1/targets") as answer:
        targets = json.load(answer)["data"]["activeTargets"]
    assert {each["lastError"] for each in targets} == {""}
