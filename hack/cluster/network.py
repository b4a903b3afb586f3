"""Links and routes: host - cpu0 - gpu0 in a row, routed, no bridge and no NAT.

The host reaches pods, Services and nodes through cpu0; pods reach a process bound to 198.18.0.1 on the host and nothing
beyond it.
"""

import subprocess

from hack.cluster.layout import CONTROL_PLANE, HOST_ADDRESS, HOST_LINK, NETWORK, NODES, Layout, Node
from hack.cluster.nodes import Machine
from hack.cluster.progress import SetupError


def connect(layout: Layout) -> None:
    """Make the links and routes that are missing between the host and the running nodes."""
    control_plane = Machine(layout, CONTROL_PLANE)
    # Kept while the cluster is down: without it a client of a dead cluster would talk to a stranger behind the default
    # gateway.
    _ip("route", "replace", "blackhole", NETWORK, "metric", "4000")
    _link_host(control_plane)
    for node in NODES[1:]:
        _link_node(control_plane, Machine(layout, node), node)
    # A default route must exist for kube-proxy and the kubelet; nothing passes the host.
    control_plane.run("ip", "route", "replace", "default", "via", HOST_ADDRESS, "dev", "host0")


def disconnect() -> None:
    """Remove the host's end of the link, which normally went with its node."""
    subprocess.run(["ip", "link", "del", HOST_LINK], capture_output=True, check=False)


def forget_routes() -> None:
    """Remove the last trace on the host."""
    route = ["ip", "route", "del", "blackhole", NETWORK, "metric", "4000"]
    subprocess.run(route, capture_output=True, check=False)


# The kernel removes the links of a dead namespace a little later than it dies. So an old end is no proof of a link: the
# new namespace is asked, and a stale end removed first. Addresses and routes are replaced, so a start that was
# interrupted half way is completed.


def _link_host(control_plane: Machine) -> None:
    if not control_plane.succeeds("ip", "link", "show", "host0"):
        disconnect()
        _ip("link", "add", HOST_LINK, "type", "veth", "peer", "name", "host0", "netns", str(control_plane.pid()))
    _ip("addr", "replace", HOST_ADDRESS, "peer", CONTROL_PLANE.address, "dev", HOST_LINK)
    _ip("link", "set", HOST_LINK, "up")
    _ip("route", "replace", NETWORK, "via", CONTROL_PLANE.address, "dev", HOST_LINK)
    control_plane.run("ip", "addr", "replace", CONTROL_PLANE.address, "peer", HOST_ADDRESS, "dev", "host0")
    control_plane.run("ip", "link", "set", "host0", "up")


def _link_node(control_plane: Machine, machine: Machine, node: Node) -> None:
    both_ends = control_plane.succeeds("ip", "link", "show", node.name) and machine.succeeds(
        "ip", "link", "show", "eth0"
    )
    if not both_ends:
        passing = f"ep-{node.name}"
        control_plane.succeeds("ip", "link", "del", node.name)
        machine.succeeds("ip", "link", "del", "eth0")
        subprocess.run(["ip", "link", "del", passing], capture_output=True, check=False)
        _ip("link", "add", passing, "type", "veth", "peer", "name", "eth0", "netns", str(machine.pid()))
        _ip("link", "set", passing, "netns", str(control_plane.pid()), "name", node.name)
    control_plane.run("ip", "addr", "replace", CONTROL_PLANE.address, "peer", node.address, "dev", node.name)
    control_plane.run("ip", "link", "set", node.name, "up")
    control_plane.run("ip", "route", "replace", node.pod_network, "via", node.address, "dev", node.name)
    machine.run("ip", "addr", "replace", node.address, "peer", CONTROL_PLANE.address, "dev", "eth0")
    machine.run("ip", "link", "set", "eth0", "up")
    machine.run("ip", "route", "replace", "default", "via", CONTROL_PLANE.address, "dev", "eth0")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"ip {' '.join(arguments)} failed (root with CAP_NET_ADMIN is needed): {done.stderr.strip()}")
