"""Names, label keys and annotation keys of all that Embedplane makes, as docs/contract.md lists them. Strings only."""

from embedplane_operator.api.accelerator import ANNOTATION as ANNOTATION_ACCELERATOR
from embedplane_operator.api.repair import ANNOTATION as ANNOTATION_REPAIR
from embedplane_operator.api.resolved import ANNOTATION as ANNOTATION_RESOLVED
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.kinds import Manifest

__all__ = ["ANNOTATION_ACCELERATOR", "ANNOTATION_REPAIR", "ANNOTATION_RESOLVED"]

MANAGED_BY = "embedplane"

LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_INSTALLATION = "embedplane.io/installation"
LABEL_MODEL = "embedplane.io/model"
LABEL_VECTOR_SPACE = "embedplane.io/vector-space"
LABEL_STORE = "embedplane.io/store"
LABEL_PROFILE = "embedplane.io/accelerator-profile"

ANNOTATION_INPUTS = "embedplane.io/inputs"
ANNOTATION_ATTEMPT = "embedplane.io/attempt"
ANNOTATION_TRIGGER = "embedplane.io/trigger"
ANNOTATION_COMMIT = "embedplane.io/commit"
ANNOTATION_VECTOR_SPACE = "embedplane.io/vector-space"
ANNOTATION_ENGINE_KEY = "embedplane.io/engine-key"
ANNOTATION_RESOLVE = "embedplane.io/resolve"
"""Set by users on the EmbeddingModel: a new value resolves a floating revision again."""

FETCH, RESOLVE, EXPORT, BUILD, SERVER = "fetch", "resolve", "export", "build", "server"
COLLECT = "collect"

STORE_CLAIM = "embedplane-store"
JOB_SERVICE_ACCOUNT = "embedplane-job"
SERVER_SERVICE_ACCOUNT = "embedplane-server"
FETCH_NETWORK_POLICY = "embedplane-fetch"
SERVER_NETWORK_POLICY = "embedplane-server"
OFFLINE_NETWORK_POLICY = "embedplane-offline"

DIMENSIONS = ";dimensions="
"""What stands between a space's id and the length that its vectors are served with."""

SERVICE_PORT = 80
SERVER_PORT = 8080
SERVER_PORT_NAME = "http"


def fetch_job_name(model: EmbeddingModel, inputs: str) -> str:
    """Return the name of the fetch Job of these inputs."""
    return f"{model.metadata.name}-fetch-{inputs[:10]}"


def resolve_job_name(model: EmbeddingModel, inputs: str) -> str:
    """Return the name of the Job that asks the source which commit it names now."""
    return f"{model.metadata.name}-resolve-{inputs[:10]}"


def export_job_name(inputs: str) -> str:
    """Return the name of the export Job of these inputs, whichever models wait for it."""
    return f"export-{inputs[:10]}"


def build_job_name(inputs: str) -> str:
    """Return the name of the build Job of these inputs, whichever models wait for it."""
    return f"build-{inputs[:10]}"


def collect_job_name(inputs: str) -> str:
    """Return the name of the Job that removes from a namespace's store what nobody uses."""
    return f"embedplane-collect-{inputs[:10]}"


def deployment_name(model: EmbeddingModel, vector_space_id: str) -> str:
    """Return the name of the Deployment that serves one vector space: another space, another Deployment."""
    identity, _, length = vector_space_id.partition(DIMENSIONS)
    return f"{model.metadata.name}-{identity.partition('-')[2][:8]}" + (f"-d{length}" if length else "")


def space_label(vector_space_id: str) -> str:
    """Return a space's name as a label's value, in which neither `;` nor `=` may stand."""
    return vector_space_id.replace(DIMENSIONS, ".dimensions-")


def space_of_label(label: str) -> str:
    """Return the space that a label's value names."""
    return label.replace(".dimensions-", DIMENSIONS)


def served_space(deployment: Manifest) -> str:
    """Return the name of the space that a Deployment says it serves; empty when it says none."""
    metadata = deployment["metadata"]
    named = (metadata.get("annotations") or {}).get(ANNOTATION_VECTOR_SPACE)
    return str(named or space_of_label((metadata.get("labels") or {}).get(LABEL_VECTOR_SPACE, "")))


def service_name(model: EmbeddingModel) -> str:
    """Return the name of the model's Service and PodDisruptionBudget."""
    return model.metadata.name


def candidate_name(model: EmbeddingModel) -> str:
    """Return the name of the Service and PodDisruptionBudget of the space that the spec leads to."""
    return f"{model.metadata.name}-candidate"


def url_of(model: EmbeddingModel) -> str:
    """Return the URL of the endpoint inside the cluster."""
    return f"http://{service_name(model)}.{model.metadata.namespace}/v1/embeddings"
