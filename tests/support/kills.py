"""An operator that is killed before one of its writes."""

from collections.abc import Awaitable, Callable
from typing import Any

from tests.support.world import World

Step = Callable[[World], Awaitable[None]]
WRITES = frozenset({"apply", "create", "patch", "delete"})


class KilledError(Exception):
    """The process is gone."""


async def is_killed_before(write: int, world: World, step: Step) -> bool:
    """Runs a step and kills the operator before its n-th write; False when there were fewer."""
    left = write

    def kill(verb: str, _kind: str, _name: str) -> Any:
        nonlocal left
        left -= verb in WRITES
        return KilledError() if left == 0 and verb in WRITES else None

    world.cluster.refuse = kill
    try:
        await step(world)
    except KilledError:
        return True
    finally:
        world.cluster.refuse = lambda _verb, _kind, _name: None
        world.restart()
    return False
