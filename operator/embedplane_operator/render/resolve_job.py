"""The Job that asks a source which commit it names now, with the fetch Job's credentials. It writes nothing. Pure."""

from dataclasses import replace

from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.fetch_job import source_container, source_job
from embedplane_operator.render.job import JobRequest, render_job
from embedplane_operator.render.names import RESOLVE, resolve_job_name
from embedplane_operator.render.store import store_access
from embedplane_operator.settings import Settings


def render_resolve_job(model: EmbeddingModel, settings: Settings, request: JobRequest) -> Manifest:
    """Return the Job; it asks for the revision as the user named it."""
    container = replace(
        source_container(model, settings, RESOLVE),
        store=store_access(settings, model.metadata.namespace, writes=False),
    )
    shape = source_job(model, settings, resolve_job_name(model, request.inputs), container)
    return render_job(model, settings, request, shape)
