"""Settings and models for tests of the renderers, from short YAML."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from embedplane_operator.api.resolved import Resolved
from embedplane_operator.api.status import EngineStatus, SourceStatus, VectorSpaceStatus
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.decide.dimensions import with_dimensions
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.build_job import render_build_job
from embedplane_operator.render.collect_job import render_collect_job
from embedplane_operator.render.deployment import render_deployment
from embedplane_operator.render.disruption_budget import render_disruption_budget
from embedplane_operator.render.export_job import render_export_job
from embedplane_operator.render.fetch_job import render_fetch_job
from embedplane_operator.render.inputs import build_inputs, export_inputs, fetch_inputs, upstream_inputs
from embedplane_operator.render.job import JobRequest
from embedplane_operator.render.manifest import owner_of
from embedplane_operator.render.network_policies import render_network_policies
from embedplane_operator.render.resolve_job import render_resolve_job
from embedplane_operator.render.service import render_service
from embedplane_operator.render.service_accounts import render_service_accounts
from embedplane_operator.render.store_claim import render_store_claim
from embedplane_operator.settings import Settings

ROOT = Path(__file__).parents[2]
SPACE = "vs1-0123456789abcdef0123"
HUB: dict[str, Any] = {"source": {"huggingFace": {"repo": "a/b"}}}
TOKEN = {"source": {"huggingFace": {"repo": "a/b", "tokenSecretRef": {"name": "token"}}}}
GPU = HUB | {"accelerator": {"profile": "nvidia-l4"}}
RICH = GPU | TOKEN | {"scaling": {"maxReplicas": 3}}
"""Specs: the least, with a Secret, on a GPU, and with all of it."""
L4 = {
    "resourceName": "nvidia.com/gpu",
    "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "gpuName": "NVIDIA L4",
    "computeCapability": "8.9",
}


def settings_of(**changes: Any) -> Settings:
    """Return settings of an installation with one GPU profile."""
    return Settings.model_validate(
        {
            "installation": "embedplane",
            "images": {"server": "server:1", "exporter": "exporter:1", "gpuServer": "server-gpu:1"},
            "acceleratorProfiles": {"nvidia-l4": L4},
            "leaderElection": {"namespace": "embedplane-system"},
            **changes,
        }
    )


def model_of(spec: dict[str, Any], **metadata: Any) -> EmbeddingModel:
    """Return an EmbeddingModel as the API server would hold it."""
    body = {"name": "minilm", "namespace": "search", "uid": "6b0f5a4e-0000-4000-8000-000000000001", "generation": 1}
    return EmbeddingModel.model_validate({"metadata": body | metadata, "spec": spec})


def request_for(model: EmbeddingModel, inputs: str) -> JobRequest:
    """Return the first run of a Job for one model."""
    return JobRequest(inputs=inputs, attempt=1, trigger="0" * 16, owners=(owner_of(model),))


def resolved() -> Resolved:
    """Return a MiniLM that is pinned, described and built."""
    return Resolved(
        source=SourceStatus(
            inputs="5" * 64, commit="c" * 40, digest="d" * 64, size_bytes=90_868_376, architecture="BertModel"
        ),
        vector_space=VectorSpaceStatus(
            inputs="6" * 64,
            id=SPACE,
            dimensions=384,
            pooling="mean",
            normalized=True,
            max_sequence_length=256,
            similarity="cosine",
        ),
        engine=EngineStatus.model_validate(
            {
                "inputs": "7" * 64,
                "key": "e" * 64,
                "variant": "avx512-bf16",
                "backend": "openvino",
                "reason": "no accelerator: the CPU's backend",
                "backendVersion": "2026.4.1",
                "precision": "bfloat16",
                "maxBatchTokens": 2048,
                "conformance": {"texts": 64, "minimumCosine": 0.99987, "meanCosine": 0.99996},
                "benchmark": {"tokensPerSecond": 27000.5, "batchTokens": 2048},
                "builtAt": "2026-11-23T10:00:00Z",
            }
        ),
    )


def every_manifest(model: EmbeddingModel, settings: Settings) -> list[Manifest]:
    """Return all that Embedplane makes for a model, in the order in which it comes into being."""
    pinned = resolved()
    pinned = replace(pinned, vector_space=with_dimensions(pinned.vector_space, model.spec.embedding.dimensions))
    space = pinned.vector_space.id
    texts = "9" * 64 if model.spec.engine.conformance.texts_from else None
    export = export_inputs(model, settings, pinned.source.digest, texts)
    build = build_inputs(model, settings, "export-key", texts)
    budget = render_disruption_budget(model, settings, space)
    names, as_of = (pinned.source.digest, pinned.vector_space.base_id), datetime(2026, 11, 23, 12, tzinfo=UTC)
    return [
        *([] if settings.store.is_remote else [render_store_claim(model.metadata.namespace, settings)]),
        *render_service_accounts(model.metadata.namespace, settings),
        *render_network_policies(model.metadata.namespace, settings),
        render_fetch_job(model, settings, request_for(model, fetch_inputs(model)), pinned_commit=None, texts=texts),
        render_resolve_job(model, settings, request_for(model, upstream_inputs(model, pinned.source.commit))),
        render_export_job(model, settings, request_for(model, export), pinned.source.digest, texts),
        render_build_job(model, settings, request_for(model, build), "export-key", texts=texts),
        render_collect_job(model, settings, "1" * 64, names, as_of),
        render_deployment(model, settings, pinned),
        render_service(model, settings, space),
        *([budget] if budget else []),
    ]


def pods(spec: dict[str, Any], **settings: Any) -> dict[str, Manifest]:
    """Return the pod templates of a model by what their container runs."""
    manifests = every_manifest(model_of(spec), settings_of(**settings))
    templates = [each["spec"]["template"] for each in manifests if "template" in each.get("spec", {})]
    return {template["spec"]["containers"][0]["args"][0]: template for template in templates}
