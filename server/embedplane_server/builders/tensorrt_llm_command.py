"""The call of `trtllm-build` that compiles a checkpoint: which shapes it is tuned for, and what its end means."""

import json
import logging
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from embedplane_server.builders.gpu_room import is_out_of_memory
from embedplane_server.engines.tensorrt_llm_api import BUILD_COMMAND
from embedplane_server.errors import PermanentError, PermanentReason, unsupported_model

TIMINGS = "timing.cache"
LONE_LENGTH, LONE_USUAL = 512, 32
"""Tokens of a lone text, at most and usually."""
_FEWEST_TEXTS, _MOST_TEXTS = 8, 512
_TOLD_LINES = 3

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shape:
    """How many texts of which length one forward pass takes at most, and for how many tokens kernels are chosen."""

    max_batch_size: int
    max_input_length: int
    usual_tokens: int

    @property
    def most_tokens(self) -> int:
        return self.max_batch_size * self.max_input_length

    @property
    def profiles(self) -> list[dict[str, tuple[int, int, int]]]:
        """Least, usual and most of each dimension, in batches and of lone texts; the names are TensorRT-LLM's."""
        texts, length = self.max_batch_size, self.max_input_length
        lone = (1, min(length, LONE_USUAL), min(length, LONE_LENGTH))
        return [
            {
                "batch_size": (1, (texts + 1) // 2, texts),
                "num_tokens": (1, self.usual_tokens, self.most_tokens),
                "max_input_length": (1, (length + 1) // 2, length),
            },
            {"batch_size": (1, 1, 1), "num_tokens": lone, "max_input_length": lone},
        ]


def shape_for(batch_tokens: int, window: int) -> Shape:
    """Return a shape that is tuned for the token budget and takes twice as many.

    By itself TensorRT-LLM chooses kernels for the half of what a plan takes, so it is tuned for about that either way.
    """
    texts = min(max(2 * batch_tokens // window, _FEWEST_TEXTS), _MOST_TEXTS)
    return Shape(texts, window, min(batch_tokens, texts * window))


def command(checkpoint: Path, target: Path, shape: Shape, precision: str, scratch: Path) -> list[str]:
    """Return the call that compiles a checkpoint: texts without padding, fused attention where it can be had."""
    flags = {
        "checkpoint_dir": str(checkpoint),
        "output_dir": str(target),
        "max_batch_size": str(shape.max_batch_size),
        # Its own value is the number of positions, of which RoBERTa's models use two less.
        "max_input_len": str(shape.max_input_length),
        "bert_attention_plugin": precision,
        "remove_input_padding": "enable",
        "context_fmha": "enable" if precision == "float16" else "disable",
        # Its own place is the working folder, which may be read-only.
        "output_timing_cache": str(scratch / TIMINGS),
        "log_level": "info",
    }
    return [BUILD_COMMAND, *_options(flags)]


def tuned(plain: Sequence[str], shape: Shape, timings: bytes, scratch: Path) -> list[str]:
    """Return the call with our own ranges of shapes, and with what was measured before."""
    shutil.copyfile(tuned_encoder_file(), scratch / "encoder.py")
    (scratch / "ranges.json").write_text(json.dumps(shape.profiles), encoding="utf-8")
    flags = {"model_cls_file": str(scratch / "encoder.py"), "model_cls_name": "TunedEncoder"}
    if timings:
        (scratch / "known.cache").write_bytes(timings)
        flags["input_timing_cache"] = str(scratch / "known.cache")
    return [*plain, *_options(flags)]


def tuned_encoder_file() -> Path:
    """Return the file of `tuned_encoder.py`, which cannot be imported here."""
    return Path(__file__).with_name("tuned_encoder.py")


def _options(flags: Mapping[str, str]) -> list[str]:
    return [part for name, value in flags.items() for part in (f"--{name}", value)]


def run_tuned_or_plain(tuned: Sequence[str], plain: Sequence[str], scratch: Path) -> None:
    """Run the first call and, where it fails for any cause but memory, the second, which asks for nothing special.

    What was measured on another machine, or is damaged, and a release that builds models otherwise, end no build so.
    """
    try:
        _run(tuned, scratch)
    except PermanentError as error:
        if error.reason == PermanentReason.OUT_OF_MEMORY:
            raise
        logger.warning("built without ranges of shapes and measurements of our own: %s", error.message)
        _run(plain, scratch)


def _run(call: Sequence[str], scratch: Path) -> None:
    log = scratch / "build.log"
    with log.open("wb") as told:
        done = subprocess.run(  # noqa: S603 -- a command of the image, without a shell
            call, cwd=scratch, stdout=told, stderr=subprocess.STDOUT, check=False, env=os.environ.copy()
        )
    if done.returncode:
        raise _failure(done.returncode, log.read_text(encoding="utf-8", errors="replace"))


def _failure(code: int, told: str) -> PermanentError:
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    words = " | ".join(lines[-_TOLD_LINES:])[:600] or "it printed nothing"
    if is_out_of_memory(told):
        return PermanentError(
            PermanentReason.OUT_OF_MEMORY,
            f"{BUILD_COMMAND} ran out of the GPU's memory: {words}. Lower engine.maxBatchTokens, or give the build a "
            "GPU of its own.",
        )
    return unsupported_model(f"{BUILD_COMMAND} ended with {code}: {words}. Set engine.backend: tensorrt.")
