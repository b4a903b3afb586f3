"""Every command's settings come from EMBEDPLANE_ variables, and a wrong one says which and why."""

import json
from pathlib import Path
from typing import Any

import pytest

from embedplane_server.errors import ExitCode, PermanentError
from embedplane_server.settings import BuildSettings, ExportSettings, FetchSettings, ServeSettings

FETCH = {
    "EMBEDPLANE_SOURCE": json.dumps({"huggingFace": {"repo": "org/model"}}),
    "EMBEDPLANE_ENGINE": json.dumps({"backend": "openvino", "precision": "auto"}),
}
SERVE = {
    "EMBEDPLANE_ENGINE_KEY": "en1-0",
    "EMBEDPLANE_MODEL_NAME": "minilm",
    "EMBEDPLANE_SERVED_MODEL_NAMES": '["minilm", "model"]',
    "EMBEDPLANE_VECTOR_SPACE": "vs1-0",
    "EMBEDPLANE_THREADS": "2",
}


def test_a_hub_source_has_the_contracts_defaults():
    settings = FetchSettings.from_environment({**FETCH, "PATH": "/bin"})
    assert settings.store == "file:///store"
    assert settings.source.hugging_face is not None
    assert settings.source.hugging_face.revision == "main"
    assert settings.overrides.pooling is None


def test_objects_are_json_with_camel_case_keys():
    overrides = {"maxSequenceLength": 512, "prompts": {"query": "find: "}, "defaultPrompt": "query", "normalize": False}
    settings = ExportSettings.from_environment(
        {
            "EMBEDPLANE_MODEL_DIGEST": "d",
            "EMBEDPLANE_FORMAT": "onnx",
            "EMBEDPLANE_OVERRIDES": json.dumps(overrides),
            "EMBEDPLANE_TERMINATION_LOG": "/tmp/log",
        }
    )
    assert settings.overrides.max_sequence_length == 512
    assert settings.overrides.prompts == {"query": "find: "}
    assert settings.termination_log == Path("/tmp/log")


def test_a_gpu_engine_names_its_gpu():
    engine = {"backend": "tensorrt", "precision": "float16", "gpu": {"name": "NVIDIA L4", "computeCapability": "8.9"}}
    settings = BuildSettings.from_environment(
        {"EMBEDPLANE_EXPORT_KEY": "ex1-0", "EMBEDPLANE_ENGINE": json.dumps(engine), "EMBEDPLANE_THREADS": "4"}
    )
    assert settings.engine.gpu is not None
    assert settings.engine.gpu.compute_capability == "8.9"
    assert settings.minimum_cosine == 0.999


@pytest.mark.parametrize(
    ("engine", "problem"),
    [
        ({"backend": "openvino"}, "not openvino"),
        ({"backend": "tensorrt-llm", "gpu": {"name": "NVIDIA L4", "computeCapability": "8.9"}}, "not tensorrt-llm"),
        *(
            ({"backend": "tensorrt", "gpu": {"name": name, "computeCapability": capability}}, f"{name} has")
            for name, capability in (("Tesla T4", "7.5"), ("NVIDIA A10G", "8.6"), ("NVIDIA A100-SXM4-40GB", "8.0"))
        ),
    ],
)
def test_fp8_is_refused_where_there_is_none(engine, problem):
    words = (
        r"EMBEDPLANE_ENGINE: engine\.precision: fp8 is for engine\.backend tensorrt on GPUs of compute capability 8\.9"
    )
    with pytest.raises(PermanentError, match=rf"{words} or newer.*{problem}.* Write auto") as caught:
        fetch_for(engine | {"precision": "fp8"})
    assert caught.value.reason == "InvalidSettings"


@pytest.mark.parametrize("capability", ["8.9", "9.0", "10.0", "12.0"])
def test_fp8_is_for_every_gpu_that_has_it(capability):
    gpu = {"name": "NVIDIA", "computeCapability": capability}
    assert fetch_for({"backend": "tensorrt", "precision": "fp8", "gpu": gpu}).engine.precision == "fp8"


def fetch_for(engine: dict[str, Any]) -> FetchSettings:
    variables = {"SOURCE": {"path": "/source"}, "ENGINE": engine}
    return FetchSettings.from_environment({f"EMBEDPLANE_{name}": json.dumps(each) for name, each in variables.items()})


