"""What a server checks before it listens, and how it says no."""

import asyncio
import json
import os
import re
import signal
import socket
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedplane_server import serve
from embedplane_server.__main__ import main
from embedplane_server.app import queue_limits
from embedplane_server.builders.conformance import References
from embedplane_server.builders.machine import machine_class
from embedplane_server.builders.manifest import EngineManifest, engine_entry
from embedplane_server.ending import on_sigterm
from embedplane_server.engines.base import Batch
from embedplane_server.errors import VectorDrift
from embedplane_server.results import BenchmarkResult
from embedplane_server.scheduling.scheduler import Scheduler
from embedplane_server.store import open_store
from tests.support.damage import DAMAGES
from tests.support.fake_engine import SPACE, FakeEngine, FakeTokenizer, engine_manifest, serve_settings, vector_of
from tests.support.waiting import wait_for

TEXTS = tuple(tuple(range(1000, 1000 + length)) for length in (3, 5, 9, 17, 40, 64))


@pytest.fixture
def references() -> References:
    return References(TEXTS, np.stack([vector_of(ids) for ids in TEXTS]))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    manifest = engine_manifest()
    return {
        "EMBEDPLANE_STORE": (tmp_path / "store").as_uri(),
        "EMBEDPLANE_TERMINATION_LOG": str(tmp_path / "termination-log"),
        "EMBEDPLANE_ENGINE_KEY": manifest.key,
        "EMBEDPLANE_MODEL_NAME": "minilm",
        "EMBEDPLANE_SERVED_MODEL_NAMES": '["minilm"]',
        "EMBEDPLANE_VECTOR_SPACE": SPACE,
        "EMBEDPLANE_THREADS": "1",
    }


def publish(environment: dict[str, str], folder: Path, manifest: EngineManifest) -> None:
    (folder / "engine.json").write_text(manifest.model_dump_json(), encoding="utf-8")
    store = open_store(environment["EMBEDPLANE_STORE"])
    name = engine_entry(manifest.key, manifest.variant)
    asyncio.run(store.publish(name, folder, ["engine.json"], manifest.model_dump(mode="json")))


def last_words(environment: dict[str, str]) -> dict[str, str]:
    error: dict[str, str] = json.loads(Path(environment["EMBEDPLANE_TERMINATION_LOG"]).read_text())["error"]
    return error


def test_an_engine_that_equals_its_reference_may_serve(references):
    serve.prove(FakeEngine(), references, 0.999)


def test_an_engine_that_differs_on_this_machine_may_not_serve(references):
    vectors = references.vectors.copy()
    vectors[3] = vectors[2]
    with pytest.raises(VectorDrift, match=r"on this machine .* below the floor 0\.999") as refusal:
        serve.prove(FakeEngine(), replace(references, vectors=vectors), 0.999)
    assert (refusal.value.reason, refusal.value.exit_code) == ("VectorDrift", 64)


def test_warming_runs_full_batches(references):
    engine = FakeEngine()
    serve.warm(engine, references, 128)
    assert [batch.tokens for batch in engine.batches] == [125, 128]
    assert engine.batches[1] == Batch([TEXTS[-1]] * 2)


def test_the_queue_holds_ten_seconds_of_a_fast_engine_unless_settings_say_otherwise():
    fast = engine_manifest(benchmark=BenchmarkResult(tokens_per_second=100_000, batch_tokens=4096))
    assert queue_limits(serve_settings(), engine_manifest()).max_queued_tokens == 600_000
    assert queue_limits(serve_settings(), fast).max_queued_tokens == 1_000_000
    limits = queue_limits(serve_settings(max_queued_tokens=7, max_batch_tokens=5), fast)
    assert (limits.max_queued_tokens, limits.max_batch_tokens) == (7, 5)
    assert queue_limits(serve_settings(), fast).max_batch_tokens == 256


def test_a_signal_while_the_engine_is_loaded_ends_the_process_at_once():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end, on_sigterm(serve.end_at_once):
        signal.raise_signal(signal.SIGTERM)
    assert end.value.code == 0
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_store_without_the_engine_ends_with_66_and_names_it(environment):
    assert main(["serve"], environment) == 66
    assert last_words(environment)["reason"] == "EngineMissing"
    assert last_words(environment)["engine"] == engine_manifest().key


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_an_engine_that_is_damaged_ends_with_66_and_says_what_is_wrong(environment, tmp_path, damage):
    manifest = engine_manifest(variant=machine_class().variant, precision="float32")
    publish(environment, tmp_path, manifest)
    damage(tmp_path / "store" / engine_entry(manifest.key, manifest.variant))
    assert main(["serve"], environment) == 66
    said = last_words(environment)
    words = r"(engine.json is missing or differs from its digest|its manifest.json cannot be read)"
    name = engine_entry(manifest.key, manifest.variant)
    assert re.fullmatch(rf"{name} in the store is damaged: {words}. It is set aside and built again.", said["message"])
    assert (said["reason"], said["engine"]) == ("EngineCorrupt", manifest.key)


def test_an_engine_for_other_machines_ends_with_66_and_names_both(environment, tmp_path):
    publish(environment, tmp_path, engine_manifest(variant="sparc-vis3"))
    assert main(["serve"], environment) == 66
    said = last_words(environment)
    assert "the store has sparc-vis3" in said.pop("message")
    assert said == {
        "reason": "EngineIncompatible",
        "engine": engine_manifest().key,
        "machine": machine_class().variant,
    }


def test_an_engine_of_another_vector_space_is_refused(environment, tmp_path):
    publish(environment, tmp_path, engine_manifest(variant=machine_class().variant, precision="float32"))
    environment["EMBEDPLANE_VECTOR_SPACE"] = "vs1-ffffffffffffffffffff"
    assert main(["serve"], environment) == 64
    assert last_words(environment) == {
        "reason": "InvalidSettings",
        "message": f"the engine {engine_manifest().key} makes vectors of {SPACE}, but EMBEDPLANE_VECTOR_SPACE asks for "
        "vs1-ffffffffffffffffffff. Serve the engine of that space.",
    }


def test_a_second_signal_leaves_requests_but_no_running_batch(monkeypatch):
    engine, left = FakeEngine(), []
    close = Scheduler.close

    def close_and_release(scheduler: Scheduler) -> None:
        engine.release()
        close(scheduler)

    def interrupt_twice(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b'POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: 14\r\n\r\n{"input": "x"}')
            engine.wait_until_busy()
            os.kill(os.getpid(), signal.SIGINT)
            wait_for("it listens no more", lambda: is_refused(port), within=10, pause=0.01)
            os.kill(os.getpid(), signal.SIGINT)

    def still_running() -> None:
        left.extend(thread for thread in threading.enumerate() if thread.ident in engine.threads)

    engine.hold()
    monkeypatch.setattr(engine, "close", still_running)
    monkeypatch.setattr(Scheduler, "close", close_and_release)
    monkeypatch.setattr(serve, "load", lambda _: serve.Loaded(engine, FakeTokenizer(), engine_manifest()))
    serve.run(serve_settings(), lambda port: threading.Thread(target=interrupt_twice, args=(port,)).start())
    assert left == []


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    return False
