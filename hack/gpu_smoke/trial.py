"""One model on one backend: the Jobs' steps, then a server that is asked, killed, started again and told to end.

After a failure whatever does not depend on it goes on.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean
from typing import Any, TypeVar

from hack.gpu_smoke import jobs
from hack.gpu_smoke.asking import Vector, cosines, tokens_per_second, vectors
from hack.gpu_smoke.bench import Bench
from hack.gpu_smoke.containers import Mount
from hack.gpu_smoke.gpu import MemoryWatch, watched_memory
from hack.gpu_smoke.outcome import Step, StepFailedError, TrialOutcome, failed
from hack.gpu_smoke.plan import Trial
from hack.gpu_smoke.server import Server
from hack.gpu_smoke.texts import KINDS, compared_texts, workload

STEPS = (
    "fetch",
    "export",
    "reference",
    "build",
    "start",
    "vectors",
    *(f"speed, {kind} texts" for kind in KINDS),
    "kill",
    "start again",
    "vectors again",
    "end on SIGTERM",
    "another GPU's engine",
)
KILLED, ENDED, NO_ENGINE = 137, 0, 66
OTHER = "/other"
OTHER_VARIANT = "nvidia-other-sm10-r1"

Found = TypeVar("Found")
Say = Callable[[str], None]


@dataclass
class Record:
    """The steps so far and the figures they found."""

    trial: Trial
    say: Say
    steps: dict[str, Step] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    def attempt(self, name: str, work: Callable[[], tuple[Found, str]]) -> Found | None:
        """Do a step and keep what it told; None when it failed."""
        started = time.monotonic()
        try:
            found, told = work()
        except Exception as error:  # one that nobody foresaw must not cost the report of an hour
            self._keep(failed(name, time.monotonic() - started, error))
            return None
        self._keep(Step(name, "passed", time.monotonic() - started, told))
        return found

    def outcome(self) -> TrialOutcome:
        """Return everything; steps that were not reached were not tried."""
        steps = [self.steps.get(name) or Step(name, "not tried") for name in STEPS]
        return TrialOutcome(self.trial, steps, **self.figures)

    def _keep(self, step: Step) -> None:
        self.steps[step.name] = step
        self.say(f"  {step.name}: {step.result}, {step.seconds or 0:.1f} s {step.told}".rstrip())


def run_trial(trial: Trial, bench: Bench, say: Say) -> TrialOutcome:
    """Try one model on one backend."""
    record = Record(trial, say)
    fetched = record.attempt("fetch", lambda: _fetch(trial, bench))
    if fetched is None:
        return record.outcome()
    record.figures["commit"] = fetched["commit"]
    export_key = record.attempt("export", lambda: _export(trial, bench, fetched))
    reference = record.attempt("reference", lambda: _reference(trial, bench, fetched))
    built = record.attempt("build", lambda: _build(record, bench, export_key)) if export_key else None
    if built is not None:
        _serve(record, bench, jobs.serve(built, fetched, bench.threads), fetched, reference)
        record.attempt("another GPU's engine", lambda: _refuse_other(bench, built, fetched))
    return record.outcome()


def _fetch(trial: Trial, bench: Bench) -> tuple[dict[str, Any], str]:
    variables = jobs.fetch(trial, bench.gpu, bench.endpoint, bench.token is not None)
    with bench.readable_token() as token:
        found = bench.step("fetch", variables, on_gpu=False, mounts=(*jobs.source_mount(trial.model), *token))
    space, exact = found["vectorSpace"], found.get("tensorrtLlm")
    if space["task"] != "embedding":
        raise StepFailedError("it classifies; only models that embed are tried")
    told = f"{space['id']}, {space['dimensions']} dimensions, {space['maxSequenceLength']} tokens"
    return found, told + (f"; TensorRT-LLM: {exact['reason']}" if exact else "")


def _export(trial: Trial, bench: Bench, fetched: Mapping[str, Any]) -> tuple[str, str]:
    if known := fetched["exportKeys"].get(trial.export_format):
        return known, "in the store"
    found = bench.step("export", jobs.export(trial, fetched), on_gpu=False)
    return found["exportKey"], f"{found['texts']} golden texts"


def _reference(trial: Trial, bench: Bench, fetched: Mapping[str, Any]) -> tuple[list[Vector], str]:
    """Ask sentence-transformers itself, in the exporter image, for the texts that servers are asked for."""
    known = f"{fetched['digest']} {trial.model.window}"
    if known in bench.references:
        return bench.references[known], "known"
    texts = bench.readable("texts.json", json.dumps(compared_texts()))
    window = str(fetched["vectorSpace"]["maxSequenceLength"])
    arguments = [jobs.STORE_URL, fetched["digest"], window, "/texts.json"]
    found = bench.program("reference", arguments, on_gpu=False, mounts=[Mount(texts, "/texts.json")])
    bench.references[known] = found["vectors"]
    return found["vectors"], f"sentence-transformers {found['version']}, {len(found['vectors'])} texts"


def _build(record: Record, bench: Bench, export_key: str) -> tuple[dict[str, Any], str]:
    with watched_memory() as memory:
        variables = jobs.build(record.trial, bench.gpu, export_key, bench.threads)
        found = bench.step("build", variables, on_gpu=True)
    near, speed = found["conformance"], found["benchmark"]
    record.figures |= {
        "precision": found["precision"],
        "built_cosines": (near["minimumCosine"], near["meanCosine"]),
        "build_megabytes": memory.most,
    }
    told = f"{found['variant']}, {near['texts']} texts, {speed['tokensPerSecond']:.0f} tokens/s"
    return found, f"{told} in batches of {speed['batchTokens']}"


def _serve(
    record: Record, bench: Bench, variables: jobs.Variables, fetched: Mapping[str, Any], reference: list[Vector] | None
) -> None:
    window = fetched["vectorSpace"]["maxSequenceLength"]
    with bench.server(variables) as server, watched_memory() as memory:
        if record.attempt("start", lambda: _start(record, server)) is None:
            return
        first = record.attempt("vectors", lambda: _vectors(record, server, reference))
        for kind in KINDS:
            record.attempt(f"speed, {kind} texts", partial(_speed, record, bench, server, kind, window))
        _keep_memory(record, memory)
        record.attempt("kill", lambda: _end(server, "KILL", KILLED))
    with bench.server(variables) as server:
        if record.attempt("start again", lambda: _start(record, server)) is None:
            return
        if first is not None:
            record.attempt("vectors again", lambda: _vectors_again(server, first))
        record.attempt("end on SIGTERM", lambda: _end(server, "TERM", ENDED))


def _start(record: Record, server: Server) -> tuple[float, str]:
    seconds = server.wait_until_ready()
    record.figures["start_seconds"] = (*record.figures.get("start_seconds", ()), seconds)
    return seconds, ""


def _vectors(record: Record, server: Server, reference: list[Vector] | None) -> tuple[list[Vector], str]:
    texts = compared_texts()
    together, alone = vectors(server.address, texts, len(texts)), vectors(server.address, texts, 1)
    if reference is None:
        raise StepFailedError("there are no vectors of sentence-transformers to compare with")
    found = [*cosines(together, reference), *cosines(alone, reference)]
    record.figures["served_cosines"] = (min(found), fmean(found))
    if min(found) < jobs.MINIMUM_COSINE:
        raise StepFailedError(f"cosine {min(found):.6f} to sentence-transformers, below {jobs.MINIMUM_COSINE}")
    return together, f"{len(texts)} texts, together and each alone"


def _vectors_again(server: Server, before: list[Vector]) -> tuple[float, str]:
    texts = compared_texts()
    lowest = min(cosines(vectors(server.address, texts, len(texts)), before))
    if lowest < jobs.MINIMUM_COSINE:
        raise StepFailedError(f"cosine {lowest:.6f} to the vectors before the restart, below {jobs.MINIMUM_COSINE}")
    return lowest, f"cosine {lowest:.6f} to those before"


def _speed(record: Record, bench: Bench, server: Server, kind: str, window: int) -> tuple[float, str]:
    asked = workload(kind, window, bench.in_flight)
    speed = tokens_per_second(server.address, asked, bench.load_seconds)
    record.figures["speeds"] = {**record.figures.get("speeds", {}), kind: speed}
    return speed, f"{speed:.0f} tokens/s, {asked.texts_a_request} texts a request, {bench.in_flight} requests in flight"


def _keep_memory(record: Record, memory: MemoryWatch) -> None:
    memory.look()
    record.figures["serve_megabytes"] = memory.most


def _end(server: Server, signal: str, expected: int) -> tuple[int, str]:
    code = server.signal(signal)
    if code != expected:
        raise StepFailedError(f"exit code {code}, not {expected}", server.tail())
    return code, f"exit code {code}"


def _refuse_other(bench: Bench, built: Mapping[str, Any], fetched: Mapping[str, Any]) -> tuple[int, str]:
    """Serve from a store that has the engine for another GPU only: nothing may be loaded."""
    other = bench.store(f"other-{built['key']}")
    arguments = [jobs.STORE_URL, f"file://{OTHER}", built["key"], built["variant"], OTHER_VARIANT]
    bench.program("relabel", arguments, on_gpu=True, mounts=[Mount(other, OTHER, True)])
    with bench.server(jobs.serve(built, fetched, bench.threads), other) as server:
        code, error = server.wait_until_ended(bench.within), server.error()
        if (code, error.get("reason")) != (NO_ENGINE, "EngineIncompatible"):
            raise StepFailedError(f"exit code {code} and {error or 'no reason'}, not EngineIncompatible", server.tail())
    return code, f"EngineIncompatible, exit code {code}, this machine is {error.get('machine')}"
