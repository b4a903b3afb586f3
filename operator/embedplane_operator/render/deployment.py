"""The Deployment of a model's servers: one vector space, no `replicas` (the autoscaler's alone). Pure."""

import json

from embedplane_operator.api.repair import Repair
from embedplane_operator.api.resolved import Resolved
from embedplane_operator.api.roles import ANNOTATION_ROLE
from embedplane_operator.api.status import VectorSpaceStatus
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.accelerator import (
    accelerator_annotations,
    accelerator_labels,
    profile_of,
    serving_image,
    shared_memory_mounts,
    shared_memory_volumes,
)
from embedplane_operator.render.manifest import as_written, owner_of, owner_reference, ownership_labels
from embedplane_operator.render.names import (
    ANNOTATION_COMMIT,
    ANNOTATION_ENGINE_KEY,
    ANNOTATION_REPAIR,
    ANNOTATION_RESOLVED,
    ANNOTATION_VECTOR_SPACE,
    LABEL_MODEL,
    LABEL_VECTOR_SPACE,
    SERVER,
    SERVER_PORT,
    SERVER_PORT_NAME,
    SERVER_SERVICE_ACCOUNT,
    deployment_name,
    space_label,
)
from embedplane_operator.render.placement import render_placement
from embedplane_operator.render.pod import Container, render_pod_spec
from embedplane_operator.render.probes import render_probes, startup_seconds
from embedplane_operator.render.resources import render_resources, threads_for, with_accelerator
from embedplane_operator.render.store import store_access, store_labels
from embedplane_operator.settings import Settings

SHUTDOWN_SECONDS = 5
ROLE_FOLDER = "/var/run/embedplane"
"""A file `role` below it has the pod's annotation of that name; servers of a retiring space close their connections."""
API_KEYS_FOLDER = "/var/run/secrets/embedplane/api-keys"


def render_deployment(
    model: EmbeddingModel, settings: Settings, resolved: Resolved, repair: Repair | None = None
) -> Manifest:
    """Return the Deployment that serves a published engine; `repair` is what was done about one that cannot be loaded.

    It stands beside the pods' template, so that no rollout comes of it.
    """
    labels = ownership_labels(settings, SERVER) | space_selector(model, resolved.vector_space.id)
    rollout = model.spec.serving.rollout
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": deployment_name(model, resolved.vector_space.id),
            "namespace": model.metadata.namespace,
            "labels": labels,
            "annotations": _annotations(resolved, repair) | accelerator_annotations(model),
            "ownerReferences": [owner_reference(owner_of(model), is_controller=True)],
        },
        "spec": {
            "selector": {"matchLabels": space_selector(model, resolved.vector_space.id)},
            "revisionHistoryLimit": 2,
            "progressDeadlineSeconds": 600 + startup_seconds(resolved.source.size_bytes),
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": rollout.max_surge, "maxUnavailable": rollout.max_unavailable},
            },
            "template": _pod_template(model, settings, resolved, labels),
        },
    }


def _annotations(resolved: Resolved, repair: Repair | None) -> dict[str, str]:
    annotations = {
        ANNOTATION_COMMIT: resolved.source.commit,
        ANNOTATION_VECTOR_SPACE: resolved.vector_space.id,
        ANNOTATION_ENGINE_KEY: resolved.engine.key,
        ANNOTATION_RESOLVED: resolved.to_json(),
    }
    record = repair.to_json() if repair and repair.engine == resolved.engine.key else None
    return annotations | ({ANNOTATION_REPAIR: record} if record else {})


def space_selector(model: EmbeddingModel, vector_space_id: str) -> dict[str, str]:
    """Return the labels that select the servers of exactly one vector space of one model."""
    return {LABEL_MODEL: model.metadata.name, LABEL_VECTOR_SPACE: space_label(vector_space_id)}


def served_model_names(model: EmbeddingModel) -> list[str]:
    """Return the names that requests may ask for: the user's, else the object, the repository and `model`."""
    if model.spec.served_model_names:
        return list(model.spec.served_model_names)
    hub = model.spec.source.hugging_face
    names = [model.metadata.name, *([hub.repo] if hub else []), "model"]
    return list(dict.fromkeys(names))


