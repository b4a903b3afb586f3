"""Small pieces of every manifest: metadata, owners, and the rule that nulls and empty lists are left out.

Server-side apply of an empty list or a null can be a change each time; both mean the same as absence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from embedplane_operator.api.v1alpha1 import API_VERSION, KIND, EmbeddingModel
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.names import (
    LABEL_COMPONENT,
    LABEL_INSTALLATION,
    LABEL_MANAGED_BY,
    LABEL_MODEL,
    MANAGED_BY,
    SERVER,
    service_name,
)
from embedplane_operator.settings import Settings


@dataclass(frozen=True, order=True)
class Owner:
    """An EmbeddingModel that a child belongs to."""

    name: str
    uid: str


def owner_of(model: EmbeddingModel) -> Owner:
    """Return the model as an owner of its children."""
    return Owner(model.metadata.name, model.metadata.uid)


def owner_reference(owner: Owner, *, is_controller: bool = False) -> Manifest:
    """Return the reference that lets Kubernetes delete the child with its owner, without holding up the owner."""
    reference = {"apiVersion": API_VERSION, "kind": KIND, "name": owner.name, "uid": owner.uid}
    return reference | {"blockOwnerDeletion": False} | ({"controller": True} if is_controller else {})


def ownership_labels(settings: Settings, component: str | None = None) -> dict[str, str]:
    """Return the labels that say an object is ours, and whose of us."""
    labels = {LABEL_MANAGED_BY: MANAGED_BY, LABEL_INSTALLATION: settings.installation}
    return labels | ({LABEL_COMPONENT: component} if component else {})


def endpoint_metadata(model: EmbeddingModel, settings: Settings, name: str | None = None) -> Manifest:
    """Return the metadata of what stands in front of a model's servers: a Service and a budget."""
    return {
        "name": name or service_name(model),
        "namespace": model.metadata.namespace,
        "labels": ownership_labels(settings, SERVER) | {LABEL_MODEL: model.metadata.name},
        "ownerReferences": [owner_reference(owner_of(model), is_controller=True)],
    }


def without_empty(value: Any) -> Any:  # noqa: ANN401 -- any JSON
    """Return JSON without nulls and empty lists, at any depth; an empty object stays (`emptyDir: {}`)."""
    if isinstance(value, Mapping):
        kept = {key: without_empty(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None and item != []}
    if isinstance(value, list | tuple):
        return [without_empty(item) for item in value]
    return value


def as_written(part: BaseModel) -> Manifest:
    """Return a user's part of a pod as it was written: no defaults of ours, no nulls, no empty lists."""
    written: Manifest = without_empty(part.model_dump(mode="json", by_alias=True, exclude_unset=True))
    return written
