"""TensorRT-LLM's encoder with our own ranges of shapes. `trtllm-build` loads this file, nothing else does.

It runs in the Python of that command, which has no Embedplane: the ranges are in a file beside its copy.
"""

import json
from pathlib import Path
from typing import Any

from tensorrt_llm.functional import DimRange
from tensorrt_llm.models import BertModel

RANGES = Path(__file__).with_name("ranges.json")


class TunedEncoder(BertModel):  # type: ignore[misc]  # of the GPU image only
    """BertModel, whose inputs have one profile by themselves, tuned for half of what it takes."""

    def prepare_inputs(self, max_batch_size: int, max_input_len: int, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return its inputs with the profiles of the file, which has the ranges of each dimension by its name."""
        inputs: dict[str, Any] = super().prepare_inputs(max_batch_size, max_input_len, **kwargs)
        profiles = json.loads(RANGES.read_text(encoding="utf-8"))
        for tensor in inputs.values():
            names = tensor.profiles[0].dimension_names
            tensor.profiles = [DimRange([ranges[name] for name in names], names) for ranges in profiles]
        return inputs
