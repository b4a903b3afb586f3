"""spec.source: where a model's files come from."""

from typing import Annotated

from pydantic import ConfigDict, Field

from embedplane_operator.api.base import ApiModel, ObjectName, SecretReference, rule, rules
from embedplane_operator.api.durations import Duration


class SecretKey(ApiModel):
    """A key of a Secret in the same namespace."""

    name: ObjectName
    """Name of the Secret."""
    key: str = Field("token", min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")
    """Key inside the Secret. Default: token."""


class HuggingFace(ApiModel):
    """A repository of the Hugging Face hub, or of anything that speaks its HTTP interface."""

    repo: str = Field(
        min_length=1,
        max_length=200,
        json_schema_extra=rules(
            rule(
                r"self.matches('^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?$')",
                "repo is owner/name as the hub shows it, for example mixedbread-ai/mxbai-embed-large-v1; "
                "put another host into endpoint",
            )
        ),
    )
    """owner/name, for example mixedbread-ai/mxbai-embed-large-v1. At most 200 characters."""
    revision: str = Field("main", min_length=1, max_length=200, pattern=r"^[^\s]+$")
    """Branch, tag or commit. Default: main. It is resolved to a commit once and stays there; to resolve it again, set
    the annotation embedplane.io/resolve of this object to a new value."""
    endpoint: (
        Annotated[
            str,
            Field(
                max_length=500,
                json_schema_extra=rules(
                    rule(
                        r"self.matches('^https?://[^\\s]+$')", "endpoint is a URL that starts with https:// or http://"
                    )
                ),
            ),
        ]
        | None
    ) = None
    """URL of a mirror of the hub. Default: what the installation says, else https://huggingface.co."""
    token_secret_ref: SecretKey | None = None
    """Secret that holds an access token, for private and gated repositories. Only the fetch Job sees it."""


class ObjectStorage(ApiModel):
    """A folder in S3, Google Cloud Storage or Azure Blob Storage, or in anything that speaks S3."""

    url: str = Field(
        min_length=1,
        max_length=500,
        json_schema_extra=rules(
            rule(
                r"self.matches('^(s3|gs|az)://[a-z0-9][a-z0-9._-]*(/[^\\s?#]*)?$')",
                "url is s3://bucket/folder, gs://bucket/folder or az://container/folder, the folder that holds the "
                "model's config.json; put a host into endpoint",
            )
        ),
    )
    """s3://bucket/folder, gs://bucket/folder or az://container/folder: the folder that holds the model's config.json.
    What lies there is pinned once; to take what lies there later, set the annotation embedplane.io/resolve of this
    object to a new value."""
    endpoint: (
        Annotated[
            str,
            Field(
                max_length=500,
                json_schema_extra=rules(
                    rule(
                        r"self.matches('^https?://[^\\s?#]+$')",
                        "endpoint is a URL that starts with https:// or http://",
                    )
                ),
            ),
        ]
        | None
    ) = None
    """URL of what speaks S3 and is not Amazon's; for az https://ACCOUNT.blob.core.windows.net. Default: the cloud's."""
    region: Annotated[str, Field(max_length=100, pattern=r"^[a-z0-9-]+$")] | None = None
    """Region of an S3 bucket. Default: us-east-1."""
    credentials_secret_ref: SecretReference | None = None
    """Secret with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN (if there is one);
    GOOGLE_SERVICE_ACCOUNT_KEY; or AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN.
    Only the fetch Job sees it. Default: the identity that the cloud gives to the fetch Job's pod, else anybody's."""


class PersistentVolumeClaim(ApiModel):
    """A folder of a claim in the same namespace; mounted read-only by the fetch Job."""

    claim_name: ObjectName
    """Name of the PersistentVolumeClaim that holds the model's files."""
    path: str = Field(
        ".",
        min_length=1,
        max_length=500,
        json_schema_extra=rules(
            rule(
                "!self.startsWith('/') && !self.split('/').exists(part, part == '..')",
                "path is relative to the top of the claim and has no '..' in it, for example models/minilm",
            )
        ),
    )
    """Folder inside the claim, relative to its top. Default: . (the top)."""


class Source(ApiModel):
    """Where the model's files come from; exactly one of the fields is set."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "[has(self.huggingFace), has(self.objectStorage), has(self.persistentVolumeClaim)]"
                ".filter(given, given).size() == 1",
                "set exactly one of huggingFace, objectStorage and persistentVolumeClaim",
            )
        )
    )
    hugging_face: HuggingFace | None = None
    """A repository of the Hugging Face hub or a mirror of it."""
    object_storage: ObjectStorage | None = None
    """A folder in object storage: S3, Google Cloud Storage, Azure Blob Storage."""
    persistent_volume_claim: PersistentVolumeClaim | None = None
    """A folder of a PersistentVolumeClaim, for clusters without a way to the hub."""
    drift_check_interval: (
        Annotated[
            Duration,
            Field(
                json_schema_extra=rules(
                    rule(
                        "duration(self) >= duration('1m')",
                        "driftCheckInterval is at least one minute, since each check is a pod: write 24h, for example",
                    )
                )
            ),
        ]
        | None
    ) = None
    """How often to look whether the source names another commit than the pinned one, for example 24h or 90m; at least
    1m. SourceDrifted says so; nothing moves by itself. Default: never."""

    @property
    def secret_name(self) -> str | None:
        """The Secret that opens the source."""
        if self.hugging_face and (reference := self.hugging_face.token_secret_ref):
            return reference.name
        if self.object_storage and (secret := self.object_storage.credentials_secret_ref):
            return secret.name
        return None
