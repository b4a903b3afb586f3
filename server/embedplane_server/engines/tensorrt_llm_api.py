"""All of TensorRT-LLM's API that Embedplane uses: what it calls by which parameters, and the flags of `trtllm-build`.

A build compares this list with the image's own before any work, so that another release is named instead of failing
half-way. Tests hold the fakes that they build and run with against the same list.
"""

import importlib
import inspect
import re
import subprocess
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from embedplane_server.errors import PermanentError, PermanentReason

PINNED_VERSION = "1.2.1"
BUILD_COMMAND = "trtllm-build"

SIGNATURES = {
    "tensorrt_llm.models:BertModel.from_hugging_face": ("hf_model_or_dir", "dtype"),
    "tensorrt_llm.models:BertModel.prepare_inputs": ("max_batch_size", "max_input_len"),
    "tensorrt_llm.models:BertModel.save_checkpoint": ("output_dir", "save_config"),
    "tensorrt_llm.models:RobertaModel.from_hugging_face": ("hf_model_or_dir", "dtype"),
    "tensorrt_llm.runtime:Session.from_serialized_engine": ("engine",),
    "tensorrt_llm.functional:DimRange": ("shape", "names"),
    "tensorrt_llm.runtime:Session.infer_shapes": ("inputs", "context"),
    "tensorrt_llm.runtime:Session.run": ("inputs", "outputs", "stream", "context"),
    "tensorrt_llm.runtime:TensorInfo": ("name", "dtype", "shape"),
    "tensorrt_llm._utils:trt_dtype_to_torch": ("dtype",),
}
"""Parameters that are given, in the order in which they are declared; others have to have defaults."""

PROPERTIES = ("tensorrt_llm.runtime:Session.engine",)

FLAGS = (
    "--checkpoint_dir",
    "--output_dir",
    "--max_batch_size",
    "--max_input_len",
    "--bert_attention_plugin",
    "--remove_input_padding",
    "--context_fmha",
    "--model_cls_file",
    "--model_cls_name",
    "--input_timing_cache",
    "--output_timing_cache",
    "--log_level",
)

_HELP_SECONDS = 300


def check_api(help_text: Callable[[], str] | None = None) -> None:
    """Refuse a library that is not the one that this was written against; the message names what differs."""
    if not (found := [*changed_signatures(), *missing_flags((help_text or build_help)())]):
        return
    raise PermanentError(
        PermanentReason.BACKEND_CHANGED,
        f"TensorRT-LLM {_version()} of this image differs from {PINNED_VERSION}, for which this version of Embedplane "
        f"was written: {'; '.join(found[:3])}{'; ...' if len(found) > 3 else ''}. Use the image of this version (Helm "
        "value images.gpuServer), or set engine.backend: tensorrt.",
    )


def changed_signatures() -> list[str]:
    """Say for each name that cannot be called as listed what it is instead."""
    listed = (*SIGNATURES.items(), *((path, None) for path in PROPERTIES))
    return [problem for path, given in listed if (problem := _problem(path, given))]


def missing_flags(help_text: str) -> list[str]:
    """Say which flags the help of `trtllm-build` does not name."""
    known = set(re.findall(r"--[a-z0-9_]+", help_text))
    return [f"{BUILD_COMMAND} has no {flag}" for flag in FLAGS if flag not in known]


def build_help() -> str:
    """Return what `trtllm-build --help` prints."""
    try:
        done = subprocess.run(  # noqa: S603 -- a fixed command of the image
            [BUILD_COMMAND, "--help"], capture_output=True, text=True, check=False, timeout=_HELP_SECONDS
        )
    except OSError as error:
        raise PermanentError(
            PermanentReason.BACKEND_UNAVAILABLE,
            f"{BUILD_COMMAND} cannot be started in this image: {error}. Use the GPU image (Helm value "
            "images.gpuServer), or set engine.backend: tensorrt.",
        ) from error
    return done.stdout + done.stderr


def _problem(path: str, given: Sequence[str] | None) -> str | None:
    module, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        return f"{name} is missing ({error})"
    if given is None:
        return None if isinstance(found, property) else f"{name} is no property"
    parameters = [each for each in inspect.signature(found).parameters.values() if each.name != "self"]
    named = [each.name for each in parameters]
    if [name for name in named if name in given] != list(given):
        return f"{name} takes ({', '.join(named)}), not ({', '.join(given)})"
    needed = [each.name for each in parameters if each.default is each.empty and each.kind < each.VAR_POSITIONAL]
    if unknown := [name for name in needed if name not in given]:
        return f"{name} also needs {', '.join(unknown)}"
    return None


def _version() -> str:
    try:
        return version("tensorrt_llm")
    except PackageNotFoundError:
        return "?"
