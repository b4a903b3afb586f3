"""Where a pod may run and what the user puts over it: profile, podTemplate, and the node that holds the store. Pure."""

from embedplane_operator.accelerator_profiles import AcceleratorProfile
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.accelerator import profile_of
from embedplane_operator.render.manifest import as_written
from embedplane_operator.render.names import LABEL_STORE, STORE_CLAIM
from embedplane_operator.settings import Settings

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def render_placement(
    model: EmbeddingModel, settings: Settings, *, on: AcceleratorProfile | None, near: str | None = None
) -> Manifest:
    """Return the pod's scheduling fields and pull secrets, empty ones included; `near` is a node that suits best.

    `on` is the profile of its nodes, None for a pod that needs no accelerator. Such a pod still tolerates the nodes of
    the model's profile when the store is node-bound: the claim may be there already.
    """
    template = model.spec.pod_template
    tolerating = on if settings.store.is_shared else on or profile_of(model, settings)
    secrets = [{"name": name} for name in settings.image_pull_secrets]
    return {
        "nodeSelector": {**(on.node_selector if on else {}), **template.node_selector} or None,
        "tolerations": _tolerations(model, tolerating),
        "affinity": _affinity(model, settings, near) or None,
        "runtimeClassName": on.runtime_class_name if on else None,
        "priorityClassName": template.priority_class_name,
        "imagePullSecrets": _unique([*secrets, *map(as_written, template.image_pull_secrets)]),
    }


def _tolerations(model: EmbeddingModel, profile: AcceleratorProfile | None) -> list[Manifest]:
    of_profile = profile.tolerations if profile else ()
    return _unique([as_written(each) for each in (*of_profile, *model.spec.pod_template.tolerations)])


def _affinity(model: EmbeddingModel, settings: Settings, near: str | None) -> Manifest:
    wanted = model.spec.pod_template.affinity
    affinity = as_written(wanted) if wanted else {}
    if near:
        nodes = affinity.get("nodeAffinity", {})
        affinity |= {"nodeAffinity": nodes | {PREFERRED: [*nodes.get(PREFERRED, []), _on_node(near)]}}
    if settings.store.is_shared:
        return affinity
    pods = affinity.get("podAffinity", {})
    return affinity | {"podAffinity": pods | {REQUIRED: [*pods.get(REQUIRED, []), _beside_the_store()]}}


def _beside_the_store() -> Manifest:
    return {
        "labelSelector": {"matchLabels": {LABEL_STORE: STORE_CLAIM}},
        "topologyKey": "kubernetes.io/hostname",
    }


def _on_node(name: str) -> Manifest:
    """Preferred only: the node may be gone, or of a kind that comes and goes."""
    fields = [{"key": "metadata.name", "operator": "In", "values": [name]}]
    return {"weight": 100, "preference": {"matchFields": fields}}


def _unique(items: list[Manifest]) -> list[Manifest]:
    return [item for position, item in enumerate(items) if item not in items[:position]]
