"""Drives a server process with the requests of `soak_requests.py`, and holds its own counts against what was sent."""

import argparse
import asyncio
import contextlib
import io
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import httpx
from prometheus_client.parser import text_string_to_metric_families

from embedplane_server.tokenization import Tokenizer, load_tokenizer
from hack.bench.soak_requests import Ask, asks

Sample = tuple[str, frozenset[tuple[str, str]]]
OWN_ROUTES = {"/metrics"}
SETTLE_SECONDS = 30


@dataclass
class Target:
    """A server process and the tokenizer that it should be using."""

    url: str
    pid: int
    tokenizer: Tokenizer

    def megabytes(self, field: str) -> float:
        """Return a size of the process in /proc's words: VmRSS, VmHWM."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        line = next(line for line in status.splitlines() if line.startswith(f"{field}:"))
        return round(int(line.split()[1]) / 1024, 1)

    def tokens(self, ask: Ask) -> int:
        """Return how many tokens a request has."""
        return sum(map(len, self.tokenizer.encode(ask.texts)))


@dataclass
class Tally:
    """What was sent and what came back."""

    answers: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    answered: int = 0
    """Tokens of the requests that got their vectors."""
    perhaps: int = 0
    """Tokens of the requests that left or ran out of time: computed or not."""
    seen: int = 0
    """Requests that reached the server."""


async def soak(
    target: Target,
    requests: int,
    clients: int = 8,
    seed: int = 1,
    length: float = 1.0,
    is_over: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Send so many requests from so many clients, no more of them once it is over; return the report."""
    started, tally, sizes = time.monotonic(), Tally(), Sizes(target, requests, is_over)
    before = await _counts(target)
    await _send(target, sizes.watched(asks(requests, seed, length)), clients, tally)
    counted = await _settled(target, before, tally)
    problems = [*tally.unexpected, *_problems(counted, tally)]
    return {
        "requests": sizes.requests,
        "seconds": round(time.monotonic() - started, 1),
        "answers": dict(sorted(tally.answers.items())),
        "tokens": {"answered": tally.answered, "leftOrLate": tally.perhaps, **_outcomes(counted)},
        "megabytes": {
            "eachTenth": sizes.tenths,
            "end": target.megabytes("VmRSS"),
            "peak": target.megabytes("VmHWM"),
        },
        "problems": problems,
        "consistent": not problems,
    }


