"""A Job that is told to end does so at once, whatever its threads do, and says that it is to be run again."""

import json
import signal
import socket
import subprocess
import sys

from hack.environment import outside
from tests.support.waiting import wait_for


def test_a_fetch_whose_hub_does_not_answer_ends_on_sigterm_and_is_retried(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent_hub:
        endpoint = f"http://127.0.0.1:{silent_hub.getsockname()[1]}"
        settings = {
            "STORE": (tmp_path / "store").as_uri(),
            "TERMINATION_LOG": str(tmp_path / "log"),
            "SOURCE": json.dumps({"huggingFace": {"repo": "org/model", "endpoint": endpoint}}),
            "ENGINE": '{"backend": "openvino"}',
        }
        environment = {**outside(), **{f"EMBEDPLANE_{name}": value for name, value in settings.items()}}
        silent_hub.settimeout(60)
        with subprocess.Popen([sys.executable, "-m", "embedplane_server", "fetch"], env=environment) as process:
            connection, _ = silent_hub.accept()
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 65
            connection.close()
    assert json.loads((tmp_path / "log").read_text())["error"]["reason"] == "Interrupted"


def test_a_job_that_still_loads_its_libraries_ends_on_sigterm(tmp_path):
    program = (
        "import os, sys, time; from embedplane_server import __main__\n"
        "__main__._run_job = lambda *_: print('ready', flush=True) or time.sleep(60)\n"
        "sys.exit(__main__.main(['fetch'], os.environ))"
    )
    environment = {**outside(), "EMBEDPLANE_TERMINATION_LOG": str(tmp_path / "log")}
    with subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        wait_for("it has begun", process.stdout.readline, within=30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 65
