"""A model at which nothing happens costs no write, whatever state it rests in."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.repairs import OLD_CPU, failing, scale
from tests.support.troubles import fetching
from tests.support.world import HUB, World


async def served() -> World:
    world = World()
    await world.serve()
    return world


async def making_room() -> World:
    world = await failing(OLD_CPU)
    await scale(world)
    return world


async def looked_upstream() -> World:
    world = World()
    await world.serve({"source": HUB["source"] | {"driftCheckInterval": "1h"}})
    world.finish("resolve", {"commit": "2" * 40})
    await world.settle()
    return world


async def failed_to_look_upstream() -> World:
    world = await looked_upstream()
    world.advance(3600)
    await world.settle()
    world.fail("resolve", "HubUnavailable", exit_code=65)
    await world.settle()
    return world


@pytest.mark.parametrize("state", [fetching, served, making_room, looked_upstream, failed_to_look_upstream])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"suspend": True},
        {"serving": {"apiKeysSecretRef": {"name": "missing"}}},
        {"accelerator": {"profile": "abacus"}},
        {"engine": {"conformance": {"minimumCosine": 0.99999}}},
        {"embedding": {"dimensions": {"default": 128}}},
        {"scaling": {"paused": True, "maxReplicas": 3}},
    ],
)
async def test_a_reconcile_at_rest_only_reads(state: Callable[[], Awaitable[World]], change: dict[str, Any]) -> None:
    world = await state()
    model = world.cluster.find("EmbeddingModel", "minilm") or {}
    world.model(model["spec"] | change)
    await world.settle()
    world.cluster.calls.clear()

    await world.reconcile()

    assert {verb for verb, _, _ in world.cluster.calls} <= {"get", "list"}
