"""The OpenVINO engine as a neighbour of the other threads of its process."""

import os
import sys
from pathlib import Path
from threading import get_native_id

import pytest

from embedplane_server.engines.base import Batch
from embedplane_server.engines.openvino import NICENESS, OpenVinoEngine, OpenVinoOptions
from tests.support.small_engine import write_graph


def priorities() -> dict[int, int]:
    """The nice value of each thread of this process."""
    threads = (int(thread.name) for thread in Path("/proc/self/task").iterdir())
    return {thread: os.getpriority(os.PRIO_PROCESS, thread) for thread in threads}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
def test_threads_of_batches_side_by_side_give_way_to_all_others(tmp_path):
    write_graph(tmp_path / "openvino.xml")
    before = priorities()
    engine = OpenVinoEngine(tmp_path / "openvino.xml", OpenVinoOptions("float32", threads=2))
    engine.embed(Batch([[4, 5, 6]]))

    new = {thread: nice for thread, nice in priorities().items() if thread not in before}
    assert set(new.values()) == {min(before[get_native_id()] + NICENESS, 19)}
    assert {thread: nice for thread, nice in priorities().items() if thread in before} == before
