"""How a server is asked and judged, over sockets, by a server of the tests whose vectors are known."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from hack.bench.serving.load import Address
from hack.gpu_smoke import asking, trial
from hack.gpu_smoke.outcome import StepFailedError
from hack.gpu_smoke.plan import trials_of
from hack.gpu_smoke.texts import compared_texts, workload
from hack.gpu_smoke.trial import Record


class Embeddings(BaseHTTPRequestHandler):
    """A vector says how long its text is; a word is a token."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        rows = [{"embedding": vector_of(text)} for text in asked["input"]]
        usage = {"prompt_tokens": sum(len(text.split()) for text in asked["input"])}
        body = json.dumps({"data": rows, "usage": usage}).encode()
        self.send_response(200 if asked["model"] == "smoke" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def vector_of(text: str) -> list[float]:
    return [1.0, len(text) / 1000]


@pytest.fixture
def address() -> Iterator[Address]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Embeddings)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Address(server.server_address[1], "/v1/embeddings", "smoke")
    server.shutdown()
    thread.join()
    server.server_close()


def a_record() -> Record:
    return Record(trials_of(["a/b=tensorrt"])[0], lambda _: None)


def test_vectors_come_in_the_order_of_their_texts_together_and_alone(address):
    texts = compared_texts()
    expected = [vector_of(text) for text in texts]
    assert asking.vectors(address, texts, len(texts)) == asking.vectors(address, texts, 1) == expected


def test_a_server_that_refuses_is_told_with_its_answer(address):
    other = Address(address.port, address.path, "another model")
    with pytest.raises(StepFailedError, match=r"the server does not answer: .*404"):
        asking.vectors(other, ["a"], 1)
    with pytest.raises(StepFailedError, match="404"):
        asking.tokens_per_second(other, workload("short", 512, 1), 0.01)


def test_speed_counts_the_tokens_that_the_server_counted(address, monkeypatch):
    asked = []
    monkeypatch.setattr(
        asking.load, "run", lambda _, requests, *__: asked.extend(requests) or asking.load.Done(700, 2.0)
    )
    mixed = workload("mixed", 512, 4)
    assert asking.tokens_per_second(address, mixed, 1.0) == 350
    assert sum(request.tokens for request in asked) == sum(len(text.split()) for text in mixed.texts)


def test_vectors_that_are_the_references_pass_and_others_do_not(address):
    record, server = a_record(), SimpleNamespace(address=address)
    reference = [vector_of(text) for text in compared_texts()]
    assert record.attempt("vectors", lambda: trial._vectors(record, server, reference)) == reference
    assert record.figures["served_cosines"] == (pytest.approx(1), pytest.approx(1))

    reference[7] = [0.5, -1.0]
    assert record.attempt("vectors", lambda: trial._vectors(record, server, reference)) is None
    assert record.steps["vectors"].result == "failed"
    assert "to sentence-transformers, below 0.999" in record.steps["vectors"].told


def test_vectors_that_changed_with_a_restart_do_not_pass(address):
    server = SimpleNamespace(address=address)
    before = [vector_of(text) for text in compared_texts()]
    assert trial._vectors_again(server, before)[0] == pytest.approx(1)
    before[3] = [1.0, 1.5]
    with pytest.raises(StepFailedError, match="to the vectors before the restart"):
        trial._vectors_again(server, before)


def test_an_error_that_nobody_foresaw_is_a_failed_step_with_its_traceback():
    record = a_record()
    assert record.attempt("fetch", lambda: {}["vectorSpace"]) is None
    step = record.outcome().steps[0]
    assert (step.name, step.result, step.told) == ("fetch", "failed", "KeyError: 'vectorSpace'")
    assert "Traceback" in step.tail
    assert {each.result for each in record.outcome().steps[1:]} == {"not tried"}


def test_an_exit_code_that_is_not_the_expected_one_does_not_pass():
    server = SimpleNamespace(signal=lambda _: 134, tail=lambda: "aborted")
    with pytest.raises(StepFailedError, match="exit code 134, not 0"):
        trial._end(server, "TERM", 0)
