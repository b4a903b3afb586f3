"""The Job that removes from a namespace's store what nobody uses. It belongs to no model, and goes by itself. Pure."""

import json
from datetime import datetime

from embedplane_operator.api.source import Source
from embedplane_operator.api.v1alpha1 import EmbeddingModel, EmbeddingModelSpec, Metadata
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.job import JobRequest, JobShape, render_job
from embedplane_operator.render.names import COLLECT, collect_job_name
from embedplane_operator.render.pod import Container
from embedplane_operator.render.resources import render_resources
from embedplane_operator.render.store import store_access
from embedplane_operator.settings import Settings


def render_collect_job(
    model: EmbeddingModel, settings: Settings, inputs: str, keep: tuple[str, ...], as_of: datetime
) -> Manifest:
    """Return the Job; `model` lends its namespace and podTemplate, `keep` was true at `as_of`."""
    environment = {
        "EMBEDPLANE_KEEP": json.dumps(keep, separators=(",", ":")),
        "EMBEDPLANE_KEEP_AS_OF": as_of.isoformat(),
        "EMBEDPLANE_GRACE_SECONDS": str(settings.store_collection.grace_seconds),
    }
    container = Container(
        command=COLLECT,
        image=settings.images.server,
        environment=environment,
        resources=render_resources(settings.jobs.fetch.resources),
        store=store_access(settings, model.metadata.namespace, writes=True),
    )
    shape = JobShape(collect_job_name(inputs), container, settings.jobs.fetch.active_deadline_seconds)
    job = render_job(model, settings, JobRequest(inputs, 1, "", ()), shape)
    lifetime = {"ttlSecondsAfterFinished": 2 * settings.store_collection.interval_seconds}
    del job["metadata"]["ownerReferences"]
    return job | {"spec": job["spec"] | lifetime}


def nobody(namespace: str) -> EmbeddingModel:
    """Return a model that lends nothing but its namespace, for one that has no models any more."""
    return EmbeddingModel(
        metadata=Metadata(name=COLLECT, namespace=namespace, uid=""), spec=EmbeddingModelSpec(source=Source())
    )
