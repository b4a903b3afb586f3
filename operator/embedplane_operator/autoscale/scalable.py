"""What the autoscaler sees of the cluster and the one thing it writes there; `cluster.py` implements the Protocol."""

from dataclasses import dataclass
from typing import Protocol

from embedplane_operator.autoscale.rules import ScalingRules
from embedplane_operator.workqueue import Key


@dataclass(frozen=True)
class Scalable:
    """One server Deployment of one EmbeddingModel, as both stood when they were listed."""

    namespace: str
    model: str
    vector_space: str
    deployment: str
    replicas: int
    """`spec.replicas` of the Deployment."""
    ready_replicas: int
    """`status.readyReplicas`, 0 when absent."""
    replicas_owned: bool
    """A field manager owns `spec.replicas` (metadata.managedFields): somebody has set them since the creation."""
    rules: ScalingRules
    """`rules_of(spec.scaling, spec.suspend)`."""
    benchmark_tokens_per_second: float | None
    """`status.engine.benchmark.tokensPerSecond` of the engine it serves; None when that is not known."""

    is_active: bool = True
    """The model's main Service serves its space: it is what the model's report is about."""
    retires: bool = False
    """Its space is not the active one any more, and nobody wants to return to it."""
    gives_way: bool = False
    """Its servers cannot become ready: while none is, they make room for the build of an engine."""
    made_room: bool = False
    """The autoscaler itself took its last replica away."""

    @property
    def key(self) -> Key:
        """The model's key in the work queue and in the reports."""
        return Key(self.namespace, self.model)


class ScalingCluster(Protocol):
    """The autoscaler's view of `cluster.py`. Every failure is an exception; the loop survives all of them."""

    async def list_scalable(self) -> list[Scalable]:
        """Every server Deployment of this installation whose EmbeddingModel exists: two LIST calls, no more."""
        ...

    async def set_replicas(self, namespace: str, deployment: str, replicas: int) -> None:
        """Server-side apply on /scale as field manager `embedplane-autoscaler`, forced."""
        ...
