"""Hashes of what each step is made from: they name Jobs and say whether a step has to be done again.

Only wishes that change the outcome go in, written out field by field: no image, no resources, no default that another
version of Embedplane might add. So an upgrade, or another CPU limit, resolves and builds nothing again.
"""

import base64
import hashlib
import json
from typing import Any

from embedplane_operator.api.accelerator import Accelerator
from embedplane_operator.api.base import manifest_of
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.accelerator import device_of, engine_target, profile_of
from embedplane_operator.render.names import ANNOTATION_RESOLVE
from embedplane_operator.render.tensorrt_llm import Exactness
from embedplane_operator.settings import Settings


def digest_of(document: Any) -> str:  # noqa: ANN401 -- any JSON document
    """Return the sha256 of the canonical JSON of a document, in hex."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def digest_of_texts(config_map: Manifest) -> str:
    """Return the digest of a ConfigMap's content, as docs/contract.md has it."""
    contents = {key: value.encode() for key, value in (config_map.get("data") or {}).items()}
    contents |= {key: base64.b64decode(value) for key, value in (config_map.get("binaryData") or {}).items()}
    return digest_of({key: hashlib.sha256(content).hexdigest() for key, content in contents.items()})


def source_inputs(model: EmbeddingModel) -> str:
    """Return the hash that a pinned commit belongs to: while it is the same, a floating revision is not resolved again.

    It is `status.source.inputs`. The token, and the installation's own hub, do not change what a commit is.
    """
    return digest_of(_source_wishes(model))


def upstream_inputs(model: EmbeddingModel, pinned_commit: str) -> str:
    """Return the hash of what is compared to tell drift: a source and the commit of it that is pinned.

    It is `status.upstream.inputs`. Without `embedplane.io/resolve`: what a source names now does not depend on it.
    """
    wishes = {name: wish for name, wish in _source_wishes(model).items() if name != "resolve"}
    return digest_of({"source": wishes, "pinned": pinned_commit})


def fetch_inputs(model: EmbeddingModel) -> str:
    """Return the hash that names the fetch Job: the source, and what the user changes about the embedding.

    It is `status.vectorSpace.inputs`.
    """
    return digest_of({"source": _source_wishes(model), "overrides": overrides_of(model)})


def engine_inputs(model: EmbeddingModel, settings: Settings, vector_space_id: str, texts: str | None = None) -> str:
    """Return the hash that a published engine belongs to: while it is the same, nothing is built.

    It is `status.engine.inputs`. It holds the wish (`auto`), not what this version of Embedplane makes of it. The
    cosine floor is not in it: another floor is compared with what the engine proved, instead of built for. The digest
    of the user's own texts is, where there are such: other texts have to be proven.
    """
    profile = profile_of(model, settings)
    gpu = device_of(profile) if profile else None
    engine = model.spec.engine
    wishes = {
        "vectorSpace": vector_space_id,
        "backend": engine.backend,
        "precision": engine.precision,
        "maxBatchTokens": engine.max_batch_tokens,
        "gpu": gpu,
    }
    return digest_of(_with_texts(wishes, texts))


def export_inputs(model: EmbeddingModel, settings: Settings, model_digest: str, texts: str | None = None) -> str:
    """Return the hash that names the export Job."""
    made_of = {
        "model": model_digest,
        "overrides": overrides_of(model),
        "format": engine_target(model, settings).export_format,
    }
    return digest_of(_with_texts(made_of, texts))


def build_inputs(
    model: EmbeddingModel,
    settings: Settings,
    export_key: str,
    texts: str | None = None,
    exactness: Exactness | None = None,
) -> str:
    """Return the hash that names the build Job."""
    engine = model.spec.engine
    return digest_of(
        {
            "export": export_key,
            "engine": engine_target(model, settings, texts, exactness).identity(),
            "maxBatchTokens": engine.max_batch_tokens,
            "minimumCosine": engine.conformance.minimum_cosine,
        }
    )


def accelerator_inputs(accelerator: Accelerator, profile: str) -> str:
    """Return the hash that the choice of a profile belongs to: while it is the same, what was tried before is not.

    It is `status.accelerator.inputs`. What comes behind the profile is not in it: a further one moves nothing.
    """
    tried = accelerator.in_order[: accelerator.in_order.index(profile) + 1]
    return digest_of({"profiles": tried, "count": accelerator.count})


def overrides_of(model: EmbeddingModel) -> dict[str, Any]:
    """Return the value of EMBEDPLANE_OVERRIDES: `spec.embedding` as the user wrote it.

    Without `dimensions`: servers cut what engines compute, so no Job has to know.
    """
    return {name: value for name, value in manifest_of(model.spec.embedding).items() if name != "dimensions"}


def _with_texts(document: dict[str, Any], texts: str | None) -> dict[str, Any]:
    """Return a document with the digest of the user's own texts; without any it is what it always was."""
    return document if texts is None else {**document, "texts": texts}


def _source_wishes(model: EmbeddingModel) -> dict[str, Any]:
    source = model.spec.source
    wishes: dict[str, Any] = {}
    if source.hugging_face:
        hub = source.hugging_face
        wishes["huggingFace"] = {"repo": hub.repo, "revision": hub.revision, "endpoint": hub.endpoint}
    if source.object_storage:
        objects = source.object_storage
        wishes["objectStorage"] = {"url": objects.url, "endpoint": objects.endpoint}
    if source.persistent_volume_claim:
        claim = source.persistent_volume_claim
        wishes["persistentVolumeClaim"] = {"claimName": claim.claim_name, "path": claim.path}
    if resolve := model.metadata.annotations.get(ANNOTATION_RESOLVE):
        wishes["resolve"] = resolve
    return wishes
