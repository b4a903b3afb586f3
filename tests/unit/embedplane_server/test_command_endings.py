"""How commands end: exit code and termination message of the contract."""

import json
import logging
import subprocess
import sys

import pytest

from embedplane_server import termination
from embedplane_server.__main__ import main
from embedplane_server.errors import (
    EngineIncompatible,
    EngineMissing,
    PermanentError,
    PermanentReason,
    TransientError,
    TransientReason,
)
from hack.environment import outside
from tests.unit.embedplane_server.model_folder import write_model


def run(tmp_path, command, **variables):
    log = tmp_path / "termination-log"
    environment = {f"EMBEDPLANE_{name}": str(value) for name, value in variables.items()}
    code = main([command], {**environment, "EMBEDPLANE_TERMINATION_LOG": str(log)})
    return code, json.loads(log.read_text())


def test_the_exit_code_stands_whatever_libraries_do_when_python_ends():
    """Their threads may ask for Python while it is taken down, which aborts the process."""
    program = (
        "import atexit, os, runpy, sys; atexit.register(os.abort); sys.argv = ['embedplane_server', 'fetch']; "
        "runpy.run_module('embedplane_server', run_name='__main__')"
    )
    environment = {**outside(), "EMBEDPLANE_SORCE": "{}"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.partition(":")[0]) == (64, "InvalidSettings")


def source(path):
    return {"SOURCE": json.dumps({"path": str(path)}), "ENGINE": '{"backend": "openvino"}'}


def test_a_typo_in_the_environment_ends_with_64(tmp_path):
    code, message = run(tmp_path, "fetch", SORCE="{}")
    assert code == 64
    assert message["error"]["reason"] == "InvalidSettings"
    assert "EMBEDPLANE_SORCE" in message["error"]["message"]


def test_a_fetch_that_is_done_ends_with_0_and_its_result(tmp_path):
    model = write_model(tmp_path / "model")
    code, message = run(tmp_path, "fetch", STORE=f"file://{tmp_path}/store", **source(model))
    assert code == 0
    result = message["result"]
    assert result["commit"] == f"sha256:{result['digest']}"
    assert result["vectorSpace"]["dimensions"] == 8
    assert result["exportKeys"] == {}
    assert "engine" not in result


def test_a_path_that_is_missing_ends_with_64(tmp_path):
    code, message = run(tmp_path, "fetch", STORE=f"file://{tmp_path}/store", **source(tmp_path / "nowhere"))
    assert (code, message["error"]["reason"]) == (64, "PathNotFound")


def test_a_store_that_cannot_be_used_ends_with_65(tmp_path):
    (tmp_path / "file").write_text("")
    model = write_model(tmp_path / "model")
    code, message = run(tmp_path, "fetch", STORE=f"file://{tmp_path}/file/store", **source(model))
    assert (code, message["error"]["reason"]) == (65, "StoreUnavailable")


def test_a_build_without_its_export_ends_with_65(tmp_path):
    variables = {"EXPORT_KEY": "ex1-0", "ENGINE": '{"backend": "openvino"}', "THREADS": 1}
    code, message = run(tmp_path, "build", STORE=f"file://{tmp_path}/store", **variables)
    assert (code, message["error"]["reason"]) == (65, "ExportMissing")


def test_an_export_whose_model_is_gone_ends_with_65(tmp_path):
    pytest.importorskip("torch")
    variables = {"MODEL_DIGEST": "0" * 64, "FORMAT": "openvino"}
    code, message = run(tmp_path, "export", STORE=f"file://{tmp_path}/store", **variables)
    assert (code, message["error"]["reason"]) == (65, "ModelMissing")


def test_a_backend_of_another_image_ends_with_64(tmp_path):
    variables = {"EXPORT_KEY": "ex1-0", "ENGINE": '{"backend": "tensorrt"}', "THREADS": 1}
    code, message = run(tmp_path, "build", STORE=f"file://{tmp_path}/store", **variables)
    assert (code, message["error"]["reason"]) == (64, "BackendUnavailable")


def test_a_server_without_its_engine_ends_with_66(tmp_path):
    variables = {
        "ENGINE_KEY": "en1-0",
        "MODEL_NAME": "m",
        "SERVED_MODEL_NAMES": '["m"]',
        "VECTOR_SPACE": "v",
        "THREADS": 1,
    }
    code, message = run(tmp_path, "serve", STORE=f"file://{tmp_path}/store", **variables)
    assert (code, message["error"]["reason"]) == (66, "EngineMissing")


def test_a_damaged_export_is_set_aside_and_the_export_runs_again(tmp_path):
    (tmp_path / "store" / "exports" / "ex1-0").mkdir(parents=True)
    entry = {"folder": "files-0", "files": {}, "about": {"unexpected": True}}
    manifest = tmp_path / "store" / "exports" / "ex1-0" / "manifest.json"
    manifest.write_text(json.dumps(entry))
    variables = {"EXPORT_KEY": "ex1-0", "ENGINE": '{"backend": "openvino"}', "THREADS": 1}
    code, message = run(tmp_path, "build", STORE=f"file://{tmp_path}/store", **variables)
    assert (code, message["error"]["reason"]) == (65, "ExportCorrupt")
    assert not manifest.exists()
    (kept,) = (tmp_path / "store" / "quarantine").rglob("manifest.json")
    assert str(kept.parents[2].relative_to(tmp_path / "store")) in message["error"]["message"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PermanentError(PermanentReason.ACCESS_DENIED, "no"), 64),
        (TransientError(TransientReason.HUB_UNAVAILABLE, "no"), 65),
        (EngineMissing("no", "en1-0"), 66),
        (EngineIncompatible("no", "en1-0", "x86-64-avx2"), 66),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error, code):
    assert error.exit_code == code


@pytest.mark.parametrize("letter", ["a", "é", "漢", "😀", '"', "\n"])
def test_a_long_message_is_cut_to_two_kibibytes(letter):
    text = termination.error_message(PermanentError(PermanentReason.UNSUPPORTED_MODEL, letter * 5000))
    assert len(text.encode()) <= 2048
    assert len(text.encode()) > 2000
    assert json.loads(text)["error"]["message"].endswith("...")


def test_urls_of_downloads_are_not_logged(tmp_path):
    run(tmp_path, "fetch", STORE=f"file://{tmp_path}/store", **source(write_model(tmp_path / "model")))
    assert not any(logging.getLogger(name).isEnabledFor(logging.INFO) for name in ("httpx", "httpx2", "httpcore2"))
