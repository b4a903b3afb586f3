"""How a build reaches the package registry: this machine's index settings and certificates, handed over as secrets.

They are mounted while a step runs, so neither settings nor certificates get into a layer, the history or a commit.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

# Settings of uv, pip and proxies that say where packages come from.
PASSED_ON = (
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "PIP_EXTRA_INDEX_URL",
    "PIP_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_INSECURE_HOST",
)
SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def write_secrets(folder: Path, cache_in_container: str | None) -> dict[str, Path]:
    """Write the secrets into a folder of this user and return them by id."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    settings = {name: os.environ[name] for name in PASSED_ON if os.environ.get(name)}
    index = _pip_setting("global.index-url")
    if index is not None:
        settings.setdefault("PIP_INDEX_URL", index)
    if "PIP_INDEX_URL" in settings and not settings.keys() & {"UV_DEFAULT_INDEX", "UV_INDEX_URL"}:
        settings["UV_DEFAULT_INDEX"] = settings["PIP_INDEX_URL"]
    secrets = {"registry": folder / "registry"}
    bundle = Path(os.environ.get("SSL_CERT_FILE") or SYSTEM_BUNDLE)
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
