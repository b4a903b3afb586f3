"""What all manifests promise beyond their text, and what those of Jobs do."""

from collections.abc import Iterator
from typing import Any

import pytest

from embedplane_operator.render.build_job import render_build_job
from embedplane_operator.render.fetch_job import render_fetch_job
from embedplane_operator.render.inputs import fetch_inputs
from embedplane_operator.render.job import JobRequest
from embedplane_operator.render.manifest import Owner, without_empty
from tests.support.rendering import (
    GPU,
    HUB,
    RICH,
    every_manifest,
    model_of,
    pods,
    request_for,
    settings_of,
)


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


def test_empty_objects_mean_something_and_stay() -> None:
    assert without_empty({"a": None, "b": [], "c": {}, "d": [{"e": None}]}) == {"c": {}, "d": [{}]}
