"""Nodes as sets of namespaces, and the components that run in them.

A node is one process tree below its own PID 1: ending that one recorded process ends kubelet, containerd and all pods,
and the kernel drops their mounts, links and packet filters. Nothing else on the machine is ever killed.
"""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.cgroups import remove_cgroups
from hack.cluster.layout import CGROUP, SOURCES, Layout, Node
from hack.cluster.progress import SetupError

COMPONENT_SCRIPT = SOURCES / "node" / "component.sh"
INIT_SCRIPT = SOURCES / "node" / "init.sh"
NAMESPACES = ("--mount", "--net", "--pid", "--uts", "--ipc")


@dataclass(frozen=True)
class Machine:
    """A node's namespaces on this machine, up or not."""

    layout: Layout
    node: Node

    @property
    def folder(self) -> Path:
        return self.layout.node(self.node)

    @property
    def _record(self) -> Path:
        return self.folder / "init.pid"

    def pid(self) -> int | None:
        """Return PID 1 of the node as the host sees it, or None when it is gone or the number was used again."""
        try:
            pid, started = self._record.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if started_at(int(pid)) == started else None

    def takes_processes(self) -> bool:
        """Tell whether the node runs. A dying PID namespace still has a pid but takes no new process."""
        while self.pid() is not None:
            if self._enter("true").returncode == 0:
                return True
            time.sleep(0.1)
        return False

    def start(self) -> None:
        """Start the node unless it runs."""
        if self.takes_processes():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        ready = self.folder / "init.ready"
        ready.unlink(missing_ok=True)
        self._record.unlink(missing_ok=True)
        # After a crash cAdvisor would wait 3 s for each dead container whose cgroup it finds.
        remove_cgroups(f"{CGROUP}/{self.node.name}")
        isolation = ["unshare", *NAMESPACES, "--propagation", "private", "--fork", "--kill-child"]
        init = ["bash", str(INIT_SCRIPT), str(self.folder), self.node.name, str(self.layout.binaries / "pause")]
        with (self.folder / "init.log").open("w") as log:
            outer = subprocess.Popen(
                [*isolation, *init], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._await_ready(ready, outer)
        # The child of unshare is PID 1 inside.
        child = int(Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()[0])
        self._record.write_text(f"{child} {started_at(child)}")

    def _await_ready(self, ready: Path, outer: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + 60
        while not ready.exists():
            if outer.poll() is not None or time.monotonic() > deadline:
                outer.kill()
                log = (self.folder / "init.log").read_text()
                raise SetupError(f"node {self.node.name} did not start (root with CAP_SYS_ADMIN is needed): {log}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End the node at once, as a power cut would."""
        pid = self.pid()
        if pid is None:
            return
        subprocess.run(["kill", "-9", str(pid)], check=False)  # it may be gone by now
        deadline = time.monotonic() + 10
        while self.pid() is not None and time.monotonic() < deadline:
            time.sleep(0.02)

    def run(self, *command: str) -> str:
        """Run a command in the node and return what it printed."""
        done = self._enter(*command)
        if done.returncode != 0:
            raise SetupError(
                f"{' '.join(command)} on {self.node.name} failed: {done.stderr.strip() or done.stdout.strip()}"
            )
        return done.stdout

    def succeeds(self, *command: str) -> bool:
        return self._enter(*command).returncode == 0

    def start_component(self, name: str, *command: str) -> bool:
        """Start a component unless it runs; return whether it was started."""
        return self._component("start", name, *command).strip() == "started"

    def signal_component(self, name: str, signal: str) -> None:
        """Signal a component and wait until it is gone."""
        self._component("signal", name, signal)

    def component_runs(self, name: str) -> bool:
        return bool(self._component("pid", name).strip())

    def _component(self, action: str, name: str, *arguments: str) -> str:
        return self.run("bash", str(COMPONENT_SCRIPT), action, str(self.folder), name, *arguments)

    def _enter(self, *command: str) -> "subprocess.CompletedProcess[str]":
        pid = self.pid()
        if pid is None:
            raise SetupError(f"node {self.node.name} is not up: hack/cluster/cluster up")
        # Not `ip netns exec`: it remounts /sys, which hides the cgroups.
        enter = ["nsenter", "--target", str(pid), *NAMESPACES, "--", *command]
        return subprocess.run(enter, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def started_at(pid: int) -> str | None:
    """Return the start time of a process in ticks since boot, which with the pid names it for good."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return status.rpartition(")")[2].split()[19]
