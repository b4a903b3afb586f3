"""What hack/ reads of this process's environment, with the defaults, and what programs that it starts get of it.

Reads at each call, for tests change the environment. Shell scripts know only the cache besides (`uv.sh`, `test.sh`).
"""

import os
from pathlib import Path

SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PACKAGE_SETTINGS = (
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
"""Settings of uv, pip and proxies."""


def outside() -> dict[str, str]:
    """Return it for a server's process, which refuses the EMBEDPLANE_ variables of the run itself as typos."""
    return {name: value for name, value in os.environ.items() if not name.startswith("EMBEDPLANE_")}


def extended(**own: str) -> dict[str, str]:
    """Return it with variables of a program's own."""
    return {**os.environ, **own}


def package_settings() -> dict[str, str]:
    """Return what is set of where packages come from."""
    return {name: value for name in PACKAGE_SETTINGS if (value := os.environ.get(name))}


def search_path() -> str:
    """Return where programs are looked for."""
    return os.environ.get("PATH", os.defpath)


def user() -> str:
    """Return who runs this, empty where nobody says."""
    return os.environ.get("USER", "")


def cache() -> Path:
    """Return the folder for all that is built and kept; absolute."""
    base = _path("XDG_CACHE_HOME", Path.home() / ".cache")
    return _path("EMBEDPLANE_CACHE", base / "embedplane").absolute()


def uv_cache() -> Path:
    """Return where the developer's uv keeps wheels."""
    return _path("UV_CACHE_DIR", Path.home() / ".cache" / "uv")


def certificates() -> Path:
    """Return the bundle of certificates that this machine trusts."""
    return _path("SSL_CERT_FILE", SYSTEM_CERTIFICATES)


def base_image() -> str:
    """Return the image that images are built on; empty for one made of this machine's Debian."""
    return os.environ.get("EMBEDPLANE_BASE_IMAGE", "")


def torch_index() -> str:
    """Return the package index that torch comes from; empty for the usual one."""
    return os.environ.get("EMBEDPLANE_TORCH_INDEX", "")


def kubeconfig() -> Path:
    """Return the kubeconfig of this user."""
    return _path("KUBECONFIG", Path.home() / ".kube" / "config")


def chosen_context() -> str:
    """Return the context of the cluster to use; empty for kind, else our own."""
    return os.environ.get("EMBEDPLANE_KUBECONTEXT", "")


def registry() -> str:
    """Return the registry that the nodes of the chosen cluster pull from, empty where nobody says."""
    return os.environ.get("EMBEDPLANE_REGISTRY", "")


def host_address() -> str:
    """Return the address of this machine as pods of the chosen cluster see it."""
    return os.environ.get("EMBEDPLANE_HOST_ADDRESS", "127.0.0.1")


def prometheus() -> str:
    """Return the URL of the chosen cluster's Prometheus, empty where it has none."""
    return os.environ.get("EMBEDPLANE_PROMETHEUS", "")


def _path(name: str, default: Path) -> Path:
    return Path(os.environ.get(name) or default)
