"""Bring the cluster up, take it down, end and start parts of it. Every call may be repeated; a lock keeps two apart."""

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from hack.cluster import addons, kubernetes, network
from hack.cluster.certificates import ensure_certificates
from hack.cluster.cgroups import make_cgroup, remove_cgroups
from hack.cluster.components import Component, components
from hack.cluster.configuration import write_cluster, write_node
from hack.cluster.debian import CLUSTER_PACKAGES, install_missing
from hack.cluster.layout import CGROUP, GPU_NODE, NODES, Layout, Node
from hack.cluster.nodes import Machine
from hack.cluster.progress import SetupError, say, step

# What --reset forgets: the cluster, but not what took long to get (certificates, pulled images).
CLUSTER_DATA = ("etcd", "volumes", "prometheus")
NODE_DATA = ("kubelet", "log", "logs")


@contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """Hold the cluster's lock. Python passes the descriptor to no child, so it is free again with this process."""
    layout.state.mkdir(parents=True, exist_ok=True)
    with (layout.state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def up(layout: Layout) -> None:
    """Start what does not run, and wait until both nodes are ready and names resolve."""
    if os.geteuid() != 0:
        raise SetupError("the local cluster makes namespaces and links: run as root")
    install_missing(CLUSTER_PACKAGES)
    with locked(layout), step("cluster up"):
        _remove_trash(layout)
        ensure_certificates(layout)
        for node in NODES:
            Machine(layout, node).start()
            make_cgroup(f"{CGROUP}/{node.name}")
            write_node(layout, node)
        write_cluster(layout)
        network.connect(layout)
        began = datetime.now(UTC).replace(microsecond=0)
        started = _start_components(layout)
        _await_nodes(layout, started, began)
        kubernetes.wait_until("CoreDNS is ready", lambda: kubernetes.dns_is_ready(layout), within=120)
        _check_all_run(layout)


def _check_all_run(layout: Layout) -> None:
    """Name what ended right after its start, with the end of its log."""
    for each in components(layout):
        if not Machine(layout, each.node).component_runs(each.name):
            log = layout.node(each.node) / "logs" / f"{each.name}.log"
            raise SetupError(f"{each.full_name} ended. {log} ends with:\n{log.read_text(errors='replace')[-1500:]}")


def _start_components(layout: Layout) -> list[Component]:
    """Start all that does not run, in order, and return what was started."""
    everything = components(layout)
    started = [each for each in everything if not each.needs_api and _start(layout, each)]
    kubernetes.wait_until("the API server answers", lambda: kubernetes.api_answers(layout), within=180)
    addons.import_images(layout)
    addons.apply_manifests(layout)  # first: the storage provisioner ends when its ConfigMap is missing
    return started + [each for each in everything if each.needs_api and _start(layout, each)]


def _start(layout: Layout, component: Component) -> bool:
    return Machine(layout, component.node).start_component(component.name, *component.command)


def _await_nodes(layout: Layout, started: list[Component], began: datetime) -> None:
    """Wait for both nodes. After a restart a node still says Ready from before: wait for a heartbeat of now.

    Only if its kubelet was started now, because an unchanged status is repeated only every 5 minutes.
    """
    restarted = {each.node for each in started if each.name == "kubelet"}

    def is_ready(node: Node) -> bool:
        said = kubernetes.heartbeat(layout, node)
        return said is not None and said[0] and (node not in restarted or said[1] >= began)

    for node in NODES:
        kubernetes.wait_until(f"node {node.name} is ready", partial(is_ready, node), within=180)
    kubernetes.advertise_gpu(layout, GPU_NODE)


def down(layout: Layout, forget: str = "") -> None:
    """Stop the cluster; `forget` is "reset" (cluster data) or "wipe" (all but registry and binaries)."""
    with locked(layout), step("cluster down"):
        for node in NODES:
            Machine(layout, node).kill()
            (layout.node(node) / "init.pid").unlink(missing_ok=True)
        network.disconnect()
        remove_cgroups(CGROUP)
        if forget == "wipe":
            network.forget_routes()
        _forget(layout, forget)


def _forget(layout: Layout, forget: str) -> None:
    """Move away what is to be forgotten, so that the next start need not wait, and delete it in the background."""
    if forget == "reset":
        gone = [layout.state / name for name in CLUSTER_DATA]
        gone += [layout.node(node) / name for node in NODES for name in NODE_DATA]
    elif forget == "wipe":
        gone = [layout.state / name for name in (*CLUSTER_DATA, "pki", "kubeconfig", *(node.name for node in NODES))]
    else:
        return
    trash = Path(tempfile.mkdtemp(dir=layout.state, prefix=".trash."))
    for path in gone:
        if path.exists():
            path.rename(trash / "_".join(path.relative_to(layout.state).parts))
    _remove_trash(layout)


def _remove_trash(layout: Layout) -> None:
    trash = [str(path) for path in layout.state.glob(".trash.*")]
    if trash:
        command = ["nice", "rm", "-rf", "--one-file-system", *trash]
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)


def named(layout: Layout, names: Sequence[str]) -> list[Component]:
    """Return the components with these names: `kubelet` is one on every node, `kubelet@gpu0` one of them."""
    everything = components(layout)
    found: list[Component] = []
    for name in names:
        matching = [each for each in everything if name in (each.name, each.full_name)]
        if not matching:
            known = ", ".join(each.full_name for each in everything)
            raise SetupError(f"no component is called {name!r}; there are {known} and the nodes themselves, for kill")
        found += matching
    return found


def stop(layout: Layout, names: Sequence[str], signal: str = "TERM") -> None:
    """Stop components with a signal and wait until they are gone. `kill` of a node's name is a power cut."""
    nodes = {node.name: node for node in NODES}
    with locked(layout):
        for name in names:
            if name in nodes and signal == "KILL":
                Machine(layout, nodes[name]).kill()
                say(f"killed node {name}")
                continue
            for each in named(layout, [name]):
                Machine(layout, each.node).signal_component(each.name, signal)
                say(f"stopped {each.full_name} (SIG{signal})")


def start(layout: Layout, names: Sequence[str]) -> None:
    """Start components that were stopped. For nodes and after `kill` of the API server: up."""
    with locked(layout):
        for each in named(layout, names):
            began = _start(layout, each)
            say(f"{'started' if began else 'already runs:'} {each.full_name}")
