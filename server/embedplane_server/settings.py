"""Every command's settings, read from `EMBEDPLANE_*` variables of a mapping exactly as docs/contract.md lists them.

Nothing here reads the process environment by itself: `__main__` passes it in, tests pass a dict.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from embedplane_server.errors import invalid_settings

PREFIX = "EMBEDPLANE_"
ROUTE = r"^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$"
EVERY_ADDRESS = "::"
"""IPv6's word for every address of a machine; here IPv4's are meant as well."""

Backend = Literal["openvino", "tensorrt", "tensorrt-llm"]
Precision = Literal["auto", "float32", "bfloat16", "float16", "int8", "fp8"]
ExportFormat = Literal["openvino", "onnx"]
Pooling = Literal["cls", "lasttoken", "max", "mean", "mean_sqrt_len_tokens", "weightedmean"]


def _parse_json(value: Any) -> Any:  # noqa: ANN401 -- anything that JSON or a caller in Python may hold
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not valid JSON: {error}") from error


FromJson = BeforeValidator(_parse_json)


class Document(BaseModel):
    """A JSON object inside a variable: camelCase outside, typos are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class HuggingFaceSource(Document):
    """A repository of a hub that speaks the Hugging Face hub's HTTP interface."""

    repo: str = Field(min_length=1)
    revision: str = Field(default="main", min_length=1)
    endpoint: str | None = None


class ObjectStorageSource(Document):
    """A folder in S3, GCS or Azure."""

    url: str = Field(min_length=1)
    endpoint: str | None = None
    region: str | None = None
    commit: str | None = None
    """What the files were when they were pinned."""


class Source(Document):
    """Where a model comes from: exactly one of a hub repository, a folder in object storage and a local folder."""

    hugging_face: HuggingFaceSource | None = None
    object_storage: ObjectStorageSource | None = None
    path: Path | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(given is not None for given in (self.hugging_face, self.object_storage, self.path)) != 1:
            raise ValueError("needs exactly one of huggingFace, objectStorage and path")
        return self


class Overrides(Document):
    """What `spec.embedding` says instead of the model's own files; None means: as the files say."""

    pooling: Pooling | None = None
    normalize: bool | None = None
    max_sequence_length: int | None = Field(default=None, ge=1)
    prompts: dict[str, str] | None = None
    default_prompt: str | None = None


class DimensionsPolicy(Document):
    """Which lengths of vectors a model offers besides its own; only for models that were trained so (Matryoshka)."""

    default: int | None = Field(default=None, ge=1)
    allowed: tuple[Annotated[int, Field(ge=1)], ...] = ()


class Gpu(Document):
    """The GPU that an engine is built for."""

    name: str
    compute_capability: str
    mig_profile: str | None = None
    """The slice of the GPU, 1g.10gb for example; None is the whole."""
    minimum_driver: str | None = Field(default=None, pattern=r"^[0-9]+(\.[0-9]+){0,2}$")
    """The oldest driver that may build, 580 or 580.95.05 for example; it is in no key."""


LEAST_FOR_FP8 = (8, 9)
"""The compute capability from which on GPUs multiply in fp8."""
_FP8 = (
    "engine.precision: fp8 is for engine.backend tensorrt on GPUs of compute capability 8.9 or newer (L4, L40S, H100)"
)
_FP8_REMEDY = "Write auto, or choose another backend or accelerator profile."


def capability_of(version: str) -> tuple[int, int]:
    """Return a compute capability as numbers that can be compared."""
    major, _, minor = version.partition(".")
    return int(major), int(minor or 0)


class EngineSettings(Document):
    """What an engine is built for; without `gpu` it is the CPU."""

    backend: Backend
    precision: Precision = "auto"
    gpu: Gpu | None = None
    texts: str | None = Field(default=None, min_length=1)
    """Digest of the user's own texts that it is compared with besides the golden ones."""

    @model_validator(mode="after")
    def _fp8_where_it_exists(self) -> Self:
        if self.precision != "fp8":
            return self
        if self.backend != "tensorrt":
            raise ValueError(f"{_FP8}, not {self.backend}. {_FP8_REMEDY}")
        if self.gpu is not None and capability_of(self.gpu.compute_capability) < LEAST_FOR_FP8:
            raise ValueError(f"{_FP8}; {self.gpu.name} has {self.gpu.compute_capability}. {_FP8_REMEDY}")
        return self


