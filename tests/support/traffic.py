"""Requests that go on in the background while a test changes the world below them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.support.waiting import wait_for


@dataclass
class Traffic:
    """What the requests met so far."""

    successes: int = 0
    spaces: list[str] = field(default_factory=list)
    """The vector space that each answer named, in the order in which they came."""
    failures: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def wait_for_successes(self, more: int, within: float = 120) -> None:
        wanted = self.successes + more
        wait_for(
            f"{more} more answers",
            lambda: self.successes >= wanted,
            within=within,
            explain=lambda: str(self.failures[:3]),
        )


QUERY = "a query among many"
SPACE_HEADER = "x-embedplane-vector-space"
Judge = Callable[[httpx.Response], str | None]
"""What is wrong with an answer; None when nothing is."""


def is_ok(answer: httpx.Response) -> str | None:
    return None if answer.status_code == httpx.codes.OK else f"{answer.status_code} {answer.text[:200]}"


def ask(client: httpx.Client, url: str, model: str, traffic: Traffic, judge: Judge = is_ok) -> None:
    try:
        answer = client.post(url, json={"model": model, "input": QUERY})
    except httpx.HTTPError as error:
        traffic.failures.append(repr(error))
        return
    traffic.spaces.append(answer.headers.get(SPACE_HEADER, ""))
    if complaint := judge(answer):
        traffic.failures.append(complaint)
    else:
        traffic.successes += 1


@contextmanager
def constant_requests(
    base_url: str, model: str, clients: int = 4, *, judge: Judge = is_ok, pin: str | None = None
) -> Iterator[Traffic]:
    """Send requests from a few pooling clients, without retries, until the block ends; `pin` names their space."""
    traffic = Traffic()
    headers = {SPACE_HEADER: pin} if pin else {}

    def work() -> None:
        with httpx.Client(timeout=30, headers=headers) as client:
            while not traffic.stop.is_set():
                ask(client, f"{base_url}/v1/embeddings", model, traffic, judge)
                traffic.stop.wait(0.02)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield traffic
    finally:
        traffic.stop.set()
        for thread in threads:
            thread.join(60)


@contextmanager
def bulk_load(base_url: str, model: str, texts: list[str], clients: int = 6) -> Iterator[None]:
    """Keep a model busy with whole lists of texts; refusals are part of it."""
    stop = threading.Event()

    def work() -> None:
        with httpx.Client(timeout=120) as client:
            while not stop.is_set():
                try:
                    client.post(f"{base_url}/v1/embeddings", json={"model": model, "input": texts})
                except httpx.HTTPError:
                    stop.wait(0.2)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(150)
