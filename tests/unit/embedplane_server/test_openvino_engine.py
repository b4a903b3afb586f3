"""The OpenVINO engine as a neighbour of the other threads of its process."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import get_native_id

import numpy as np
import pytest

from embedplane_server.engines import openvino
from embedplane_server.engines.base import Batch
from embedplane_server.engines.openvino import NICENESS, OpenVinoEngine, OpenVinoOptions
from tests.support.small_engine import write_graph

BATCH = Batch([[4, 5, 6], [7, 8]])


def priorities() -> dict[int, int]:
    """The nice value of each thread of this process."""
    threads = (int(thread.name) for thread in Path("/proc/self/task").iterdir())
    return {thread: os.getpriority(os.PRIO_PROCESS, thread) for thread in threads}


def nice_of_a_caller(engine: OpenVinoEngine) -> int:
    """Return the nice value of a thread that calls the engine again and again."""
    with ThreadPoolExecutor(1, initializer=engine.enter_thread) as caller:
        caller.submit(engine.embed, BATCH).result()
        return caller.submit(os.getpriority, os.PRIO_PROCESS, 0).result()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
@pytest.mark.parametrize(("small", "threads"), [(1 << 20, 1), (1 << 20, 2), (0, 1), (0, 2)])
def test_threads_that_compute_give_way_to_all_others(tmp_path, monkeypatch, small, threads):
    monkeypatch.setattr(openvino, "_SMALL_WEIGHTS", small)
    write_graph(tmp_path / "openvino.xml")
    before = priorities()
    engine = OpenVinoEngine(tmp_path / "openvino.xml", OpenVinoOptions("float32", threads))
    in_callers = bool(small) or threads == 1

    own = before[get_native_id()]
    lower = min(own + NICENESS, 19)
    assert nice_of_a_caller(engine) == (lower if in_callers else own)
    after = priorities()
    assert {nice for thread, nice in after.items() if thread not in before} <= {lower}
    assert {thread: nice for thread, nice in after.items() if thread in before} == before


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_vectors_are_the_same_whoever_computes(tmp_path, monkeypatch, threads):
    write_graph(tmp_path / "openvino.xml")
    found = []
    for small in (1 << 20, 0):
        monkeypatch.setattr(openvino, "_SMALL_WEIGHTS", small)
        engine = OpenVinoEngine(tmp_path / "openvino.xml", OpenVinoOptions("float32", threads))
        with ThreadPoolExecutor(engine.parallel, initializer=engine.enter_thread) as callers:
            found.append(np.stack(list(callers.map(lambda _, engine=engine: engine.embed(BATCH), range(20)))))
    assert np.array_equal(*found)
    assert (found[0] == found[0][0]).all()


def test_only_narrow_streams_are_computed_by_their_callers():
    weights = [OpenVinoOptions("float32", threads).in_callers(1000) for threads in (1, 2, 4, 5, 8)]
    assert weights == [True, True, True, False, False]
    assert not OpenVinoOptions("float32", 2).in_callers(500_000_000)
