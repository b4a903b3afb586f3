"""The export Job: a model in the store becomes a portable graph with reference vectors, on any CPU node. Pure."""

import json

from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.accelerator import engine_target
from embedplane_operator.render.inputs import overrides_of
from embedplane_operator.render.job import JobRequest, JobShape, render_job
from embedplane_operator.render.names import EXPORT, export_job_name
from embedplane_operator.render.pod import Container
from embedplane_operator.render.resources import job_resources, render_resources
from embedplane_operator.render.store import store_access
from embedplane_operator.settings import Settings

TEXTS_FOLDER = "/texts"


def render_export_job(
    model: EmbeddingModel, settings: Settings, request: JobRequest, model_digest: str, texts: str | None = None
) -> Manifest:
    """Return the export Job of a model's digest; every model that waits for it is an owner.

    `texts` is the digest of the user's own texts: only this Job sees the ConfigMap that holds them.
    """
    environment = {
        "EMBEDPLANE_MODEL_DIGEST": model_digest,
        "EMBEDPLANE_OVERRIDES": json.dumps(overrides_of(model), sort_keys=True),
        "EMBEDPLANE_FORMAT": engine_target(model, settings).export_format,
    }
    source = model.spec.engine.conformance.texts_from if texts else None
    if source and texts:
        environment |= {"EMBEDPLANE_TEXTS": texts, "EMBEDPLANE_TEXTS_FOLDER": TEXTS_FOLDER}
    container = Container(
        command=EXPORT,
        image=settings.images.exporter,
        environment=environment,
        resources=render_resources(job_resources(model, settings.jobs.export.resources)),
        store=store_access(settings, model.metadata.namespace, writes=True),
        mounts=({"name": "texts", "mountPath": TEXTS_FOLDER, "readOnly": True},) if source else (),
        volumes=({"name": "texts", "configMap": {"name": source.config_map_ref.name}},) if source else (),
    )
    shape = JobShape(
        name=export_job_name(request.inputs),
        container=container,
        deadline_seconds=model.spec.engine.jobs.active_deadline_seconds,
    )
    return render_job(model, settings, request, shape)
