"""What one look at a model and its surroundings found: the only thing that `decide/` decides on. Pure.

`observe.py` makes it; an EmbeddingModel that cannot be read ends here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from embedplane_operator.api.status import EmbeddingModelStatus
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.builds import Builds
from embedplane_operator.errors import InvalidObjectError
from embedplane_operator.jobs import JobRun
from embedplane_operator.kinds import DEPLOYMENT, SERVICE, Manifest
from embedplane_operator.pending import PodSurroundings


@dataclass(frozen=True)
class Observation:
    """One model and its surroundings at one moment."""

    model: EmbeddingModel
    deployments: tuple[Manifest, ...] = ()
    servers: PodSurroundings = field(default_factory=PodSurroundings)
    jobs: tuple[JobRun, ...] = ()
    fetch_jobs: tuple[Manifest, ...] = ()
    """The model's own Jobs as they are; what became of them is among `jobs`."""
    resolve_jobs: tuple[JobRun, ...] = ()
    """The model's own Jobs that ask what the source names now."""
    shared_jobs: frozenset[str] = field(default_factory=frozenset)
    """Names of the shared Jobs that were looked for; those that exist are among `jobs`."""
    builds: Builds | None = None
    """All builds of the installation; None while nobody asked for them."""
    service: Manifest | None = None
    disruption_budget: Manifest | None = None
    candidate_service: Manifest | None = None
    candidate_budget: Manifest | None = None
    claim: Manifest | None = None
    source_claim: Manifest | None = None
    secret_version: str | None = None
    """resourceVersion of the token's Secret; None when it does not exist or none is wanted."""
    store_secret_version: str | None = None
    """The same of the Secret with which Jobs use a store in object storage."""
    api_keys_version: str | None = None
    """The same of the Secret with the API keys."""
    texts_digest: str | None = None
    """Digest of the user's own texts; None when their ConfigMap does not exist or none is wanted."""

    def job(self, name: str) -> JobRun | None:
        """The Job of this name, if there is one."""
        return next((job for job in self.jobs if job.name == name), None)

    def with_applied(self, applied: Sequence[Manifest]) -> "Observation":
        """The same, after Deployments and Services were applied."""
        new = {(each["kind"], each["metadata"]["name"]): each for each in applied}
        deployments = {each["metadata"]["name"]: each for each in self.deployments}
        deployments |= {name: each for (kind, name), each in new.items() if kind == DEPLOYMENT.kind}
        service = new.get((SERVICE.kind, self.model.metadata.name), self.service)
        return replace(self, deployments=tuple(deployments.values()), service=service)


def parse_status(body: Manifest) -> EmbeddingModelStatus:
    """Reads the status; one that cannot be read counts as lost."""
    try:
        return EmbeddingModelStatus.model_validate(body.get("status") or {})
    except ValidationError:
        return EmbeddingModelStatus()


def parse_model(body: Manifest) -> EmbeddingModel:
    """Reads an EmbeddingModel. Raises InvalidObjectError when its spec cannot be read."""
    try:
        return EmbeddingModel.model_validate({**body, "status": parse_status(body)})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidObjectError(f"{where}: {first['msg']}") from error
