"""The TensorRT-LLM engine: texts without any padding through the encoder, then pooling and the rest with torch.

Batches run one after the other; one that is larger than the engine was built for is cut. A lone text takes kernels that
were chosen for lone texts.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from embedplane_server.engines.base import Batch, Vectors
from embedplane_server.engines.packed_inputs import PackedInputs, packed_inputs, segments
from embedplane_server.engines.tail import TailRunner, load_tail
from embedplane_server.engines.tensorrt_llm_contexts import lone_context
from embedplane_server.errors import EngineError

PLAN = "rank0.engine"
ENCODER = "encoder.json"
STATES = "hidden_states"


@dataclass(frozen=True, slots=True)
class Encoder:
    """What a plan was built for, and what its inputs need to know of the model."""

    width: int
    first_position: int
    max_batch_size: int
    max_input_length: int

    def save(self, folder: Path) -> None:
        """Write it into an engine's folder; `load_encoder` reads it."""
        (folder / ENCODER).write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")


def load_encoder(folder: Path) -> Encoder:
    """Read what `Encoder.save` wrote."""
    return Encoder(**json.loads((folder / ENCODER).read_text(encoding="utf-8")))


class TensorRtLlmEngine:
    """An `Engine` over a session of `tensorrt_llm`; `library` is a `tensorrt_llm_library.Library`."""

    def __init__(self, folder: Path, library: Any) -> None:  # noqa: ANN401 -- its module imports torch
        self._encoder = load_encoder(folder)
        self._library = library
        tail = load_tail(folder)
        self._dimensions = tail.dimensions(self._encoder.width)
        self._tail = TailRunner(tail, library.arrays)
        self._session = _session(library, folder / PLAN)
        self._lone = lone_context(self._session, library)
        self._turn = Lock()

    @property
    def dimensions(self) -> int:
        return self._dimensions

    @property
    def parallel(self) -> int:
        return 1

    @property
    def token_dimensions(self) -> int | None:
        return self._encoder.width

    @property
    def row_tokens(self) -> int | None:
        """None: without padding texts of any length cost the same beside each other."""
        return None

    def enter_thread(self) -> None:
        """Do nothing: the device computes."""

    def embed(self, batch: Batch) -> Vectors:
        """Return the vectors of texts, or those of their tokens."""
        try:
            parts = [self._part(ids, batch.every_token) for ids in self._parts(batch.token_ids)]
        except (RuntimeError, ValueError) as error:  # torch and the session have no errors of their own
            raise EngineError(str(error).strip().split("\n", 1)[0]) from error
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _parts(self, token_ids: Sequence[Sequence[int]]) -> Iterator[Sequence[Sequence[int]]]:
        """Cut a batch so that no part has more texts than the plan takes; so many of any length fit."""
        for start in range(0, len(token_ids), self._encoder.max_batch_size):
            yield token_ids[start : start + self._encoder.max_batch_size]

    def _part(self, token_ids: Sequence[Sequence[int]], every_token: bool) -> Vectors:
        inputs = packed_inputs(token_ids, self._encoder.first_position)
        with self._turn, self._library.without_gradients():
            states = self._states(inputs).float()
            found = states if every_token else self._tail.vectors(states, segments(token_ids))
            return np.asarray(found.cpu().numpy(), dtype=np.float32)

    def _states(self, inputs: PackedInputs) -> Any:  # noqa: ANN401 -- a tensor of torch
        library = self._library
        tensors = {name: library.arrays.put(array) for name, array in inputs.as_tensors().items()}
        context = self._context(inputs)
        told = [library.tensor_info(name, library.int32, tuple(tensor.shape)) for name, tensor in tensors.items()]
        shapes = self._session.infer_shapes(told, context)
        outputs = {each.name: library.empty(tuple(each.shape), each.dtype) for each in shapes}
        if not self._session.run(tensors, outputs, library.stream.handle, context):
            raise EngineError("TensorRT-LLM did not take the batch; its own log says why.")
        library.stream.wait()  # until here the inputs are read
        return outputs[STATES]

    def _context(self, inputs: PackedInputs) -> Any:  # noqa: ANN401 -- an object of TensorRT
        """Return the context that suits a batch; None is the session's own."""
        lone = self._lone
        if lone is None or len(inputs.input_lengths) > 1 or len(inputs.input_ids) > lone.most_tokens:
            return None
        return lone.context

    def warm_up(self) -> None:
        """Run a lone short text and a full batch, so that the first requests find memory and kernels ready."""
        longest = self._encoder.max_input_length
        for batch in ([[0] * min(16, longest)], [[0] * longest] * self._encoder.max_batch_size):
            self.embed(Batch(batch))

    def close(self) -> None:
        """Drop the session, which frees the device's memory."""
        del self._lone
        del self._session
        del self._tail


def open_plan(folder: Path) -> TensorRtLlmEngine:
    """Open the engine of a folder on this machine's GPU."""
    from embedplane_server.engines.tensorrt_llm_library import load_library  # noqa: PLC0415 -- it imports torch

    return TensorRtLlmEngine(folder, load_library())


def _session(library: Any, plan: Path) -> Any:  # noqa: ANN401 -- a class of the library
    try:
        return library.session.from_serialized_engine(plan.read_bytes())
    except AttributeError as error:
        # A plan of another GPU or release becomes None inside, and its own log says why.
        raise EngineError("TensorRT-LLM does not load it: it was built for another GPU or another release") from error
