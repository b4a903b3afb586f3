"""Models that need the same export or engine share one Job, and do not replace each other's for ever."""

from tests.support.world import ENGINE, HUB, World, fetched, name_of


def two_worlds() -> tuple[World, World]:
    """Two models of the same source in one namespace, looked after by two reconcilers."""
    first = World()
    return first, World(cluster=first.cluster, name="second")


def fetch_of(world: World, name: str) -> World:
    """Finishes the fetch of one of them."""
    (job,) = [job for job in world.jobs("fetch") if job["metadata"]["labels"]["embedplane.io/model"] == name]
    world.end(job, {"result": fetched(exportKeys={"openvino": "x" * 64})})
    return world


async def both_building() -> tuple[World, World]:
    first, second = two_worlds()
    for world in (first, second):
        world.model()
        await world.settle()
        await fetch_of(world, world.name).settle()
    return first, second


async def test_two_models_wait_for_one_build() -> None:
    first, second = await both_building()

    owners = {owner["name"] for owner in first.job("build")["metadata"]["ownerReferences"]}
    assert owners == {"minilm", "second"}

    first.finish("build", ENGINE)
    await first.settle()
    await second.settle()

    assert {name_of(each) for each in first.cluster.all("Deployment")} == {"minilm-aaaaaaaa", "second-aaaaaaaa"}


async def test_a_model_that_is_served_leaves_the_job_to_those_who_wait() -> None:
    first, second = await both_building()
    first.finish("build", ENGINE)

    await first.settle()

    assert [owner["name"] for owner in first.job("build")["metadata"]["ownerReferences"]] == ["second"]
    await second.settle()
    assert first.jobs("build") == []


async def test_two_models_do_not_replace_each_other_s_failed_job() -> None:
    first, second = await both_building()
    second.model(HUB | {"servedModelNames": ["x"]})  # another generation, so another trigger
    await second.settle()
    first.fail("build", "ConformanceFailed")
    failed = first.job("build")["metadata"]["uid"]
    await second.settle()
    replaced = first.job("build")["metadata"]["uid"]
    assert replaced != failed  # its user changed something since

    first.fail("build", "ConformanceFailed")
    for _ in range(3):
        await first.settle()
        await second.settle()

    assert first.job("build")["metadata"]["uid"] == replaced
    for world in (first, second):
        assert world.says("EngineReady") == ("False", "ConformanceFailed")


async def test_a_change_of_one_model_runs_the_shared_job_again_for_both() -> None:
    first, second = await both_building()
    first.fail("build", "OutOfMemory")
    await first.settle()
    await second.settle()
    failed = first.job("build")["metadata"]["uid"]

    first.model(HUB | {"engine": {"jobs": {"resources": {"limits": {"memory": "16Gi"}}}}})
    await first.settle()
    await second.settle()

    job = first.job("build")
    assert job["metadata"]["uid"] != failed
    assert {owner["name"] for owner in job["metadata"]["ownerReferences"]} == {"minilm", "second"}
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "16Gi"


async def test_two_models_start_over_together_when_their_export_is_gone() -> None:
    first, second = await both_building()
    first.advance(30)
    second.advance(30)
    first.fail("build", "ExportMissing", exit_code=65)
    for world in (first, second):
        await world.settle()
        world.advance(30)
        await fetch_of(world, world.name).settle()
    assert first.jobs("export") == []  # by then the store has it again

    first.advance(60)
    second.advance(60)
    for _ in range(3):
        await first.settle()
        await second.settle()

    build = first.job("build")
    assert build["metadata"]["annotations"]["embedplane.io/attempt"] == "2"
    assert {owner["name"] for owner in build["metadata"]["ownerReferences"]} == {"minilm", "second"}
    for world in (first, second):
        assert world.says("EngineReady") == ("False", "BuildRunning")
