"""Each failure has its own reason and Kubernetes' own words, and is tried again when that makes sense."""

import json
from typing import Any

import pytest

from embedplane_operator.errors import ClusterError, ClusterUnavailableError, ForbiddenError, Refusal, RejectedError
from tests.support.rendering import settings_of
from tests.support.world import ENGINE, HUB, World, fetched, name_of

TOKEN = {"source": {"huggingFace": {"repo": "acme/gated", "tokenSecretRef": {"name": "hub-token"}}}}
CLAIM = {"source": {"persistentVolumeClaim": {"claimName": "models"}}}


async def fetching(spec: dict[str, Any] | None = None) -> World:
    world = World()
    world.model(spec)
    await world.settle()
    return world


async def serving_not_ready() -> World:
    world = await fetching()
    world.finish("fetch", fetched(engine=ENGINE))
    await world.settle()
    return world


def warning(world: World, about: dict[str, Any], note: str, reason: str = "Failed") -> None:
    metadata = {"name": f"{name_of(about)}.{len(world.cluster.objects)}", "namespace": "search"}
    regarding = {"uid": about["metadata"]["uid"], "name": name_of(about)}
    event = {"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": metadata, "type": "Warning"}
    world.cluster.put(
        {**event, "reason": reason, "note": note, "regarding": regarding, "eventTime": world.now.isoformat()}
    )


# --- Jobs that fail ---


@pytest.mark.parametrize("reason", ["RepositoryNotFound", "RevisionNotFound", "NoSafetensors", "UnsupportedModel"])
async def test_a_permanent_failure_stalls_with_the_job_s_own_words_and_is_tried_hourly(reason: str) -> None:
    world = await fetching()
    world.fail("fetch", reason, "acme/embed is not there")
    failed = world.job("fetch")["metadata"]["uid"]

    await world.settle()

    assert world.says("SourceResolved") == ("False", reason)
    assert world.says("Ready") == ("False", reason)
    assert world.says("Stalled") == ("True", reason)
    assert "acme/embed is not there" in (world.condition("SourceResolved") or {})["message"]
    world.advance(3590)
    await world.settle()
    assert world.job("fetch")["metadata"]["uid"] == failed
    world.advance(20)
    await world.settle()
    assert world.job("fetch")["metadata"]["uid"] != failed
    assert world.job("fetch")["metadata"]["annotations"]["embedplane.io/attempt"] == "2"


async def test_a_transient_failure_is_tried_again_after_growing_pauses() -> None:
    world = await fetching()
    for pause in (60, 120, 240, 480, 900, 900):
        world.fail("fetch", "HubUnavailable", exit_code=65)
        failed = world.job("fetch")["metadata"]["uid"]
        await world.settle()
        assert world.says("Reconciling") == ("True", "HubUnavailable")
        assert world.condition("Stalled") is None
        world.advance(pause - 1)
        await world.settle()
        assert world.job("fetch")["metadata"]["uid"] == failed
        world.advance(1)
        await world.settle()
        assert world.job("fetch")["metadata"]["uid"] != failed


@pytest.mark.parametrize("change", [{"spec": HUB | {"suspend": False, "servedModelNames": ["x"]}}])
async def test_a_changed_spec_runs_a_failed_job_again_at_once(change: dict[str, Any]) -> None:
    world = await fetching()
    world.fail("fetch", "RepositoryNotFound")
    await world.settle()
    failed = world.job("fetch")["metadata"]["uid"]

    world.model(**change)
    await world.settle()

    assert world.job("fetch")["metadata"]["uid"] != failed
    assert world.job("fetch")["metadata"]["annotations"]["embedplane.io/attempt"] == "1"


async def test_a_repaired_secret_runs_a_failed_fetch_again_at_once() -> None:
    world = World()
    world.cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub-token"}})
    world.model(TOKEN)
    await world.settle()
    world.fail("fetch", "AccessDenied")
    again = await world.settle()
    assert again is not None
    assert again <= 10  # Secrets are not watched
    failed = world.job("fetch")["metadata"]["uid"]

    world.cluster.put(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub-token"}, "data": {"token": "bmV3"}}
    )
    await world.settle()

    assert world.job("fetch")["metadata"]["uid"] != failed


@pytest.mark.parametrize(
    ("ended", "reason", "words"),
    [
        ({"exitCode": 137, "reason": "OOMKilled"}, "OutOfMemory", "jobs.fetch.resources"),
        ({"exitCode": 1, "reason": "Error", "message": "Traceback"}, "InternalError", "exit code 1: Traceback"),
        ({"exitCode": 65, "reason": "Error"}, "InternalError", "exit code 65"),
    ],
)
async def test_an_end_without_an_answer_is_explained(ended: dict[str, Any], reason: str, words: str) -> None:
    world = await fetching()

    world.kill("fetch", ended)
    await world.settle()

    assert world.says("SourceResolved") == ("False", reason)
    assert words in (world.condition("SourceResolved") or {})["message"]


