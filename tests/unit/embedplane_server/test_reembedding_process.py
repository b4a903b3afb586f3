"""`reembed` as a process beside a server with real weights: ended on its way, started again, equal to the reference."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.support.ports import free_port
from tests.support.reference import cosines, reference_model
from tests.support.texts import text_of
from tests.support.waiting import wait_for
from tests.unit.embedplane_server.migrating import jsonl, rows_of, written

pytestmark = pytest.mark.model

TEXTS = [text_of(1 + number % 30, start=number) for number in range(600)]


def test_a_run_that_is_ended_on_its_way_is_finished_by_the_next(minilm, tmp_path):
    corpus, folder, port = jsonl(tmp_path / "corpus.jsonl", rows_of(TEXTS)), tmp_path / "vectors", free_port()
    command = [sys.executable, "-m", "embedplane_server", "reembed", minilm.url, str(corpus), str(folder)]
    command += ["--part-records", "10", "--form", "parquet"]
    with subprocess.Popen([*command, "--metrics-port", str(port)]) as first:
        wait_for("some parts", lambda: len(parts_of(folder)) >= 2, within=120, pause=0.01)
        with stopped(minilm.pid):
            metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
            first.send_signal(signal.SIGTERM)
            assert first.wait(60) == 65
    made = {path.name: path.stat().st_mtime_ns for path in parts_of(folder)}
    assert 2 <= len(made) < len(TEXTS) / 10
    assert "embedplane_reembedding_records_total" in metrics

    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)

    assert f"done: {len(TEXTS)} records" in done.stderr
    assert {path.name: path.stat().st_mtime_ns for path in parts_of(folder)}.items() >= made.items()
    records = written(folder)
    assert [record.id for record in records] == [row["id"] for row in rows_of(TEXTS)]
    ours = np.array([record.vector for record in records], dtype=np.float32)
    assert cosines(ours, reference_model().encode(TEXTS)).min() >= 0.999


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Let a process stand still, so that nobody gets further by it."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def parts_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*"))
