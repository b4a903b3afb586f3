"""The cgroups that the kubelets use as their root: one below `embedplane/` for each node, v1 and v2."""

import time
from pathlib import Path

from hack.cluster.progress import SetupError

ROOT = Path("/sys/fs/cgroup")
CONTROLLERS = ("cpu", "cpuset", "memory", "pids")


def is_unified() -> bool:
    """Tell whether this machine has cgroup v2 only."""
    return (ROOT / "cgroup.controllers").exists()


def make_cgroup(name: str) -> None:
    """Create the cgroup in every hierarchy: the kubelet wants its root to exist."""
    if is_unified():
        _make_unified(name)
        return
    for hierarchy in ROOT.iterdir():
        if (hierarchy / "cgroup.procs").exists():
            (hierarchy / name).mkdir(parents=True, exist_ok=True)
    _fill_cpuset(ROOT / "cpuset", name)


def _make_unified(name: str) -> None:
    folder = ROOT
    for part in ("", *Path(name).parts):
        folder = folder / part
        folder.mkdir(exist_ok=True)
        for controller in CONTROLLERS:
            if controller in (folder / "cgroup.controllers").read_text().split():
                (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def _fill_cpuset(hierarchy: Path, name: str) -> None:
    """A new v1 cpuset is empty, and no process may enter an empty one: copy the parent's, from the top down."""
    folder = hierarchy
    for part in Path(name).parts:
        parent, folder = folder, folder / part
        for file in ("cpuset.cpus", "cpuset.mems"):
            if not (folder / file).read_text().strip():
                (folder / file).write_text((parent / file).read_text())


def remove_cgroups(name: str, within: float = 10.0) -> None:
    """Remove a cgroup with all below it, waiting for the dead to leave."""
    deadline = time.monotonic() + within
    while any(not _removed(folder) for folder in _hierarchies(name)):
        if time.monotonic() > deadline:
            raise SetupError(f"the cgroup {name} is still in use: processes that the cluster did not record run in it")
        time.sleep(0.1)


def _hierarchies(name: str) -> list[Path]:
    return [folder for folder in (ROOT / name, *(ROOT.glob(f"*/{name}"))) if folder.is_dir()]


def _removed(folder: Path) -> bool:
    # Only folders can be removed here, innermost first; the files in them go by themselves.
    for each in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        if not _rmdir(each):
            return False
    return _rmdir(folder)


def _rmdir(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
