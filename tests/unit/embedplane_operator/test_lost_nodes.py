"""A node that dies under a Job: its pod ends for ever, until Kubernetes, or a person, gives the node up."""

from datetime import timedelta

from tests.support.troubles import fetching
from tests.support.world import HUB, World, fetched, name_of

RUNNING = {"phase": "Running", "containerStatuses": [{"name": "fetch", "state": {"running": {}}}]}


async def on_a_dead_node() -> World:
    """A fetch whose pod was told to end, with 30 seconds for it, by the eviction from its node."""
    world = await fetching()
    pod = world.pod_of(world.job("fetch"), RUNNING)
    due = (world.now + timedelta(seconds=30)).isoformat()
    metadata = {**pod["metadata"], "deletionTimestamp": due}
    world.cluster.put({**pod, "metadata": metadata, "spec": {"nodeName": "gpu-7"}})
    await world.settle()
    return world


async def test_a_pod_that_ends_in_time_is_no_trouble() -> None:
    world = await on_a_dead_node()

    world.advance(50)
    again = await world.settle()

    assert world.says("SourceResolved") == ("False", "FetchRunning")
    assert again is not None
    assert again <= 10  # nothing tells that time passes


async def test_a_pod_that_ends_for_ever_names_its_node_and_the_remedy() -> None:
    world = await on_a_dead_node()

    world.advance(65)
    await world.settle()

    assert world.says("SourceResolved") == ("False", "NodeLost")
    assert world.says("Reconciling") == ("True", "NodeLost")
    message = (world.condition("SourceResolved") or {})["message"]
    assert "kubectl delete node gpu-7" in message
    assert "node.kubernetes.io/out-of-service" in message


async def test_it_goes_on_by_itself_when_kubernetes_replaces_the_pod() -> None:
    world = await on_a_dead_node()
    world.advance(65)
    await world.settle()
    job = world.job("fetch")

    world.pod_of(job, RUNNING)
    await world.settle()
    assert world.says("SourceResolved") == ("False", "FetchRunning")

    world.finish("fetch", fetched())
    await world.settle()
    assert name_of(world.job("fetch")) == name_of(job)
    assert world.says("SourceResolved") == ("True", "Resolved")


async def test_a_change_of_the_user_s_starts_another_job_at_once() -> None:
    world = await on_a_dead_node()
    world.advance(65)
    await world.settle()
    before = world.job("fetch")["metadata"]["uid"]

    world.model(HUB | {"servedModelNames": ["x"]})
    await world.settle()

    assert world.job("fetch")["metadata"]["uid"] != before
    assert world.says("SourceResolved") == ("False", "FetchRunning")
