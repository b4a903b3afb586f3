"""Each namespace's store is collected once in each interval, by a Job that knows what is in use."""

import json
from typing import Any

from embedplane_operator.decide.collection import in_use
from embedplane_operator.decide.stores import stores_of
from embedplane_operator.errors import ClusterError, ForbiddenError, Refusal
from embedplane_operator.events import Recorder
from embedplane_operator.housekeeping import Housekeeper
from embedplane_operator.kinds import Manifest
from embedplane_operator.metrics import Metrics
from embedplane_operator.reconcile import Channels
from embedplane_operator.settings import Settings, Store
from tests.support.rendering import settings_of
from tests.support.world import ENGINE, HUB, World, fetched, name_of

DAY = 24 * 3600
DIGEST, KEY, SPACE, EXPORT = "a" * 64, f"en1-{'b' * 20}", f"vs1-{'c' * 20}", f"ex1-{'d' * 20}"
DONE = {
    "models": 1,
    "exports": 0,
    "engines": 2,
    "leftovers": 0,
    "removedBytes": 7,
    "inUse": 3,
    "waiting": 0,
    "spared": 0,
}


class House:
    """A world with a housekeeper."""

    def __init__(self, **settings: Any) -> None:
        self.world = World(settings=settings_of(**settings))
        self.metrics = Metrics()
        self.restart()

    def restart(self) -> None:
        """Another operator process: nothing of the old one's memory is left."""
        world, recorder = self.world, Recorder(self.world.cluster, "operator-0")
        channels = Channels(world.index, world.reports, recorder, self.metrics)
        self.keeper = Housekeeper(world.cluster, world.settings, channels, lambda: world.now)

    def jobs(self) -> list[Manifest]:
        return self.world.jobs("collect")

    def kept(self) -> set[str]:
        (job,) = self.jobs()
        return set(json.loads(self.world.environment(job)["EMBEDPLANE_KEEP"]))

    def counted(self, result: str) -> float:
        return (
            self.metrics.registry.get_sample_value("embedplane_operator_store_collections_total", {"result": result})
            or 0.0
        )


async def served(**settings: Any) -> House:
    house = House(**settings)
    world = house.world
    world.model(HUB)
    await world.settle()
    world.finish("fetch", fetched(SPACE) | {"digest": DIGEST, "exportKeys": {"openvino": EXPORT}})
    await world.settle()
    world.finish("build", ENGINE | {"key": KEY})
    await world.settle()
    world.make_ready()
    await world.settle()
    world.lose_pods()  # as they go with their Jobs
    return house


async def test_the_job_is_given_what_the_models_use() -> None:
    house = await served()

    await house.keeper.go_round()

    (job,) = house.jobs()
    assert house.kept() == {DIGEST, KEY, SPACE}
    environment = house.world.environment(job)
    assert environment["EMBEDPLANE_KEEP_AS_OF"] == "2026-11-23T12:00:00+00:00"
    assert environment["EMBEDPLANE_GRACE_SECONDS"] == str(7 * DAY)
    assert "ownerReferences" not in job["metadata"]
    assert job["spec"]["ttlSecondsAfterFinished"] == 2 * DAY


async def test_what_a_running_job_works_on_is_in_use() -> None:
    house = House()
    world = house.world
    world.model(HUB)
    await world.settle()
    world.finish("fetch", fetched(SPACE) | {"digest": DIGEST})
    await world.settle()

    await house.keeper.go_round()

    assert house.kept() == {DIGEST, SPACE}


async def test_what_a_job_has_found_and_no_status_names_yet_is_in_use() -> None:
    house = House()
    world = house.world
    world.model(HUB)
    await world.settle()
    found = {"engine": ENGINE | {"key": KEY}, "exportKeys": {"openvino": EXPORT}}
    world.finish("fetch", fetched(SPACE) | {"digest": DIGEST} | found)

    await house.keeper.go_round()

    assert house.kept() == {DIGEST, SPACE, KEY, EXPORT}


async def test_what_serves_is_in_use_though_the_status_is_lost() -> None:
    house = await served()
    model = house.world.cluster.find("EmbeddingModel", "minilm") or {}
    house.world.cluster.put({**model, "status": {}})

    await house.keeper.go_round()

    assert house.kept() == {DIGEST, KEY, SPACE}


async def test_one_collection_an_interval_whoever_looks() -> None:
    house = await served()
    await house.keeper.go_round()
    before = house.jobs()

    await house.keeper.go_round()
    house.restart()
    await house.keeper.go_round()
    assert house.jobs() == before

    house.world.advance(DAY)
    await house.keeper.go_round()
    assert len(house.jobs()) == 1
    assert house.jobs() != before


async def test_a_round_at_rest_only_reads() -> None:
    house = await served()
    await house.keeper.go_round()
    house.world.end(house.world.job("collect"), {"result": DONE})
    await house.keeper.go_round()
    house.world.cluster.calls.clear()

    await house.keeper.go_round()

    assert {verb for verb, _, _ in house.world.cluster.calls} == {"list"}


