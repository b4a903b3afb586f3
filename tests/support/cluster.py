"""The local two-node cluster, where tests may end single components. Another cluster cannot be treated so."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMAND = Path(__file__).parents[2] / "hack" / "cluster" / "cluster"


class LocalCluster:
    """hack/cluster, as a person would call it."""

    def _run(self, *arguments: str) -> None:
        done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"hack/cluster/cluster {' '.join(arguments)}: {done.stdout}{done.stderr}"

    def kill(self, *components: str) -> None:
        self._run("kill", *components)

    def up(self) -> None:
        self._run("up")

    @contextmanager
    def without(self, component: str) -> Iterator[None]:
        """Run a block while a component is stopped."""
        self._run("stop", component)
        try:
            yield
        finally:
            self._run("start", component)
