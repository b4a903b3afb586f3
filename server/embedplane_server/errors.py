"""What can go wrong in a step, told so that a user can act on it.

StepError                 a command ends with this reason, message and exit code
├── PermanentError        the same inputs fail again: exit 64
├── TransientError        trying again may help: exit 65
├── VectorDrift           `serve` only, the engine's vectors are not its reference's here: exit 64 at start, 65 later
└── NoEngineError         `serve` only, the store has nothing to serve on this machine: exit 66
    ├── EngineMissing         it has no such engine
    ├── EngineCorrupt         it has one that is damaged
    └── EngineIncompatible    it has variants of the engine, for other machines
EngineError               one batch failed inside an engine library; never ends a command by itself

Foreign exceptions are translated where they are met. Errors of HTTP requests are not here: see `routes/`.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """How a command ends; the operator's Jobs act on it (docs/contract.md)."""

    DONE = 0
    PERMANENT = 64
    RETRY = 65
    NO_ENGINE = 66


class PermanentReason(StrEnum):
    """Reasons of errors that trying again does not mend."""

    REPOSITORY_NOT_FOUND = "RepositoryNotFound"
    REVISION_NOT_FOUND = "RevisionNotFound"
    ACCESS_DENIED = "AccessDenied"
    PATH_NOT_FOUND = "PathNotFound"
    NO_SAFETENSORS = "NoSafetensors"
    UNSUPPORTED_MODEL = "UnsupportedModel"
    INVALID_SETTINGS = "InvalidSettings"
    CONFORMANCE_FAILED = "ConformanceFailed"
    BACKEND_UNAVAILABLE = "BackendUnavailable"
    BACKEND_CHANGED = "BackendChanged"
    DRIVER_TOO_OLD = "DriverTooOld"
    GPU_TOO_SMALL = "GpuTooSmall"
    OUT_OF_MEMORY = "OutOfMemory"


class TransientReason(StrEnum):
    """Reasons of errors that may be gone at the next attempt."""

    HUB_UNAVAILABLE = "HubUnavailable"
    DIGEST_MISMATCH = "DigestMismatch"
    STORE_UNAVAILABLE = "StoreUnavailable"
    MODEL_MISSING = "ModelMissing"
    EXPORT_MISSING = "ExportMissing"
    ENDPOINT_UNAVAILABLE = "EndpointUnavailable"
    GPU_BUSY = "GpuBusy"
    MODEL_CORRUPT = "ModelCorrupt"
    EXPORT_CORRUPT = "ExportCorrupt"
    TEXTS_CHANGED = "TextsChanged"
    INTERRUPTED = "Interrupted"
    INTERNAL_ERROR = "InternalError"


class StepError(Exception):
    """Ends a command. `reason` becomes a condition's reason, `message` says what is wrong, where and what to do."""

    exit_code: ExitCode

    def __init__(self, reason: str, message: str, about: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.reason = str(reason)
        self.message = message
        self.about = dict(about or {})
        """Names that the operator acts on, next to the words for people."""


class PermanentError(StepError):
    """The same inputs fail again."""

    exit_code = ExitCode.PERMANENT

    def __init__(self, reason: PermanentReason, message: str) -> None:
        super().__init__(reason, message)


class TransientError(StepError):
    """Trying again may help."""

    exit_code = ExitCode.RETRY

    def __init__(self, reason: TransientReason, message: str) -> None:
        super().__init__(reason, message)


class VectorDrift(StepError):  # noqa: N818 -- the word of the EmbeddingModel's condition
    """The engine as it was published does not make its reference's vectors here.

    A start that fails so fails again; an engine that drifted while it ran is loaded anew.
    """

    def __init__(self, message: str, *, while_running: bool) -> None:
        super().__init__("VectorDrift", message)
        self.exit_code = ExitCode.RETRY if while_running else ExitCode.PERMANENT


class NoEngineError(StepError):
    """The store has nothing to serve on this machine; the operator has it made."""

    exit_code = ExitCode.NO_ENGINE


class EngineMissing(NoEngineError):  # noqa: N818 -- the word of the EmbeddingModel's condition
    """The store has no variant of the engine."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__("EngineMissing", message, {"engine": key})


class EngineCorrupt(NoEngineError):  # noqa: N818 -- the word of the EmbeddingModel's condition
    """The store has the engine, but not as it was published."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__("EngineCorrupt", message, {"engine": key})


class EngineIncompatible(NoEngineError):  # noqa: N818 -- the word of the EmbeddingModel's condition
    """The store has variants of the engine, but none that this machine can run."""

    def __init__(self, message: str, key: str, machine: str) -> None:
        super().__init__("EngineIncompatible", message, {"engine": key, "machine": machine})


class EngineError(Exception):
    """An engine library failed on one batch; the message is the library's."""


def invalid_settings(message: str) -> PermanentError:
    """Return the error for settings that cannot be used as they are written."""
    return PermanentError(PermanentReason.INVALID_SETTINGS, message)


def unsupported_model(message: str) -> PermanentError:
    """Return the error for a model whose files, modules or architecture cannot be served."""
    return PermanentError(PermanentReason.UNSUPPORTED_MODEL, message)
