"""What a run found out: steps, trials, and what they ran on. Data only; `report.py` tells it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from traceback import format_exception
from typing import Literal

from hack.gpu_smoke.plan import Trial

Result = Literal["passed", "failed", "not tried"]


class StepFailedError(Exception):
    """A step did not do what it has to; the message says what, `tail` has the last lines of the container."""

    def __init__(self, message: str, tail: str = "") -> None:
        super().__init__(message)
        self.tail = tail


@dataclass(frozen=True)
class Step:
    """One step of a trial."""

    name: str
    result: Result
    seconds: float | None = None
    told: str = ""
    """What was found, or what is wrong."""
    tail: str = ""
    """Of a failed step: the last lines of its container."""


def failed(name: str, seconds: float, error: Exception) -> Step:
    """Return a step that failed, in the words of its error; another error than ours comes with its traceback."""
    if isinstance(error, StepFailedError):
        return Step(name, "failed", seconds, str(error), error.tail)
    return Step(name, "failed", seconds, f"{type(error).__name__}: {error}", "".join(format_exception(error)).strip())


@dataclass(frozen=True)
class TrialOutcome:
    """What became of one model on one backend. Figures that were not reached are None."""

    trial: Trial
    steps: Sequence[Step]
    commit: str | None = None
    precision: str | None = None
    built_cosines: tuple[float, float] | None = None
    """Lowest and mean over the golden texts, as the build measured them."""
    served_cosines: tuple[float, float] | None = None
    """Lowest and mean of the vectors that came over HTTP, to those of sentence-transformers."""
    speeds: Mapping[str, float] = field(default_factory=dict)
    """Tokens a second over HTTP by kind of text."""
    start_seconds: Sequence[float] = ()
    build_megabytes: int | None = None
    """The most GPU memory in use while the engine was built, all processes of the GPU together."""
    serve_megabytes: int | None = None

    @property
    def has_passed(self) -> bool:
        return all(step.result == "passed" for step in self.steps)


@dataclass(frozen=True)
class Api:
    """How the libraries of the GPU image compare with what this checkout calls."""

    versions: Mapping[str, str]
    differences: Sequence[str] | None
    """None: it was not looked at."""


@dataclass(frozen=True)
class About:
    """What a run ran on; nothing here may name the machine or its owner."""

    gpu: str
    compute_capability: str
    megabytes: int
    driver: str
    driver_cuda: str
    runtime: str
    architecture: str
    commit: str
    images: Mapping[str, str] = field(default_factory=dict)
    """Digests by the name of the image."""


@dataclass(frozen=True)
class Run:
    """Everything that the report tells."""

    about: About
    preparation: Sequence[Step]
    """Images, GPU in a container, API: what all trials need."""
    api: Api
    trials: Sequence[TrialOutcome]

    @property
    def has_passed(self) -> bool:
        prepared = all(step.result == "passed" for step in self.preparation)
        return prepared and bool(self.trials) and all(trial.has_passed for trial in self.trials)
