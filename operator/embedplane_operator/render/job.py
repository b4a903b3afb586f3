"""What fetch, export and build Jobs have in common: one try, exit code 64 is final, a disruption does not count. Pure.

A Job is named by a hash of its inputs and never patched; the operator deletes it to run it again.
"""

from dataclasses import dataclass

from embedplane_operator.accelerator_profiles import AcceleratorProfile
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.manifest import Owner, owner_reference, ownership_labels
from embedplane_operator.render.names import (
    ANNOTATION_ATTEMPT,
    ANNOTATION_INPUTS,
    ANNOTATION_TRIGGER,
    JOB_SERVICE_ACCOUNT,
)
from embedplane_operator.render.placement import render_placement
from embedplane_operator.render.pod import Container, render_pod_spec
from embedplane_operator.render.store import store_labels
from embedplane_operator.settings import Settings

PERMANENT = 64
NO_MESH_LABELS = {"sidecar.istio.io/inject": "false"}
NO_MESH_ANNOTATIONS = {"sidecar.istio.io/inject": "false", "linkerd.io/inject": "disabled"}


@dataclass(frozen=True)
class JobRequest:
    """Which run of a Job: what it is made from, the how manyeth try, what made it run, and who waits for it."""

    inputs: str
    attempt: int
    trigger: str
    owners: tuple[Owner, ...]


@dataclass(frozen=True)
class JobShape:
    """What differs between the three Jobs."""

    name: str
    container: Container
    deadline_seconds: int
    profile: AcceleratorProfile | None = None
    """The accelerator that it needs; None: it runs on any node."""
    near: str | None = None
    """A node that suits best."""
    model_labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    """Further annotations of the Job itself."""


def render_job(model: EmbeddingModel, settings: Settings, request: JobRequest, shape: JobShape) -> Manifest:
    """Return the Job; `model` lends namespace and podTemplate."""
    labels = ownership_labels(settings, shape.container.command) | dict(shape.model_labels)
    is_controller = bool(shape.model_labels)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": shape.name,
            "namespace": model.metadata.namespace,
            "labels": labels,
            "annotations": {
                ANNOTATION_INPUTS: request.inputs,
                ANNOTATION_ATTEMPT: str(request.attempt),
                ANNOTATION_TRIGGER: request.trigger,
                **dict(shape.annotations),
            },
            "ownerReferences": [
                owner_reference(owner, is_controller=is_controller) for owner in sorted(request.owners)
            ],
        },
        "spec": {
            "backoffLimit": 0,
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": shape.container.command,
                            "operator": "In",
                            "values": [PERMANENT],
                        },
                    },
                ]
            },
            "template": _pod_template(model, settings, shape, labels),
        },
    }


def _pod_template(model: EmbeddingModel, settings: Settings, shape: JobShape, labels: dict[str, str]) -> Manifest:
    template = model.spec.pod_template
    placement = render_placement(model, settings, on=shape.profile, near=shape.near)
    return {
        "metadata": {
            "labels": {**NO_MESH_LABELS, **labels, **store_labels(settings), **template.labels},
            "annotations": {**NO_MESH_ANNOTATIONS, **template.annotations},
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": shape.deadline_seconds,
            **render_pod_spec(settings, shape.container, placement, JOB_SERVICE_ACCOUNT),
        },
    }