async def test_a_build_without_memory_names_the_field_of_the_spec() -> None:
    world = await fetching()
    world.finish("fetch", fetched(exportKeys={"openvino": "x" * 64}))
    await world.settle()

    world.kill("build", {"exitCode": 137, "reason": "OOMKilled"})
    await world.settle()

    assert world.says("EngineReady") == ("False", "OutOfMemory")
    assert "spec.engine.jobs.resources.limits.memory" in (world.condition("EngineReady") or {})["message"]


async def test_a_job_past_its_deadline_says_so() -> None:
    world = await fetching()
    pod = world.pod_of(world.job("fetch"), {"phase": "Failed", "reason": "DeadlineExceeded"})
    assert pod
    conditions = [{"type": "Failed", "status": "True", "lastTransitionTime": world.now.isoformat()}]
    world.cluster.put({**world.job("fetch"), "status": {"conditions": conditions}})

    await world.settle()

    assert world.says("SourceResolved") == ("False", "DeadlineExceeded")


async def test_an_engine_below_the_floor_is_not_served() -> None:
    world = await fetching()
    world.finish("fetch", fetched(exportKeys={"openvino": "x" * 64}))
    await world.settle()

    world.fail("build", "ConformanceFailed", "lowest cosine 0.98 is below minimumCosine 0.999")
    await world.settle()

    assert world.says("EngineReady") == ("False", "ConformanceFailed")
    assert world.cluster.all("Deployment") == []


async def test_an_answer_of_another_version_is_explained() -> None:
    world = await fetching()

    world.finish("fetch", {"commit": "c"})
    await world.settle()

    assert world.says("SourceResolved") == ("False", "InternalError")
    assert "images.server" in (world.condition("SourceResolved") or {})["message"]


# --- Jobs that do not start ---


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (
            {
                "phase": "Pending",
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "message": "0/2 nodes are available: 2 Insufficient cpu.",
                    }
                ],
            },
            "Unschedulable",
            "0/2 nodes are available",
        ),
        (
            {
                "phase": "Pending",
                "containerStatuses": [
                    {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image server:1"}}}
                ],
            },
            "ImagePullFailed",
            "no such image server:1",
        ),
        (
            {
                "phase": "Pending",
                "containerStatuses": [
                    {"state": {"waiting": {"reason": "CreateContainerConfigError", "message": "runAsNonRoot"}}}
                ],
            },
            "ContainerCannotStart",
            "runAsNonRoot",
        ),
    ],
)
async def test_a_pod_that_does_not_start_is_quoted(status: dict[str, Any], reason: str, words: str) -> None:
    world = await fetching()

    world.pod_of(world.job("fetch"), status)
    await world.settle()

    assert world.says("SourceResolved") == ("False", reason)
    assert world.says("Reconciling") == ("True", reason)
    assert words in (world.condition("SourceResolved") or {})["message"]


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        ('pods "x" is forbidden: exceeded quota: none, requested: pods=1', "QuotaExceeded"),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest"', "PodForbidden"),
    ],
)
async def test_a_job_without_a_pod_quotes_its_newest_warning(note: str, reason: str) -> None:
    world = await fetching()

    warning(world, world.job("fetch"), note, "FailedCreate")
    again = await world.settle()

    assert world.says("SourceResolved") == ("False", reason)
    assert note in (world.condition("SourceResolved") or {})["message"]
    assert again is not None
    assert again <= 10  # Events are not watched


async def test_a_volume_that_cannot_be_mounted_is_quoted() -> None:
    world = await fetching()
    pod = world.pod_of(world.job("fetch"), {"phase": "Pending"})

    warning(world, pod, 'MountVolume.SetUp failed for volume "token"', "FailedMount")
    await world.settle()

    assert world.says("SourceResolved") == ("False", "ContainerCannotStart")


async def test_a_claim_that_cannot_bind_is_named() -> None:
    world = await fetching()
    claim = world.cluster.find("PersistentVolumeClaim", "embedplane-store")
    assert claim is not None
    world.cluster.put({**claim, "spec": {"storageClassName": "nope"}, "status": {"phase": "Pending"}})
    warning(world, claim, 'storageclass.storage.k8s.io "nope" not found', "ProvisioningFailed")
    world.pod_of(
        world.job("fetch"),
        {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "unbound claims"}]},
    )

    await world.settle()

    assert world.says("SourceResolved") == ("False", "ClaimPending")
    message = (world.condition("SourceResolved") or {})["message"]
    assert "embedplane-store" in message
    assert '"nope" not found' in message


