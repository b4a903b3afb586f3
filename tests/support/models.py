"""EmbeddingModels as tests write them."""

from typing import Any

REPO = "sentence-transformers/all-MiniLM-L6-v2"


def embedding_model(
    name: str, namespace: str, *, repo: str = REPO, revision: str = "main", **spec: Any
) -> dict[str, Any]:
    """Return a MiniLM on the CPU; `spec` replaces or adds top-level fields of the spec."""
    return {
        "apiVersion": "embedplane.io/v1alpha1",
        "kind": "EmbeddingModel",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "source": {"huggingFace": {"repo": repo, "revision": revision}},
            "resources": {"requests": {"cpu": "200m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
            **spec,
        },
    }
