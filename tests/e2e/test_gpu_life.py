"""The life of a model on a pool with one GPU. All is real but NVIDIA's libraries and nvidia-smi (support/gpu_image).

The tests follow one model, from its creation through changes of the node's driver, in the order in which they stand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest

from tests.e2e.conftest import create_namespace, delete_namespace
from tests.support.claims import OpenClaim, opened
from tests.support.gpu_image import DRIVER
from tests.support.gpu_pool import LABEL, GpuPool
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl, Manifest
from tests.support.models import embedding_model
from tests.support.reference import cosines, reference_model
from tests.support.serving import address_of, client_of
from tests.support.texts import texts_up_to
from tests.support.waiting import wait_for

pytestmark = pytest.mark.cluster

BUILT_FOR, OLDER, NEWER = "nvidia-l4-sm89-r580", "570.211.01", "595.12"


def on_the_pool(name: str, namespace: str, **spec: Any) -> Manifest:
    """A rollout has no second GPU to start on; a small budget keeps what the CPU computes here short."""
    engine = {"backend": "tensorrt", "maxBatchTokens": 1024} | spec.pop("engine", {})
    return embedding_model(
        name,
        namespace,
        accelerator=spec.pop("accelerator", {"profile": "nvidia-l4"}),
        engine=engine,
        serving={"drainDelaySeconds": 1, "rollout": {"maxSurge": 0, "maxUnavailable": 1}},
        **spec,
    )


@dataclass
class Life:
    """A model on the pool that was ready once, and a pod of each step that led there."""

    pool: GpuPool
    pods: dict[str, Manifest]
    store: OpenClaim

    @property
    def namespace(self) -> Kubectl:
        return self.pool.namespace

    @property
    def engine(self) -> dict[str, Any]:
        found: dict[str, Any] = self.namespace.wait_ready("minilm")["status"]["engine"]
        return found

    def variants(self) -> set[str]:
        """The names of all engines in the store."""
        return set(self.store.read("sh", "-c", "cd /data/engines && ls -d */*").split())

    def install_driver(self, version: str) -> None:
        """Change what nvidia-smi says in containers that start from now on."""
        self.store.run("sh", "-c", f"echo {version} >/data/node-driver")

    def answers_as_the_reference(self) -> bool:
        texts = texts_up_to(180, 40)
        answer = client_of(self.namespace, "minilm").embeddings.create(model="minilm", input=texts)
        vectors = np.array([each.embedding for each in answer.data], dtype=np.float32)
        expected = reference_model(256).encode(texts, convert_to_numpy=True)
        return bool(cosines(vectors, expected).min() >= 0.9999)


@pytest.fixture(scope="module")
def pool(installation: Installation) -> Iterator[GpuPool]:
    nodes = Kubectl().names("nodes", LABEL)
    if not nodes:
        pytest.skip(f"no node of this cluster says that it has a GPU ({LABEL})")
    namespace = create_namespace()
    yield GpuPool(namespace, nodes.pop(), installation.server_image)
    delete_namespace(namespace)


@pytest.fixture(scope="module")
def life(pool: GpuPool) -> Iterator[Life]:
    pool.namespace.apply(on_the_pool("minilm", pool.namespace.namespace))
    pods = {step: pool.pod_of(step) for step in ("fetch", "export", "build", "server")}
    pool.namespace.wait_ready("minilm")
    with opened(pool.namespace, "embedplane-store", pool.image) as store:
        yield Life(pool, pods, store)


def test_each_step_runs_where_its_hardware_is(life: Life):
    places = {step: pod["spec"]["nodeName"] for step, pod in life.pods.items()}
    accelerators = {
        step: (pod["spec"]["containers"][0]["resources"].get("limits") or {}).get("nvidia.com/gpu")
        for step, pod in life.pods.items()
    }

    assert {places["build"], places["server"]} == {life.pool.node}
    assert life.pool.node not in {places["fetch"], places["export"]}
    assert accelerators == {"fetch": None, "export": None, "build": "1", "server": "1"}


def test_status_says_what_was_built_for_which_gpu_and_why(life: Life):
    engine = life.engine

    assert (engine["backend"], engine["backendVersion"], engine["variant"]) == ("tensorrt", "10.14.1.48", BUILT_FOR)
    assert engine["precision"] == "float16"
    assert engine["reason"] == "named in spec.engine.backend"
    assert engine["conformance"]["minimumCosine"] >= 0.999
    assert (engine["maxBatchTokens"], engine["benchmark"]["batchTokens"]) == (1024, 16384)
    assert life.variants() == {f"{engine['key']}/{BUILT_FOR}"}


def test_the_service_gives_the_vectors_of_sentence_transformers(life: Life):
    assert life.answers_as_the_reference()

    status = life.namespace.wait_ready("minilm")["status"]
    answer = httpx.get(f"{address_of(life.namespace, 'minilm')}/info", timeout=30)
    assert answer.headers["x-embedplane-vector-space"] == status["vectorSpace"]["id"]
    told = answer.json()
    assert (told["backend"], told["backend_version"], told["precision"]) == ("tensorrt", "10.14.1.48", "float16")
    assert told["self_check"]["minimum_cosine"] >= 0.999


def test_a_server_that_starts_anew_builds_nothing(life: Life):
    before, jobs = life.engine, life.pool.jobs("export", "build")

    life.pool.server_besides("minilm", life.pool.restart_server("minilm"))

    assert life.engine == before
    assert life.pool.jobs("export", "build") <= jobs


def test_an_upgrade_rolls_out_over_the_only_gpu_and_builds_nothing(life: Life, installation: Installation):
    before, jobs = life.engine, life.pool.jobs("export", "build")
    server = life.pool.server("minilm")
    digest = server["status"]["containerStatuses"][0]["imageID"].rpartition("@")[2]

    with installation.changed({"images": {"gpuServer": {"digest": digest}}}):
        upgraded = life.pool.server_besides("minilm", {server["metadata"]["uid"]})
        assert upgraded["spec"]["containers"][0]["image"].endswith(digest)
        assert life.engine == before
    life.pool.server_besides("minilm", {upgraded["metadata"]["uid"]})

    assert life.engine == before
    assert life.pool.jobs("export", "build") <= jobs


def test_a_newer_driver_runs_the_engine_that_is_there(life: Life):
    before, jobs = life.engine, life.pool.jobs("export", "build")
    life.install_driver(NEWER)

    life.pool.server_besides("minilm", life.pool.restart_server("minilm"))

    assert life.engine == before
    assert life.pool.jobs("export", "build") <= jobs
    assert life.variants() == {f"{before['key']}/{BUILT_FOR}"}


def test_an_older_driver_gets_an_engine_of_its_own_built_on_the_only_gpu(life: Life):
    before = life.engine
    builds = {pod["metadata"]["uid"] for pod in life.namespace.list("pods", "app.kubernetes.io/component=build")}
    life.install_driver(OLDER)

    ended = life.pool.restart_server("minilm")

    said = life.namespace.wait_for_condition("minilm", "Available", "False", reason="EngineIncompatible")
    assert "no variant of the engine" in said["message"]
    assert "nvidia-l4-sm89-r570" in said["message"]
    life.namespace.wait_for_replicas("minilm", 0)  # and so it stays for as long as the build takes
    build = life.pool.pod_of("build", besides=builds)
    assert build["spec"]["nodeName"] == life.pool.node
    life.pool.server_besides("minilm", ended)
    after = life.engine
    assert (after["key"], after["variant"]) == (before["key"], "nvidia-l4-sm89-r570")
    assert life.variants() == {f"{before['key']}/{variant}" for variant in (BUILT_FOR, after["variant"])}
    assert life.answers_as_the_reference()


def test_the_automatic_choice_of_an_engine_says_why(pool: GpuPool):
    pool.remove_models()
    engine = {"backend": "auto", "precision": "bfloat16"}
    pool.namespace.apply(on_the_pool("chosen", pool.namespace.namespace, engine=engine))

    chosen = pool.namespace.wait_ready("chosen")["status"]["engine"]

    assert (chosen["backend"], chosen["precision"]) == ("tensorrt", "bfloat16")
    words = "accelerator profile with NVIDIA L4; not tensorrt-llm: it does not build encoders in bfloat16"
    assert chosen["reason"] == words


def test_a_machine_that_no_build_helps_is_told_and_left_alone(life: Life):
    namespace = life.namespace
    life.pool.remove_models()
    built = life.variants()
    # Servers see another driver than the Jobs of the same node.
    env = [{"name": DRIVER, "value": "550.90.07"}]
    namespace.apply(on_the_pool("stuck", namespace.namespace, podTemplate={"env": env}))

    said = namespace.wait_for_condition("stuck", "Stalled", "True", reason="EngineIncompatible", within=420)

    assert "nvidia-l4-sm89-r550" in said["message"]
    assert "which did not help: let spec.podTemplate choose nodes" in said["message"]
    assert "one GPU with one driver" in said["message"]
    builds, restarts = life.pool.jobs("build"), _restarts(namespace)
    wait_for("its server was tried again", lambda: _restarts(namespace) > restarts, within=400)
    namespace.wait_for_condition("stuck", "Stalled", "True", reason="EngineIncompatible")
    assert life.pool.jobs("build") <= builds
    assert life.variants() == built


def test_a_model_falls_back_to_the_next_profile_where_the_first_has_no_room(pool: GpuPool, installation: Installation):
    pool.remove_models()
    absent = {
        "resourceName": "nvidia.com/gpu",
        "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"},
        "gpuName": "NVIDIA A100-SXM4-80GB",
        "computeCapability": "8.0",
        "minimumDriver": "550",
    }
    namespace, wanted = pool.namespace, {"profiles": ["nvidia-a100", "nvidia-l4"], "fallbackAfter": "15s"}
    with installation.changed({"acceleratorProfiles": {"nvidia-a100": absent}}):
        namespace.apply(on_the_pool("fallen", namespace.namespace, accelerator=wanted))

        status = namespace.wait_ready("fallen")["status"]

        assert status["accelerator"]["profile"] == "nvidia-l4"
        assert "nvidia-a100" in status["accelerator"]["reason"]
        assert status["engine"]["variant"].startswith("nvidia-l4-sm89-")
        assert pool.pod_of("server")["spec"]["nodeName"] == pool.node
        assert client_of(namespace, "fallen").embeddings.create(model="fallen", input="hello").data
        pool.remove_models()


def _restarts(namespace: Kubectl) -> int:
    pods = namespace.list("pods", "app.kubernetes.io/component=server")
    return sum(each["restartCount"] for pod in pods for each in pod["status"].get("containerStatuses") or ())
