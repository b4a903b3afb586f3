"""The form of the report, as tests/data/gpu-smoke/report.md; EMBEDPLANE_WRITE_GOLDEN=1 writes it anew."""

import os
from dataclasses import replace

from hack.gpu_smoke.outcome import About, Api, Run, Step, TrialOutcome
from hack.gpu_smoke.plan import trials_of
from hack.gpu_smoke.report import report
from hack.gpu_smoke.trial import STEPS
from tests.support.rendering import ROOT

GOLDEN = ROOT / "tests" / "data" / "gpu-smoke" / "report.md"
PASSED, FAILED = trials_of(
    ["sentence-transformers/all-MiniLM-L6-v2=tensorrt-llm", "Qwen/Qwen3-Embedding-0.6B=tensorrt@8192"]
)
ABOUT = About(
    gpu="NVIDIA L4",
    compute_capability="8.9",
    megabytes=23034,
    driver="580.95.05",
    driver_cuda="13.0",
    runtime="Docker version 29.0.1",
    architecture="x86_64",
    commit="0123456789abcdef0123456789abcdef01234567",
    images={"gpu-server": "sha256:" + "1" * 64, "exporter": "sha256:" + "2" * 64},
)
PREPARATION = [
    Step("GPU image", "passed", 612.3, "sha256:" + "1" * 64),
    Step("API as pinned", "failed", 9.1, "the libraries of the GPU image are not those that this version calls"),
]


def a_run() -> Run:
    passed = TrialOutcome(
        PASSED,
        [Step(name, "passed", 1.5, f"what {name} found") for name in STEPS],
        precision="float16",
        built_cosines=(0.999951, 0.999989),
        served_cosines=(0.999962, 0.999991),
        speeds={"short": 90123.4, "mixed": 150000.0, "long": 140000.6},
        start_seconds=(8.21, 6.0),
        build_megabytes=2345,
        serve_megabytes=1234,
    )
    tail = "[TRT] [E] out of memory\nOutOfMemory: it does not fit"
    steps = [
        Step("fetch", "passed", 30.0, "vs1-0, 1024 dimensions, 8192 tokens"),
        Step("export", "passed", 240.0, "a|b"),
    ]
    steps += [Step("build", "failed", 300.0, "OutOfMemory (exit code 64): it does not fit", tail)]
    steps += [Step(name, "not tried") for name in STEPS if name not in ("fetch", "export", "build")]
    api = Api({"Python": "3.12.3", "TensorRT": "10.14.1.48", "TensorRT-LLM": "1.2.1"}, ["nptype is missing"])
    return Run(ABOUT, PREPARATION, api, [passed, TrialOutcome(FAILED, steps)])


def test_a_report_looks_like_this():
    text = report(a_run())
    if os.environ.get("EMBEDPLANE_WRITE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_a_run_has_passed_when_all_its_steps_have():
    run = a_run()
    passed = replace(run, preparation=run.preparation[:1], trials=run.trials[:1])
    assert passed.has_passed
    assert report(passed).startswith("# Embedplane on NVIDIA L4: all passed (1 of 1 models and backends)")
    assert "Failures" not in report(passed)
    assert not replace(passed, trials=run.trials).has_passed
    assert not replace(passed, preparation=run.preparation).has_passed
    assert not replace(passed, trials=[]).has_passed
