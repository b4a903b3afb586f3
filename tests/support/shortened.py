"""What builds and exports of this process may leave short where a test is not about it; no test asserts a speed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from embedplane_server.builders import benchmark
from embedplane_server.export.golden import load_golden_texts

_EVERY = 8


@contextmanager
def short_benchmarks() -> Iterator[None]:
    """Let a build measure its engine's speed for a moment instead of seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "_MEASURED_SECONDS", 0.05)
        yield


@contextmanager
def few_golden_texts() -> Iterator[None]:
    """Let an export prove with a few texts of every kind, still of all lengths up to the window.

    All of them prove the models of test_real_model, test_real_classifiers and test_wrong_engines, and those of every
    process that tests start.
    """
    from embedplane_server.export import proofs  # noqa: PLC0415 -- torch

    whole = load_golden_texts()
    few = replace(whole, texts=whole.texts[::_EVERY])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proofs, "load_golden_texts", lambda: few)
        yield
