"""The command line of `hack/gpu-smoke.sh`: look at the machine, prepare, try all models, tell."""

import argparse
import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hack import environment
from hack.gpu_smoke import checks, images, preparation
from hack.gpu_smoke.bench import Bench
from hack.gpu_smoke.containers import Runtime, ask, find_program
from hack.gpu_smoke.gpu import Gpu, find_gpu
from hack.gpu_smoke.outcome import About, Run
from hack.gpu_smoke.plan import DEFAULTS, USAGE, PlanError, Trial, trials_of
from hack.gpu_smoke.report import report
from hack.gpu_smoke.scrubbing import Scrubber
from hack.gpu_smoke.trial import run_trial

PASSED, FAILED, CANNOT_BEGIN = 0, 1, 2
SOURCES = ("server", "hack/gpu_smoke")


def main(arguments: Sequence[str]) -> int:
    """Run everything and return the exit code."""
    options = _arguments(arguments)
    try:
        trials = trials_of(options.models)
    except PlanError as error:
        return _cannot_begin([f"--models: {error}"])
    machine = _machine(options)
    if problems := checks.problems(machine):
        return _cannot_begin(problems)
    for warning in checks.warnings(machine):
        say(f"warning: {warning}")
    assert machine.gpu is not None
    assert machine.program is not None
    folder = Path(tempfile.mkdtemp(prefix="gpu-smoke-", dir=options.folder))
    run = _run(options, trials, Runtime(machine.program), machine.gpu, folder, machine.daemon)
    text = _scrubber(folder, options)(report(run))
    print(text)
    options.report.write_text(text, encoding="utf-8")
    say(f"the report is in {options.report}; logs, models and engines are in {folder}, which can be removed")
    return PASSED if run.has_passed else FAILED


def say(text: str) -> None:
    """Tell how it goes, beside the report."""
    print(f"gpu-smoke: {text}", file=sys.stderr, flush=True)


def _run(
    options: argparse.Namespace, trials: Sequence[Trial], runtime: Runtime, gpu: Gpu, folder: Path, daemon: str
) -> Run:
    wanted = images.Wanted(options.gpu_image, options.exporter_image, options.gpu_base, options.torch_index)
    folder.chmod(0o755)
    bench = Bench(
        runtime=runtime,
        gpu=gpu,
        gpu_image="",
        exporter_image="",
        folder=folder,
        threads=min(8, os.cpu_count() or 1),
        within=options.step_seconds,
        token=options.token_file.resolve() if options.token_file else None,
        endpoint=options.endpoint,
        in_flight=options.in_flight,
        load_seconds=options.seconds,
    )
    prepared = preparation.prepare(bench, wanted, trials, say)
    outcomes = []
    for trial in trials if prepared.is_complete else ():
        say(f"{trial.model.name} on {trial.backend}")
        outcomes.append(run_trial(trial, bench, say))
    about = About(
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        megabytes=gpu.megabytes,
        driver=gpu.driver,
        driver_cuda=gpu.cuda,
        runtime=daemon,
        architecture=platform.machine(),
        commit=_commit(),
        images=prepared.digests,
    )
    return Run(about, prepared.steps, prepared.api, outcomes)


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="hack/gpu-smoke.sh",
        description="Verify Embedplane's GPU engines on this machine: build the images, fetch, export, build, serve, "
        "compare and measure each model, and write a report to paste into an issue.",
        epilog="Exit code 0: all passed; 1: something did not, see the report; 2: it could not begin.",
    )
    parser.add_argument("--models", nargs="+", default=DEFAULTS, metavar=USAGE, help=f"default: {' '.join(DEFAULTS)}")
    parser.add_argument("--gpu-image", metavar="IMAGE", help="use this image instead of building gpu-server")
    parser.add_argument("--exporter-image", metavar="IMAGE", help="use this image instead of building exporter")
    parser.add_argument("--gpu-base", metavar="IMAGE@DIGEST", help="what gpu-server is built on (default: of its file)")
    parser.add_argument("--torch-index", metavar="URL", help="an index with CPU wheels of torch: a smaller exporter")
    parser.add_argument("--runtime", metavar="PROGRAM", help="docker, podman or nerdctl (default: the first there is)")
    parser.add_argument("--endpoint", metavar="URL", help="of a mirror of the hub")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="holds the hub's token; only fetch gets it")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="for models, engines and logs (default: here)")
    parser.add_argument("--report", type=Path, default=Path("gpu-smoke-report.md"), metavar="FILE")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement of speed (%(default)s)")
    parser.add_argument("--in-flight", type=int, default=16, metavar="REQUESTS", help="at a time (%(default)s)")
    parser.add_argument(
        "--step-seconds", type=float, default=3600.0, metavar="S", help="one step may take (%(default)s)"
    )
    return parser.parse_args(arguments)


def _machine(options: argparse.Namespace) -> checks.Machine:
    program = find_program(options.runtime)
    listed = ask(program, "ps", "--quiet") if program else None
    answers = program is not None and listed is not None and listed.exit_code == 0
    return checks.Machine(
        system=platform.system(),
        gpu=find_gpu(),
        program=program,
        daemon=ask(program, "--version").output.strip() if program and answers else "",
        daemon_complaint=listed.tail if listed else "",
        free_gigabytes=shutil.disk_usage(options.folder).free / 1e9,
        token=options.token_file,
    )


def _cannot_begin(problems: Sequence[str]) -> int:
    for problem in problems:
        say(problem)
    return CANNOT_BEGIN


def _commit() -> str:
    """Return this checkout's commit, and whether what is tried differs from it."""
    head = ask("git", "rev-parse", "HEAD", folder=images.ROOT)
    if head.exit_code != 0:
        return "unknown (no git checkout)"
    changed = ask("git", "status", "--porcelain", "--", *SOURCES, folder=images.ROOT).output.strip()
    return head.output.strip() + (" with changes" if changed else "")


def _scrubber(folder: Path, options: argparse.Namespace) -> Scrubber:
    words = {
        str(folder): "<folder>",
        str(options.folder.resolve()): "<folder>",
        str(images.ROOT): "<checkout>",
        str(Path.home()): "<home>",
        str(Path.cwd()): "<folder>",
        socket.gethostname(): "<host>",
        environment.user(): "<user>",
    }
    given = {options.gpu_image: "<gpu image>", options.exporter_image: "<exporter image>", options.endpoint: "<hub>"}
    words |= {text: word for text, word in given.items() if text}
    if options.token_file:
        words[str(options.token_file)] = "<token file>"
        words[options.token_file.read_text(encoding="utf-8").strip()] = "<token>"
    return Scrubber({text: word for text, word in words.items() if text not in ("/", "root")})
