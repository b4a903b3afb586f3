"""The fetch Job: the only pod that holds a source's credentials. It runs on any CPU node. Pure."""

import json
from typing import Any

from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.accelerator import engine_target
from embedplane_operator.render.inputs import overrides_of
from embedplane_operator.render.job import JobRequest, JobShape, render_job
from embedplane_operator.render.names import FETCH, LABEL_MODEL, fetch_job_name
from embedplane_operator.render.pod import Container
from embedplane_operator.render.resources import render_resources
from embedplane_operator.render.store import store_access
from embedplane_operator.settings import Settings

SOURCE_PATH = "/source"
TOKEN_FOLDER = "/var/run/secrets/embedplane/source"  # noqa: S105 -- a path, not a password


def render_fetch_job(
    model: EmbeddingModel, settings: Settings, request: JobRequest, pinned_commit: str | None
) -> Manifest:
    """Return the fetch Job; with a pinned commit it fetches that, whatever the revision names by now."""
    environment = {
        "EMBEDPLANE_SOURCE": json.dumps(source_of(model, settings, pinned_commit), sort_keys=True),
        "EMBEDPLANE_OVERRIDES": json.dumps(overrides_of(model), sort_keys=True),
        "EMBEDPLANE_ENGINE": json.dumps(engine_target(model, settings).to_document(), sort_keys=True),
    }
    if _has_token(model):
        environment["EMBEDPLANE_TOKEN_FILE"] = f"{TOKEN_FOLDER}/token"
    container = Container(
        command=FETCH,
        image=settings.images.server,
        environment=environment,
        resources=render_resources(settings.jobs.fetch.resources),
        store=store_access(settings, model.metadata.namespace, writes=True),
        mounts=tuple(_mounts(model)),
        volumes=tuple(_volumes(model)),
    )
    shape = JobShape(
        name=fetch_job_name(model, request.inputs),
        container=container,
        deadline_seconds=settings.jobs.fetch.active_deadline_seconds,
        model_labels=((LABEL_MODEL, model.metadata.name),),
    )
    return render_job(model, settings, request, shape)


def source_of(model: EmbeddingModel, settings: Settings, pinned_commit: str | None) -> dict[str, Any]:
    """Return the value of EMBEDPLANE_SOURCE."""
    source = model.spec.source
    if source.persistent_volume_claim:
        path = source.persistent_volume_claim.path.strip("/")
        return {"path": SOURCE_PATH if path == "." else f"{SOURCE_PATH}/{path}"}
    hub = source.hugging_face
    if hub is None:
        raise ValueError("spec.source names no source; the API server should have refused it")
    found = {"repo": hub.repo, "revision": pinned_commit or hub.revision}
    endpoint = hub.endpoint or settings.hub.endpoint
    return {"huggingFace": found | ({"endpoint": endpoint} if endpoint else {})}


def _has_token(model: EmbeddingModel) -> bool:
    hub = model.spec.source.hugging_face
    return hub is not None and hub.token_secret_ref is not None


def _mounts(model: EmbeddingModel) -> list[Manifest]:
    if model.spec.source.persistent_volume_claim:
        return [{"name": "source", "mountPath": SOURCE_PATH, "readOnly": True}]
    return [{"name": "token", "mountPath": TOKEN_FOLDER, "readOnly": True}] if _has_token(model) else []


def _volumes(model: EmbeddingModel) -> list[Manifest]:
    source = model.spec.source
    if claim := source.persistent_volume_claim:
        return [{"name": "source", "persistentVolumeClaim": {"claimName": claim.claim_name, "readOnly": True}}]
    if source.hugging_face and (secret := source.hugging_face.token_secret_ref):
        items = [{"key": secret.key, "path": "token"}]
        return [{"name": "token", "secret": {"secretName": secret.name, "defaultMode": 0o440, "items": items}}]
    return []
