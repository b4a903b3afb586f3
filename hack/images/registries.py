"""How a build reaches the package registry: this machine's index settings and certificates, handed over as secrets.

They are mounted while a step runs, so neither settings nor certificates get into a layer, the history or a commit.
"""

import shlex
import subprocess
import sys
from pathlib import Path

from hack import environment


def write_secrets(folder: Path, cache_in_container: str | None) -> dict[str, Path]:
    """Write the secrets into a folder of this user and return them by id."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    settings = environment.package_settings()
    index = _pip_setting("global.index-url")
    if index is not None:
        settings.setdefault("PIP_INDEX_URL", index)
    if "PIP_INDEX_URL" in settings and not settings.keys() & {"UV_DEFAULT_INDEX", "UV_INDEX_URL"}:
        settings["UV_DEFAULT_INDEX"] = settings["PIP_INDEX_URL"]
    secrets = {"registry": folder / "registry"}
    bundle = environment.certificates()
    if bundle.exists():
        secrets["certificates"] = folder / "certificates"
        secrets["certificates"].write_bytes(bundle.read_bytes())
        settings |= {"SSL_CERT_FILE": "/run/secrets/certificates", "PIP_CERT": "/run/secrets/certificates"}
    if cache_in_container is not None:
        settings["UV_CACHE_DIR"] = cache_in_container
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(settings.items())]
    secrets["registry"].write_text("".join(lines))
    return secrets


def _pip_setting(name: str) -> str | None:
    """Return a setting of pip's configuration files, if there is a pip."""
    command = [sys.executable, "-m", "pip", "config", "get", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None
