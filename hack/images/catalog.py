"""The three images and the keys they are tagged with: the same inputs make the same tag, so nothing is built twice."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.layout import REPOSITORY
from hack.images.lockfile import locked_packages


@dataclass(frozen=True)
class Image:
    """One image: a target of a Dockerfile, its dependency stage, and the source it adds last."""

    name: str
    dockerfile: Path
    source: Path
    extras: tuple[str, ...]
    """What it takes from uv.lock."""
    gigabytes: float
    """Peak of the disk that building its dependencies takes (measured): the layer, its temporary tar, the commit."""
    minutes: int
    """About how long that takes on two cores."""
    thin_layers: int = 1
    """So many of its last layers take next to nothing: the source."""

    @property
    def dependencies(self) -> str:
        return f"{self.name}-dependencies"


SERVER_DOCKERFILE = REPOSITORY / "server" / "Dockerfile"
SERVER_SOURCE = REPOSITORY / "server" / "embedplane_server"

IMAGES = (
    Image(
        "operator",
        REPOSITORY / "operator" / "Dockerfile",
        REPOSITORY / "operator" / "embedplane_operator",
        ("operator",),
        1.5,
        1,
    ),
    Image("server", SERVER_DOCKERFILE, SERVER_SOURCE, ("server",), 3, 1),
    Image("exporter", SERVER_DOCKERFILE, SERVER_SOURCE, ("server", "exporter"), 16, 4),
)

# Not one of Embedplane's: what tests run as the server on nodes without a GPU.
IMITATED_GPU = REPOSITORY / "tests" / "support" / "gpu_image"
GPU_IMITATION = Image(
    "gpu-server-imitation",
    IMITATED_GPU / "Containerfile",
    IMITATED_GPU,
    extras=(),
    gigabytes=0.2,
    minutes=0,
    thin_layers=4,  # the serving image's source, two packages, the imitation
)


def dependency_key(image: Image, base: str, torch_index: str) -> str:
    """Return the key of an image without its source."""
    packages = locked_packages((REPOSITORY / "uv.lock").read_text(), image.extras)
    parts = [base.encode(), image.dockerfile.read_bytes(), *(line.encode() for line in packages)]
    if image.name == "exporter":
        parts.append(torch_index.encode())
    return _short_hash([image.name.encode(), *parts])


def image_key(image: Image, dependencies: str) -> str:
    """Return the key of a whole image."""
    return _short_hash([dependencies.encode(), *_contents(image.source)])


def _contents(folder: Path) -> Iterable[bytes]:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            yield str(file.relative_to(folder)).encode()
            yield file.read_bytes()


def _short_hash(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:12]
