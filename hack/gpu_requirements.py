"""What the GPU image installs of ours: `python -m hack.gpu_requirements` writes server/gpu-requirements.txt.

TensorRT-LLM and our server run in one process, so both are resolved together: what `tensorrt-llm` publishes as its
needs, and our extra `serving`. Packages that would be a second copy of the image's own are left out of the file.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from hack.environment import outside

REPOSITORY = Path(__file__).parents[1]
CONSTRAINTS = REPOSITORY / "server" / "gpu-constraints.txt"
REQUIREMENTS = REPOSITORY / "server" / "gpu-requirements.txt"
PINNED = "tensorrt-llm==1.2.1"
PYTHON = "3.12"

# The image has them, and its libraries are built against, or check the version of, what they find.
OF_THE_IMAGE = ("huggingface-hub", "numpy", "setuptools", "tokenizers")

# What is published in place of NVIDIA's libraries downloads them when it is built: their needs are told here instead.
_STUBS = ("tensorrt", "tensorrt-cu13", "tensorrt-cu13-bindings", "tensorrt-cu13-libs")


class ConflictError(Exception):
    """Our server cannot be installed beside TensorRT-LLM; the message says between which packages."""


def resolved_together(requirements: list[str], constraints: Path = CONSTRAINTS) -> list[str]:
    """Return `name==version` of everything that these and the extra `serving` need together, for Linux on x86-64."""
    return _compile(requirements, ["--constraints", str(constraints)]).split()


def requirements() -> str:
    """Return the text of server/gpu-requirements.txt: our own packages, at versions that fit beside the image's."""
    with tempfile.TemporaryDirectory() as folder:
        together = Path(folder) / "together.txt"
        together.write_text("\n".join(resolved_together([PINNED])), encoding="utf-8")
        left_out = [part for name in OF_THE_IMAGE for part in ("--no-emit-package", name)]
        return _compile([], ["--constraints", str(together), "--generate-hashes", *left_out])


def pinned(text: str) -> list[str]:
    """Return `name==version` of each package that a file of requirements pins."""
    return [line.split()[0] for line in text.splitlines() if line[:1].isalnum()]


def uv() -> str:
    """Return where uv is."""
    return subprocess.run([REPOSITORY / "hack" / "uv.sh"], capture_output=True, text=True, check=True).stdout.strip()


def _compile(requirements: list[str], options: list[str]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        wanted, settings = Path(folder) / "wanted.in", Path(folder) / "uv.toml"
        wanted.write_text("\n".join(requirements), encoding="utf-8")
        settings.write_text(
            "".join(f'[[dependency-metadata]]\nname = "{name}"\nrequires-dist = []\n' for name in _STUBS),
            encoding="utf-8",
        )
        done = subprocess.run(
            [uv(), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--config-file", settings,
             "--python-version", PYTHON, "--python-platform", "x86_64-unknown-linux-gnu",
             REPOSITORY / "pyproject.toml", wanted, "--extra", "serving", *options],
            capture_output=True, text=True, check=False, env=outside(), cwd=folder,
        )  # fmt: skip
    if done.returncode:
        raise ConflictError(done.stderr.strip())
    return done.stdout


def main() -> int:
    """Write the file, or say what conflicts."""
    try:
        REQUIREMENTS.write_text(requirements(), encoding="utf-8")
    except ConflictError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
