"""Where the local cluster lives: its paths, addresses and nodes. Every other module of hack/ takes them from here.

All addresses are of 198.18.0.0/15, the range set aside for benchmarks, so they meet no real network; one route leads
there from the host.
"""

from dataclasses import dataclass
from pathlib import Path

from hack import environment

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = Path(__file__).resolve().parent

NETWORK = "198.18.0.0/15"
HOST_ADDRESS = "198.18.0.1"
HOST_LINK = "ep0"
POD_NETWORK = "198.18.128.0/17"
SERVICE_NETWORK = "198.19.0.0/16"
API_SERVICE = "198.19.0.1"
DNS_SERVICE = "198.19.0.10"
CGROUP = "embedplane"
CONTEXT = "embedplane"


@dataclass(frozen=True)
class Node:
    """One node: a set of namespaces on this machine."""

    name: str
    address: str
    pod_network: str
    labels: tuple[str, ...]
    taint: str | None = None


CONTROL_PLANE = Node("cpu0", "198.18.0.11", "198.18.128.0/24", ("embedplane.dev/pool=cpu",))

# What GKE and NVIDIA's feature discovery write on an L4 node. No device is there: pods on it see no GPU.
GPU_NODE = Node(
    "gpu0",
    "198.18.0.12",
    "198.18.129.0/24",
    (
        "cloud.google.com/gke-accelerator=nvidia-l4",
        "nvidia.com/gpu.product=NVIDIA-L4",
        "nvidia.com/gpu.present=true",
        "nvidia.com/gpu.count=1",
        "nvidia.com/gpu.memory=23034",
        "embedplane.dev/pool=gpu",
    ),
    taint="nvidia.com/gpu",
)

NODES = (CONTROL_PLANE, GPU_NODE)
REGISTRY = f"{CONTROL_PLANE.address}:5000"
PROMETHEUS = f"http://{CONTROL_PLANE.address}:9090"
API_SERVER = f"https://{CONTROL_PLANE.address}:6443"


@dataclass(frozen=True)
class Layout:
    """The folders below the cache. All are absolute: components run in namespaces with another working folder."""

    cache: Path

    @classmethod
    def of_environment(cls) -> "Layout":
        """Return the layout that EMBEDPLANE_CACHE, XDG_CACHE_HOME or HOME name."""
        return cls(environment.cache())

    @property
    def toolchain(self) -> Path:
        """Built binaries, a folder for each tool and key."""
        return self.cache / "toolchain"

    @property
    def binaries(self) -> Path:
        """Links to the binaries in use: put this folder on the PATH."""
        return self.cache / "bin"

    @property
    def registry(self) -> Path:
        """What was pushed; survives the cluster."""
        return self.cache / "registry"

    @property
    def state(self) -> Path:
        """All that belongs to the one cluster."""
        return self.cache / "cluster"

    @property
    def certificates(self) -> Path:
        return self.state / "pki"

    @property
    def volumes(self) -> Path:
        return self.state / "volumes"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    def node(self, node: Node) -> Path:
        return self.state / node.name
