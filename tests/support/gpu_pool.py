"""The local cluster's one node with a GPU, as a test sees it: who runs there, and which driver it has."""

from dataclasses import dataclass

from tests.support.claims import opened
from tests.support.kubectl import Kubectl, Manifest
from tests.support.waiting import wait_for

LABEL = "nvidia.com/gpu.product=NVIDIA-L4"


@dataclass(frozen=True)
class GpuPool:
    """The pool, and a namespace whose models are alone on it."""

    namespace: Kubectl
    node: str
    image: str
    """Any image with a shell, for a look into the store."""

    def pod_of(self, component: str, besides: set[str] = frozenset()) -> Manifest:
        """Wait until a pod of a kind is on a node, and return it; `besides` are uids of earlier ones."""

        def look() -> Manifest | None:
            pods = self.namespace.list("pods", f"app.kubernetes.io/component={component}")
            placed = (pod for pod in pods if pod["spec"].get("nodeName") and pod["metadata"]["uid"] not in besides)
            return next(placed, None)

        return wait_for(f"a pod of {component} has a node", look, within=300, explain=self._explain)

    def server_besides(self, uid: str) -> Manifest:
        """Wait until a server is ready that is not the one with this uid."""

        def look() -> Manifest | None:
            pods = self.namespace.list("pods", "app.kubernetes.io/component=server")
            return next((pod for pod in pods if pod["metadata"]["uid"] != uid and _is_ready(pod)), None)

        return wait_for("another server is ready", look, within=300, explain=self._explain)

    def restart_server(self) -> str:
        """Delete the one server, which the Deployment replaces, and return its uid."""
        (server,) = self.namespace.list("pods", "app.kubernetes.io/component=server")
        self.namespace.delete("pod", server["metadata"]["name"], "--wait=false")
        return str(server["metadata"]["uid"])

    def remove_models(self) -> None:
        """Delete all models and wait until no server holds the GPU."""
        self.namespace.run("delete", "embeddingmodels", "--all")
        servers = "app.kubernetes.io/component=server"
        wait_for("the GPU is free", lambda: not self.namespace.list("pods", servers), within=120)

    def jobs(self, *components: str) -> set[str]:
        """Return the uids of Jobs."""
        found = self.namespace.list("jobs", f"app.kubernetes.io/component in ({','.join(components)})")
        return {job["metadata"]["uid"] for job in found}

    def install_driver(self, version: str) -> None:
        """Change what nvidia-smi says in containers that start from now on."""
        with opened(self.namespace, "embedplane-store", self.image) as store:
            store.run("sh", "-c", f"echo {version} >/data/node-driver")

    def variants(self) -> set[str]:
        """Return the names of all engines in the store."""
        with opened(self.namespace, "embedplane-store", self.image) as store:
            return set(store.read("sh", "-c", "cd /data/engines && ls -d */*").split())

    def _explain(self) -> str:
        models = self.namespace.names("embeddingmodels")
        return "".join(self.namespace.explain(name) for name in models)


def _is_ready(pod: Manifest) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
