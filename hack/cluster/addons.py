"""What the cluster needs inside itself: the images of its own pods, storage classes, names."""

import subprocess
from pathlib import Path

from hack.cluster.archive import Image, write_archive
from hack.cluster.components import HELPER_IMAGE
from hack.cluster.configuration import PAUSE_IMAGE
from hack.cluster.kubernetes import apply
from hack.cluster.layout import CONTROL_PLANE, NODES, SOURCES, Layout, Node
from hack.cluster.progress import SetupError

BUSYBOX = Path("/bin/busybox")


def _images(layout: Layout) -> list[tuple[Image, tuple[Node, ...]]]:
    """Return the images and the nodes that need them. They are imported, so the registry may be empty."""
    pause, coredns = layout.binaries / "pause", layout.binaries / "coredns"
    programs: dict[str, Path | str] = {f"bin/{name}": "busybox" for name in ("sh", "mkdir", "rm")}
    return [
        (Image(PAUSE_IMAGE, {"pause": pause}, ("/pause",)), NODES),
        (Image(HELPER_IMAGE, {"bin/busybox": BUSYBOX, **programs}, ("/bin/sh",)), NODES),
        (Image("localhost/coredns:1", {"coredns": coredns}, ("/coredns",)), (CONTROL_PLANE,)),
    ]


def import_images(layout: Layout) -> None:
    """Import into each node's containerd what it does not hold yet."""
    for image, nodes in _images(layout):
        for node in nodes:
            if image.tag not in _ctr(layout, node, "images", "ls", "-q").split():
                archive = layout.state / "image.tar"
                write_archive(image, archive)
                _ctr(layout, node, "images", "import", str(archive))
                archive.unlink()


def apply_manifests(layout: Layout) -> None:
    """Apply storage classes and DNS."""
    for name in ("storage.yaml", "dns.yaml"):
        apply(layout, SOURCES / "manifests" / name)


def _ctr(layout: Layout, node: Node, *arguments: str) -> str:
    # The socket is a file, so it can be reached from the host's namespaces.
    socket = layout.node(node) / "run" / "containerd" / "containerd.sock"
    command = ["ctr", "--address", str(socket), "--namespace", "k8s.io", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return done.stdout
