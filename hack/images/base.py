"""The base image where no registry can be reached: Debian with Python, from the package mirror, by debootstrap."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from hack.cluster.progress import SetupError, step
from hack.images.builders import Buildah

SUITE = "bookworm"
PACKAGES = ("ca-certificates", "python3", "python3-venv")
DEFAULT_MIRROR = "http://deb.debian.org/debian"

# Nothing in a container reads these.
REMOVED = (
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/cache/debconf",
    "var/lib/apt/lists",
    "var/log",
)


def base_tag() -> str:
    key = hashlib.sha256(repr((SUITE, PACKAGES, REMOVED)).encode()).hexdigest()[:12]
    return f"localhost/embedplane/base:{key}"


def ensure_base(builder: Buildah) -> str:
    """Build the base image unless it is there, and return its tag."""
    tag = base_tag()
    if builder.holds(tag):
        return tag
    root = builder.folder / "base"
    shutil.rmtree(root, ignore_errors=True)
    with step(f"base image: Debian {SUITE} with Python (debootstrap)"):
        try:
            _debootstrap(root)
            builder.import_root(root, tag)
        finally:
            shutil.rmtree(root, ignore_errors=True)
    return tag


def _debootstrap(root: Path) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    # In a mount namespace: a killed debootstrap then leaves no /proc mounted in what is deleted next time.
    isolated = ["unshare", "--mount", "debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    command = [*isolated, SUITE, str(root), _mirror()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"{' '.join(command)} failed: {(done.stdout + done.stderr).strip()[-2000:]}")
    for name in REMOVED:
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir(parents=True)


def _mirror() -> str:
    """Return the mirror that this machine's apt uses for the suite."""
    command = ["apt-get", "indextargets", "--format", "$(SITE)", f"Codename: {SUITE}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.split()[0] if done.stdout.strip() else DEFAULT_MIRROR
