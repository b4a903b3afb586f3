"""The build Job: an export becomes an engine, checked and measured where it will serve. Pure."""

import json

from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.accelerator import (
    accelerator_annotations,
    build_profile_of,
    engine_target,
    serving_image,
    shared_memory_mounts,
    shared_memory_volumes,
)
from embedplane_operator.render.job import JobRequest, JobShape, render_job
from embedplane_operator.render.names import BUILD, build_job_name
from embedplane_operator.render.pod import Container
from embedplane_operator.render.resources import build_resources, render_resources, threads_for, with_accelerator
from embedplane_operator.render.store import store_access
from embedplane_operator.render.tensorrt_llm import Exactness
from embedplane_operator.settings import Settings


def render_build_job(
    model: EmbeddingModel,
    settings: Settings,
    request: JobRequest,
    export_key: str,
    near: str | None = None,
    texts: str | None = None,
    exactness: Exactness | None = None,
) -> Manifest:
    """Return the build Job of an export; every model that waits for it is an owner.

    `near` is the node of a server that found no engine for its kind of machine, `texts` the digest of the user's own.
    `exactness` is what the fetch says of the model and TensorRT-LLM.
    """
    engine, target = model.spec.engine, engine_target(model, settings, texts, exactness)
    environment = {
        "EMBEDPLANE_EXPORT_KEY": export_key,
        "EMBEDPLANE_ENGINE": json.dumps(target.to_document(), sort_keys=True),
        "EMBEDPLANE_MINIMUM_COSINE": str(engine.conformance.minimum_cosine),
        "EMBEDPLANE_THREADS": str(threads_for(model.spec.resources)),
    }
    if engine.max_batch_tokens is not None:
        environment["EMBEDPLANE_MAX_BATCH_TOKENS"] = str(engine.max_batch_tokens)
    profile = build_profile_of(model, settings)
    container = Container(
        command=BUILD,
        image=serving_image(model, settings),
        environment=environment,
        resources=with_accelerator(render_resources(build_resources(model, settings)), model, profile),
        store=store_access(settings, model.metadata.namespace, writes=True),
        mounts=shared_memory_mounts(profile),
        volumes=shared_memory_volumes(profile),
    )
    shape = JobShape(
        name=build_job_name(request.inputs),
        container=container,
        deadline_seconds=engine.jobs.active_deadline_seconds,
        profile=profile,
        near=near,
        annotations=tuple(accelerator_annotations(model).items()),
    )
    return render_job(model, settings, request, shape)
