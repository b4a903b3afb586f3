"""The second way through a plan of TensorRT-LLM: a context at the profile of lone texts.

A session has one context, which it holds at the first profile, that of batches; its calls take another one as well.
"""

import logging
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

LONE = 1
"""The index of the profile of lone texts."""
_LEAST_MEMORY = 256


@dataclass(frozen=True, slots=True)
class LoneContext:
    """A context for single texts of so many tokens at most, with the memory that it works in."""

    context: Any
    most_tokens: int
    memory: Any
    """A tensor of torch: it is the context's as long as this object lives."""


def lone_context(session: Any, library: Any) -> LoneContext | None:  # noqa: ANN401 -- objects of the library
    """Return the context of a session's plan for lone texts; None where it has none, and batches serve them too."""
    engine = session.engine
    if engine.num_optimization_profiles <= LONE:
        return None
    # With memory of our own: by itself it would take as much as the largest batch needs.
    context = engine.create_execution_context(library.user_managed)
    if context is None:
        logger.warning("lone texts run as batches do: TensorRT makes no second context")
        return None
    size = max(int(engine.get_device_memory_size_for_profile_v2(LONE)), _LEAST_MEMORY)
    memory = library.memory(size)
    context.set_device_memory(memory.data_ptr(), size)
    if not context.set_optimization_profile_async(LONE, library.stream.handle):
        logger.warning("lone texts run as batches do: TensorRT does not choose their profile")
        return None
    library.stream.wait()
    _, _, most = engine.get_tensor_profile_shape("input_ids", LONE)
    return LoneContext(context, int(most[0]), memory)
