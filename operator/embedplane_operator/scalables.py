"""The cluster as the autoscaler sees it: the Deployments of servers, and their replicas.

Implements `autoscale.scalable.ScalingCluster` on `cluster.py`. The autoscaler is the only writer of replicas.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from embedplane_operator.api.conditions import ConditionType
from embedplane_operator.api.repair import read_repair
from embedplane_operator.api.resolved import read_resolved
from embedplane_operator.api.roles import Role, read_role
from embedplane_operator.api.room import has_given_way
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.autoscale.rules import ScalingRules, rules_of
from embedplane_operator.autoscale.scalable import Scalable
from embedplane_operator.cluster import Cluster
from embedplane_operator.decide.acceptance import spec_refusal
from embedplane_operator.errors import InvalidObjectError
from embedplane_operator.kinds import DEPLOYMENT, EMBEDDING_MODEL, Manifest
from embedplane_operator.observation import parse_model
from embedplane_operator.render.names import (
    LABEL_COMPONENT,
    LABEL_INSTALLATION,
    LABEL_MANAGED_BY,
    LABEL_MODEL,
    MANAGED_BY,
    SERVER,
    served_space,
)
from embedplane_operator.settings import Settings
from embedplane_operator.workqueue import Key

AUTOSCALER_MANAGER = "embedplane-autoscaler"


class ServerScales:
    """Lists what can be scaled in the watched namespaces, and scales it."""

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self._cluster = cluster
        self._settings = settings
        ours = f"{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_INSTALLATION}={settings.installation}"
        self._selector = f"{ours},{LABEL_COMPONENT}={SERVER}"
        self._namespaces: tuple[str | None, ...] = settings.watch_namespaces or (None,)

    async def list_scalable(self) -> list[Scalable]:
        """Every server Deployment of this installation whose model exists."""
        found: list[Scalable] = []
        for namespace in self._namespaces:
            models = {_key(item): item for item in await self._cluster.list(EMBEDDING_MODEL, namespace)}
            servers: defaultdict[Key, list[Manifest]] = defaultdict(list)
            for deployment in await self._cluster.list(DEPLOYMENT, namespace, self._selector):
                labels = deployment["metadata"].get("labels") or {}
                servers[Key(deployment["metadata"]["namespace"], labels.get(LABEL_MODEL, ""))].append(deployment)
            for key, deployments in servers.items():
                found.extend(_scalables(models.get(key), deployments, self._settings))
        return found

    async def set_replicas(self, namespace: str, deployment: str, replicas: int) -> None:
        """Sets the replicas, and takes the field over from whoever set it before."""
        await self._cluster.scale(namespace, deployment, replicas, manager=AUTOSCALER_MANAGER)


def _scalables(model: Manifest | None, deployments: list[Manifest], settings: Settings) -> Iterator[Scalable]:
    """The servers of one model, each space by its own numbers."""
    if model is None or "deletionTimestamp" in model["metadata"]:
        return
    try:
        parsed = parse_model(model)
    except InvalidObjectError:
        return  # the reconciler says so in the model's conditions
    # A refused spec changes nothing: what serves goes on with the replicas it has.
    is_held = parsed.spec.suspend or spec_refusal(parsed, settings) is not None
    rules = rules_of(parsed.spec.scaling, is_held)
    deployments = [each for each in deployments if "deletionTimestamp" not in each["metadata"]]
    active = _active(deployments)
    for deployment in deployments:
        yield _scalable(parsed, deployment, rules, active)


def _active(deployments: list[Manifest]) -> Manifest | None:
    """The Deployment that was noted to be the active one; where nothing was noted there is one only."""
    noted = (each for each in deployments if _role(each) is Role.ACTIVE)
    return next(noted, deployments[0] if len(deployments) == 1 else None)


def _role(deployment: Manifest) -> Role | None:
    return read_role(deployment["metadata"].get("annotations") or {})


def _scalable(model: EmbeddingModel, deployment: Manifest, rules: ScalingRules, active: Manifest | None) -> Scalable:
    metadata = deployment["metadata"]
    resolved = read_resolved(metadata.get("annotations") or {})
    replicas, entries = int(deployment["spec"].get("replicas", 1)), metadata.get("managedFields") or ()
    is_active, space = deployment is active, served_space(deployment)
    is_next = (
        not is_active and model.spec.vector_space_policy == "SideBySide" and space == model.spec.active_vector_space
    )
    return Scalable(
        namespace=metadata["namespace"],
        model=model.metadata.name,
        vector_space=space,
        deployment=metadata["name"],
        replicas=replicas,
        ready_replicas=_ready(deployment),
        replicas_owned=any(_owns_replicas(entry) for entry in entries),
        rules=_as_many_as(active, rules) if is_next and active else rules,
        benchmark_tokens_per_second=resolved.engine.benchmark.tokens_per_second if resolved else None,
        is_active=is_active,
        retires=_role(deployment) is Role.RETIRING and not is_next,
        gives_way=_makes_room(deployment) and not _is_stalled(model),
        made_room=replicas == 0
        and any(_owns_replicas(entry) and entry.get("manager") == AUTOSCALER_MANAGER for entry in entries),
    )


def _as_many_as(active: Manifest, rules: ScalingRules) -> ScalingRules:
    """The rules of a space that is about to take all requests: it needs as many servers as take them now."""
    least = max(rules.min_replicas, _ready(active))
    return replace(rules, min_replicas=least, max_replicas=max(least, rules.max_replicas))


def _ready(deployment: Manifest) -> int:
    return int((deployment.get("status") or {}).get("readyReplicas") or 0)


def _makes_room(deployment: Manifest) -> bool:
    """True where a build is to have the accelerators of servers that cannot become ready."""
    annotations = deployment["metadata"].get("annotations") or {}
    resolved = read_resolved(annotations)
    if resolved is None:
        return False
    key = resolved.engine.key
    return read_repair(annotations, key).lack is not None or has_given_way(annotations, key)


def _is_stalled(model: EmbeddingModel) -> bool:
    """True where nothing is built until a person changes something: room for a build would stay empty."""
    return any(each.type == ConditionType.STALLED and each.status == "True" for each in model.status.conditions)


def _key(item: Manifest) -> Key:
    return Key(item["metadata"]["namespace"], item["metadata"]["name"])


def _owns_replicas(entry: Manifest) -> bool:
    return "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
