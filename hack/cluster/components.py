"""What runs on the nodes: the command line of every component. Every flag here is known to work; most are needed."""

from dataclasses import dataclass

from hack.cluster.configuration import ClusterFiles
from hack.cluster.layout import (
    CONTROL_PLANE,
    NODES,
    POD_NETWORK,
    SERVICE_NETWORK,
    Layout,
    Node,
)

ETCD_CLIENTS = "http://127.0.0.1:2379"
STORAGE_NAMESPACE = "local-path-storage"
STORAGE_ACCOUNT = "local-path-provisioner"
STORAGE_CONFIGURATION = "local-path-config"
HELPER_IMAGE = "localhost/busybox:1"


@dataclass(frozen=True)
class Component:
    """One process on one node."""

    name: str
    node: Node
    command: tuple[str, ...]
    needs_api: bool = True

    @property
    def full_name(self) -> str:
        return f"{self.name}@{self.node.name}"


def components(layout: Layout) -> list[Component]:
    """Return every component in the order of starting."""
    return [
        *(_containerd(layout, node) for node in NODES),
        _etcd(layout),
        _registry(layout),
        _api_server(layout),
        _controller_manager(layout),
        _scheduler(layout),
        *(_kubelet(layout, node) for node in NODES),
        *(_proxy(layout, node) for node in NODES),
        _storage(layout),
        _prometheus(layout),
    ]


def _flags(**flags: object) -> tuple[str, ...]:
    return tuple(f"--{name.replace('_', '-')}={value}" for name, value in flags.items())


def _hyperkube(layout: Layout, name: str, node: Node, program: str, **flags: object) -> Component:
    command = (str(layout.binaries / "hyperkube"), program, *_flags(**flags))
    return Component(name, node, command, needs_api=name != "apiserver")


def _containerd(layout: Layout, node: Node) -> Component:
    return Component(
        "containerd", node, ("containerd", "-c", str(layout.node(node) / "containerd.toml")), needs_api=False
    )


def _etcd(layout: Layout) -> Component:
    flags = _flags(
        name="default",
        data_dir=layout.state / "etcd",
        listen_client_urls=ETCD_CLIENTS,
        advertise_client_urls=ETCD_CLIENTS,
        listen_peer_urls="http://127.0.0.1:2380",
        # The page cache survives a killed process; only a power cut would lose data that tests do not miss.
        unsafe_no_fsync="true",
        auto_compaction_mode="periodic",
        auto_compaction_retention="10m",
    )
    return Component("etcd", CONTROL_PLANE, (str(layout.binaries / "etcd"), *flags), needs_api=False)


def _registry(layout: Layout) -> Component:
    command = (str(layout.binaries / "registry"), "serve", str(ClusterFiles.of(layout).registry))
    return Component("registry", CONTROL_PLANE, command, needs_api=False)


def _api_server(layout: Layout) -> Component:
    keys = layout.certificates
    return _hyperkube(
        layout,
        "apiserver",
        CONTROL_PLANE,
        "kube-apiserver",
        etcd_servers=ETCD_CLIENTS,
        service_cluster_ip_range=SERVICE_NETWORK,
        advertise_address=CONTROL_PLANE.address,
        secure_port=6443,
        tls_cert_file=keys / "apiserver.crt",
        tls_private_key_file=keys / "apiserver.key",
        client_ca_file=keys / "ca.crt",
        service_account_issuer="https://kubernetes.default.svc",
        service_account_key_file=keys / "sa.pub",
        service_account_signing_key_file=keys / "sa.key",
        kubelet_preferred_address_types="InternalIP",
        kubelet_client_certificate=keys / "admin.crt",
        kubelet_client_key=keys / "admin.key",
        kubelet_certificate_authority=keys / "ca.crt",
        requestheader_client_ca_file=keys / "front.crt",
        requestheader_allowed_names="aggregator",
        requestheader_extra_headers_prefix="X-Remote-Extra-",
        requestheader_group_headers="X-Remote-Group",
        requestheader_username_headers="X-Remote-User",
        proxy_client_cert_file=keys / "aggregator.crt",
        proxy_client_key_file=keys / "aggregator.key",
        authorization_mode="Node,RBAC",
        enable_admission_plugins="NodeRestriction",
        allow_privileged="true",
        profiling="false",
    )


def _controller_manager(layout: Layout) -> Component:
    keys = layout.certificates
    return _hyperkube(
        layout,
        "controller-manager",
        CONTROL_PLANE,
        "kube-controller-manager",
        kubeconfig=layout.kubeconfig,
        service_account_private_key_file=keys / "sa.key",
        root_ca_file=keys / "ca.crt",
        use_service_account_credentials="true",
        leader_elect="false",
        cluster_cidr=POD_NETWORK,
        node_monitor_grace_period="20s",
        cluster_signing_cert_file=keys / "ca.crt",
        cluster_signing_key_file=keys / "ca.key",
    )


def _scheduler(layout: Layout) -> Component:
    flags = {"kubeconfig": layout.kubeconfig, "leader_elect": "false"}
    return _hyperkube(layout, "scheduler", CONTROL_PLANE, "kube-scheduler", **flags)


def _kubelet(layout: Layout, node: Node) -> Component:
    return _hyperkube(
        layout,
        "kubelet",
        node,
        "kubelet",
        config=layout.node(node) / "kubelet.json",
        kubeconfig=layout.node(node) / "kubeconfig",
        hostname_override=node.name,
        node_ip=node.address,
        node_labels=",".join(node.labels),
    )


def _proxy(layout: Layout, node: Node) -> Component:
    return _hyperkube(
        layout,
        "proxy",
        node,
        "kube-proxy",
        kubeconfig=layout.kubeconfig,
        hostname_override=node.name,
        proxy_mode="nftables",
        cluster_cidr=POD_NETWORK,
        # Leave the kernel's connection table alone: it is the machine's, and not writable from here everywhere.
        conntrack_max_per_core=0,
        conntrack_tcp_timeout_established=0,
        conntrack_tcp_timeout_close_wait=0,
    )


def _storage(layout: Layout) -> Component:
    flags = _flags(
        kubeconfig=layout.kubeconfig,
        config=ClusterFiles.of(layout).storage,
        namespace=STORAGE_NAMESPACE,
        configmap_name=STORAGE_CONFIGURATION,
        helper_image=HELPER_IMAGE,
        service_account_name=STORAGE_ACCOUNT,
    )
    command = (str(layout.binaries / "local-path-provisioner"), "start", *flags)
    return Component("storage", CONTROL_PLANE, command)


def _prometheus(layout: Layout) -> Component:
    flags = _flags(
        **{
            "config.file": ClusterFiles.of(layout).prometheus,
            "storage.tsdb.path": layout.state / "prometheus",
            "storage.tsdb.retention.time": "6h",
            "web.listen-address": f"{CONTROL_PLANE.address}:9090",
            "web.enable-lifecycle": "true",
        }
    )
    # Go's flags with a dot take --flag=false but no --flag=true from kingpin: switches stand alone.
    switches = tuple(flag.removesuffix("=true") for flag in flags)
    return Component("prometheus", CONTROL_PLANE, (str(layout.binaries / "prometheus"), *switches))
