"""What `status` prints: components, nodes, addresses, and what everything takes on disk."""

import subprocess
from pathlib import Path

from hack.cluster import kubernetes
from hack.cluster.components import components
from hack.cluster.layout import API_SERVER, NODES, PROMETHEUS, REGISTRY, Layout
from hack.cluster.nodes import Machine
from hack.cluster.progress import say


def print_status(layout: Layout) -> bool:
    """Print the status and return whether everything runs."""
    all_run = True
    for node in NODES:
        machine = Machine(layout, node)
        if machine.pid() is None:
            say(f"{node.name}: down")
            all_run = False
            continue
        states = {each.name: machine.component_runs(each.name) for each in components(layout) if each.node == node}
        all_run = all_run and all(states.values())
        shown = ", ".join(f"{name}{'' if runs else ' STOPPED'}" for name, runs in states.items())
        say(f"{node.name} ({node.address}, pid {machine.pid()}): {shown}")
    if all_run:
        say(kubernetes.nodes_table(layout).rstrip())
    say(f"API server  {API_SERVER}   KUBECONFIG={layout.kubeconfig}")
    say(f"registry    {REGISTRY}   Prometheus {PROMETHEUS}")
    say(f"programs    {layout.binaries}   logs {layout.state}/<node>/logs")
    for name, folder in _folders(layout).items():
        say(f"disk        {_size_of(folder):>6}  {name} ({folder})")
    return all_run


def _folders(layout: Layout) -> dict[str, Path]:
    nodes = {f"node {node.name}": layout.node(node) for node in NODES}
    built = {"toolchain": layout.toolchain, "registry": layout.registry, "image builds": layout.cache / "images"}
    return {**built, **nodes, "volumes": layout.volumes}


def _size_of(folder: Path) -> str:
    if not folder.exists():
        return "-"
    done = subprocess.run(["du", "-sh", "--one-file-system", folder], capture_output=True, text=True, check=False)
    return done.stdout.split()[0] if done.stdout else "-"
