"""The Debian packages of the local cluster: which are missing, and how to get them.

Looks for what a package provides rather than for its name, so that a machine that has it from elsewhere (Docker's
containerd, say) is left alone.
"""

import os
import shutil
import subprocess
from pathlib import Path

from hack import environment
from hack.cluster.progress import SetupError, step

# package -> a command on the PATH, or an absolute path, that shows it is there
CLUSTER_PACKAGES = {
    "busybox-static": "/bin/busybox",
    "containerd": "containerd",
    "containernetworking-plugins": "/usr/lib/cni/ptp",
    "gcc": "gcc",
    "iproute2": "ip",
    "libc6-dev": "/usr/include/stdlib.h",
    "nftables": "nft",
    "openssl": "openssl",
    "procps": "sysctl",
    "runc": "runc",
    "util-linux": "nsenter",
}
IMAGE_PACKAGES = {"buildah": "buildah", "debootstrap": "debootstrap", "skopeo": "skopeo"}


def install_missing(packages: dict[str, str]) -> None:
    """Install those of the packages whose command or file is not there."""
    missing = [package for package, shows in packages.items() if not _is_present(shows)]
    if not missing:
        return
    if os.geteuid() != 0:
        raise SetupError(
            f"missing Debian packages: {' '.join(missing)}. Run as root, or: apt-get install {' '.join(missing)}"
        )
    if shutil.which("apt-get") is None:
        raise SetupError(f"this machine has no apt-get. Install by hand what provides: {', '.join(packages.values())}")
    with step(f"install Debian packages: {' '.join(missing)}"):
        _apt_get("update", "-q")
        _apt_get("install", "-q", "-y", "--no-install-recommends", *missing)


def _is_present(shows: str) -> bool:
    return Path(shows).exists() if shows.startswith("/") else shutil.which(shows, path=_search_path()) is not None


def _search_path() -> str:
    """Return the PATH with the folders that root has and a user's shell may lack."""
    return f"{environment.search_path()}:/usr/sbin:/sbin"


def _apt_get(*arguments: str) -> None:
    # RUNLEVEL=1: the packages start no service; the cluster runs its own containerd inside its nodes.
    around = environment.extended(DEBIAN_FRONTEND="noninteractive", RUNLEVEL="1")
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", *arguments]
    done = subprocess.run(command, env=around, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