def _pod_template(model: EmbeddingModel, settings: Settings, resolved: Resolved, labels: dict[str, str]) -> Manifest:
    template, serving = model.spec.pod_template, model.spec.serving
    spread = [as_written(each) for each in template.topology_spread_constraints]
    profile = profile_of(model, settings)
    placement = render_placement(model, settings, on=profile) | {
        "topologySpreadConstraints": spread or _default_spread(model, resolved.vector_space.id)
    }
    labels = {**labels, **store_labels(settings), **accelerator_labels(model), **template.labels}
    metadata: Manifest = {"labels": labels}
    if annotations := {**_scrape_annotations(settings), **template.annotations}:
        metadata["annotations"] = annotations
    return {
        "metadata": metadata,
        "spec": {
            "terminationGracePeriodSeconds": serving.drain_delay_seconds
            + serving.max_request_seconds
            + SHUTDOWN_SECONDS,
            **render_pod_spec(settings, _container(model, settings, resolved), placement, SERVER_SERVICE_ACCOUNT),
        },
    }


def _container(model: EmbeddingModel, settings: Settings, resolved: Resolved) -> Container:
    profile = profile_of(model, settings)
    return Container(
        command="serve",
        name=SERVER,
        image=serving_image(model, settings),
        environment=_environment(model, resolved),
        user_environment=tuple(as_written(each) for each in model.spec.pod_template.env),
        resources=with_accelerator(render_resources(model.spec.resources), model, profile),
        store=store_access(settings, model.metadata.namespace, writes=False, model_bytes=resolved.source.size_bytes),
        mounts=(*_mounts(model), *shared_memory_mounts(profile)),
        volumes=(*_volumes(model), *shared_memory_volumes(profile)),
        extra={
            "ports": [{"name": SERVER_PORT_NAME, "containerPort": SERVER_PORT, "protocol": "TCP"}],
            **render_probes(resolved.source.size_bytes),
        },
    )


def _environment(model: EmbeddingModel, resolved: Resolved) -> dict[str, str]:
    spec, serving = model.spec, model.spec.serving
    required = {
        "ENGINE_KEY": resolved.engine.key,
        "MODEL_NAME": model.metadata.name,
        "SERVED_MODEL_NAMES": json.dumps(served_model_names(model)),
        "VECTOR_SPACE": resolved.vector_space.base_id,
        "PORT": SERVER_PORT,
        "THREADS": threads_for(spec.resources),
        "MAX_REQUEST_SECONDS": serving.max_request_seconds,
        "MAX_CONNECTION_SECONDS": serving.max_connection_seconds,
        "DRAIN_DELAY_SECONDS": serving.drain_delay_seconds,
        "MINIMUM_COSINE": spec.engine.conformance.minimum_cosine,
        "DEFAULT_ROUTE": serving.default_route,
        "LONG_INPUT": serving.long_input,
        "TOKEN_ENCODING": serving.token_encoding,
    }
    optional = {
        "MAX_BATCH_TOKENS": spec.engine.max_batch_tokens,
        "MAX_QUEUED_TOKENS": serving.max_queued_tokens,
        "DIMENSIONS": _dimensions(resolved.vector_space),
        "ROLE_FILE": f"{ROLE_FOLDER}/role",
        "API_KEYS_FILES": json.dumps([API_KEYS_FOLDER]) if serving.api_keys_secret_ref else None,
    }
    given = {name: value for name, value in {**required, **optional}.items() if value is not None}
    return {f"EMBEDPLANE_{name}": str(value) for name, value in given.items()}


def _dimensions(space: VectorSpaceStatus) -> str | None:
    """The lengths as they were accepted: a wish that is refused must not reach the servers."""
    if space.native_dimensions is None and not space.allowed_dimensions:
        return None
    return json.dumps({"default": space.dimensions, "allowed": list(space.allowed_dimensions)})


def _mounts(model: EmbeddingModel) -> list[Manifest]:
    # whole folders, since a subPath would never see a change
    role = {"name": "role", "mountPath": ROLE_FOLDER, "readOnly": True}
    if model.spec.serving.api_keys_secret_ref is None:
        return [role]
    return [role, {"name": "api-keys", "mountPath": API_KEYS_FOLDER, "readOnly": True}]


def _volumes(model: EmbeddingModel) -> list[Manifest]:
    field = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{ANNOTATION_ROLE}']"}}
    role = {"name": "role", "downwardAPI": {"defaultMode": 0o444, "items": [{"path": "role", **field}]}}
    reference = model.spec.serving.api_keys_secret_ref
    if reference is None:
        return [role]
    return [role, {"name": "api-keys", "secret": {"secretName": reference.name, "defaultMode": 0o440}}]


def _scrape_annotations(settings: Settings) -> dict[str, str]:
    if not settings.scrape_annotations:
        return {}
    return {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(SERVER_PORT),
        "prometheus.io/path": "/metrics",
    }


def _default_spread(model: EmbeddingModel, vector_space_id: str) -> list[Manifest]:
    if model.spec.scaling.max_replicas == 1:
        return []
    selector = {"matchLabels": space_selector(model, vector_space_id)}
    return [
        {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector}
        for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    ]
