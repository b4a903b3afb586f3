"""The one name of TensorRT that TensorRT-LLM's engines are called with."""

from enum import Enum

__version__ = "10.14.1.48"


class DataType(Enum):
    FLOAT = 0
    HALF = 1
    INT32 = 3