def test_a_server_has_the_contracts_defaults():
    settings = ServeSettings.from_environment(SERVE)
    assert settings.served_model_names == ("minilm", "model")
    assert (settings.host, settings.port) == ("::", 8080)
    assert settings.max_batch_tokens is None
    assert (settings.max_request_seconds, settings.max_connection_seconds, settings.drain_delay_seconds) == (
        300,
        60,
        10,
    )


def test_what_clients_may_ask_of_a_server_is_json_where_it_is_a_list_or_an_object():
    settings = ServeSettings.from_environment(
        {
            **SERVE,
            "EMBEDPLANE_LONG_INPUT": "Truncate",
            "EMBEDPLANE_DIMENSIONS": '{"default": 256, "allowed": [128, 512]}',
            "EMBEDPLANE_API_KEYS_FILES": '["/var/run/secrets/embedplane/keys"]',
            "EMBEDPLANE_CORS_ORIGINS": '["https://page.example"]',
            "EMBEDPLANE_TOKEN_ENCODING": "cl100k_base",
            "EMBEDPLANE_MAX_INPUTS": "96",
        }
    )
    assert settings.long_input == "Truncate"
    assert (settings.dimensions.default, settings.dimensions.allowed) == (256, (128, 512))
    assert settings.api_keys_files == (Path("/var/run/secrets/embedplane/keys"),)
    assert settings.cors_origins == ("https://page.example",)
    assert settings.max_inputs == 96
    defaults = ServeSettings.from_environment(SERVE)
    assert (defaults.long_input, defaults.dimensions.default, defaults.dimensions.allowed) == ("Reject", None, ())
    assert (defaults.api_keys_files, defaults.cors_origins, defaults.token_encoding) == ((), (), "model")
    assert (defaults.max_inputs, defaults.max_request_tokens, defaults.max_request_bytes) == (2048, 300_000, 2**24)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"EMBEDPLANE_LONG_INPUT": "Cut"}, "EMBEDPLANE_LONG_INPUT: "),
        ({"EMBEDPLANE_DIMENSIONS": '{"default": 0}'}, "EMBEDPLANE_DIMENSIONS.default: "),
        ({"EMBEDPLANE_DIMENSIONS": '{"alowed": [1]}'}, "EMBEDPLANE_DIMENSIONS.alowed: "),
        ({"EMBEDPLANE_API_KEYS_FILES": "/keys"}, "EMBEDPLANE_API_KEYS_FILES: is not valid JSON"),
        ({"EMBEDPLANE_MAX_BATCH_TOKEN": "5"}, "EMBEDPLANE_MAX_BATCH_TOKEN is not a setting of this command"),
        ({"EMBEDPLANE_THREADS": "none"}, "EMBEDPLANE_THREADS: "),
        ({"EMBEDPLANE_SERVED_MODEL_NAMES": "minilm"}, "EMBEDPLANE_SERVED_MODEL_NAMES: is not valid JSON"),
        ({"EMBEDPLANE_MINIMUM_COSINE": "1.5"}, "EMBEDPLANE_MINIMUM_COSINE: "),
    ],
)
def test_a_wrong_variable_is_named(change, message):
    with pytest.raises(PermanentError, match=message.replace("(", r"\(")) as caught:
        ServeSettings.from_environment({**SERVE, **change})
    assert caught.value.reason == "InvalidSettings"
    assert caught.value.exit_code == ExitCode.PERMANENT


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "exactly one of huggingFace, objectStorage and path"),
        ({"path": "/a", "huggingFace": {"repo": "b"}}, "exactly one of huggingFace, objectStorage and path"),
        ({"huggingFace": {"repo": "b", "branch": "main"}}, "EMBEDPLANE_SOURCE.huggingFace.branch"),
    ],
)
def test_a_source_is_exactly_one(source, message):
    with pytest.raises(PermanentError, match=message):
        FetchSettings.from_environment({**FETCH, "EMBEDPLANE_SOURCE": json.dumps(source)})


def test_a_missing_variable_is_named():
    with pytest.raises(PermanentError, match="EMBEDPLANE_ENGINE is missing"):
        FetchSettings.from_environment({"EMBEDPLANE_SOURCE": FETCH["EMBEDPLANE_SOURCE"]})