class Sizes:
    """How many requests were sent, and the server's resident size at the start and after each tenth of them."""

    def __init__(self, target: Target, requests: int, is_over: Callable[[], bool]) -> None:
        self._target = target
        self._step = max(1, requests // 10)
        self._is_over = is_over
        self.requests = 0
        self.tenths: list[float] = []

    def watched(self, queue: Iterator[Ask]) -> Iterator[Ask]:
        """Pass requests on, and look now and then."""
        for ask in queue:
            if self._is_over():
                return
            if self.requests % self._step == 0:
                self.tenths.append(self._target.megabytes("VmRSS"))
                print(f"soak: {self.requests} requests, {self.tenths[-1]} MB", file=sys.stderr, flush=True)
            self.requests += 1
            yield ask


async def _send(target: Target, queue: Iterator[Ask], clients: int, tally: Tally) -> None:
    async with aiohttp.ClientSession(target.url, timeout=aiohttp.ClientTimeout(120)) as client:

        async def work() -> None:
            for ask in queue:
                await (_leave(target, ask, tally) if ask.leaves_after else _ask(client, target, ask, tally))

        await asyncio.gather(*(work() for _ in range(clients)))


async def _ask(client: aiohttp.ClientSession, target: Target, ask: Ask, tally: Tally) -> None:
    content = ask.body if isinstance(ask.body, bytes) else json.dumps(ask.body).encode()
    async with client.post(ask.path, data=io.BytesIO(content), headers=ask.headers) as answer:
        body = await answer.read()
    tally.seen += 1
    tally.answers[f"{ask.kind}: {answer.status}"] += 1
    if answer.status not in ask.expected:
        tally.unexpected.append(f"{ask.kind}: {answer.status} {body[:200]!r}")
    if answer.status != httpx.codes.OK:
        tally.perhaps += target.tokens(ask) if httpx.codes.GATEWAY_TIMEOUT in ask.expected else 0
        return
    tokens = target.tokens(ask)
    tally.answered += tokens
    if ask.texts and answer.headers["x-embedplane-tokens"] != str(tokens):
        tally.unexpected.append(f"{ask.kind}: {answer.headers['x-embedplane-tokens']} tokens instead of {tokens}")


async def _leave(target: Target, ask: Ask, tally: Tally) -> None:
    """Send a request or the start of one, and close the connection."""
    body = json.dumps(ask.body).encode()
    url = httpx.URL(target.url)
    _, writer = await asyncio.open_connection(url.host, url.port)
    head = f"POST {ask.path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    writer.write(head + body[: round(len(body) * (ask.leaves_after or 1))])
    with contextlib.suppress(ConnectionError):
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    tally.seen += 1
    tally.answers[f"{ask.kind}: left"] += 1
    tally.perhaps += target.tokens(ask)


async def _counts(target: Target) -> dict[Sample, float]:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{target.url}/metrics")).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}


async def _settled(target: Target, before: dict[Sample, float], tally: Tally) -> dict[Sample, float]:
    """Return by how much the counts grew, once the server has seen everything and nothing waits."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        now = await _counts(target)
        grown = {sample: value - before.get(sample, 0) for sample, value in now.items()}
        waits = _total(now, "embedplane_queued_tokens")
        if (_requests(grown) >= tally.seen and not waits) or time.monotonic() > deadline:
            return grown
        await asyncio.sleep(0.1)


def _total(counts: dict[Sample, float], name: str, **labels: str) -> int:
    wanted = labels.items()
    return int(sum(value for (each, has), value in counts.items() if each == name and wanted <= has))


def _requests(counts: dict[Sample, float]) -> int:
    name = "embedplane_requests_total"
    return _total(counts, name) - sum(_total(counts, name, route=route) for route in OWN_ROUTES)


def _outcomes(counts: dict[Sample, float]) -> dict[str, int]:
    outcomes = {
        outcome: _total(counts, "embedplane_tokens_total", outcome=outcome)
        for outcome in ("success", "failed", "cancelled")
    }
    return {"admitted": _total(counts, "embedplane_arrived_tokens_total", outcome="admitted"), **outcomes}


def _problems(counts: dict[Sample, float], tally: Tally) -> list[str]:
    tokens = _outcomes(counts)
    ended = tokens["success"] + tokens["failed"] + tokens["cancelled"]
    most = tally.answered + tally.perhaps
    found = {
        f"{_requests(counts)} requests counted instead of {tally.seen}": _requests(counts) != tally.seen,
        f"{tokens['admitted']} tokens admitted, but {ended} ended": tokens["admitted"] != ended,
        f"{tokens['failed']} tokens failed": tokens["failed"] > 0,
        f"{tokens['success']} tokens computed instead of {tally.answered} to {most}": not (
            tally.answered <= tokens["success"] <= most
        ),
        f"{tokens['admitted']} tokens admitted of {most} sent": tokens["admitted"] > most,
    }
    return [problem for problem, is_so in found.items() if is_so]


@asynccontextmanager
async def served(model: Path, store: Path) -> AsyncIterator[Target]:
    """Serve a model by `up` until the block ends."""
    command = [sys.executable, "-m", "embedplane_server", "up", str(model), "--port", "0", "--store", str(store)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        told = (await process.stdout.readline()).decode()
        if not told:
            raise SystemExit("the server did not start")
        yield Target(
            told.split()[-1].removesuffix("/v1/embeddings"), process.pid, load_tokenizer(model / "tokenizer.json")
        )
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _run(options: argparse.Namespace, store: Path) -> dict[str, Any]:
    async with served(options.model, options.store or store) as target:
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        return await soak(target, options.requests, options.clients, options.seed, options.length, ended.is_set)


def main() -> None:
    """Soak a server of this checkout; exit 1 when something is inconsistent."""
    parser = argparse.ArgumentParser(description="Drive a real server with requests of all kinds and report on it.")
    parser.add_argument("model", type=Path, help="folder of a sentence-transformers model")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--length", type=float, default=1.0, help="of all texts: 0.1 for many requests in little time")
    parser.add_argument("--store", type=Path, help="of `up`, to begin in seconds (default: a temporary one)")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with tempfile.TemporaryDirectory(prefix="embedplane-soak-") as store:
        report = asyncio.run(_run(options, Path(store)))
    text = json.dumps(report, indent=2)
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")
    sys.exit(0 if report["consistent"] else 1)
