"""Types of TensorRT as types of torch."""

import tensorrt as trt
import torch

_TYPES = {trt.DataType.FLOAT: torch.float32, trt.DataType.HALF: torch.float16, trt.DataType.INT32: torch.int32}


def trt_dtype_to_torch(dtype):
    return _TYPES[dtype]
