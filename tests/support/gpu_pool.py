"""The local cluster's one node with a GPU, as a test sees it: who runs there."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from tests.support.kubectl import Kubectl, Manifest
from tests.support.servers import end_servers, ready_servers, wait_for_other_servers
from tests.support.waiting import wait_for

LABEL = "nvidia.com/gpu.product=NVIDIA-L4"


@dataclass(frozen=True)
class GpuPool:
    """The pool, and a namespace whose models are alone on it."""

    namespace: Kubectl
    node: str
    image: str
    """Any image with a shell, for a look into the store."""

    def pod_of(self, component: str, besides: AbstractSet[str] = frozenset()) -> Manifest:
        """Wait until a pod of a kind is on a node, and return it; `besides` are uids of earlier ones."""

        def look() -> Manifest | None:
            pods = self.namespace.list("pods", f"app.kubernetes.io/component={component}")
            placed = (pod for pod in pods if pod["spec"].get("nodeName") and pod["metadata"]["uid"] not in besides)
            return next(placed, None)

        return wait_for(f"a pod of {component} has a node", look, explain=self._explain)

    def server(self, model: str) -> Manifest:
        """Wait until the only server of a model takes requests, and return it."""

        def look() -> Manifest | None:
            found = ready_servers(self.namespace, model)
            return found[0] if len(found) == 1 else None

        return wait_for(f"{model} has one server", look, explain=self._explain)

    def restart_server(self, model: str) -> frozenset[str]:
        """Delete the only server, which the Deployment replaces, and return its uid."""
        return end_servers(self.namespace, model)

    def server_besides(self, model: str, uids: AbstractSet[str]) -> Manifest:
        """Wait until the only server is ready and none with these uids is left."""
        wait_for_other_servers(self.namespace, model, uids)
        return self.server(model)

    def remove_models(self) -> None:
        """Delete all models and wait until no server holds the GPU."""
        self.namespace.run("delete", "embeddingmodels", "--all")
        servers = "app.kubernetes.io/component=server"
        wait_for("the GPU is free", lambda: not self.namespace.list("pods", servers))

    def jobs(self, *components: str) -> set[str]:
        """Return the uids of Jobs."""
        found = self.namespace.list("jobs", f"app.kubernetes.io/component in ({','.join(components)})")
        return {job["metadata"]["uid"] for job in found}

    def _explain(self) -> str:
        models = self.namespace.names("embeddingmodels")
        return "".join(self.namespace.explain(name) for name in models)
