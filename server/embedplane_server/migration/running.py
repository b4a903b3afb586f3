"""`compare` and `reembed`, from their arguments to what a terminal or a Job's log shows."""

import argparse
import json
import os
import signal
import sys
from contextlib import AsyncExitStack
from typing import NoReturn

from embedplane_server.ending import run_until_told
from embedplane_server.errors import ExitCode, PermanentError, PermanentReason
from embedplane_server.migration.columns import Columns
from embedplane_server.migration.comparing import Answer, Comparison, compare
from embedplane_server.migration.endpoint import Endpoint
from embedplane_server.migration.reembedding import Reembedding, reembed
from embedplane_server.migration.telling import Teller
from embedplane_server.progress import Progress

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def compare_spaces(arguments: argparse.Namespace) -> int:
    """Print how alike two spaces rank."""
    wanted = Comparison(
        sides=(arguments.a, arguments.b),
        texts=arguments.texts,
        queries=arguments.queries,
        columns=_columns(arguments),
        similarity=arguments.similarity,
        limit=arguments.limit,
        depth=arguments.depth,
        truncate=arguments.truncate,
    )
    key = _key(arguments)

    async def work() -> Answer:
        async with AsyncExitStack() as stack:
            urls = {side for side in wanted.sides if side.startswith(("http://", "https://"))}
            endpoints = {url: await stack.enter_async_context(Endpoint(url, key, patience=60)) for url in sorted(urls)}
            return await compare(wanted, endpoints)

    answer = run_until_told(work(), _end, SIGNALS)
    lines = [json.dumps(answer.as_document(), indent=2, ensure_ascii=False)] if arguments.json else answer.lines()
    sys.stdout.write("\n".join(lines) + "\n")
    return ExitCode.DONE


def reembed_corpus(arguments: argparse.Namespace) -> int:
    """Write the vectors of a corpus."""
    progress = Progress(sys.stderr)
    teller = Teller(progress)
    if arguments.metrics_port is not None:
        teller.serve(arguments.metrics_port)
    wanted = Reembedding(
        input=arguments.input,
        output=arguments.output,
        columns=_columns(arguments),
        space=arguments.vector_space,
        input_type=arguments.input_type,
        truncate=arguments.truncate,
        form=arguments.form,
        part_records=arguments.part_records,
    )
    key = _key(arguments)

    async def work() -> int:
        async with Endpoint(arguments.url, key, patience=arguments.patience, waited=teller.waited) as endpoint:
            return await reembed(wanted, endpoint, teller)

    done = run_until_told(work(), _end, SIGNALS)
    progress.say(f"done: {done} records are in {arguments.output}")
    return ExitCode.DONE


def _columns(arguments: argparse.Namespace) -> Columns:
    return Columns(arguments.id_field, arguments.text_field, arguments.vector_field)


def _key(arguments: argparse.Namespace) -> str | None:
    if arguments.api_key_file is None:
        return None
    try:
        return str(arguments.api_key_file.read_text(encoding="utf-8").strip())
    except OSError as error:
        raise PermanentError(
            PermanentReason.PATH_NOT_FOUND, f"--api-key-file {arguments.api_key_file} cannot be read: {error}."
        ) from error


def _end() -> NoReturn:
    """Parts that have their names are whole; the next run goes on with the others."""
    os._exit(ExitCode.RETRY)
