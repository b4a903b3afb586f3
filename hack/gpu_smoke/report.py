"""The Markdown that is pasted into an issue. Pure; `scrubbing.py` goes over it last."""

from collections.abc import Iterator, Sequence

from hack.gpu_smoke.jobs import MINIMUM_COSINE
from hack.gpu_smoke.outcome import Api, Run, Step, TrialOutcome
from hack.gpu_smoke.texts import KINDS

NOTHING = "-"


def report(run: Run) -> str:
    """Return the whole report."""
    return "\n".join([*_head(run), *_models(run.trials), *_steps(run), *_failures(run)]) + "\n"


def _head(run: Run) -> Iterator[str]:
    about, passed = run.about, sum(trial.has_passed for trial in run.trials)
    verdict = "all passed" if run.has_passed else "not all passed"
    yield f"# Embedplane on {about.gpu}: {verdict} ({passed} of {len(run.trials)} models and backends)"
    yield ""
    rows = [
        ("GPU", f"{about.gpu}, compute capability {about.compute_capability}, {about.megabytes} MiB"),
        ("driver", f"{about.driver} (CUDA {about.driver_cuda})"),
        ("GPU image", ", ".join(f"{name} {version}" for name, version in run.api.versions.items()) or NOTHING),
        *((f"digest of {name}", digest) for name, digest in about.images.items()),
        ("API as pinned", _api(run.api)),
        ("Embedplane", about.commit),
        ("run by", f"{about.runtime}, {about.architecture}"),
    ]
    yield from _table(("", ""), rows)


def _api(api: Api) -> str:
    if api.differences is None:
        return "not looked at"
    return f"no: {'; '.join(api.differences)}" if api.differences else "yes"


def _models(trials: Sequence[TrialOutcome]) -> Iterator[str]:
    yield from ("", "## Models", "")
    yield "Cosines are to sentence-transformers in float32, lowest / mean: of all golden texts at the build, and of"
    yield f"vectors over HTTP; the floor is {MINIMUM_COSINE}. Speeds are tokens a second over HTTP."
    yield ""
    heads = ["model", "backend", "result", "precision", "cosine, build", "cosine, HTTP"]
    heads += [*KINDS, "starts (s)", "GPU memory, build / serve (MiB)"]
    yield from _table(heads, [_model_row(trial) for trial in trials])


def _model_row(outcome: TrialOutcome) -> tuple[str, ...]:
    starts = " / ".join(f"{seconds:.1f}" for seconds in outcome.start_seconds)
    memory = (outcome.build_megabytes, outcome.serve_megabytes)
    return (
        f"{outcome.trial.model.name}{f' ({outcome.trial.model.window} tokens)' if outcome.trial.model.window else ''}",
        outcome.trial.backend,
        "passed" if outcome.has_passed else "**failed**",
        outcome.precision or NOTHING,
        _cosines(outcome.built_cosines),
        _cosines(outcome.served_cosines),
        *(f"{outcome.speeds[kind]:.0f}" if kind in outcome.speeds else NOTHING for kind in KINDS),
        starts or NOTHING,
        " / ".join(NOTHING if each is None else str(each) for each in memory),
    )


def _cosines(pair: tuple[float, float] | None) -> str:
    return f"{pair[0]:.6f} / {pair[1]:.6f}" if pair else NOTHING


def _steps(run: Run) -> Iterator[str]:
    yield from ("", "## Steps", "")
    rows = [("", "", step) for step in run.preparation]
    rows += [(each.trial.model.name, each.trial.backend, step) for each in run.trials for step in each.steps]
    yield from _table(
        ("model", "backend", "step", "result", "s", "what was found"),
        [(model, backend, step.name, _result(step), _seconds(step), _cell(step)) for model, backend, step in rows],
    )


def _result(step: Step) -> str:
    return f"**{step.result}**" if step.result == "failed" else step.result


def _seconds(step: Step) -> str:
    return NOTHING if step.seconds is None else f"{step.seconds:.1f}"


def _cell(step: Step) -> str:
    return "see below" if step.result == "failed" else step.told


def _failures(run: Run) -> Iterator[str]:
    failed = [("", step) for step in run.preparation if step.result == "failed"]
    for each in run.trials:
        where = f"{each.trial.model.name}, {each.trial.backend}, "
        failed += [(where, step) for step in each.steps if step.result == "failed"]
    if failed:
        yield from ("", "## Failures")
    for where, step in failed:
        yield from ("", f"### {where}{step.name}", "", step.told)
        if step.tail:
            yield from ("", "```", step.tail.replace("```", "'''"), "```")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in row)} |"
