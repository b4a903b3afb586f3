"""What this installation, strangers' objects or the API server refuse."""

from typing import Any

import pytest

from embedplane_operator.apply import RefusedError
from embedplane_operator.errors import ClusterError, ClusterUnavailableError, ForbiddenError, Refusal, RejectedError
from tests.support.rendering import settings_of
from tests.support.troubles import CLAIM, TOKEN, fetching
from tests.support.world import ENGINE, HUB, World, fetched, name_of


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


async def test_an_endpoint_without_a_deployment_has_no_url() -> None:
    world = await fetching()
    world.finish("fetch", fetched(engine=ENGINE))
    world.cluster.refuse = rejecting("Deployment", RejectedError, "spec.template: Invalid value", 422)
    await world.settle()
    assert world.says("Ready") == ("False", "PodTemplateInvalid")
    assert "url" not in world.status
    assert world.says("ScalingActive") == ("False", "NotServing")

    world.cluster.refuse = lambda _verb, _kind, _name: None
    await world.settle()

    assert world.status["url"] == "http://minilm.search/v1/embeddings"


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


@pytest.mark.parametrize("kind", ["Job", "ServiceAccount"])
async def test_a_write_that_the_api_server_cannot_carry_out_is_reported_and_tried_again(kind: str) -> None:
    world = World()
    message = 'failed calling webhook "images.example.com": connection refused'
    world.cluster.refuse = rejecting(kind, ClusterUnavailableError, message, 500)
    world.model()

    for _ in range(2):  # an error to the work queue, which backs off
        with pytest.raises(RefusedError, match="images"):
            await world.reconcile()

    assert world.says("Ready") == ("False", "ClusterRefused")
    assert world.says("Reconciling") == ("True", "ClusterRefused")
    assert world.says("SourceResolved") == ("False", "ClusterRefused")
    assert message in (world.condition("Ready") or {})["message"]
    world.cluster.refuse = lambda _verb, _kind, _name: None
    await world.settle()
    assert world.says("Ready") == ("False", "FetchRunning")


async def test_an_api_server_that_does_not_answer_leaves_the_status_as_it_is() -> None:
    world = World()
    await world.serve()
    before = world.status
    world.cluster.refuse = lambda _verb, _kind, _name: ClusterUnavailableError("GET", Refusal(0, "NoAnswer", "refused"))

    with pytest.raises(ClusterUnavailableError):
        await world.reconcile()

    assert world.status == before
