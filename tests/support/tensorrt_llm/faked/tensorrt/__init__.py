"""The names of TensorRT that TensorRT-LLM's engines are called with."""

from enum import Enum

__version__ = "10.14.1.48"


class DataType(Enum):
    FLOAT = 0
    HALF = 1
    INT32 = 3


class ExecutionContextAllocationStrategy(Enum):
    STATIC = 0
    ON_PROFILE_CHANGE = 1
    USER_MANAGED = 2
