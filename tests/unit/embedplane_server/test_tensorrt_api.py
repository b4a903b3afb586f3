"""The real bindings of the pinned TensorRT, over empty libraries: all that we call is there as we call it."""

import importlib.metadata
import json
import os
import subprocess
import sys
import types

import pytest

from embedplane_server.engines.tensorrt_api import PINNED_VERSION, check_api
from embedplane_server.errors import PermanentError
from tests.support.tensorrt.shims import write_shims

# In a process of its own: bindings of two TensorRT libraries cannot be in one, and other tests use TensorRT-RTX.
COMPARE = """
import json, tensorrt_bindings
from embedplane_server.engines import tensorrt_api
tensorrt_api.SIGNATURES += tuple(json.loads({more!r}))
print(json.dumps([tensorrt_bindings.__version__, tensorrt_api.differences(tensorrt_bindings)]))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {**os.environ, "LD_LIBRARY_PATH": str(write_shims(tmp_path_factory.mktemp("shims")))}


def compared(environment: dict[str, str], *more: str) -> tuple[str, list[str]]:
    command = [sys.executable, "-c", COMPARE.format(more=json.dumps(more))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    version, found = json.loads(done.stdout)
    return version, found


def test_the_pinned_release_has_all_that_is_called(environment):
    version, found = compared(environment)
    assert version.startswith(PINNED_VERSION)
    assert importlib.metadata.version("tensorrt-cu13-bindings").startswith(PINNED_VERSION)
    assert found == []


def test_what_the_release_has_otherwise_is_found(environment):
    _, found = compared(
        environment,
        "Builder.create_network(flags: int) -> INetworkDefinition",
        "Builder.build_engine() -> ICudaEngine",
        "nptype(dtype)",
    )
    assert found == [
        "Builder.create_network is create_network(flags: int = 0) -> INetworkDefinition",
        "Builder.build_engine is missing",
        "nptype takes others",
    ]


def test_another_library_is_refused_by_name():
    other = types.ModuleType("tensorrt")
    other.__version__ = "12.0.0"
    with pytest.raises(
        PermanentError, match=r"TensorRT 12\.0\.0 .*ILogger.__init__ is missing.*images\.gpuServer"
    ) as caught:
        check_api(other)
    assert caught.value.reason == "BackendChanged"
