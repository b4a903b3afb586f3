"""What all trials need: both images, a GPU inside a container, and the libraries' API as pinned."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hack.gpu_smoke import images
from hack.gpu_smoke.bench import Bench
from hack.gpu_smoke.containers import Work
from hack.gpu_smoke.gpu import FACTS, parse
from hack.gpu_smoke.outcome import Api, Step, StepFailedError, failed
from hack.gpu_smoke.plan import Trial

Say = Callable[[str], None]
_CONTAINER_SECONDS = 300.0


@dataclass
class Prepared:
    """What was prepared; trials make sense when it is complete."""

    steps: list[Step] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    api: Api = field(default_factory=lambda: Api({}, None))
    is_complete: bool = False


def prepare(bench: Bench, wanted: images.Wanted, trials: Sequence[Trial], say: Say) -> Prepared:
    """Get images into the bench and look into them; another API alone keeps no trial from being made."""
    prepared = Prepared()

    def attempt(name: str, work: Callable[[], str]) -> bool:
        say(f"{name} ...")
        started = time.monotonic()
        try:
            step = Step(name, "passed", told=work(), seconds=time.monotonic() - started)
        except Exception as error:  # as in a trial
            step = failed(name, time.monotonic() - started, error)
        prepared.steps.append(step)
        say(f"  {step.result} {step.told}".rstrip())
        return step.result == "passed"

    def gpu_image() -> str:
        bench.gpu_image = images.gpu_image(bench.runtime, wanted)
        prepared.digests[images.GPU] = images.digest_of(bench.runtime, bench.gpu_image)
        return prepared.digests[images.GPU]

    def exporter_image() -> str:
        bench.exporter_image = images.exporter_image(bench.runtime, wanted)
        prepared.digests[images.EXPORTER] = images.digest_of(bench.runtime, bench.exporter_image)
        return prepared.digests[images.EXPORTER]

    def api() -> str:
        prepared.api = _look_at_api(bench, trials)
        if prepared.api.differences:
            raise StepFailedError("the libraries of the GPU image are not those that this version calls")
        return "yes" if prepared.api.differences is not None else "no backend of a GPU is tried"

    has_images = [attempt("GPU image", gpu_image), attempt("exporter image", exporter_image)]
    if all(has_images) and attempt("GPU in a container", lambda: _look_at_gpu(bench)):
        attempt("API as pinned", api)
        prepared.is_complete = True
    return prepared


def _look_at_gpu(bench: Bench) -> str:
    """Ask for the GPU inside a container: NVIDIA's container toolkit has to bring it there."""
    name, arguments = "embedplane-smoke-gpu", list(FACTS)
    work = Work(name, bench.gpu_image, arguments, entrypoint="nvidia-smi", has_gpu=True)
    ended = bench.runtime.run(work, bench.folder / "gpu.log", _CONTAINER_SECONDS)
    gpu = parse(ended.output.strip().rpartition("\n")[2], "") if ended.exit_code == 0 else None
    if gpu is None:
        raise StepFailedError(
            "nvidia-smi does not answer in a container. Install NVIDIA's container toolkit and configure "
            f"{bench.runtime.kind} with it (nvidia-ctk runtime configure, or nvidia-ctk cdi generate).",
            ended.tail,
        )
    return f"{gpu.name}, driver {gpu.driver}"


def _look_at_api(bench: Bench, trials: Sequence[Trial]) -> Api:
    backends = list(dict.fromkeys(trial.backend for trial in trials if trial.is_on_gpu))
    found = bench.program("api", backends, on_gpu=True)
    return Api(found["versions"], found["differences"] if backends else None)
