"""Every condition type and reason of an EmbeddingModel, and what each means to its reader.

`Ready` is the summary. `Reconciling` and `Stalled` follow kstatus: abnormal when True, absent when normal; so does
`DescriptionIncomplete`, which makes nothing unready. Reasons that Jobs report (`JobReason`, `UnsaidReason`) come from
the server package as docs/contract.md lists them.
"""

from enum import StrEnum


class ConditionType(StrEnum):
    """What a condition is about."""

    READY = "Ready"  # the newest spec is served by enough ready replicas; the summary of all others
    RECONCILING = "Reconciling"  # work towards the newest spec is under way; absent otherwise
    STALLED = "Stalled"  # nothing will get better until a person changes something; absent otherwise
    SOURCE_RESOLVED = "SourceResolved"  # the source is pinned to a commit and its files are in the store
    ENGINE_READY = "EngineReady"  # an engine that met the cosine floor is published
    AVAILABLE = "Available"  # the endpoint answers, be it with an older spec
    SCALING_ACTIVE = "ScalingActive"  # replicas follow the measured load
    VECTOR_DRIFT = "VectorDrift"  # a server's vectors failed the check against their reference; absent otherwise
    VECTOR_SPACE_STABLE = "VectorSpaceStable"  # what is wanted lies in the vector space that is served
    DESCRIPTION_INCOMPLETE = "DescriptionIncomplete"  # the model's files left something unsaid; absent otherwise
    SOURCE_DRIFTED = "SourceDrifted"  # the source names another commit than the pinned one; absent when it does not


class Reason(StrEnum):
    """Why a condition has its status, as far as the operator says it."""

    # All is well.
    SERVING = "Serving"  # Ready: the newest spec is served
    RESOLVED = "Resolved"  # SourceResolved: pinned and in the store
    PUBLISHED = "Published"  # EngineReady: conformance was proven and the engine is in the store
    REPLICAS_READY = "ReplicasReady"  # Available: at least one replica takes requests
    UPSTREAM_MOVED = "UpstreamMoved"  # SourceDrifted: both commits follow; nothing moves until the user says so
    UNCHANGED = "Unchanged"  # VectorSpaceStable: wanted and served space are the same
    SIDE_BY_SIDE = "SideBySide"  # VectorSpaceStable: a candidate is served, or made, beside the active space

    # Steps on the way.
    PENDING = "Pending"  # an earlier step has to end first
    FETCH_RUNNING = "FetchRunning"  # the source is being resolved and downloaded
    EXPORT_RUNNING = "ExportRunning"  # the graph and the reference vectors are being made
    BUILD_WAITING = "BuildWaiting"  # as many builds as jobs.maxConcurrentBuilds allows run, or have waited longer
    BUILD_RUNNING = "BuildRunning"  # the engine is being compiled, checked and benchmarked
    ROLLOUT_RUNNING = "RolloutRunning"  # new server pods are starting

    ACCELERATOR_CHOSEN = "AcceleratorChosen"  # an Event only: another of accelerator.profiles is in use from now on
    CUTOVER_WAITING = "CutoverWaiting"  # the space that activeVectorSpace names has too few ready servers yet
    CANDIDATE_WAITING = "CandidateWaiting"  # two spaces are alive already; the third waits until one is gone

    # A pod that does not run.
    UNSCHEDULABLE = "Unschedulable"  # no node has room for a pod, or takes it; the scheduler's own words follow
    NO_MATCHING_NODE = "NoMatchingNode"  # no node has the labels of the profile, or of podTemplate.nodeSelector
    NODE_PROVISIONING = "NodeProvisioning"  # an autoscaler brings a node for the pod; its own words follow
    SCALE_UP_REFUSED = "ScaleUpRefused"  # an autoscaler brings no node: limits, quotas, no capacity; its words follow
    IMAGE_PULLING = "ImagePulling"  # a node has been pulling a pod's image for a while; the message has image and start
    IMAGE_PULL_FAILED = "ImagePullFailed"  # an image cannot be pulled
    CLAIM_PENDING = "ClaimPending"  # the store's claim or the source's claim is not bound
    CLAIM_NOT_FOUND = "ClaimNotFound"  # the claim that spec.source names does not exist
    NODE_LOST = "NodeLost"  # a Job's pod ends for ever, because its node does not answer; the message names the node
    CONTAINER_CANNOT_START = "ContainerCannotStart"  # the kubelet refuses the container's configuration
    CRASH_LOOP = "CrashLoop"  # the server ends again and again
    QUOTA_EXCEEDED = "QuotaExceeded"  # a ResourceQuota forbids the pod
    POD_FORBIDDEN = "PodForbidden"  # Pod Security or another admission forbids the pod

    # A Job that failed.
    JOB_FAILED = "JobFailed"  # a Job failed without saying why
    DEADLINE_EXCEEDED = "DeadlineExceeded"  # a Job ran longer than its deadline
    OUT_OF_MEMORY = "OutOfMemory"  # a container was killed for its memory; the message names the field to raise

    # Something a person has to change.
    INVALID_SPEC = "InvalidSpec"  # the object cannot be read
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 -- a reason, not a password; a Secret or its key is missing
    CONFIG_MAP_NOT_FOUND = "ConfigMapNotFound"  # the ConfigMap of engine.conformance.textsFrom does not exist
    UNKNOWN_ACCELERATOR = "UnknownAccelerator"  # accelerator names a profile that the installation lacks
    STORE_NOT_SHARED = "StoreNotShared"  # maxReplicas above 1 with a store that one node can mount
    VECTOR_SPACE_CHANGE_REFUSED = "VectorSpaceChangeRefused"  # the change would make old vectors useless
    UNKNOWN_VECTOR_SPACE = "UnknownVectorSpace"  # activeVectorSpace names none of the spaces that are alive
    DIMENSIONS_UNAVAILABLE = "DimensionsUnavailable"  # embedding.dimensions asks for more than the model's vectors have
    POD_TEMPLATE_INVALID = "PodTemplateInvalid"  # the API server refuses a child made from this spec
    VECTOR_DRIFT = "VectorDrift"  # a proven engine makes other vectors in this pod; the message names pod and cosine
    ENGINE_MISSING = "EngineMissing"  # the engine that servers want is not in the store any more: it is built again
    ENGINE_CORRUPT = "EngineCorrupt"  # the engine that servers want is damaged in the store: it is built again
    ENGINE_INCOMPATIBLE = "EngineIncompatible"  # no variant of the engine fits the machine, a new build did not help
    NAME_CONFLICT = "NameConflict"  # an object of a child's name exists and is not ours
    FOREIGN_OWNER = "ForeignOwner"  # an object of a child's name belongs to another installation
    SUSPENDED = "Suspended"  # spec.suspend is true: what runs goes on, nothing is changed

    # Replicas, as far as the operator's core knows them; docs/autoscaling.md has all reasons of ScalingActive.
    NOT_SERVING = "NotServing"  # ScalingActive: there is no Deployment to scale yet
    SCALING_PAUSED = "ScalingPaused"  # scaling.paused is true; replicas stay
    SCALING_DISABLED = "ScalingDisabled"  # scaling.mode is Disabled; someone else sets the replicas
    SCALING_FIXED = "FixedReplicas"  # minReplicas equals maxReplicas; there is nothing to decide

    # The cluster itself.
    CLUSTER_REFUSED = "ClusterRefused"  # the API server refused a request of the operator


