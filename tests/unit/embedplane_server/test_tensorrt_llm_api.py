"""What Embedplane calls of TensorRT-LLM is checked before a build, and another release is named."""

import importlib

import pytest

from embedplane_server.engines.tensorrt_llm_api import build_help, changed_signatures, check_api, missing_flags
from embedplane_server.errors import PermanentError
from tests.support.tensorrt_llm import fake_tensorrt_llm

pytestmark = pytest.mark.model


@pytest.fixture
def runtime(tmp_path):
    with fake_tensorrt_llm(tmp_path):
        yield importlib.import_module("tensorrt_llm.runtime")


def test_the_release_that_it_was_written_for_is_accepted(runtime):
    assert changed_signatures() == []
    assert missing_flags(build_help()) == []
    check_api()


def refused() -> str:
    with pytest.raises(PermanentError) as caught:
        check_api()
    assert caught.value.reason == "BackendChanged"
    return caught.value.message


def test_a_method_that_is_gone_is_named(runtime, monkeypatch):
    monkeypatch.delattr(runtime.Session, "infer_shapes")

    assert refused().startswith(
        "TensorRT-LLM 1.2.1 of this image differs from 1.2.1, for which this version of Embedplane was written: "
        "Session.infer_shapes is missing"
    )


def test_a_property_that_is_something_else_is_named(runtime, monkeypatch):
    monkeypatch.setattr(runtime.Session, "engine", lambda self: None)

    assert "Session.engine is no property" in refused()


def test_a_parameter_of_another_name_is_named(runtime, monkeypatch):
    monkeypatch.setattr(runtime.Session, "run", lambda self, feeds, outputs, stream, context=None: True)

    assert "run takes (feeds, outputs, stream, context), not (inputs, outputs, stream, context)" in refused()


def test_a_parameter_that_has_become_necessary_is_named(runtime, monkeypatch):
    monkeypatch.setattr(runtime.Session, "infer_shapes", lambda self, inputs, context, profile: [])

    assert "Session.infer_shapes also needs profile" in refused()


def test_a_module_that_is_gone_is_named(runtime, monkeypatch):
    monkeypatch.setitem(importlib.sys.modules, "tensorrt_llm._utils", None)

    assert "trt_dtype_to_torch is missing" in refused()


def test_a_flag_that_is_gone_is_named(runtime):
    told = build_help().replace("--bert_attention_plugin", "--attention_plugin")

    assert missing_flags(told) == ["trtllm-build has no --bert_attention_plugin"]


def test_an_image_without_the_command_is_told_so(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PermanentError, match=r"trtllm-build cannot be started .* Use the GPU image") as caught:
        build_help()
    assert caught.value.reason == "BackendUnavailable"
