"""`up`: fetch, export, build or reuse, and serve a model on this machine, for people without a cluster.

The same steps as in a cluster, with a store below the user's cache folder. The export runs as a process of its own, so
that torch is not in the memory of the server.
"""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Awaitable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn, TypeVar

from embedplane_server import serve
from embedplane_server.builders.machine import usable_cpus
from embedplane_server.builders.manifest import EngineManifest, engine_entry
from embedplane_server.builders.step import build
from embedplane_server.ending import run_until_told
from embedplane_server.errors import PermanentError, PermanentReason, StepError, TransientReason
from embedplane_server.fetch import fetch
from embedplane_server.http_server import listen
from embedplane_server.inspection import source_of
from embedplane_server.model.chain import Task
from embedplane_server.progress import Progress
from embedplane_server.results import BuildResult, FetchResult
from embedplane_server.settings import BuildSettings, EngineSettings, FetchSettings, ServeSettings, Source
from embedplane_server.store import open_store

ENGINE = EngineSettings(backend="openvino")
HINTS: Mapping[str, str] = {
    PermanentReason.ACCESS_DENIED: "Here the token is the one that `hf auth login` keeps.",
    PermanentReason.REPOSITORY_NOT_FOUND: "Here the token is the one that `hf auth login` keeps.",
    PermanentReason.UNSUPPORTED_MODEL: "A model's folder is the one that holds its modules.json and config.json.",
    TransientReason.HUB_UNAVAILABLE: "Without a network: give the folder of a model on this machine instead, or set "
    "HF_ENDPOINT to a mirror of the hub.",
}
"""What the steps' words, which are meant for a cluster, come to on this machine."""
INTERRUPTED = 130
"""The exit code of shells for what Ctrl-C ended."""
WHAT: Mapping[Task, tuple[str, str, Mapping[str, object]]] = {
    "embedding": ("dimensions", "/v1/embeddings", {"input": "some text"}),
    "classification": ("labels", "/predict", {"inputs": "some text"}),
}
"""What a model's rows are made of, and the route that people try first with what they send there."""
RERANKS = ("score", "/rerank", {"query": "some question", "texts": ["some text", "another"]})
EXPORTER_MODULES = ("torch", "sentence_transformers")

Done = TypeVar("Done")


def run(arguments: argparse.Namespace) -> int:
    """Bring a model up and serve it until Ctrl-C."""
    try:
        return _run(arguments, Progress(sys.stderr))
    except StepError as error:
        if hint := HINTS.get(error.reason):
            error.add_note(hint)
        raise


def _run(arguments: argparse.Namespace, progress: Progress) -> int:
    with listen(arguments.host, arguments.port):
        pass  # a port that is taken is told before minutes of work, not after
    source = source_of(arguments.model, endpoint=os.environ.get("HF_ENDPOINT"))
    store = arguments.store.absolute() if arguments.store else _store_folder(os.environ)
    progress.say(f"the store is {store}")
    fetched, built = _prepare(store.as_uri(), source, progress)
    settings = _serve_settings(arguments, store.as_uri(), source, fetched, built)
    progress.say(f"loading the engine and comparing {serve.CHECKED_TEXTS} texts with the reference")
    name = settings.served_model_names[0]

    def tell(port: int) -> None:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        space = fetched.vector_space
        what, path, body = WHAT[space.task] if space.dimensions > 1 else RERANKS
        url = f"http://{host}:{port}{path}"
        sent = json.dumps({"model": name, **body})
        progress.say(f"ready: {space.dimensions} {what}, {built.precision}; Ctrl-C ends it")
        progress.say(f"try: curl {url} -H 'Content-Type: application/json' -d {shlex.quote(sent)}")
        if space.task == "embedding":
            progress.say(f"to try it in a browser: http://{host}:{port}/")
        sys.stdout.write(f"{name} is served at {url}\n")
        sys.stdout.flush()

    return serve.run(settings, tell)


def _prepare(store: str, source: Source, progress: Progress) -> tuple[FetchResult, BuildResult]:
    """Return the model and its engine; whatever the store has is not made again."""
    fetched = _finish(fetch(FetchSettings(store=store, source=source, token_file=_token(), engine=ENGINE), progress))
    if fetched.engine is not None:
        if _finish(_is_whole(store, fetched.engine)):
            progress.say(f"its engine {fetched.engine.key} is in the store")
            return fetched, fetched.engine
        progress.say(f"its engine {fetched.engine.key} is damaged in the store, and is built again")
    if (export_key := fetched.export_keys.get("openvino")) is None:
        progress.say("exporting and proving it, once: this takes a minute or two")
        export_key = _export(store, fetched.digest)
    build_settings = BuildSettings(store=store, export_key=export_key, engine=ENGINE, threads=usable_cpus())
    return fetched, _finish(build(build_settings, progress))


async def _is_whole(store: str, engine: BuildResult) -> bool:
    """Look at the files of an engine; a damaged one is set aside."""
    return await open_store(store).find_intact(engine_entry(engine.key, engine.variant), EngineManifest) is not None


def _finish(work: Awaitable[Done]) -> Done:
    """Run a step; Ctrl-C ends it at once, whatever its threads do."""
    return run_until_told(work, _end, (signal.SIGINT, signal.SIGTERM))


def _end() -> NoReturn:
    os._exit(INTERRUPTED)


def _export(store: str, digest: str) -> str:
    """Run the export step and return the key of what it made."""
    if missing := [module for module in EXPORTER_MODULES if find_spec(module) is None]:
        raise PermanentError(
            PermanentReason.BACKEND_UNAVAILABLE,
            f"exporting a model needs {' and '.join(missing)}, which this environment has not. "
            'Install them: pip install "embedplane[server,exporter]".',
        )
    settings = {"STORE": store, "MODEL_DIGEST": digest, "FORMAT": "openvino", "LOG_LEVEL": "warning"}
    outside = {name: value for name, value in os.environ.items() if not name.startswith("EMBEDPLANE_")}
    done = subprocess.run(
        [sys.executable, "-m", "embedplane_server", "export"],
        env={**outside, **{f"EMBEDPLANE_{name}": value for name, value in settings.items()}},
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.returncode)  # the step has said why
    return str(json.loads(done.stdout.splitlines()[-1])["result"]["exportKey"])


def _serve_settings(
    arguments: argparse.Namespace, store: str, source: Source, fetched: FetchResult, built: BuildResult
) -> ServeSettings:
    repo = source.hugging_face.repo if source.hugging_face is not None else Path(arguments.model).resolve().name
    name = arguments.name or repo.rpartition("/")[2]
    return ServeSettings(
        store=store,
        engine_key=built.key,
        model_name=name,
        served_model_names=tuple(dict.fromkeys((name, repo, "model"))),
        vector_space=fetched.vector_space.id,
        host=arguments.host,
        port=arguments.port,
        threads=usable_cpus(),
        drain_delay_seconds=0,
    )


def _store_folder(environment: Mapping[str, str]) -> Path:
    cache = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache).absolute() / "embedplane" / "store"


def _token() -> Path | None:
    """Return where the hub's own command keeps the user's token."""
    home = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    token = Path(home) / "token"
    return token if token.is_file() else None
