"""What the manifests promise, beyond their text: invariants of the design and the rules of small parts."""

from collections.abc import Iterator
from typing import Any

import pytest

from embedplane_operator.api.pods import ResourceRequirements
from embedplane_operator.api.resolved import Resolved, read_resolved
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.build_job import render_build_job
from embedplane_operator.render.deployment import render_deployment, served_model_names
from embedplane_operator.render.disruption_budget import render_disruption_budget
from embedplane_operator.render.fetch_job import render_fetch_job
from embedplane_operator.render.inputs import fetch_inputs
from embedplane_operator.render.job import JobRequest
from embedplane_operator.render.manifest import Owner, without_empty
from embedplane_operator.render.names import deployment_name, fetch_job_name, url_of
from embedplane_operator.render.network_policies import render_network_policies
from embedplane_operator.render.probes import startup_seconds
from embedplane_operator.render.resources import cpus_of, threads_for
from embedplane_operator.render.service import render_service
from tests.support.rendering import SPACE, every_manifest, model_of, request_for, resolved, settings_of

HUB: dict[str, Any] = {"source": {"huggingFace": {"repo": "a/b"}}}
TOKEN = {"source": {"huggingFace": {"repo": "a/b", "tokenSecretRef": {"name": "token"}}}}
GPU = HUB | {"accelerator": {"profile": "nvidia-l4"}}
RICH = TOKEN | GPU | TOKEN | {"scaling": {"maxReplicas": 3}}


def pods(spec: dict[str, Any], **settings: Any) -> dict[str, Manifest]:
    """Return the pod templates of a model by what their container runs."""
    manifests = every_manifest(model_of(spec), settings_of(**settings))
    templates = [each["spec"]["template"] for each in manifests if "template" in each.get("spec", {})]
    return {template["spec"]["containers"][0]["args"][0]: template for template in templates}


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        yield value
        for item in value:
            yield from leaves(item)
    else:
        yield value


@pytest.mark.parametrize("spec", [HUB, RICH])
def test_nothing_is_null_and_no_list_is_empty(spec: dict[str, Any]) -> None:
    for manifest in every_manifest(model_of(spec), settings_of()):
        assert None not in list(leaves(manifest)), manifest["kind"]
        assert [] not in list(leaves(manifest)), manifest["kind"]


@pytest.mark.parametrize("spec", [HUB, RICH])
def test_every_pod_is_restricted(spec: dict[str, Any]) -> None:
    for command, template in pods(spec).items():
        pod = template["spec"]
        [container] = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True, command
        assert pod["securityContext"]["runAsUser"] == 65532, command
        assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch", command
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, command
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, command
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, command
        assert pod["automountServiceAccountToken"] is False, command
        assert pod["enableServiceLinks"] is False, command


def test_only_pods_that_ask_the_source_hold_the_token() -> None:
    holders = {command for command, template in pods(RICH).items() if "token" in str(template["spec"]["volumes"])}

    assert holders == {"fetch", "resolve"}


def test_only_build_and_servers_take_the_gpu() -> None:
    templates = pods(GPU)
    takers = {
        command
        for command, template in templates.items()
        if "nvidia.com/gpu" in template["spec"]["containers"][0].get("resources", {}).get("limits", {})
    }

    assert takers == {"build", "serve"}
    assert "tolerations" not in templates["fetch"]["spec"]
    assert "nodeSelector" not in templates["export"]["spec"]
    assert templates["build"]["spec"]["containers"][0]["image"] == "server-gpu:1"
    assert templates["fetch"]["spec"]["containers"][0]["image"] == "server:1"


def test_only_jobs_that_fill_the_store_can_write_it() -> None:
    read_only = {
        command: template["spec"]["containers"][0]["volumeMounts"][0].get("readOnly", False)
        for command, template in pods(HUB).items()
    }

    writers = dict.fromkeys(("fetch", "export", "build", "collect"), False)
    assert read_only == writers | {"resolve": True, "serve": True}


