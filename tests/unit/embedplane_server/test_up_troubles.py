"""What somebody without a cluster reads when `up` cannot do what it was asked for, and how it ends on Ctrl-C."""

import signal
import socket
import subprocess
import sys

import pytest

from embedplane_server.__main__ import main
from embedplane_server.http_server import listen
from hack.environment import outside


@pytest.fixture
def up(tmp_path, capsys):
    def run(model, *options) -> tuple[int, str]:
        code = main(["up", str(model), "--port", "0", "--store", str(tmp_path / "store"), *options], {})
        return code, capsys.readouterr().err

    return run


def test_a_port_that_is_taken_is_told_before_any_work(up, tmp_path):
    with listen("127.0.0.1", 0) as taken:
        code, told = up(tmp_path, "--port", str(taken.getsockname()[1]))
    assert code == 64
    assert told.endswith("Address already in use. Choose another port.\n")
    assert not (tmp_path / "store").exists()


def test_a_folder_that_is_not_there_is_named(up):
    code, told = up("./nowhere")
    assert code == 64
    assert told == "error: ./nowhere is not a folder. Give that of a sentence-transformers model, or a repository.\n"


def test_a_folder_that_is_no_model_is_told_from_one(up, tmp_path):
    code, told = up(tmp_path)
    assert code == 64
    assert told.endswith("A model's folder is the one that holds its modules.json and config.json.\n")


def test_without_a_network_a_folder_or_a_mirror_is_proposed(up, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    code, told = up("org/model")
    assert code == 65
    assert told.endswith(
        "give the folder of a model on this machine instead, or set HF_ENDPOINT to a mirror of the hub.\n"
    )


def test_ctrl_c_ends_it_at_once_and_quietly_whatever_it_is_doing(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent_hub:
        silent_hub.settimeout(60)
        environment = {**outside(), "HF_ENDPOINT": f"http://127.0.0.1:{silent_hub.getsockname()[1]}"}
        command = [
            sys.executable,
            "-m",
            "embedplane_server",
            "up",
            "org/model",
            "--port",
            "0",
            "--store",
            str(tmp_path),
        ]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            connection, _ = silent_hub.accept()
            process.send_signal(signal.SIGINT)
            assert process.wait(15) == 130
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()
            connection.close()
