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


class Engine:
    """A plan's profiles, each a range of every input, and the contexts that are held at one of them."""

    def __init__(self, profiles):
        self.profiles = profiles
        self.num_optimization_profiles = len(profiles)

    def create_execution_context(self, strategy=trt.ExecutionContextAllocationStrategy.STATIC):
        return Context(self, strategy)

    def get_device_memory_size_for_profile_v2(self, profile_index):
        return 64 * self.profiles[profile_index]["input_ids"][2]

    def get_tensor_profile_shape(self, name, profile_index):
        return [(size,) for size in self.profiles[profile_index][name]]


class Context:
    def __init__(self, engine, strategy):
        self.engine = engine
        self.has_memory = strategy is trt.ExecutionContextAllocationStrategy.STATIC
        self.given = 0
        self.profile = None
        self.runs = 0

    def set_device_memory(self, memory, size):
        assert memory
        self.given = size

    def set_optimization_profile_async(self, profile_index, stream_handle):
        self.profile = profile_index
        return True

    def takes(self, shapes):
        assert self.has_memory or self.given >= self.engine.get_device_memory_size_for_profile_v2(self.profile)
        ranges = self.engine.profiles[self.profile]
        return all(ranges[name][0] <= shape[0] <= ranges[name][2] for name, shape in shapes.items())


class Session:
    def __init__(self, **kwargs):
        pass

    @property
    def engine(self):
        return self._engine

    @staticmethod
    def from_serialized_engine(engine):
        session = Session()
        # TensorRT gives None for a plan of another GPU or release, and the next call fails as this does.
        plan = engine if engine.startswith(b"FAKE") else None
        about, _, weights = plan.removeprefix(b"FAKE").partition(b"\n")
        session._open(json.loads(about), load(weights))
        return session

    def _open(self, about, weights):
        self._engine = Engine(about["fake_profiles"])
        self.context = self.engine.create_execution_context()
        self.context.set_optimization_profile_async(0, 0)
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
        if {tensor.dtype for tensor in inputs.values()} != {torch.int32} or not self._fits(context or self.context):
            return False
        (context or self.context).runs += 1
        outputs["hidden_states"].copy_(packed_forward(self._model, inputs))
        return True

    def _fits(self, context):
        return len({self._shapes[name][0] for name in _FLAT}) == 1 and context.takes(self._shapes)
