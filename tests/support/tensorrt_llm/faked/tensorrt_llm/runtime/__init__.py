"""A session that computes with torch on the CPU, from the checkpoint's weights, and refuses what a plan refuses."""

import json
from dataclasses import dataclass

import tensorrt as trt
import torch
from safetensors.torch import load
from transformers import AutoConfig, AutoModel

from tests.support.packed_forward import packed_forward

_FLAT = ("input_ids", "token_type_ids", "position_ids")


@dataclass
class TensorInfo:
    name: str
    dtype: trt.DataType
    shape: tuple


class Session:
    def __init__(self, **kwargs):
        pass

    @staticmethod
    def from_serialized_engine(engine):
        session = Session()
        # TensorRT gives None for a plan of another GPU or release, and the next call fails as this does.
        plan = engine if engine.startswith(b"FAKE") else None
        about, _, weights = plan.removeprefix(b"FAKE").partition(b"\n")
        session._open(json.loads(about), load(weights))
        return session

    def _open(self, about, weights):
        self._limits = about["build_config"]
        told = about["pretrained_config"]
        self._type = {"float16": trt.DataType.HALF, "float32": trt.DataType.FLOAT}[told["dtype"]]
        config = dict(told["fake_hf_config"])
        self._model = AutoModel.from_config(AutoConfig.for_model(config.pop("model_type"), **config)).eval()
        missing, unknown = self._model.load_state_dict({k: v.float() for k, v in weights.items()}, strict=False)
        assert not unknown
        assert all(name.startswith("pooler.") for name in missing)
        self._width = config["hidden_size"]
        self._shapes = {}

    def infer_shapes(self, inputs, context=None):
        shapes = {}
        for each in inputs:
            if each.name not in (*_FLAT, "input_lengths", "max_input_length"):
                raise ValueError(f"Tensor:{each.name} is not an input tensor")
            if each.dtype != trt.DataType.INT32:
                raise ValueError(f"Tensor:{each.name} has wrong dtype")
            shapes[each.name] = each.shape
        self._shapes = shapes
        return [TensorInfo("hidden_states", self._type, (shapes["input_ids"][0], self._width))]

    def run(self, inputs, outputs, stream, context=None):
        if {name: tuple(tensor.shape) for name, tensor in inputs.items()} != self._shapes or len(inputs) != 5:
            return False
        if {tensor.dtype for tensor in inputs.values()} != {torch.int32} or not self._fits():
            return False
        outputs["hidden_states"].copy_(packed_forward(self._model, inputs))
        return True

    def _fits(self):
        texts, longest = self._limits["max_batch_size"], self._limits["max_input_len"]
        tokens = {self._shapes[name][0] for name in _FLAT}
        return (
            len(tokens) == 1
            and 1 <= tokens.pop() <= texts * longest
            and 1 <= self._shapes["input_lengths"][0] <= texts
            and 1 <= self._shapes["max_input_length"][0] <= longest
        )
