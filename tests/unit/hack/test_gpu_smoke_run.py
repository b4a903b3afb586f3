"""hack/gpu-smoke.sh from its first line to the report, on a machine whose containers are this checkout's Python.

NVIDIA's libraries are imitated over the CPU. Real are the steps, the store, the servers, sentence-transformers and all
that looks at them.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from hack.environment import outside
from tests.support import fake_docker
from tests.support.rendering import ROOT
from tests.support.tensorrt.families import save

IMAGES = ("--gpu-image", "registry.internal/gpu:1", "--exporter-image", "registry.internal/exporter:1")
QUICK = ("--seconds", "0.1", "--in-flight", "1")


@dataclass(frozen=True)
class Smoke:
    """How the command ended."""

    exit_code: int
    report: str
    said: str

    def rows(self, heading: str) -> list[list[str]]:
        """Return the cells of the table below a heading."""
        table = self.report.partition(f"## {heading}\n")[2].partition("\n## ")[0]
        lines = [line for line in table.splitlines() if line.startswith("| ")]
        return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def smoke(tmp_path: Path, *arguments: str, **variables: str) -> Smoke:
    """Run the script as a person would, with our programs first on the PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    fake_docker.install(programs)
    (tmp_path / "work").mkdir()
    report = tmp_path / "report.md"
    done = subprocess.run(
        [ROOT / "hack" / "gpu-smoke.sh", "--folder", tmp_path / "work", "--report", report, *arguments],
        env={**outside(), "PATH": f"{programs}:{os.environ['PATH']}", "PYTHON": sys.executable, **variables},
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=600,
    )  # fmt: skip
    return Smoke(done.returncode, report.read_text() if report.exists() else "", done.stderr)


@pytest.mark.model
def test_a_model_goes_all_the_way_and_the_report_says_so(tmp_path):
    # A small model and window keep the steps short.
    model = save("bert", tmp_path / "model")
    done = smoke(tmp_path, "--models", f"{model}=tensorrt@64", *IMAGES, *QUICK)

    assert done.exit_code == 0, done.said + done.report
    assert {row[3] for row in done.rows("Steps")} == {"passed"}
    ((model, backend, result, _, built, served, *speeds, starts, memory),) = done.rows("Models")
    assert (model, backend, result, memory) == ("model (64 tokens)", "tensorrt", "passed", "1234 / 1234")
    assert all(0.999 <= float(cosine) <= 1.000001 for pair in (built, served) for cosine in pair.split(" / "))
    assert all(float(speed) > 0 for speed in speeds)
    assert len(starts.split(" / ")) == 2
    assert "EngineIncompatible, exit code 66, this machine is nvidia-l4-sm89-r580" in done.report
    assert "| API as pinned | yes |" in done.report
    assert re.search(r"\| GPU image \| .*TensorRT 10\.14\.1\.48", done.report)
    assert_it_names_nothing_of_this_machine(done.report, tmp_path)


def test_what_fails_is_told_and_the_next_is_tried(tmp_path):
    empty = [tmp_path / "first", tmp_path / "second"]
    for folder in empty:
        folder.mkdir()
    models = [f"{folder}=tensorrt-llm" for folder in empty]
    token = tmp_path / "token"
    token.write_text("hf_of_the_tests_only\n")
    done = smoke(tmp_path, "--models", *models, *IMAGES, "--token-file", str(token))

    assert done.exit_code == 1
    kept = [file for file in (tmp_path / "work").rglob("*") if file.is_file()]
    assert not [file for file in kept if b"hf_of_the_tests_only" in file.read_bytes()]
    results = {(row[0], row[2]): row[3] for row in done.rows("Steps")}
    for name in ("first", "second"):
        assert results[name, "fetch"] == "**failed**"
        assert results[name, "build"] == "not tried"
        assert re.search(rf"### {name}, tensorrt-llm, fetch\n\n\w+ \(exit code 64\): .+\n\n```\n", done.report)
    # Nobody imitates TensorRT-LLM here, and the report says so.
    assert results["", "API as pinned"] == "**failed**"
    assert "| API as pinned | no: tensorrt-llm: " in done.report
    assert_it_names_nothing_of_this_machine(done.report, tmp_path)


def test_without_its_images_nothing_is_tried(tmp_path):
    done = smoke(tmp_path, "--models", "a/b=tensorrt", **{fake_docker.FAILS: "gpu-server"})

    assert done.exit_code == 1
    assert [row[2:4] for row in done.rows("Steps")] == [["GPU image", "**failed**"], ["exporter image", "passed"]]
    assert "the target gpu-server of server/Dockerfile cannot be built" in done.report
    assert "fake docker: gpu-server fails as asked in <folder>" in done.report


def test_a_container_without_the_gpu_is_told_with_the_remedy(tmp_path):
    done = smoke(tmp_path, "--models", "a/b=tensorrt", *IMAGES, **{fake_docker.FAILS: "nvidia-smi"})

    assert done.exit_code == 1
    assert "Install NVIDIA's container toolkit and configure docker with it" in done.report


def test_a_machine_that_cannot_begin_is_told_why(tmp_path):
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    for program in ("bash", "dirname", "git"):
        (nothing / program).symlink_to(shutil.which(program) or "")
    done = subprocess.run(
        [ROOT / "hack" / "gpu-smoke.sh"], env={"PATH": str(nothing), "PYTHON": sys.executable, "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip

    assert done.returncode == 2
    assert "nvidia-smi does not answer" in done.stderr
    assert "none of docker, podman, nerdctl is on the PATH" in done.stderr
    assert not (tmp_path / "gpu-smoke-report.md").exists()


def test_an_old_python_is_told_what_to_install(tmp_path):
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    (tmp_path / "dirname").symlink_to(shutil.which("dirname") or "")
    (tmp_path / "bash").symlink_to(shutil.which("bash") or "")
    done = subprocess.run(
        [ROOT / "hack" / "gpu-smoke.sh"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "needs Python 3.11 or newer" in done.stderr


def assert_it_names_nothing_of_this_machine(report: str, folder: Path) -> None:
    named = [str(folder), str(ROOT), socket.gethostname(), "registry.internal"]
    assert [each for each in named if each in report] == []
