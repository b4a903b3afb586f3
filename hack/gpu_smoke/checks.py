"""What a machine has to have before anything is tried. What was found goes in, what is wrong comes out: pure."""

from dataclasses import dataclass
from pathlib import Path

from hack.gpu_smoke.containers import PROGRAMS
from hack.gpu_smoke.gpu import Gpu

LEAST_DRIVER = 580
"""Branch of the driver: the GPU image is built with CUDA 13."""
LEAST_GIGABYTES = 30


@dataclass(frozen=True)
class Machine:
    """What was found on this machine."""

    system: str
    gpu: Gpu | None
    program: str | None
    """The container program."""
    daemon: str
    """Its name and version; "" when it does not answer."""
    daemon_complaint: str
    free_gigabytes: float
    token: Path | None


def problems(machine: Machine) -> list[str]:
    """Return what keeps the run from beginning, each with what to do about it."""
    found = []
    if machine.system != "Linux":
        found.append(f"this is {machine.system}; NVIDIA's containers run on Linux. Use a Linux machine with one GPU.")
    if machine.gpu is None:
        found.append(
            "nvidia-smi does not answer: there is no NVIDIA GPU, or no driver. Install the driver (branch "
            f"{LEAST_DRIVER} or newer) and see that `nvidia-smi` prints a table."
        )
    if machine.program is None:
        found.append(f"none of {', '.join(PROGRAMS)} is on the PATH. Install one, or name one with --runtime.")
    elif not machine.daemon:
        found.append(
            f"`{Path(machine.program).name} ps` fails: {machine.daemon_complaint}. Start it, or give this user the "
            "right to use it."
        )
    if machine.token is not None and not machine.token.is_file():
        found.append("--token-file is not a file. Name one that holds the hub's token and nothing else.")
    return found


def warnings(machine: Machine) -> list[str]:
    """Return what may go wrong later."""
    found = []
    if machine.gpu is not None and machine.gpu.driver_branch < LEAST_DRIVER:
        found.append(
            f"the driver is {machine.gpu.driver}; the GPU image is made for branch {LEAST_DRIVER} and newer. With an "
            "older one it works only by NVIDIA's forward compatibility, which the image may or may not bring."
        )
    if machine.free_gigabytes < LEAST_GIGABYTES:
        found.append(
            f"{machine.free_gigabytes:.0f} GB are free for models and engines; the default models want "
            f"{LEAST_GIGABYTES} GB, and the images 40 GB more where the container program keeps them. See --folder."
        )
    return found
