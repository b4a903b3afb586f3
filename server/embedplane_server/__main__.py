"""`python -m embedplane_server <command>`: dispatch, exit codes and the termination message.

Steps (`fetch`, `resolve`, `export`, `build`, `serve`, `collect`) take their settings from `EMBEDPLANE_*` variables, the
commands for people (`up`, `describe`, `compare`, `reembed`) from arguments. Each command imports only what it needs.
"""

import argparse
import json
import logging
import os
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NoReturn, TypeAlias

from pydantic import ValidationError

from embedplane_server import termination
from embedplane_server.ending import on_sigterm, run_until_told
from embedplane_server.errors import (
    ExitCode,
    PermanentError,
    PermanentReason,
    StepError,
    TransientError,
    TransientReason,
    invalid_settings,
)
from embedplane_server.migration.commands import add_compare, add_reembed
from embedplane_server.progress import Progress
from embedplane_server.results import Result
from embedplane_server.settings import (
    BuildSettings,
    CollectSettings,
    ExportSettings,
    FetchSettings,
    Overrides,
    ResolveSettings,
    ServeSettings,
    Settings,
)

TERMINATION_LOG = "EMBEDPLANE_TERMINATION_LOG"
Run: TypeAlias = Callable[[argparse.Namespace, Mapping[str, str]], Result | int]
Step: TypeAlias = Callable[[Settings, Progress], Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class Job:
    """A command that ends by itself: its module, loaded by need, has a `Step` of the command's name."""

    module: str
    settings: type[Settings]
    help: str


JOBS = {
    "fetch": Job("fetch", FetchSettings, "bring a model into the store and describe it"),
    "resolve": Job("resolve", ResolveSettings, "say which commit a source names now"),
    "export": Job("export.step", ExportSettings, "make a portable graph and reference vectors of a stored model"),
    "build": Job("builders.step", BuildSettings, "make, prove and publish an engine of an export"),
    "collect": Job("collect", CollectSettings, "remove from the store what nobody uses"),
}
STEPS = (*JOBS, "serve")

# Libraries read these when they are imported: plain HTTP transfers, no reports to their makers.
LIBRARY_SETTINGS = {
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",  # its pool would have a thread for each core of the node, not of the pod
}
CHATTY_LOGGERS = ("httpcore", "httpcore2", "httpx", "httpx2")
"""They log whole URLs, and a signed download URL is a credential."""


def main(arguments: Sequence[str], environment: MutableMapping[str, str]) -> int:
    """Run one command and return its exit code."""
    environment.update(LIBRARY_SETTINGS)
    parsed = _parser().parse_args(arguments)
    run: Run = parsed.run
    is_step = parsed.command in STEPS
    log = _termination_log(environment)
    try:
        with on_sigterm(partial(_end_job, environment)) if parsed.command in JOBS else nullcontext():
            result = run(parsed, environment)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        failure = _as_step_error(error)
        words = [f"{failure.reason if is_step else 'error'}: {failure.message}", *getattr(failure, "__notes__", ())]
        sys.stderr.write("\n".join(words) + "\n")
        if is_step:
            termination.write(log, termination.error_message(failure))
        return failure.exit_code
    if isinstance(result, int):
        return result
    message = termination.result_message(result.as_document())
    termination.write(log, message)
    sys.stdout.write(message + "\n")
    return ExitCode.DONE


def _termination_log(environment: Mapping[str, str]) -> Path:
    return Path(environment.get(TERMINATION_LOG, "/dev/termination-log"))


def _end_job(environment: Mapping[str, str]) -> NoReturn:
    """End a Job's process that was told to, whatever its threads do."""
    failure = TransientError(TransientReason.INTERRUPTED, "the step was ended before it was done. It is run again.")
    sys.stderr.write(f"{failure.reason}: {failure.message}\n")
    sys.stderr.flush()
    termination.write(_termination_log(environment), termination.error_message(failure))
    os._exit(failure.exit_code)


def _as_step_error(error: Exception) -> StepError:
    if isinstance(error, StepError):
        return error
    if isinstance(error, MemoryError):
        return PermanentError(
            PermanentReason.OUT_OF_MEMORY, "the memory limit is too small for this step. Raise engine.jobs.resources."
        )
    traceback.print_exception(error)
    return TransientError(
        TransientReason.INTERNAL_ERROR, f"{type(error).__name__}: {error}. It is tried again; see the pod's log."
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m embedplane_server", description="Embedplane's server side.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    steps: dict[str, tuple[Run, str]] = {name: (_run_job, job.help) for name, job in JOBS.items()}
    steps["serve"] = (_serve, "serve a published engine")
    for name, (run, text) in steps.items():
        commands.add_parser(name, help=f"{text} (settings: EMBEDPLANE_* variables)").set_defaults(run=run)
    _add_up(commands.add_parser("up", help="fetch, build or reuse, and serve a model on this machine"))
    _add_describe(commands.add_parser("describe", help="print what a model is, as JSON"))
    add_compare(commands.add_parser("compare", help="say how differently two vector spaces rank the same texts"))
    add_reembed(commands.add_parser("reembed", help="embed a corpus again, into the space of a served model"))
    return parser


def _add_up(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_up)
    parser.description = (
        "Serve a sentence-transformers model on this machine, by OpenAI's interface. The first start exports and "
        "proves it, which takes a minute or two; later ones reuse what is in the store and take seconds."
    )
    parser.epilog = (
        "The hub is huggingface.co, or HF_ENDPOINT. Private models need a token: `hf auth login` keeps one where "
        "this command finds it."
    )
    parser.add_argument(
        "model", metavar="PATH_OR_REPO", help="a folder, or a repository such as BAAI/bge-small-en-v1.5"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (%(default)s; :: for all)")
    parser.add_argument("--port", type=int, default=8080, help="the port to listen on (%(default)s; 0 for any)")
    parser.add_argument(
        "--store", type=Path, metavar="FOLDER", help="keeps models and engines (default: embedplane/store in the cache)"
    )
    parser.add_argument("--name", help="the name that requests ask for (default: of the model)")


def _add_describe(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_describe)
    parser.add_argument("model", metavar="PATH_OR_REPO")
    parser.add_argument("--revision", default="main")
    parser.add_argument("--endpoint", help="of a hub mirror")
    parser.add_argument("--overrides", default="{}", metavar="JSON", help="what spec.embedding would say")


def _configure_logging(settings: Settings) -> None:
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _run_job(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Result:
    job = JOBS[arguments.command]
    settings = job.settings.from_environment(environment)
    _configure_logging(settings)
    step: Step = getattr(import_module(f"embedplane_server.{job.module}"), arguments.command)
    return run_until_told(step(settings, Progress(sys.stderr)), partial(_end_job, environment))


def _serve(_: argparse.Namespace, environment: Mapping[str, str]) -> int:
    settings = ServeSettings.from_environment(environment)
    _configure_logging(settings)
    from embedplane_server import serve  # noqa: PLC0415 -- heavy, by need

    return serve.run(settings)


def _up(arguments: argparse.Namespace, _: Mapping[str, str]) -> int:
    from embedplane_server import up  # noqa: PLC0415 -- heavy, by need

    return up.run(arguments)


def _describe(arguments: argparse.Namespace, _: Mapping[str, str]) -> int:
    from embedplane_server.inspection import describe_source, source_of  # noqa: PLC0415 -- heavy, by need

    try:
        overrides = Overrides.model_validate_json(arguments.overrides)
    except ValidationError as error:
        raise invalid_settings(f"--overrides: {error.errors(include_url=False)[0]['msg']}") from error
    source = source_of(arguments.model, arguments.revision, arguments.endpoint)
    sys.stdout.write(json.dumps(describe_source(source, overrides), indent=2, ensure_ascii=False) + "\n")
    return ExitCode.DONE


def _end(code: int) -> NoReturn:
    """End with this exit code: a library's thread that asks for Python while it is taken down aborts the process."""
    logging.shutdown()
    with suppress(OSError):  # whoever reads has gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _end(main(sys.argv[1:], os.environ))
