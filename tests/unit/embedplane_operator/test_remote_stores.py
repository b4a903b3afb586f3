"""A store in object storage: no claim, several replicas, each pod with its own credentials only."""

from typing import Any

from embedplane_operator.render.names import STORE_CLAIM
from tests.support.rendering import every_manifest, model_of, settings_of
from tests.support.world import HUB, World

STORE = {"url": "s3://artifacts/embedplane", "secrets": {"jobs": "writer", "servers": "reader"}}


def pods(spec: dict[str, Any], **settings: Any) -> dict[str, dict[str, Any]]:
    """Return the pods' specs by the command they run."""
    manifests = every_manifest(model_of(spec), settings_of(**settings))
    found = [each["spec"]["template"]["spec"] for each in manifests if each["kind"] in ("Job", "Deployment")]
    return {pod["containers"][0]["args"][0]: pod for pod in found}


def opened() -> World:
    """Return a world whose store is in object storage, with the Secret of Jobs."""
    world = World(settings_of(store=STORE))
    put_secret(world)
    return world


def put_secret(world: World) -> None:
    """Write the Secret, each time as another version."""
    world.cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "writer"}})


def secrets_of(pod: dict[str, Any]) -> set[str]:
    return {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}


async def test_a_remote_store_needs_no_claim_and_serves_several_replicas() -> None:
    world = opened()
    await world.serve(HUB | {"scaling": {"minReplicas": 2, "maxReplicas": 4}})

    assert world.says("Ready") == ("True", "Serving")
    assert world.cluster.find("PersistentVolumeClaim", STORE_CLAIM) is None


def test_servers_never_hold_the_credentials_that_write() -> None:
    found = {command: secrets_of(pod) for command, pod in pods(HUB, store=STORE).items()}

    writers = {key: {"writer"} for key in ("fetch", "export", "build", "collect")}
    assert found == writers | {key: {"reader"} for key in ("resolve", "serve")}


def test_what_a_pod_copies_is_bounded() -> None:
    limits = {
        command: volume["emptyDir"]["sizeLimit"]
        for command, pod in pods(HUB, store={**STORE, "size": "20Gi"}).items()
        for volume in pod["volumes"]
        if volume["name"] == "tmp"
    }

    jobs = ("fetch", "resolve", "export", "build", "collect")
    assert limits == dict.fromkeys(jobs, "20Gi") | {"serve": "1372Mi"}


def test_only_a_remote_store_opens_a_way_out() -> None:
    rule = {"ports": [{"protocol": "TCP", "port": 9000}]}
    policies = {"storeEgress": [rule]}

    def reachable(**settings: Any) -> dict[str, bool]:
        manifests = every_manifest(model_of(HUB), settings_of(networkPolicy=policies, **settings))
        found = [each for each in manifests if each["kind"] == "NetworkPolicy"]
        return {each["metadata"]["name"]: rule in each["spec"]["egress"] for each in found}

    names = ("embedplane-fetch", "embedplane-server", "embedplane-offline")
    assert reachable(store=STORE) == dict.fromkeys(names, True)
    assert reachable() == dict.fromkeys(names, False)


async def test_a_missing_secret_of_the_store_is_named_and_no_job_is_started() -> None:
    world = World(settings_of(store=STORE))
    world.model(HUB)
    await world.settle()

    assert world.says("SourceResolved") == ("False", "SecretNotFound")
    assert "store.secrets.jobs" in (world.condition("SourceResolved") or {})["message"]
    assert world.jobs() == []


async def test_a_repaired_secret_of_the_store_is_tried_at_once() -> None:
    world = opened()
    world.model(HUB)
    await world.settle()
    world.fail("fetch", "StoreUnavailable", exit_code=65)
    again = await world.settle()
    assert world.says("SourceResolved") == ("False", "StoreUnavailable")
    assert again is not None
    assert again <= 15

    put_secret(world)
    await world.settle()

    assert world.says("SourceResolved") == ("False", "FetchRunning")