async def test_a_job_that_cannot_start_is_replaced_when_the_image_changes() -> None:
    world = await fetching()
    waiting = {"reason": "ErrImagePull", "message": "no such image"}
    world.pod_of(world.job("fetch"), {"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]})
    await world.settle()
    stuck = world.job("fetch")["metadata"]["uid"]

    world.restart(settings_of(images={"server": "server:2", "exporter": "e", "gpuServer": "g"}))
    await world.settle()

    assert world.job("fetch")["metadata"]["uid"] != stuck


async def test_a_running_job_is_left_alone_when_the_image_or_the_spec_changes() -> None:
    world = await fetching()
    world.pod_of(world.job("fetch"), {"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]})
    await world.settle()
    running = world.job("fetch")["metadata"]["uid"]

    world.restart(settings_of(images={"server": "server:2", "exporter": "e", "gpuServer": "g"}))
    world.model(HUB | {"servedModelNames": ["x"]})
    await world.settle()

    assert world.job("fetch")["metadata"]["uid"] == running


# --- Servers ---


@pytest.mark.parametrize(
    ("container", "reason", "words"),
    [
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1, "message": "boom"}},
            },
            "CrashLoop",
            "boom",
        ),
        (
            {"lastState": {"terminated": {"exitCode": 66, "message": "needs avx512"}}},
            "EngineIncompatible",
            "needs avx512",
        ),
        (
            {"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
            "OutOfMemory",
            "spec.resources.limits.memory",
        ),
        (
            {
                "lastState": {
                    "terminated": {
                        "exitCode": 65,
                        "message": json.dumps({"error": {"reason": "StoreUnavailable", "message": "stale handle"}}),
                    }
                }
            },
            "StoreUnavailable",
            "stale handle",
        ),
    ],
)
async def test_a_server_that_ends_is_explained(container: dict[str, Any], reason: str, words: str) -> None:
    world = await serving_not_ready()

    world.server_pod(container)
    await world.settle()

    assert world.says("Available") == ("False", reason)
    assert world.says("Ready") == ("False", reason)
    assert words in (world.condition("Available") or {})["message"]


async def test_a_server_that_admission_forbids_is_explained() -> None:
    world = await serving_not_ready()
    message = 'pods "x" is forbidden: no PriorityClass with name none was found'
    conditions = [{"type": "ReplicaFailure", "status": "True", "message": message}]

    world.cluster.put({**world.deployment(), "status": {"conditions": conditions}})
    await world.settle()

    assert world.says("Available") == ("False", "PodForbidden")


async def test_a_rollout_that_hangs_shows_its_trouble_while_the_old_server_answers() -> None:
    world = World()
    await world.serve()
    world.model(HUB | {"serving": {"drainDelaySeconds": 1}})
    await world.settle()
    deployment = world.deployment()
    world.cluster.put({**deployment, "status": {"replicas": 2, "updatedReplicas": 1, "readyReplicas": 1}})
    world.server_pod({"state": {"waiting": {"reason": "ErrImagePull", "message": "gone"}}})

    await world.settle()

    assert world.says("Available") == ("True", "ReplicasReady")
    assert world.says("Ready") == ("False", "ImagePullFailed")
    assert world.status["servedGeneration"] == 1


# --- What this installation cannot do ---


async def test_an_unknown_accelerator_lists_the_known_ones() -> None:
    world = await fetching(HUB | {"accelerator": {"profile": "abacus"}})

    assert world.says("Ready") == ("False", "UnknownAccelerator")
    assert world.says("Stalled") == ("True", "UnknownAccelerator")
    assert "nvidia-l4" in (world.condition("Ready") or {})["message"]
    assert world.jobs() == []


async def test_a_store_of_one_node_does_not_serve_several_replicas() -> None:
    world = World(settings_of(store={"accessMode": "ReadWriteOnce"}))
    world.model(HUB | {"scaling": {"maxReplicas": 2}})
    await world.settle()

    assert world.says("Ready") == ("False", "StoreNotShared")
    assert "ReadWriteMany" in (world.condition("Ready") or {})["message"]


async def test_a_missing_secret_is_named_and_no_job_is_started() -> None:
    world = await fetching(TOKEN)

    assert world.says("SourceResolved") == ("False", "SecretNotFound")
    assert "hub-token" in (world.condition("SourceResolved") or {})["message"]
    assert world.jobs() == []


async def test_a_missing_source_claim_is_named() -> None:
    world = await fetching(CLAIM)

    assert world.says("SourceResolved") == ("False", "ClaimNotFound")
    assert world.jobs() == []


async def test_a_spec_that_cannot_be_read_stalls_and_keeps_what_is_pinned() -> None:
    world = World()
    await world.serve()

    world.model({"source": {"huggingFace": {"repo": 7}}})
    await world.settle()

    assert world.says("Ready") == ("False", "InvalidSpec")
    assert world.status["source"]["commit"] == "c" * 40


# --- Objects of others ---


async def test_a_stranger_s_service_is_never_touched() -> None:
    world = World()
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "minilm"},
        "spec": {"selector": {"app": "theirs"}},
    }
    world.cluster.put(theirs)
    world.model()
    again = await world.settle()

    assert world.says("Ready") == ("False", "NameConflict")
    assert (world.cluster.find("Service", "minilm") or {})["spec"] == theirs["spec"]
    assert again is not None
    assert again <= 15  # the stranger's object is not watched
    del world.cluster.objects["Service", "search", "minilm"]
    await world.settle()
    assert world.says("Ready") == ("False", "FetchRunning")


