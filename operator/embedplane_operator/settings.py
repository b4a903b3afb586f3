"""What one installation is set to: one YAML file, written by the chart as a ConfigMap, read once at start.

Nothing else configures the operator. Accelerator profiles, one part of it, are in `accelerator_profiles.py`.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator

from embedplane_operator.accelerator_profiles import AcceleratorProfile, check_builders
from embedplane_operator.api.base import LabelValue, ObjectName, Quantity
from embedplane_operator.api.pods import ResourceRequirements
from embedplane_operator.settings_part import Part

Matcher = Annotated[str, Field(pattern=r'^[a-zA-Z_][a-zA-Z0-9_]*(=|!=|=~|!~)"[^"\n]*"$')]
LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
HttpUrl = Annotated[str, Field(pattern=r"^https?://\S+$")]
Image = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^\S+$")]


class SettingsError(Exception):
    """The settings file is missing or wrong; the operator does not start."""


class Images(Part):
    """Images of the pods that Embedplane makes."""

    server: Image
    exporter: Image
    gpu_server: Image


class Hub(Part):
    """The hub of models that name no endpoint of their own; without one huggingface.co."""

    endpoint: HttpUrl | None = None


class ForJobsAndServers(Part):
    """What differs for those who write the store and those who only read it."""

    jobs: ObjectName | None = None
    servers: ObjectName | None = None


class AnnotationsForJobsAndServers(Part):
    """Annotations of the two ServiceAccounts."""

    jobs: dict[str, str] = Field(default_factory=dict)
    servers: dict[str, str] = Field(default_factory=dict)


class Store(Part):
    """Object storage, or else the claim that each namespace with models gets."""

    access_mode: Literal["ReadWriteMany", "ReadWriteOnce"] = "ReadWriteMany"
    storage_class_name: ObjectName | None = None
    size: Quantity = "100Gi"
    """Of the claim; with object storage the most that a Job keeps on its node's disk."""
    url: Annotated[str, Field(pattern=r"^(s3|gs|az)://[a-z0-9][a-z0-9._-]*(/[^\s?#]*)?$")] | None = None
    endpoint: HttpUrl | None = None
    region: str | None = None
    shared: bool = False
    """Whether all namespaces have one prefix instead of one each."""
    secrets: ForJobsAndServers = ForJobsAndServers()
    """Secrets with the credentials, in every namespace with models; none: the pods' own identities ask."""
    service_account_annotations: AnnotationsForJobsAndServers = AnnotationsForJobsAndServers()

    @property
    def is_shared(self) -> bool:
        """Whether pods on several nodes can use the store at once."""
        return self.is_remote or self.access_mode == "ReadWriteMany"

    @property
    def is_remote(self) -> bool:
        """Whether the store is in object storage, so that there is no claim."""
        return self.url is not None

    @property
    def jobs_secret(self) -> str | None:
        """Secret with which Jobs use the store; a claim needs none."""
        return self.secrets.jobs if self.is_remote else None

    @property
    def is_of_all_namespaces(self) -> bool:
        """Whether the namespaces have one store together instead of one each."""
        return self.is_remote and self.shared


class Resources(ResourceRequirements, extra="forbid"):
    """Requests and limits of a container."""


class PrometheusLabels(Part):
    """Names of the labels that tell models apart, where a relabelling renamed them."""

    namespace: LabelName = "namespace"
    model: LabelName = "model"
    vector_space: LabelName = "vector_space"


class Prometheus(Part):
    """The server that knows the load."""

    url: HttpUrl
    ca_file: Path | None = None
    bearer_token_file: Path | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    matchers: tuple[Matcher, ...] = ()
    labels: PrometheusLabels = PrometheusLabels()
    timeout_seconds: float = Field(10, gt=0, le=300)


class Scaling(Part):
    """The autoscaler's loop."""

    tick_seconds: float = Field(15, ge=1, le=300)


class JobDefaults(Part):
    """One kind of Job."""

    resources: Resources = Resources()


class FetchDefaults(JobDefaults):
    """The fetch Job; deadlines of the others are in the model's spec."""

    active_deadline_seconds: int = Field(3600, ge=60)


