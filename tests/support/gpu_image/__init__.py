"""NVIDIA's libraries and tool, imitated: what the image of tests for GPU nodes has in their place (Containerfile).

`packages` goes before everything else on Python's path, `tools` on the PATH. Everything above them is production code.
"""

import os
from pathlib import Path

PACKAGES = Path(__file__).parent / "packages"
TOOLS = Path(__file__).parent / "tools"
DRIVER = "IMITATED_DRIVER"
"""The variable by which a pod, or a process, sees another driver than its node has."""


def on_a_gpu(environment: dict[str, str]) -> dict[str, str]:
    """Return the environment of a process that finds the imitation."""
    path = os.pathsep.join(each for each in (str(PACKAGES), environment.get("PYTHONPATH")) if each)
    return {**environment, "PYTHONPATH": path, "PATH": f"{TOOLS}{os.pathsep}{environment['PATH']}"}