class Settings(BaseModel):
    """What all commands take."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    store: str = "file:///store"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    termination_log: Path = Path("/dev/termination-log")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return the settings that `EMBEDPLANE_*` variables hold; an unknown one is a typo and an error."""
        given = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
        known = {PREFIX + field.upper(): field for field in cls.model_fields}
        if unknown := sorted(given.keys() - known.keys()):
            raise invalid_settings(
                f"{unknown[0]} is not a setting of this command; known are {', '.join(known)}. Remove or correct it."
            )
        try:
            return cls.model_validate({known[name]: value for name, value in given.items()})
        except ValidationError as error:
            raise invalid_settings(_explain(error)) from error


def _explain(error: ValidationError) -> str:
    problems = []
    for problem in error.errors(include_url=False, include_context=False):
        variable, *inside = problem["loc"] or ("",)
        where = ".".join([f"{PREFIX}{variable}".upper(), *(str(part) for part in inside)])
        message = problem["msg"].removeprefix("Value error, ")
        problems.append(f"{where} is missing; set it" if problem["type"] == "missing" else f"{where}: {message}")
    return "; ".join(problems)


class ResolveSettings(Settings):
    """Settings of `resolve`: what it takes to ask a source."""

    source: Annotated[Source, FromJson]
    token_file: Path | None = None
    source_credentials: Path | None = None
    """A folder with the credentials of a source in object storage, see `store/remote.py`."""


class FetchSettings(ResolveSettings):
    """Settings of `fetch`."""

    overrides: Annotated[Overrides, FromJson] = Overrides()
    engine: Annotated[EngineSettings, FromJson]


class ExportSettings(Settings):
    """Settings of `export`."""

    model_digest: str = Field(min_length=1)
    overrides: Annotated[Overrides, FromJson] = Overrides()
    format: ExportFormat
    texts: str | None = Field(default=None, min_length=1)
    texts_folder: Path = Path("/texts")


class BuildSettings(Settings):
    """Settings of `build`."""

    export_key: str = Field(min_length=1)
    engine: Annotated[EngineSettings, FromJson]
    minimum_cosine: float = Field(default=0.999, gt=0, le=1)
    max_batch_tokens: int | None = Field(default=None, ge=1)
    threads: int = Field(ge=1)


class CollectSettings(Settings):
    """Settings of `collect`."""

    keep: Annotated[tuple[str, ...], FromJson]
    """Digests of models, keys of exports and engines, and ids of vector spaces that are in use."""
    keep_as_of: AwareDatetime
    """When that was true: what was used later stays as well, however late the collection runs."""
    grace_seconds: float = Field(gt=0)


class ServeSettings(Settings):
    """Settings of `serve`."""

    engine_key: str = Field(min_length=1)
    model_name: str = Field(min_length=1)
    served_model_names: Annotated[tuple[str, ...], FromJson] = Field(min_length=1)
    vector_space: str = Field(min_length=1)
    host: str = EVERY_ADDRESS
    port: int = Field(default=8080, ge=0, le=65535)
    threads: int = Field(ge=1)
    max_batch_tokens: int | None = Field(default=None, ge=1)
    max_queued_tokens: int | None = Field(default=None, ge=1)
    max_request_seconds: float = Field(default=300, gt=0)
    max_body_seconds: float = Field(default=60, gt=0)
    max_connection_seconds: float = Field(default=60, gt=0)
    drain_delay_seconds: float = Field(default=10, ge=0)
    minimum_cosine: float = Field(default=0.999, gt=0, le=1)
    self_check_seconds: float = Field(default=300, ge=0)
    default_route: str = Field(default="/v1/embeddings", pattern=ROUTE, max_length=200)
    long_input: Literal["Reject", "Truncate"] = "Reject"
    dimensions: Annotated[DimensionsPolicy, FromJson] = DimensionsPolicy()
    max_inputs: int = Field(default=2048, ge=1)
    max_request_tokens: int = Field(default=300_000, ge=1)
    max_request_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)
    api_keys_files: Annotated[tuple[Path, ...], FromJson] = ()
    role_file: Path | None = None
    cors_origins: Annotated[tuple[str, ...], FromJson] = ()
    token_encoding: Literal["model", "cl100k_base"] = "model"  # noqa: S105 -- whose token ids are meant, no secret
