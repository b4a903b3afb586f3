"""The two programs that can build and publish an image: Docker where its daemon answers, else buildah with skopeo.

Both keep what they build under the same local names; publish.py says which names.
"""

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hack import environment
from hack.cluster.layout import REPOSITORY
from hack.cluster.progress import SetupError
from hack.images.registries import write_secrets

HOST_CACHE_IN_CONTAINER = "/host-uv-cache"


@dataclass(frozen=True)
class Recipe:
    """One `build` call."""

    tag: str
    dockerfile: Path
    target: str
    arguments: dict[str, str] = field(default_factory=dict)


class Builder(Protocol):
    """What publish.py needs of a build program."""

    def holds(self, tag: str) -> bool: ...

    def build(self, recipe: Recipe) -> None: ...

    def push(self, tag: str, reference: str, *, plain_http: bool) -> None: ...

    def tags(self) -> Iterable[str]: ...

    def remove(self, tag: str) -> None: ...

    def prune(self) -> None: ...


@dataclass(frozen=True)
class Buildah:
    """buildah with its own storage below our cache, so that it can be dropped as a whole."""

    folder: Path

    def holds(self, tag: str) -> bool:
        return _run(["buildah", "inspect", "--type", "image", tag], self._environment(), check=False) is not None

    def build(self, recipe: Recipe) -> None:
        uv_cache = environment.uv_cache()
        shares_cache = uv_cache.is_dir()
        secrets = write_secrets(self.folder / "secrets", HOST_CACHE_IN_CONTAINER if shares_cache else None)
        # The developer's own uv cache has most wheels already; a cache mount would fetch and keep a second copy.
        volumes = ["--volume", f"{uv_cache}:{HOST_CACHE_IN_CONTAINER}:rw"] if shares_cache else []
        resolver = ["--volume", "/etc/resolv.conf:/etc/resolv.conf:ro"]
        command = ["buildah", "bud", "--layers", "--quiet", "--file", str(recipe.dockerfile), "--target", recipe.target]
        command += ["--tag", recipe.tag, *volumes, *resolver, *_secret_options(secrets)]
        command += [f"--build-arg={name}={value}" for name, value in recipe.arguments.items()]
        try:
            _run([*command, str(REPOSITORY)], self._environment())
        finally:
            shutil.rmtree(self.folder / "secrets", ignore_errors=True)
            shutil.rmtree(self.folder / "tmp", ignore_errors=True)  # buildah keeps its cache mounts there

    def push(self, tag: str, reference: str, *, plain_http: bool) -> None:
        # --preserve-digests forbids skopeo to touch a blob, so layers go up as plain tar: to a registry on this machine
        # that is ten times faster than compressing them.
        options = ["--preserve-digests", "--dest-tls-verify=false"] if plain_http else []
        source, target = f"containers-storage:{tag}", f"docker://{reference}"
        _run(["skopeo", "copy", "--quiet", *options, source, target], self._environment())

    def tags(self) -> Iterable[str]:
        listed = _run(["buildah", "images", "--format", "{{.Name}}:{{.Tag}}"], self._environment(), check=False)
        return [tag for tag in (listed or "").split() if "<none>" not in tag]

    def remove(self, tag: str) -> None:
        _run(["buildah", "rmi", tag], self._environment(), check=False)  # another image may build on it: then it stays

    def prune(self) -> None:
        _run(["buildah", "rm", "--all"], self._environment(), check=False)  # what a killed build left
        _run(["buildah", "rmi", "--prune", "--force"], self._environment(), check=False)

    def import_root(self, root: Path, tag: str) -> None:
        """Make an image of one layer out of a folder that holds a root file system."""
        container = _run(["buildah", "from", "scratch"], self._environment())
        assert container is not None
        try:
            _run(["buildah", "copy", "--quiet", container, f"{root}/", "/"], self._environment())
            _run(["buildah", "config", "--cmd", "python3", container], self._environment())
            _run(["buildah", "commit", "--quiet", container, tag], self._environment())
        finally:
            _run(["buildah", "rm", container], self._environment(), check=False)

    def _environment(self) -> dict[str, str]:
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "storage.conf"
        if not configuration.exists():
            roots = f'graphroot = "{self.folder}/storage"\nrunroot = "{self.folder}/run"\n'
            configuration.write_text(f'[storage]\ndriver = "overlay"\n{roots}')
        return environment.extended(
            BUILDAH_ISOLATION="chroot",
            CONTAINERS_STORAGE_CONF=str(configuration),
            TMPDIR=str(self.folder / "tmp"),
        )


@dataclass(frozen=True)
class Docker:
    """Docker with BuildKit."""

    folder: Path

    def holds(self, tag: str) -> bool:
        return _run(["docker", "image", "inspect", tag], check=False) is not None

    def build(self, recipe: Recipe) -> None:
        secrets = write_secrets(self.folder / "secrets", None)
        command = ["docker", "build", "--quiet", "--file", str(recipe.dockerfile), "--target", recipe.target]
        command += ["--tag", recipe.tag, *_secret_options(secrets)]
        command += [f"--build-arg={name}={value}" for name, value in recipe.arguments.items()]
        try:
            _run([*command, str(REPOSITORY)], environment.extended(DOCKER_BUILDKIT="1"))
        finally:
            shutil.rmtree(self.folder / "secrets", ignore_errors=True)

    def push(self, tag: str, reference: str, *, plain_http: bool) -> None:
        del plain_http  # the daemon's own configuration says which registries are insecure
        _run(["docker", "tag", tag, reference])
        _run(["docker", "push", "--quiet", reference])

    def tags(self) -> Iterable[str]:
        return (_run(["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]) or "").split()

    def remove(self, tag: str) -> None:
        _run(["docker", "image", "rm", tag], check=False)

    def prune(self) -> None:
        """Leave Docker's build cache alone: it is the user's, and BuildKit collects it by itself."""


def docker_answers() -> bool:
    """Tell whether a Docker daemon answers; the program alone proves nothing."""
    if shutil.which("docker") is None:
        return False
    done = subprocess.run(["docker", "info", "--format", "{{.ID}}"], capture_output=True, text=True, check=False)
    return done.returncode == 0 and bool(done.stdout.strip())


def _secret_options(secrets: dict[str, Path]) -> list[str]:
    return [f"--secret=id={name},src={path}" for name, path in secrets.items()]


def _run(command: list[str], environment: dict[str, str] | None = None, *, check: bool = True) -> str | None:
    """Run a program; return what it printed, or None when it failed and that may be."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return done.stdout.strip()
    if check:
        raise SetupError(f"{' '.join(command)} failed:\n{(done.stderr or done.stdout).strip()[-3000:]}")
    return None
