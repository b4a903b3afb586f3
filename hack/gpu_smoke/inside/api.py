"""Run by the GPU image's Python: versions, and how its libraries differ from what Embedplane calls.

Prints RESULT {"versions": {...}, "differences": [...]}; arguments are the backends that matter.
"""

import importlib
import json
import os
import platform
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

DISTRIBUTIONS = {"TensorRT": "tensorrt", "TensorRT-LLM": "tensorrt_llm", "torch": "torch", "OpenVINO": "openvino"}


def versions() -> dict[str, str]:
    """Return what the image has of what counts."""
    found = {"Python": platform.python_version()}
    for name, distribution in DISTRIBUTIONS.items():
        try:
            found[name] = version(distribution)
        except PackageNotFoundError:
            continue
    if cuda := os.environ.get("CUDA_VERSION"):
        found["CUDA"] = cuda
    return found


def tensorrt_differences() -> list[str]:
    """Compare TensorRT."""
    from embedplane_server.engines.tensorrt_api import differences  # noqa: PLC0415 -- by need

    return differences(importlib.import_module("tensorrt"))


def tensorrt_llm_differences() -> list[str]:
    """Compare TensorRT-LLM and its command."""
    from embedplane_server.engines import tensorrt_llm_api as api  # noqa: PLC0415 -- by need

    return [*api.changed_signatures(), *api.missing_flags(api.build_help())]


COMPARE: dict[str, Callable[[], list[str]]] = {
    "tensorrt": tensorrt_differences,
    "tensorrt-llm": tensorrt_llm_differences,
}


def differences_of(backend: str) -> list[str]:
    """Return what differs; a library that cannot be imported is a difference."""
    try:
        return COMPARE[backend]()
    except Exception as error:  # whatever its import raises without a driver or a library
        return [f"{backend}: {type(error).__name__}: {error}"]


if __name__ == "__main__":
    found = [each for backend in sys.argv[1:] for each in differences_of(backend)]
    print("RESULT", json.dumps({"versions": versions(), "differences": found}))
