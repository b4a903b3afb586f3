"""The fetch Job, and what a pod needs that asks a source: its place and its credentials. It runs on any CPU node. Pure.

Only this Job and the one of `resolve_job.py` hold a source's credentials.
"""

import json
from dataclasses import replace
from typing import Any

from embedplane_operator.api.source import Source
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.accelerator import accelerator_annotations, engine_target
from embedplane_operator.render.inputs import overrides_of
from embedplane_operator.render.job import JobRequest, JobShape, render_job
from embedplane_operator.render.names import FETCH, LABEL_MODEL, fetch_job_name
from embedplane_operator.render.pod import Container
from embedplane_operator.render.resources import render_resources
from embedplane_operator.render.store import store_access
from embedplane_operator.settings import Settings

SOURCE_PATH = "/source"
SECRET_FOLDER = "/var/run/secrets/embedplane/source"  # noqa: S105 -- a path, not a password


def render_fetch_job(
    model: EmbeddingModel,
    settings: Settings,
    request: JobRequest,
    pinned_commit: str | None,
    texts: str | None = None,
) -> Manifest:
    """Return the fetch Job; with a pinned commit it fetches that, whatever the revision names by now.

    `texts` is the digest of the user's own texts.
    """
    wishes = {
        "EMBEDPLANE_OVERRIDES": json.dumps(overrides_of(model), sort_keys=True),
        "EMBEDPLANE_ENGINE": json.dumps(engine_target(model, settings, texts).identity(), sort_keys=True),
    }
    container = source_container(model, settings, FETCH, pinned_commit)
    container = replace(container, environment={**container.environment, **wishes})
    shape = source_job(model, settings, fetch_job_name(model, request.inputs), container)
    return render_job(
        model, settings, request, replace(shape, annotations=tuple(accelerator_annotations(model).items()))
    )


def source_job(model: EmbeddingModel, settings: Settings, name: str, container: Container) -> JobShape:
    """Return the shape of a Job of one model that asks its source."""
    deadline = settings.jobs.fetch.active_deadline_seconds
    return JobShape(name, container, deadline, model_labels=((LABEL_MODEL, model.metadata.name),))


def source_container(
    model: EmbeddingModel, settings: Settings, command: str, pinned_commit: str | None = None
) -> Container:
    """Return the container of a command that asks the source, with the source's credentials."""
    environment = {"EMBEDPLANE_SOURCE": json.dumps(source_of(model, settings, pinned_commit), sort_keys=True)}
    if model.spec.source.secret_name:
        is_bucket = model.spec.source.object_storage is not None
        name, path = ("SOURCE_CREDENTIALS", SECRET_FOLDER) if is_bucket else ("TOKEN_FILE", f"{SECRET_FOLDER}/token")
        environment[f"EMBEDPLANE_{name}"] = path
    return Container(
        command=command,
        image=settings.images.server,
        environment=environment,
        resources=render_resources(settings.jobs.fetch.resources),
        store=store_access(settings, model.metadata.namespace, writes=True),
        mounts=tuple(_mounts(model)),
        volumes=tuple(_volumes(model)),
    )


def source_of(model: EmbeddingModel, settings: Settings, pinned_commit: str | None) -> dict[str, Any]:
    """Return the value of EMBEDPLANE_SOURCE."""
    source = model.spec.source
    if source.persistent_volume_claim:
        path = source.persistent_volume_claim.path.strip("/")
        return {"path": SOURCE_PATH if path == "." else f"{SOURCE_PATH}/{path}"}
    if objects := source.object_storage:
        place = {"url": objects.url, "endpoint": objects.endpoint, "region": objects.region, "commit": pinned_commit}
        return {"objectStorage": {name: value for name, value in place.items() if value is not None}}
    hub = source.hugging_face
    if hub is None:
        raise ValueError("spec.source names no source; the API server should have refused it")
    found = {"repo": hub.repo, "revision": pinned_commit or hub.revision}
    endpoint = hub.endpoint or settings.hub.endpoint
    return {"huggingFace": found | ({"endpoint": endpoint} if endpoint else {})}


def _mounts(model: EmbeddingModel) -> list[Manifest]:
    source = model.spec.source
    if source.persistent_volume_claim:
        return [{"name": "source", "mountPath": SOURCE_PATH, "readOnly": True}]
    return [{"name": _volume(source), "mountPath": SECRET_FOLDER, "readOnly": True}] if source.secret_name else []


def _volumes(model: EmbeddingModel) -> list[Manifest]:
    source = model.spec.source
    if claim := source.persistent_volume_claim:
        return [{"name": "source", "persistentVolumeClaim": {"claimName": claim.claim_name, "readOnly": True}}]
    if source.secret_name is None:
        return []
    secret: Manifest = {"secretName": source.secret_name, "defaultMode": 0o440}
    if source.hugging_face and (token := source.hugging_face.token_secret_ref):
        secret["items"] = [{"key": token.key, "path": "token"}]
    return [{"name": _volume(source), "secret": secret}]


def _volume(source: Source) -> str:
    return "token" if source.hugging_face else "source-credentials"
