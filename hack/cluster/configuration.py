"""Configuration files of the components. Written as JSON wherever the reader takes YAML, which JSON is."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.cluster.layout import CGROUP, DNS_SERVICE, NODES, REGISTRY, SOURCES, Layout, Node

PAUSE_IMAGE = "localhost/pause:1"

# Snapshotters and tracing that would only complain in the log.
UNUSED_PLUGINS = [
    *(f"io.containerd.snapshotter.v1.{name}" for name in ("aufs", "btrfs", "devmapper", "zfs")),
    "io.containerd.internal.v1.opt",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.internal.v1.tracing",
]


def write_node(layout: Layout, node: Node) -> None:
    """Write what containerd, the network plugin and the kubelet of a node read."""
    folder = layout.node(node)
    mirror = folder / "certs.d" / REGISTRY
    mirror.mkdir(parents=True, exist_ok=True)
    server = f"http://{REGISTRY}"
    _write(mirror / "hosts.toml", f'server = "{server}"\n[host."{server}"]\n  capabilities = ["pull", "resolve"]\n')
    _write(folder / "containerd.toml", _containerd(folder))
    (folder / "cni").mkdir(exist_ok=True)
    _write(folder / "cni" / "10-pods.conflist", json.dumps(_pod_network(node)))
    _write(folder / "kubelet.json", json.dumps(_kubelet(layout, node), indent=1))


@dataclass(frozen=True)
class ClusterFiles:
    """Where the components that exist once find their configuration."""

    registry: Path
    prometheus: Path
    storage: Path

    @classmethod
    def of(cls, layout: Layout) -> "ClusterFiles":
        folder = layout.state
        return cls(folder / "registry.json", folder / "prometheus.yml", folder / "storage.json")


def write_cluster(layout: Layout) -> None:
    """Write what registry, Prometheus and storage provisioner read."""
    files = ClusterFiles.of(layout)
    layout.registry.mkdir(parents=True, exist_ok=True)
    layout.volumes.mkdir(exist_ok=True)
    _write(files.registry, json.dumps(_registry(layout)))
    template = (SOURCES / "prometheus.yml").read_text()
    keys, kubeconfig = str(layout.certificates), str(layout.kubeconfig)
    _write(files.prometheus, template.replace("@KUBECONFIG@", kubeconfig).replace("@PKI@", keys))
    _write(files.storage, json.dumps({"storageClassConfigs": storage_paths(layout, NODES)}))


def storage_paths(layout: Layout, nodes: tuple[Node, ...]) -> dict[str, Any]:
    """Return where the volumes of each storage class lie (manifests/storage.yaml says what each is for)."""
    shared = {"nodePathMap": [], "sharedFileSystemPath": str(layout.volumes / "shared")}
    by_node = [{"node": node.name, "paths": [str(layout.volumes / "root-owned" / node.name)]} for node in nodes]
    return {"local-path": shared, "local-path-root": {"nodePathMap": by_node}}


def _registry(layout: Layout) -> dict[str, Any]:
    storage = {"filesystem": {"rootdirectory": str(layout.registry), "maxthreads": 100}, "delete": {"enabled": True}}
    # The secret only keeps the registry from warning that a random one would not be shared between replicas.
    http = {"addr": REGISTRY, "secret": "one replica"}
    return {"version": 0.1, "log": {"level": "warn"}, "storage": storage, "http": http}


def _containerd(folder: Path) -> str:
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = {json.dumps(UNUSED_PLUGINS)}
[grpc]
  address = "/run/containerd/containerd.sock"
[{cri}]
  # Without CAP_SYS_RESOURCE a score below one's own cannot be set.
  restrict_oom_score_adj = true
  sandbox_image = "{PAUSE_IMAGE}"
  max_concurrent_downloads = 4
  [{cri}.cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [{cri}.registry]
    config_path = "{folder}/certs.d"
  [{cri}.containerd]
    snapshotter = "overlayfs"
    # The unpacked snapshot is enough: the layers stay in the registry. Halves what an image takes on a node.
    discard_unpacked_layers = true
  [{cri}.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""


def _pod_network(node: Node) -> dict[str, Any]:
    """Point-to-point links, no bridge: pods of one node are routed too, so packet filters see them."""
    addresses = {
        "type": "host-local",
        "dataDir": "/var/lib/cni/networks",
        "ranges": [[{"subnet": node.pod_network}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "ptp", "ipMasq": False, "ipam": addresses}]}


def _kubelet(layout: Layout, node: Node) -> dict[str, Any]:
    keys = layout.certificates
    taints = [{"key": node.taint, "value": "present", "effect": "NoSchedule"}] if node.taint else []
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "registerWithTaints": taints,
        # cgroups: containerd 1.6 and this Kubernetes agree on cgroupfs on v1 and v2 alike
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}/{node.name}",
        "cgroupsPerQOS": True,
        "enforceNodeAllocatable": ["pods"],
        "failCgroupV1": False,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(keys / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(keys / f"kubelet-{node.name}.crt"),
        "tlsPrivateKeyFile": str(keys / f"kubelet-{node.name}.key"),
        # both nodes see the whole disk and memory of the machine: evict late, never collect images
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageMinimumGCAge": "100h",
        # quick rather than careful: a changed Secret reaches its pods in seconds, not in a minute
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "volumeStatsAggPeriod": "-1s",
        "nodeStatusUpdateFrequency": "5s",
        "syncFrequency": "10s",
    }


def _write(target: Path, content: str) -> None:
    """Write aside and rename: containerd and the plugin read while this runs."""
    fresh = target.with_name(f".{target.name}")
    fresh.write_text(content)
    fresh.replace(target)