async def test_another_installation_s_deployment_is_never_touched() -> None:
    world = World()
    labels = {"app.kubernetes.io/managed-by": "embedplane", "embedplane.io/installation": "other"}
    metadata = {"name": "minilm-aaaaaaaa", "labels": labels}
    world.cluster.put({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"paused": True}})
    world.model()
    await world.settle()
    world.finish("fetch", fetched(engine=ENGINE))

    await world.settle()

    assert world.says("Ready") == ("False", "ForeignOwner")
    assert world.deployment()["spec"] == {"paused": True}
    assert world.cluster.all("Service") == []


async def test_a_stranger_s_job_of_our_name_is_never_touched() -> None:
    world = await fetching()
    name = name_of(world.job("fetch"))
    world.cluster.put({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {}})
    world.restart()

    await world.settle()

    assert world.says("Ready") == ("False", "NameConflict")
    assert world.says("SourceResolved") == ("False", "NameConflict")


# --- The API server says no ---


def rejecting(kind: str, error: type[ClusterError], message: str, status: int) -> Any:
    def refuse(verb: str, its_kind: str, _name: str) -> ClusterError | None:
        is_write = verb in {"apply", "create", "dry-run"}
        return error(f"{verb} {kind}", Refusal(status, "x", message)) if is_write and its_kind == kind else None

    return refuse


async def test_children_that_are_refused_leave_the_old_version_serving() -> None:
    world = World()
    await world.serve()
    before = world.deployment()["spec"]
    world.cluster.refuse = rejecting("Deployment", RejectedError, "spec.template: Invalid value", 422)

    world.model(HUB | {"serving": {"drainDelaySeconds": 1}})
    await world.settle()

    assert world.says("Ready") == ("False", "PodTemplateInvalid")
    assert world.says("Stalled") == ("True", "PodTemplateInvalid")
    assert world.says("Available") == ("True", "ReplicasReady")
    assert world.deployment()["spec"] == before


async def test_a_child_that_is_refused_keeps_its_siblings_from_changing_too() -> None:
    world = await fetching()
    world.finish("fetch", fetched(engine=ENGINE))
    world.cluster.refuse = rejecting("Service", RejectedError, "spec.ports: Invalid value", 422)

    await world.settle()

    assert world.cluster.all("Deployment") == []


async def test_a_job_that_is_refused_shows_at_its_step() -> None:
    world = World()
    world.cluster.refuse = rejecting("Job", RejectedError, "spec.template: Invalid value", 422)
    world.model()

    await world.settle()

    assert world.says("SourceResolved") == ("False", "PodTemplateInvalid")


async def test_a_claim_above_the_quota_says_so_and_is_tried_again() -> None:
    world = World()
    world.cluster.refuse = rejecting("PersistentVolumeClaim", ForbiddenError, "exceeded quota: storage", 403)
    world.model()
    again = await world.settle()

    assert world.says("Ready") == ("False", "QuotaExceeded")
    assert again is not None
    assert again <= 15


async def test_missing_rights_are_reported() -> None:
    world = World()
    world.cluster.refuse = rejecting("Job", ForbiddenError, "cannot create resource jobs", 403)
    world.model()
    await world.settle()

    assert world.says("Ready") == ("False", "ClusterRefused")


async def test_an_api_server_that_does_not_answer_leaves_the_status_as_it_is() -> None:
    world = World()
    await world.serve()
    before = world.status
    world.cluster.refuse = lambda _verb, _kind, _name: ClusterUnavailableError("GET", Refusal(0, "NoAnswer", "refused"))

    with pytest.raises(ClusterUnavailableError):
        await world.reconcile()

    assert world.status == before
