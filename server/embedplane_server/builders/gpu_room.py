"""Whether a GPU has the memory that an engine needs at the least. Nothing that would fit is refused.

CUDA tells what there is of the device as this process sees it, a slice (MIG) or the whole; nvidia-smi would tell of the
card. What an engine needs beyond this estimate (a context, what attention takes, room to try kernels in) depends on
the kernels, so only the build itself shows it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from embedplane_server.builders.backend import Ingredients
from embedplane_server.errors import EngineError, PermanentError, PermanentReason, TransientError, TransientReason
from embedplane_server.export.manifest import ONNX_GRAPH

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_LEAST_BYTES = 1
"""Of a number in any other precision."""
_LIVE_NUMBERS = 5
"""Of a token at once, in units of the width: what goes into a feed-forward layer, and four times as many inside."""
_MOST_WIDTH = 1024
"""Wider vectors may come from a dense layer behind the pooling, which runs once a text."""


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """Bytes of a GPU's memory."""

    free: int
    total: int


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that an engine takes at the least."""

    weights: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.activations

    @property
    def told(self) -> str:
        return f"{_gib(self.total)} ({_gib(self.weights)} of weights, {_gib(self.activations)} of activations)"


Ask = Callable[[], GpuMemory | None]


def gpu_memory() -> GpuMemory | None:
    """Ask CUDA; None where it does not say."""
    from embedplane_server.engines.cuda import memory  # noqa: PLC0415 -- a library of GPU images

    try:
        return GpuMemory(*memory())
    except EngineError:
        return None


def least_need(made_of: Ingredients, precision: str, tokens: int) -> Need:
    """Return what an engine needs whose largest batch has so many tokens; the export's graph is in float32."""
    width = _BYTES.get(precision, _LEAST_BYTES)
    weights = sum(file.stat().st_size for file in made_of.export.glob(f"{ONNX_GRAPH}*"))
    return Need(weights * width // 4, tokens * min(made_of.description.dimensions, _MOST_WIDTH) * _LIVE_NUMBERS * width)


def need_room(name: str, memory: GpuMemory | None, need: Need, precision: str) -> None:
    """Refuse to begin on a GPU that is too small, for good, or too full, for now: what others hold they may free."""
    if memory is None or need.total <= memory.free:
        return
    wants = f"an engine of this model in {precision} needs at least {need.told}"
    if need.total > memory.total:
        raise PermanentError(
            PermanentReason.GPU_TOO_SMALL,
            f"{name} has {_gib(memory.total)} of memory here, and {wants}. Choose an accelerator profile with more "
            "memory (a larger GPU, or a larger MIG slice), or lower engine.maxBatchTokens or engine.precision.",
        )
    raise TransientError(
        TransientReason.GPU_BUSY,
        f"{_gib(memory.free)} of {_gib(memory.total)} of the memory of {name} are free, and {wants}. Other processes "
        "hold the rest. It is tried again; end them, or choose an accelerator profile whose GPUs are not shared.",
    )


def is_out_of_memory(words: str) -> bool:
    """Say whether a library's words are about the GPU's memory; it has no error of its own for that."""
    return "out of memory" in words.lower() or "OutOfMemory" in words


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