class Jobs(Part):
    """Resources of Jobs whose model names none, and how many builds run at once."""

    max_concurrent_builds: int | None = Field(None, ge=0)
    """For each accelerator profile, over all namespaces; null or 0: as many as there are."""
    fetch: FetchDefaults = FetchDefaults()
    export: JobDefaults = JobDefaults()
    build: JobDefaults = JobDefaults()

    @property
    def build_bound(self) -> int | None:
        """How many builds may run at once for one accelerator profile; None: any number."""
        return self.max_concurrent_builds or None


class PodSecurity(Part):
    """Identity of all pods; null leaves the choice to the cluster (OpenShift)."""

    run_as_user: int | None = Field(65532, ge=1)
    run_as_group: int | None = Field(65532, ge=1)
    fs_group: int | None = Field(65532, ge=1)


class NetworkPolicySettings(Part):
    """Policies of a namespace with models."""

    enabled: bool = True
    fetch_egress: tuple[dict[str, Any], ...] = ()
    """Further egress rules of the fetch Job, as in a NetworkPolicy: a mirror or a proxy that is not on port 443."""
    telemetry_egress: tuple[dict[str, Any], ...] = ()
    """Egress rules of servers, as in a NetworkPolicy: the collector that their traces go to."""
    store_egress: tuple[dict[str, Any], ...] = ()
    """Egress rules of all pods with a store in object storage, as in a NetworkPolicy: the way to it."""


class LeaderElection(Part):
    """The Lease that keeps a second operator from acting."""

    namespace: ObjectName
    name: ObjectName = "embedplane-operator"
    duration_seconds: float = Field(15, gt=0)
    deadline_seconds: float = Field(10, gt=0)
    period_seconds: float = Field(2, gt=0)


class StoreCollection(Part):
    """The Job that removes from a namespace's store what no model uses."""

    enabled: bool = True
    interval_seconds: int = Field(24 * 3600, ge=1)
    grace_seconds: int = Field(7 * 24 * 3600, ge=1)
    """What was written or used within this time stays."""


class Ports(Part):
    """Ports of the operator itself."""

    metrics: int = Field(8080, ge=1, le=65535)
    health: int = Field(8081, ge=1, le=65535)


class Settings(Part):
    """What one installation is set to."""

    installation: LabelValue = Field(min_length=1)
    watch_namespaces: tuple[ObjectName, ...] = ()
    """Namespaces to look after; none means all."""
    images: Images
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: tuple[ObjectName, ...] = ()
    hub: Hub = Hub()
    store: Store = Store()
    store_collection: StoreCollection = StoreCollection()
    accelerator_profiles: dict[str, AcceleratorProfile] = Field(default_factory=dict)
    prometheus: Prometheus | None = None
    scaling: Scaling = Scaling()
    jobs: Jobs = Jobs()
    pod_security: PodSecurity = PodSecurity()
    network_policy: NetworkPolicySettings = NetworkPolicySettings()
    scrape_annotations: bool = True
    """Whether server pods carry prometheus.io/* annotations."""
    resync_seconds: float = Field(480, ge=1)
    """Every model comes round again at least this often, give or take a fifth."""
    leader_election: LeaderElection
    ports: Ports = Ports()
    workers: int = Field(16, ge=1, le=256)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("accelerator_profiles")
    @classmethod
    def _builds_run_where_they_serve(cls, profiles: dict[str, AcceleratorProfile]) -> dict[str, AcceleratorProfile]:
        check_builders(profiles)
        return profiles


def load_settings(path: Path) -> Settings:
    """Return the settings in the file.

    Raises `SettingsError` that names the file, the key and the fault.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}); pass the file with --config") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: is not YAML: {error}") from error
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        raise SettingsError(f"{path}: {_explain(error)}") from error


def _explain(error: ValidationError) -> str:
    problems = []
    for problem in error.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in problem["loc"]) or "the file"
        known = "is not a known key; correct or remove it"
        problems.append(f"{where} {known}" if problem["type"] == "extra_forbidden" else f"{where}: {problem['msg']}")
    return "; ".join(problems)
