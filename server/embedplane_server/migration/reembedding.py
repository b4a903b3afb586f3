"""Embed a corpus again, into a new vector space: records in, parts of vectors out, from where the last run stopped.

Requests are large enough for the server's bulk lane, so they never go ahead of users' own, and few at a time; a server
that is busy says when to come back.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from embedplane_server.engines.base import Vectors
from embedplane_server.errors import invalid_settings
from embedplane_server.migration.columns import Columns
from embedplane_server.migration.endpoint import Endpoint, Served
from embedplane_server.migration.parts import Parts, Plan
from embedplane_server.migration.records import Form, Record, form_of, groups, read_records
from embedplane_server.migration.telling import Teller

REQUEST_TEXTS = 256
"""More than the bulk lane begins with; the server interleaves them with what users send."""
CHARACTERS_OF_A_TOKEN = 0.25
"""At least: even text that a tokenizer takes byte by byte has no more than four tokens a character."""
REQUESTS_AT_ONCE = 2
"""One that is computed, one that waits: more would not be faster."""


@dataclass(frozen=True, slots=True)
class Reembedding:
    """What is embedded and how it is written."""

    input: Path
    output: Path
    columns: Columns = field(default_factory=Columns)
    space: str | None = None
    """The space that is expected; None: the one that is served when the run begins."""
    input_type: str = "document"
    truncate: bool = False
    form: Form | None = None
    """None: as the input is written."""
    part_records: int = 10_000


async def reembed(wanted: Reembedding, endpoint: Endpoint, teller: Teller) -> int:
    """Embed every record that is in no part yet; return how many records the parts hold."""
    form = wanted.form or form_of(wanted.input) or "jsonl"
    records, size = read_records(wanted.input, wanted.columns), wanted.input.stat().st_size
    served = await endpoint.served()
    if wanted.space not in (None, served.space):
        raise invalid_settings(
            f"{endpoint.url} serves the vector space {served.space}, not {wanted.space}. Give the endpoint that does."
        )
    plan = Plan(
        vector_space=served.space,
        input=wanted.input.name,
        input_bytes=size,
        input_type=wanted.input_type,
        truncate=wanted.truncate,
        part_records=wanted.part_records,
        form=form,
    )
    parts = Parts(wanted.output, plan, wanted.columns)
    parts.open()
    teller.begin(served.space, str(wanted.output))
    done = 0
    for number, group in enumerate(groups(records, wanted.part_records)):
        is_made = parts.has(number)
        if not is_made:
            started = time.monotonic()
            vectors, tokens = await _embed(_texts(group, done), plan, endpoint, served)
            parts.write(number, [record.id for record in group], vectors)
            teller.part(number, len(group), tokens, time.monotonic() - started)
        done += len(group)
        teller.held(done, is_made=is_made)
    return done


async def _embed(texts: Sequence[str], plan: Plan, endpoint: Endpoint, served: Served) -> tuple[Vectors, int]:
    slots = asyncio.Semaphore(REQUESTS_AT_ONCE)

    async def request(some: Sequence[str]) -> tuple[Vectors, int]:
        async with slots:
            embedded = await endpoint.embed(some, plan.vector_space, plan.input_type, truncate=plan.truncate)
            return embedded.vectors, embedded.tokens

    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(request(some)) for some in requests(texts, served)]
    except ExceptionGroup as group:
        raise group.exceptions[0] from group
    results = [task.result() for task in running]
    return np.concatenate([vectors for vectors, _ in results]), sum(tokens for _, tokens in results)


def requests(texts: Sequence[str], served: Served) -> Iterator[list[str]]:
    """Cut texts into requests that the server is sure to take, whatever its tokenizer makes of them."""
    most, characters = min(REQUEST_TEXTS, served.max_inputs), served.max_tokens * CHARACTERS_OF_A_TOKEN
    request: list[str] = []
    size = 0
    for text in texts:
        if request and (len(request) == most or size + len(text) > characters):
            yield request
            request, size = [], 0
        request.append(text)
        size += len(text)
    yield request


def _texts(records: Sequence[Record], before: int) -> list[str]:
    for number, record in enumerate(records, start=before + 1):
        if not record.text:
            raise invalid_settings(
                f"record {number} (id {record.id!r}) has no text to embed. Give it one or take the record out."
            )
    return [record.text or "" for record in records]
