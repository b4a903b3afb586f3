"""`engine.backend: auto` on a GPU: TensorRT-LLM where the fetch says that it is exact, else plain TensorRT."""

import json
from typing import Any

import pytest

from embedplane_operator.render.accelerator import engine_target
from embedplane_operator.render.tensorrt_llm import Exactness, read_exactness
from tests.support.rendering import L4, model_of, settings_of
from tests.support.world import ENGINE, HUB, World, fetched

GPU: dict[str, Any] = {"accelerator": {"profile": "nvidia-l4"}}
EXACT = Exactness(is_exact=True, reason="bert, gelu")


def chosen(exactness: Exactness | None, capability: str = "8.9", **engine: Any) -> tuple[str, str]:
    settings = settings_of(acceleratorProfiles={"nvidia-l4": L4 | {"computeCapability": capability}})
    target = engine_target(model_of(HUB | GPU | {"engine": engine}), settings, None, exactness)
    return target.backend, target.reason


def test_auto_takes_it_where_it_is_exact_and_says_why() -> None:
    assert chosen(EXACT) == (
        "tensorrt-llm",
        "accelerator profile with NVIDIA L4; tensorrt-llm is exact: bert, gelu",
    )


def test_auto_takes_plain_tensorrt_where_it_is_not_and_says_why() -> None:
    inexact = Exactness(is_exact=False, reason="hidden_act is relu, not gelu")

    assert chosen(inexact) == (
        "tensorrt",
        "accelerator profile with NVIDIA L4; not tensorrt-llm: hidden_act is relu, not gelu",
    )


def test_a_fetch_that_says_nothing_is_not_taken_for_exact() -> None:
    backend, reason = chosen(read_exactness(fetched()))

    assert backend == "tensorrt"
    assert "the fetch does not tell" in reason


@pytest.mark.parametrize(
    ("capability", "backend"), [("7.5", "tensorrt"), ("8.0", "tensorrt-llm"), ("12.0", "tensorrt")]
)
def test_gpus_without_its_attention_plugin_get_plain_tensorrt(capability: str, backend: str) -> None:
    assert chosen(EXACT, capability)[0] == backend


@pytest.mark.parametrize(
    ("precision", "backend"), [("float16", "tensorrt-llm"), ("bfloat16", "tensorrt"), ("fp8", "tensorrt")]
)
def test_a_precision_that_it_does_not_build_gets_plain_tensorrt(precision: str, backend: str) -> None:
    assert chosen(EXACT, precision=precision)[0] == backend


def test_a_backend_that_is_named_is_taken() -> None:
    assert chosen(EXACT, backend="tensorrt")[0] == "tensorrt"
    assert chosen(None, backend="tensorrt-llm") == ("tensorrt-llm", "named in spec.engine.backend")


async def test_the_build_is_for_it_and_status_says_why() -> None:
    world = World()
    world.model(HUB | GPU)
    await world.settle()
    told = {"isExact": True, "reason": "bert, absolute positions, feed-forward 4 x hidden size, gelu"}
    world.finish("fetch", fetched(exportKeys={"onnx": "x" * 64}, tensorrtLlm=told))
    await world.settle()
    assert json.loads(world.environment(world.job("build"))["EMBEDPLANE_ENGINE"])["backend"] == "tensorrt-llm"

    world.finish("build", ENGINE | {"backend": "tensorrt-llm"})
    await world.settle()

    assert world.status["engine"]["backend"] == "tensorrt-llm"
    assert (
        world.status["engine"]["reason"]
        == f"accelerator profile with NVIDIA L4; tensorrt-llm is exact: {told['reason']}"
    )