def test_a_node_bound_store_keeps_its_pods_together() -> None:
    store = {"accessMode": "ReadWriteOnce"}
    for command, template in pods(HUB, store=store).items():
        [term] = template["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items(), command
        assert term["topologyKey"] == "kubernetes.io/hostname"

    assert all("affinity" not in template["spec"] for template in pods(HUB).values())


def test_a_node_that_suits_best_stands_after_what_the_user_prefers() -> None:
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    match = [{"key": "pool", "operator": "In", "values": ["spot"]}]
    affinity = {"nodeAffinity": {preferred: [{"weight": 1, "preference": {"matchExpressions": match}}]}}
    model = model_of(HUB | {"podTemplate": {"affinity": affinity}})

    job = render_build_job(model, settings_of(), request_for(model, "0" * 64), "export-key", near="node-1")

    users, ours = job["spec"]["template"]["spec"]["affinity"]["nodeAffinity"][preferred]
    assert users["preference"]["matchExpressions"] == match
    assert ours["preference"]["matchFields"] == [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]


def test_jobs_try_once_and_say_what_is_final() -> None:
    model = model_of(HUB)
    job = render_fetch_job(model, settings_of(), request_for(model, fetch_inputs(model)), pinned_commit=None)

    ignored, final = job["spec"]["podFailurePolicy"]["rules"]

    assert job["spec"]["backoffLimit"] == 0
    assert ignored["action"] == "Ignore"
    assert final["onExitCodes"]["values"] == [64]
    assert final["onExitCodes"]["containerName"] == job["spec"]["template"]["spec"]["containers"][0]["name"]
    assert "activeDeadlineSeconds" not in job["spec"]
    assert job["spec"]["template"]["spec"]["activeDeadlineSeconds"] == 3600
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_jobs_stay_out_of_meshes() -> None:
    for command in ("fetch", "export", "build"):
        assert pods(HUB)[command]["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"

    assert "sidecar.istio.io/inject" not in pods(HUB)["serve"]["metadata"]["labels"]


def test_a_job_remembers_its_run_and_all_who_wait() -> None:
    model = model_of(HUB)
    owners = (Owner("young", "2"), Owner("minilm", "1"))
    job = render_fetch_job(model, settings_of(), JobRequest("a" * 64, 3, "generation-7", owners), pinned_commit=None)

    assert job["metadata"]["annotations"] == {
        "embedplane.io/inputs": "a" * 64,
        "embedplane.io/attempt": "3",
        "embedplane.io/trigger": "generation-7",
    }
    assert [owner["name"] for owner in job["metadata"]["ownerReferences"]] == ["minilm", "young"]
    assert {owner["blockOwnerDeletion"] for owner in job["metadata"]["ownerReferences"]} == {False}


def test_a_pinned_commit_is_fetched_whatever_the_revision_says() -> None:
    model = model_of(HUB)
    job = render_fetch_job(model, settings_of(), request_for(model, "a" * 64), pinned_commit="c" * 40)

    environment = {each["name"]: each["value"] for each in job["spec"]["template"]["spec"]["containers"][0]["env"]}

    assert f'"revision": "{"c" * 40}"' in environment["EMBEDPLANE_SOURCE"]


def test_the_models_own_endpoint_wins_over_the_installations() -> None:
    own = {"source": {"huggingFace": {"repo": "a/b", "endpoint": "https://own"}}}

    def source(spec: dict[str, Any]) -> str:
        environment = pods(spec, hub={"endpoint": "https://installation"})["fetch"]["spec"]["containers"][0]["env"]
        return next(each["value"] for each in environment if each["name"] == "EMBEDPLANE_SOURCE")

    assert "https://installation" in source(HUB)
    assert "https://own" in source(own)


def test_replicas_are_left_to_the_autoscaler() -> None:
    deployment = render_deployment(model_of(RICH), settings_of(), resolved())

    assert "replicas" not in deployment["spec"]


def test_service_deployment_and_budget_select_one_space() -> None:
    model, settings = model_of(RICH), settings_of()
    deployment = render_deployment(model, settings, resolved())
    selector = {"embedplane.io/model": "minilm", "embedplane.io/vector-space": SPACE}
    budget = render_disruption_budget(model, settings, SPACE)

    assert deployment["spec"]["selector"]["matchLabels"] == selector
    assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert render_service(model, settings, SPACE)["spec"]["selector"] == selector
    assert budget is not None
    assert budget["spec"]["selector"]["matchLabels"] == selector


def test_a_single_replica_has_no_budget_and_no_spread() -> None:
    deployment = render_deployment(model_of(HUB), settings_of(), resolved())

    assert render_disruption_budget(model_of(HUB), settings_of(), SPACE) is None
    assert "topologySpreadConstraints" not in deployment["spec"]["template"]["spec"]


def test_several_replicas_spread_unless_the_user_says_how() -> None:
    own = [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]

    def keys(spec: dict[str, Any]) -> list[str]:
        return [each["topologyKey"] for each in pods(spec)["serve"]["spec"]["topologySpreadConstraints"]]

    assert keys(RICH) == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert keys(RICH | {"podTemplate": {"topologySpreadConstraints": own}}) == ["rack"]


def test_the_grace_period_covers_drain_and_the_longest_request() -> None:
    spec = HUB | {"serving": {"drainDelaySeconds": 7, "maxRequestSeconds": 40}}

    assert pods(spec)["serve"]["spec"]["terminationGracePeriodSeconds"] == 52


def test_what_was_resolved_can_be_read_back_from_the_deployment() -> None:
    annotations = render_deployment(model_of(HUB), settings_of(), resolved())["metadata"]["annotations"]

    assert read_resolved(annotations) == resolved()
    assert annotations["embedplane.io/commit"] == resolved().source.commit
    assert annotations["embedplane.io/engine-key"] == resolved().engine.key


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"source": {}}', "not JSON"])
def test_an_annotation_that_cannot_be_read_says_nothing(text: str) -> None:
    assert read_resolved({"embedplane.io/resolved": text}) is None
    assert read_resolved({}) is None


def test_the_same_resolution_writes_the_same_annotation() -> None:
    copy = Resolved(**{name: getattr(resolved(), name).model_copy() for name in ("source", "vector_space", "engine")})

    assert copy.to_json() == resolved().to_json()


def test_served_names_default_to_object_repository_and_model() -> None:
    claim = {"source": {"persistentVolumeClaim": {"claimName": "models"}}}

    assert served_model_names(model_of(HUB)) == ["minilm", "a/b", "model"]
    assert served_model_names(model_of(claim, name="model")) == ["model"]
    assert served_model_names(model_of(HUB | {"servedModelNames": ["x"]})) == ["x"]


def test_the_longest_names_fit() -> None:
    model = model_of(HUB, name="m" * 40)

    assert len(fetch_job_name(model, "a" * 64)) <= 63
    assert len(deployment_name(model, SPACE)) <= 63
    assert deployment_name(model, SPACE).endswith("-01234567")
    assert url_of(model) == f"http://{'m' * 40}.search/v1/embeddings"


@pytest.mark.parametrize(
    ("quantity", "cpus"),
    [("500m", 0.5), (2, 2), ("1.5", 1.5), ("2k", 2000), ("100u", 0.0001), ("5n", 5e-9), (".5", 0.5)],
)
def test_quantities_of_cpus_are_read(quantity: int | str, cpus: float) -> None:
    assert float(cpus_of(quantity)) == cpus


@pytest.mark.parametrize(
    ("requests", "limits", "threads"),
    [
        ({}, {}, 1),
        ({"cpu": "100m"}, {}, 1),
        ({"cpu": "1500m"}, {}, 2),
        ({"cpu": "1"}, {"cpu": "4"}, 4),
        ({"memory": "1Gi"}, {"memory": "1Gi"}, 1),
    ],
)
def test_threads_follow_the_limit_else_the_request(
    requests: dict[str, str], limits: dict[str, str], threads: int
) -> None:
    assert threads_for(ResourceRequirements(requests=requests, limits=limits)) == threads


def test_a_build_has_the_servers_cpus_unless_the_model_names_its_own() -> None:
    installation = {"build": {"resources": {"requests": {"cpu": "8", "memory": "1Gi"}}}}
    serving = HUB | {"resources": {"limits": {"cpu": "2"}}}
    own = serving | {"engine": {"jobs": {"resources": {"requests": {"cpu": "3"}}}}}

    def resources(spec: dict[str, Any]) -> Manifest:
        found: Manifest = pods(spec, jobs=installation)["build"]["spec"]["containers"][0]["resources"]
        return found

    assert resources(HUB) == {"requests": {"cpu": "8", "memory": "1Gi"}}
    assert resources(serving) == {"requests": {"memory": "1Gi"}, "limits": {"cpu": "2"}}
    assert resources(own) == {"requests": {"cpu": "3"}}


def test_a_large_model_gets_more_time_to_start() -> None:
    assert startup_seconds(0) < startup_seconds(8_000_000_000) < 3600


def test_the_users_variables_win_and_follow_ours() -> None:
    env = [{"name": "HOME", "value": "/elsewhere"}, {"name": "PROXY", "value": "p"}]
    written = pods(HUB | {"podTemplate": {"env": env}})

    assert written["serve"]["spec"]["containers"][0]["env"][0] == env[0]
    assert written["serve"]["spec"]["containers"][0]["env"][-1] == env[1]
    assert {"name": "HOME", "value": "/tmp"} in written["build"]["spec"]["containers"][0]["env"]


def components(policy: Manifest) -> list[str]:
    values: list[str] = policy["spec"]["podSelector"]["matchExpressions"][0]["values"]
    return values


def test_only_jobs_that_ask_the_source_may_leave_the_cluster() -> None:
    fetch, server, offline = render_network_policies("search", settings_of(hub={"endpoint": "http://hub:8089"}))

    def ports(policy: Manifest) -> set[int]:
        return {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}

    assert ports(fetch) == {53, 443, 8089}
    assert components(fetch) == ["fetch", "resolve"]
    assert ports(server) == ports(offline) == {53}
    assert components(server) + components(offline) == ["server", "build", "collect", "export"]


def test_servers_reach_the_collector_and_jobs_do_not() -> None:
    collector = {"to": [{"namespaceSelector": {"matchLabels": {"name": "observability"}}}], "ports": [{"port": 4318}]}
    settings = settings_of(networkPolicy={"telemetryEgress": [collector]})

    reaching = [
        policy for policy in render_network_policies("search", settings) if collector in policy["spec"]["egress"]
    ]

    assert [components(policy) for policy in reaching] == [["server"]]


@pytest.mark.parametrize(("endpoint", "port"), [("http://hub", 80), ("https://hub", 443)])
def test_a_hub_without_port_has_its_schemes(endpoint: str, port: int) -> None:
    fetch, *_ = render_network_policies("search", settings_of(hub={"endpoint": endpoint}))

    assert {"ports": [{"protocol": "TCP", "port": port}]} in fetch["spec"]["egress"]


def test_policies_can_be_switched_off() -> None:
    assert render_network_policies("search", settings_of(networkPolicy={"enabled": False})) == []


def test_scrape_annotations_can_be_switched_off() -> None:
    assert pods(HUB)["serve"]["metadata"]["annotations"]["prometheus.io/port"] == "8080"
    assert "annotations" not in pods(HUB, scrapeAnnotations=False)["serve"]["metadata"]


def test_empty_objects_mean_something_and_stay() -> None:
    assert without_empty({"a": None, "b": [], "c": {}, "d": [{"e": None}]}) == {"c": {}, "d": [{}]}