async def test_a_namespace_without_models_is_collected_and_keeps_its_claim() -> None:
    house = await served()
    for kind in ("EmbeddingModel", "Deployment", "Service"):
        for each in house.world.cluster.all(kind):
            del house.world.cluster.objects[kind, "search", name_of(each)]

    await house.keeper.go_round()

    assert house.kept() == set()
    assert house.world.cluster.find("PersistentVolumeClaim", "embedplane-store")


async def test_claims_of_others_are_left_alone() -> None:
    house = House()
    ours = {"app.kubernetes.io/managed-by": "embedplane", "embedplane.io/installation": "embedplane"}
    for name, labels in (("embedplane-store", ours | {"embedplane.io/installation": "another"}), ("models", ours)):
        house.world.cluster.put({"kind": "PersistentVolumeClaim", "metadata": {"name": name, "labels": labels}})

    await house.keeper.go_round()

    assert house.jobs() == []


async def test_the_job_is_placed_as_the_namespace_s_models_are() -> None:
    house = House()
    house.world.model(HUB | {"podTemplate": {"tolerations": [{"key": "batch", "operator": "Exists"}]}})
    await house.world.settle()

    await house.keeper.go_round()

    (job,) = house.jobs()
    assert job["spec"]["template"]["spec"]["tolerations"] == [{"key": "batch", "operator": "Exists"}]


async def test_how_a_collection_ended_is_counted_once() -> None:
    house = await served()
    await house.keeper.go_round()
    house.world.end(house.world.job("collect"), {"result": DONE})

    await house.keeper.go_round()
    await house.keeper.go_round()

    assert house.counted("success") == 1
    assert house.metrics.registry.get_sample_value("embedplane_operator_store_collected_bytes_total") == 7


async def test_a_collection_that_fails_is_counted_and_told_at_a_model() -> None:
    house = await served()
    await house.keeper.go_round()
    house.world.fail("collect", "StoreUnavailable", "the store cannot be used", exit_code=65)

    await house.keeper.go_round()
    await house.keeper.go_round()

    assert house.counted("failure") == 1
    (event,) = [each for each in house.world.cluster.all("Event") if each["reason"] == "StoreNotCollected"]
    assert event["type"] == "Warning"
    assert "the store cannot be used" in event["note"]
    assert house.world.says("Ready") == ("True", "Serving")


async def test_a_job_that_may_not_be_made_is_tried_again() -> None:
    def refuse(verb: str, kind: str, name: str) -> ClusterError | None:
        is_ours = (verb, kind) == ("create", "Job") and name.startswith("embedplane-collect-")
        return ForbiddenError("create", Refusal(403, "Forbidden", "exceeded quota")) if is_ours else None

    house = await served()
    house.world.cluster.refuse = refuse
    await house.keeper.go_round()
    assert house.jobs() == []

    house.world.cluster.refuse = lambda _verb, _kind, _name: None
    await house.keeper.go_round()
    assert len(house.jobs()) == 1


def model_with(status: Any) -> Manifest:
    return {"kind": "EmbeddingModel", "metadata": {"name": "m"}, "status": status}


def test_names_are_found_wherever_they_stand_and_hashes_are_not_taken_for_them() -> None:
    status = {
        "source": {"inputs": "1" * 64, "digest": DIGEST, "commit": "c" * 40},
        "vectorSpace": {"id": f"{SPACE};dimensions=256"},
        "someday": [{"engine": json.dumps({"key": KEY, "inputs": "2" * 64})}],
    }

    assert set(in_use([model_with(status)])) == {DIGEST, SPACE, KEY}


def test_a_status_that_is_not_there_names_nothing() -> None:
    assert in_use([model_with(None)]) == ()


async def test_a_list_that_no_pod_can_take_starts_none() -> None:
    house = await served()
    many = [{"key": f"en1-{number:020x}"} for number in range(5000)]
    house.world.cluster.put({**model_with({"someday": many}), "metadata": {"name": "many"}})

    await house.keeper.go_round()

    assert house.jobs() == []


class Bucket(Store):
    """Object storage with a prefix for each namespace."""

    @property
    def is_remote(self) -> bool:
        return True


class SharedBucket(Bucket):
    """Object storage with one prefix for all."""

    @property
    def is_of_all_namespaces(self) -> bool:
        return True


def with_store(store: Store, **more: Any) -> Settings:
    return settings_of(**more).model_copy(update={"store": store})


def test_a_bucket_has_a_store_for_each_namespace_with_models() -> None:
    stores = stores_of(with_store(Bucket()), with_claims=(), with_models=("b", "a"))

    assert [(store.home, store.users) for store in stores] == [("a", "a"), ("b", "b")]


async def test_a_store_of_all_namespaces_is_collected_once_with_the_names_of_all() -> None:
    house = await served()
    elsewhere = {"name": "other", "namespace": "elsewhere"}
    house.world.cluster.put({**model_with({"engine": {"key": f"en1-{'9' * 20}"}}), "metadata": elsewhere})
    house.world.settings = with_store(SharedBucket())
    house.restart()

    await house.keeper.go_round()

    assert house.kept() == {DIGEST, KEY, SPACE, f"en1-{'9' * 20}"}


def test_an_operator_that_sees_some_namespaces_does_not_collect_a_store_of_all() -> None:
    settings = with_store(SharedBucket(), watchNamespaces=["a"])

    assert stores_of(settings, with_claims=(), with_models=("a",)) == ()
