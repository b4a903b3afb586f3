"""What the CPU of this machine can do, as far as engines depend on it."""

import math
import os
import platform
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_ARCHITECTURES = {"amd64": "x86-64", "x86_64": "x86-64", "aarch64": "arm64"}

# From the most capable class downwards: name, and the CPU flags that make it (x86-64, then Arm).
_CLASSES = (
    ("amx-bf16", {"amx_bf16"}),
    ("avx512-bf16", {"avx512_bf16"}),
    ("avx512", {"avx512f", "avx512bw", "avx512vl"}),
    ("avx2", {"avx2", "fma"}),
    ("bf16", {"bf16"}),
)
_WITH_BFLOAT16 = ("amx-bf16", "avx512-bf16", "bf16")
# All CPUs of these classes add products of 8 bits without an intermediate sum that may overflow (VNNI, AMX).
_WITH_INT8 = ("amx-bf16", "avx512-bf16")


class Machine(Protocol):
    """What an engine runs on: a class of CPUs, or a GPU (`gpu.py`)."""

    @property
    def architecture(self) -> str:
        """Of the CPU, in either case."""
        ...

    @property
    def variant(self) -> str:
        """The name of an engine that is built here, beside the others of its key."""
        ...

    @property
    def kind(self) -> str:
        """What of it decides how fast a kernel is: machines of one kind may use each other's measurements."""
        ...

    @property
    def facts(self) -> dict[str, str]:
        """What else is to be known of it in the manifest of an engine."""
        ...

    def can_run(self, variant: str, precision: str) -> bool:
        """Say whether an engine of a variant runs here as it was proven."""
        ...

    def is_served_by(self, variant: str) -> bool:
        """Say whether an engine of a variant is as good here as one that is built here."""
        ...


@dataclass(frozen=True, slots=True)
class MachineClass:
    """A class of CPUs that run the same engines at about the same speed."""

    architecture: str
    instructions: str

    @property
    def variant(self) -> str:
        return f"{self.architecture}-{self.instructions}"

    @property
    def kind(self) -> str:
        return self.variant

    @property
    def facts(self) -> dict[str, str]:
        return {}

    @property
    def has_bfloat16(self) -> bool:
        return self.instructions in _WITH_BFLOAT16

    @property
    def has_int8(self) -> bool:
        return self.instructions in _WITH_INT8

    def can_run(self, variant: str, precision: str) -> bool:
        """Say whether an engine of a variant runs here as it was proven: all but float32 needs instructions for it."""
        able = {"float32": True, "int8": self.has_int8}.get(precision, self.has_bfloat16)
        return variant.startswith(f"{self.architecture}-") and able

    def is_served_by(self, variant: str) -> bool:
        """Only this class's own has the precision that is fastest here."""
        return variant == self.variant


def machine_class(cpuinfo: Path = Path("/proc/cpuinfo")) -> MachineClass:
    """Return the class of this machine."""
    return classify(architecture(), _flags(cpuinfo))


def architecture() -> str:
    """Return the CPU's architecture."""
    machine = platform.machine().lower()
    return _ARCHITECTURES.get(machine, machine)


def classify(architecture: str, flags: Collection[str]) -> MachineClass:
    """Return the class that CPU flags make."""
    instructions = next((name for name, needed in _CLASSES if needed <= set(flags)), "baseline")
    return MachineClass(architecture, instructions)


def _flags(cpuinfo: Path) -> set[str]:
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.partition(":")[2].split()}


def usable_cpus(cpu_max: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return how many CPUs this process may use: its container's limit, else those it may run on."""
    available = len(os.sched_getaffinity(0))
    try:
        quota, period = cpu_max.read_text(encoding="utf-8").split()
        limit = max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        return available
    return min(available, limit)
