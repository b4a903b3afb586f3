"""Container images of a few static files, written by hand as docker-archives: no builder, no registry.

The images that the cluster itself needs (sandbox, DNS, storage helper) are this small. Embedplane's own: hack/images.
"""

import hashlib
import io
import json
import platform
import tarfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Image:
    """Files by their path in the image; a string instead of a file is a symbolic link to it."""

    tag: str
    files: dict[str, Path | str]
    entrypoint: tuple[str, ...]


def write_archive(image: Image, target: Path) -> None:
    """Write the image as a docker-archive with one uncompressed layer."""
    layer = _layer(image.files)
    digest = hashlib.sha256(layer).hexdigest()
    configuration = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
        "os": "linux",
        "config": {"Entrypoint": list(image.entrypoint), "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    raw = json.dumps(configuration).encode()
    name = f"{hashlib.sha256(raw).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [image.tag], "Layers": [f"{digest}.tar"]}]
    parts = {f"{digest}.tar": layer, name: raw, "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(target, "w") as archive:
        for part, content in parts.items():
            _add(archive, part, content, mode=0o644)


def _layer(files: dict[str, Path | str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            if isinstance(content, Path):
                _add(archive, name, content.read_bytes(), mode=0o755)
            else:
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, content
                archive.addfile(link)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