class UnsaidReason(StrEnum):
    """DescriptionIncomplete: what the model's files leave unsaid or contradict, in the server package's words."""

    POOLING_UNSAID = "PoolingUnsaid"  # no modules.json, or a Pooling without a mode
    SEVERAL_POOLINGS = "SeveralPoolings"  # the Pooling's older form names several modes
    POOLING_CONTRADICTED = "PoolingContradicted"  # the Pooling's two forms differ
    PROMPTS_UNSAID = "PromptsUnsaid"  # the README names prompts that the configuration lacks
    WINDOW_UNSAID = "WindowUnsaid"  # only the number of positions says how long a text may be
    WINDOW_CONTRADICTED = "WindowContradicted"  # the files differ about how long a text may be
    LOWER_CASE_CONTRADICTED = "LowerCaseContradicted"  # the tokenizer's files differ about lower-casing
    SIMILARITY_UNKNOWN = "SimilarityUnknown"  # the similarity function has an unknown name


class JobReason(StrEnum):
    """Why a Job failed, in the server package's words."""

    REPOSITORY_NOT_FOUND = "RepositoryNotFound"  # or the bucket
    REVISION_NOT_FOUND = "RevisionNotFound"  # or a bucket's files moved since they were pinned
    ACCESS_DENIED = "AccessDenied"  # the token or the credentials are missing, wrong or without rights
    PATH_NOT_FOUND = "PathNotFound"
    NO_SAFETENSORS = "NoSafetensors"  # weights exist only as pickles
    UNSUPPORTED_MODEL = "UnsupportedModel"  # files, modules or architecture that cannot be served
    INVALID_SETTINGS = "InvalidSettings"
    CONFORMANCE_FAILED = "ConformanceFailed"  # the engine's vectors are below the cosine floor
    BACKEND_UNAVAILABLE = "BackendUnavailable"
    BACKEND_CHANGED = "BackendChanged"  # the image's engine library is another release than Embedplane was written for
    DRIVER_TOO_OLD = "DriverTooOld"  # the node's GPU driver is older than the profile's minimumDriver
    GPU_TOO_SMALL = "GpuTooSmall"  # the GPU has less memory than the engine needs at the least
    OUT_OF_MEMORY = "OutOfMemory"
    HUB_UNAVAILABLE = "HubUnavailable"  # the hub or the bucket does not answer; transient from here on
    DIGEST_MISMATCH = "DigestMismatch"
    STORE_UNAVAILABLE = "StoreUnavailable"
    MODEL_MISSING = "ModelMissing"  # the export found no model in the store: it is fetched again
    EXPORT_MISSING = "ExportMissing"  # the build found no export in the store: it is made again
    MODEL_CORRUPT = "ModelCorrupt"  # the export found the model damaged: it was set aside and is fetched again
    EXPORT_CORRUPT = "ExportCorrupt"  # the build found the export damaged: it was set aside and is made again
    GPU_BUSY = "GpuBusy"  # others hold so much of the GPU's memory that the engine does not fit beside them now
    TEXTS_CHANGED = "TextsChanged"  # the ConfigMap changed while the export started: its present texts are next
    INTERRUPTED = "Interrupted"  # the pod was told to end before it was done
    INTERNAL_ERROR = "InternalError"
