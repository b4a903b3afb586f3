"""What the GPU image installs of ours fits beside TensorRT-LLM 1.2.1, by what that publishes as its needs.

Asks the package index. Of NVIDIA's libraries only names are there, so no build of the image is proven by this.
"""

import subprocess
import tomllib
from pathlib import Path

import pytest

from hack.environment import outside
from hack.gpu_requirements import (
    OF_THE_IMAGE,
    PINNED,
    REPOSITORY,
    REQUIREMENTS,
    ConflictError,
    pinned,
    resolved_together,
    uv,
)


def names(requirements) -> set[str]:
    return {each.split("==")[0].split(">=")[0].strip().lower() for each in requirements}


def test_the_file_holds_all_that_serving_needs_and_none_of_the_images_own():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = names([*project["dependencies"], *project["optional-dependencies"]["serving"]])
    given = names(pinned(REQUIREMENTS.read_text(encoding="utf-8")))

    assert needed - given <= set(OF_THE_IMAGE)
    assert given.isdisjoint(OF_THE_IMAGE)


@pytest.mark.provisioned
def test_the_file_and_what_tensorrt_llm_needs_can_be_installed_together():
    found = dict(each.split("==") for each in resolved_together([PINNED, *pinned(REQUIREMENTS.read_text())]))

    assert found["tensorrt-llm"] == "1.2.1"
    assert found["transformers"] == "4.57.3"
    assert found["numpy"].startswith("1.")
    assert tuple(map(int, found["fastapi"].split("."))) <= (0, 121, 3)


@pytest.mark.provisioned
def test_a_conflict_is_told_with_the_names_of_both():
    with pytest.raises(ConflictError, match=r"tensorrt-llm(.|\n)*numpy>=2|numpy>=2(.|\n)*tensorrt-llm"):
        resolved_together([PINNED, "numpy>=2"], Path("/dev/null"))


@pytest.mark.provisioned
def test_the_server_answers_beside_the_images_libraries(tmp_path):
    """The image's versions of what it shares with us; its Python where there is one, else ours."""
    python = "3.12" if subprocess.run([uv(), "python", "find", "3.12"], capture_output=True).returncode == 0 else "3.11"
    of_the_image = ["numpy==1.26.4", "tokenizers==0.22.2", "huggingface-hub==0.36.2"]
    tools = ["pytest", "pytest-asyncio", "pytest-timeout", "httpx", "hypothesis", "openai", "safetensors"]
    environment = {**outside(), "VIRTUAL_ENV": str(tmp_path / "venv"), "UV_PYTHON_DOWNLOADS": "never"}

    def run(*call):
        done = subprocess.run(call, capture_output=True, text=True, env=environment, cwd=REPOSITORY)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
        return done.stdout

    run(uv(), "venv", "--quiet", "--python", python, tmp_path / "venv")
    run(uv(), "pip", "install", "--quiet", "--no-deps", "-r", REQUIREMENTS)
    run(uv(), "pip", "install", "--quiet", *of_the_image, *pinned(REQUIREMENTS.read_text()), *tools)
    environment["PYTHONPATH"] = f"{REPOSITORY / 'server'}:{REPOSITORY / 'operator'}:{REPOSITORY}"
    tests = sorted((REPOSITORY / "tests/unit/embedplane_server").glob("test_*_wire.py"))
    assert len(tests) > 5
    told = run(tmp_path / "venv/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)

    assert " passed" in told
    assert "failed" not in told
