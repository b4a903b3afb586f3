"""spec.serving.apiKeysSecretRef: no server starts without its keys, and no Job ever sees them."""

from typing import Any

from tests.support.rendering import every_manifest, model_of, settings_of
from tests.support.troubles import fetching
from tests.support.world import ENGINE, HUB, SPACE_B, World, fetched

KEYS = HUB | {"serving": {"apiKeysSecretRef": {"name": "search-keys"}}}
SECRET: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "search-keys"}}
FOLDER = "/var/run/secrets/embedplane/api-keys"


def keys_of(world: World) -> str | None:
    return world.environment(world.deployment()).get("EMBEDPLANE_API_KEYS_FILES")


async def test_a_missing_secret_is_named_at_once_and_no_server_starts_before_it_exists() -> None:
    world = await fetching(KEYS)
    assert world.says("Ready") == ("False", "SecretNotFound")
    assert world.says("Stalled") == ("True", "SecretNotFound")
    message = (world.condition("Ready") or {})["message"]
    assert "search-keys" in message
    assert "spec.serving.apiKeysSecretRef" in message
    assert world.says("SourceResolved") == ("False", "FetchRunning")  # what needs no keys goes on meanwhile

    world.finish("fetch", fetched(engine=ENGINE))
    again = await world.settle()
    assert world.says("EngineReady") == ("True", "Published")
    assert world.cluster.all("Deployment") == []
    assert again is not None
    assert again <= 15  # Secrets are not watched

    world.cluster.put(SECRET)
    await world.settle()
    assert keys_of(world) == f'["{FOLDER}"]'
    world.make_ready()
    await world.settle()
    assert world.says("Ready") == ("True", "Serving")
    assert world.jobs() == []


async def test_keys_that_do_not_exist_leave_the_old_version_serving() -> None:
    world = World()
    await world.serve()

    world.model(KEYS | {"scaling": {"maxReplicas": 3}})
    await world.settle()

    assert world.says("Ready") == ("False", "SecretNotFound")
    assert world.says("Available") == ("True", "ReplicasReady")
    assert keys_of(world) is None
    assert world.status["servedGeneration"] == 1
    assert world.jobs() == []


async def test_keys_are_looked_for_wherever_the_way_to_serving_ends() -> None:
    world = World()
    await world.serve()
    world.model(KEYS | {"embedding": {"pooling": "cls"}})
    await world.settle()
    world.finish("fetch", fetched(SPACE_B))

    again = await world.settle()

    assert world.says("Ready") == ("False", "SecretNotFound")
    assert again is not None
    assert again <= 15
    world.cluster.put(SECRET)
    await world.settle()
    assert world.says("Ready") == ("False", "VectorSpaceChangeRefused")


async def test_a_secret_that_is_deleted_leaves_the_servers_as_they_are() -> None:
    world = World()
    world.cluster.put(SECRET)
    await world.serve(KEYS)
    before = world.deployment()["spec"]
    del world.cluster.objects["Secret", "search", "search-keys"]

    await world.settle()

    assert world.says("Ready") == ("False", "SecretNotFound")
    assert world.says("Available") == ("True", "ReplicasReady")
    assert world.deployment()["spec"] == before
    assert world.jobs() == []

    world.cluster.put(SECRET)
    await world.settle()
    assert world.says("Ready") == ("True", "Serving")


async def test_another_content_of_the_secret_restarts_nothing() -> None:
    world = World()
    world.cluster.put(SECRET)
    await world.serve(KEYS)
    before = world.deployment()["metadata"]["resourceVersion"]

    world.cluster.put(SECRET | {"data": {"team-b": "bmV3"}})
    await world.settle()

    assert world.deployment()["metadata"]["resourceVersion"] == before
    assert world.jobs() == []


def test_only_servers_see_the_keys_as_a_folder_that_follows_the_secret() -> None:
    manifests = every_manifest(model_of(KEYS), settings_of())
    holders = {each["kind"]: each for each in manifests if "search-keys" in str(each)}

    assert set(holders) == {"Deployment"}
    pod = holders["Deployment"]["spec"]["template"]["spec"]
    [mount] = [each for each in pod["containers"][0]["volumeMounts"] if each["mountPath"] == FOLDER]
    [volume] = [each for each in pod["volumes"] if each["name"] == mount["name"]]
    assert "subPath" not in mount  # the kubelet never refreshes one
    assert mount["readOnly"] is True
    assert "items" not in volume["secret"]  # all keys of the Secret count
