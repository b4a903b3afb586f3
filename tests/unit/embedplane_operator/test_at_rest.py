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


@pytest.mark.parametrize("state", [fetching, served, making_room])
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
    world.model(HUB | change)
    await world.settle()
    world.cluster.calls.clear()

    await world.reconcile()

    assert {verb for verb, _, _ in world.cluster.calls} <= {"get", "list"}
