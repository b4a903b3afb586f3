"""Which models are tried on which backends. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BACKENDS = ("tensorrt-llm", "tensorrt", "openvino")
"""openvino runs on the CPU of the same image: to see that this command itself works."""

DEFAULTS = (
    "sentence-transformers/all-MiniLM-L6-v2=tensorrt-llm,tensorrt",
    "mixedbread-ai/mxbai-embed-large-v1=tensorrt-llm,tensorrt",
    "nomic-ai/modernbert-embed-base=tensorrt",
    "Qwen/Qwen3-Embedding-0.6B=tensorrt@8192",
)
USAGE = "MODEL=BACKEND[,BACKEND][@WINDOW]"


class PlanError(ValueError):
    """A model on the command line that cannot be understood."""


@dataclass(frozen=True)
class Model:
    """A repository of the hub, or a folder of this machine."""

    repo: str | None
    folder: Path | None
    window: int | None = None
    """embedding.maxSequenceLength; None: the model's own."""

    @property
    def name(self) -> str:
        """What the report calls it: of a folder no more than its last part."""
        return self.repo or (self.folder or Path()).name


@dataclass(frozen=True)
class Trial:
    """One model on one backend."""

    model: Model
    backend: str

    @property
    def is_on_gpu(self) -> bool:
        return self.backend != "openvino"

    @property
    def export_format(self) -> str:
        return "onnx" if self.is_on_gpu else "openvino"


def trials_of(items: Sequence[str]) -> list[Trial]:
    """Return the trials that items like `BAAI/bge-m3=tensorrt@8192` name, in their order. Raises `PlanError`."""
    return [trial for item in items for trial in _trials_of(item)]


def _trials_of(item: str) -> list[Trial]:
    name, sign, rest = item.rpartition("=")
    backends, _, window = rest.partition("@")
    if not (sign and name and (window.isdigit() or "@" not in rest)):
        raise PlanError(f"{item} is not {USAGE}")
    if unknown := [backend for backend in backends.split(",") if backend not in BACKENDS]:
        raise PlanError(f"{item}: {unknown[0] or 'nothing'} is no backend; there are {', '.join(BACKENDS)}")
    model = _model_of(name, int(window) if window else None)
    return [Trial(model, backend) for backend in dict.fromkeys(backends.split(","))]


def _model_of(name: str, window: int | None) -> Model:
    if not name.startswith(("/", ".", "~")):
        return Model(name, None, window)
    folder = Path(name).expanduser().resolve()
    if not folder.is_dir():
        raise PlanError(f"{name} is not a folder")
    return Model(None, folder, window)
