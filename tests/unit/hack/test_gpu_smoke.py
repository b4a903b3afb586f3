"""hack/gpu-smoke.sh in its parts: what is tried, how containers are started and what they are given."""

import re
from pathlib import Path

import pytest

from embedplane_server.settings import BuildSettings, ExportSettings, FetchSettings, ServeSettings
from hack.gpu_smoke import checks, images, jobs, plan
from hack.gpu_smoke.asking import cosines
from hack.gpu_smoke.containers import Mount, Runtime, Work
from hack.gpu_smoke.gpu import Gpu, parse
from hack.gpu_smoke.outcome import StepFailedError
from hack.gpu_smoke.plan import PlanError, trials_of
from hack.gpu_smoke.scrubbing import Scrubber
from hack.gpu_smoke.texts import KINDS, compared_texts, workload

L4 = Gpu("NVIDIA L4", "8.9", "580.95.05", 23034, "13.0")
FETCHED = {"digest": "d", "vectorSpace": {"id": "vs1-0"}}


def a_machine(**changes) -> checks.Machine:
    found = {
        "system": "Linux",
        "gpu": L4,
        "program": "/usr/bin/docker",
        "daemon": "Docker version 29.0.1",
        "daemon_complaint": "",
        "free_gigabytes": 100.0,
        "token": None,
    }
    return checks.Machine(**{**found, **changes})


def test_what_is_tried_without_a_word_covers_both_backends_and_each_kind_of_architecture():
    tried = [(trial.model.name, trial.backend, trial.model.window) for trial in trials_of(plan.DEFAULTS)]
    assert tried == [
        ("sentence-transformers/all-MiniLM-L6-v2", "tensorrt-llm", None),
        ("sentence-transformers/all-MiniLM-L6-v2", "tensorrt", None),
        ("mixedbread-ai/mxbai-embed-large-v1", "tensorrt-llm", None),
        ("mixedbread-ai/mxbai-embed-large-v1", "tensorrt", None),
        ("nomic-ai/modernbert-embed-base", "tensorrt", None),
        ("Qwen/Qwen3-Embedding-0.6B", "tensorrt", 8192),
    ]


def test_a_folder_is_told_by_its_last_part_only(tmp_path):
    (trial,) = trials_of([f"{tmp_path}=openvino"])
    assert (trial.model.folder, trial.model.name) == (tmp_path, tmp_path.name)


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ("BAAI/bge-m3", "is not MODEL=BACKEND"),
        ("BAAI/bge-m3=tensorrt@", "is not MODEL=BACKEND"),
        ("BAAI/bge-m3=cuda", "cuda is no backend; there are tensorrt-llm, tensorrt, openvino"),
        ("BAAI/bge-m3=", "nothing is no backend"),
        ("./nowhere=tensorrt", "is not a folder"),
    ],
)
def test_a_model_that_cannot_be_understood_is_told(item, problem):
    with pytest.raises(PlanError, match=problem):
        trials_of([item])


@pytest.mark.parametrize("item", ["a/b=tensorrt-llm@512", "a/b=tensorrt", "a/b=openvino"])
def test_the_server_takes_what_its_steps_are_given(item):
    (trial,) = trials_of([item])
    fetch = FetchSettings.from_environment(jobs.fetch(trial, L4, "http://hub", has_token=True))
    export = ExportSettings.from_environment(jobs.export(trial, FETCHED))
    build = BuildSettings.from_environment(jobs.build(trial, L4, "ex1-0", 4))
    serve = ServeSettings.from_environment(jobs.serve({"key": "en1-0"}, FETCHED, 4))

    assert fetch.engine == build.engine
    assert (fetch.engine.gpu is not None) == trial.is_on_gpu
    assert fetch.overrides == export.overrides
    assert fetch.overrides.max_sequence_length == trial.model.window
    assert fetch.token_file == Path("/token")
    assert export.format == ("onnx" if trial.is_on_gpu else "openvino")
    assert serve.vector_space == "vs1-0"


def test_only_the_fetch_step_is_given_the_token():
    (trial,) = trials_of(["a/b=tensorrt"])
    others = {**jobs.export(trial, FETCHED), **jobs.build(trial, L4, "e", 1), **jobs.serve({"key": "k"}, FETCHED, 1)}
    assert not [name for name in others if "TOKEN_FILE" in name]


def test_containers_run_as_embedplanes_pods_do():
    mounts = [Mount(Path("/data/store"), "/store", True), Mount(Path("/data/model"), "/source")]
    work = Work("name", "image", ["build"], environment={"A": "b"}, mounts=mounts, has_gpu=True, port=1234)
    assert Runtime("/usr/bin/docker").command(work) == [
        "/usr/bin/docker", "run", "--rm", "--name", "name", "--user", "65532:65532", "--read-only",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--workdir", "/tmp", "--volume", "/tmp",
        "--gpus", "device=0", "--publish", "127.0.0.1:1234:8080",
        "--env", "HOME=/tmp", "--env", "TMPDIR=/tmp", "--env", "A=b",
        "--volume", "/data/store:/store:rw", "--volume", "/data/model:/source:ro", "image", "build",
    ]  # fmt: skip


def test_podman_is_given_the_gpu_by_the_container_device_interface():
    command = Runtime("podman").command(Work("name", "image", ["build"], has_gpu=True))
    assert command[command.index("--device") + 1] == "nvidia.com/gpu=0"
    assert "--gpus" not in command


def test_the_gpu_is_what_nvidia_smi_says():
    assert parse("NVIDIA L4, 8.9, 580.95.05, 23034\n", "Driver Version: 580.95.05   CUDA Version: 13.0 ") == L4
    assert parse("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver", "") is None


def test_a_machine_that_has_everything_may_begin():
    assert checks.problems(a_machine()) == checks.warnings(a_machine()) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"system": "Darwin"}, "this is Darwin.*Use a Linux machine"),
        ({"gpu": None}, "nvidia-smi does not answer.*Install the driver"),
        ({"program": None}, "none of docker, podman, nerdctl is on the PATH"),
        ({"daemon": "", "daemon_complaint": "permission denied"}, "`docker ps` fails: permission denied"),
        ({"token": Path("/nowhere")}, "--token-file is not a file"),
    ],
)
def test_what_a_machine_lacks_is_told_with_the_remedy(changes, problem):
    (told,) = checks.problems(a_machine(**changes))
    assert re.search(problem, told)


def test_an_old_driver_and_a_full_disk_are_warned_of():
    old = Gpu("NVIDIA L4", "8.9", "550.54.15", 23034, "12.4")
    driver, disk = checks.warnings(a_machine(gpu=old, free_gigabytes=5))
    assert "550.54.15" in driver
    assert "5 GB are free" in disk


def test_a_report_names_no_place_person_or_secret_of_the_machine():
    scrub = Scrubber({"/home/ada": "<home>", "/home/ada/embedplane": "<checkout>", "ada": "<user>", "box7": "<host>"})
    said = "/home/ada/embedplane/x.py at /home/ada on box7 by ada: hf_abcdefghijklmnopqrstuv http://192.168.0.7:80/"
    assert scrub(said) == "<checkout>/x.py at <home> on <host> by <user>: <token> http://<address>:80/"


def test_versions_and_ordinary_words_stay_in_a_report():
    scrub = Scrubber({"ada": "<user>", "al": "<host>"})
    assert scrub("TensorRT 10.14.1.48, Canada, ada-lovelace, al") == "TensorRT 10.14.1.48, Canada, ada-lovelace, al"


def test_a_cosine_of_what_is_no_number_is_the_lowest():
    assert cosines([[1.0, 0.0], [float("nan"), 1.0], [0.0, 0.0]], [[2.0, 0.0], [1.0, 1.0], [1.0, 1.0]]) == [1, -1, -1]
    with pytest.raises(StepFailedError, match="1 vectors of 2 numbers, not 1 of 3"):
        cosines([[1.0, 0.0]], [[1.0, 0.0, 0.0]])


def test_texts_are_many_of_each_kind_and_as_long_as_they_should_be():
    assert len(set(compared_texts())) == 32
    words = {kind: [len(text.split()) for text in workload(kind, 512, 1).texts] for kind in KINDS}
    assert (min(words["short"]), max(words["short"])) == (7, 15)
    assert min(words["mixed"]) >= 14
    assert max(words["mixed"]) <= 180
    assert set(words["long"]) == {358}
    assert {len(text.split()) for text in workload("long", 8192, 1).texts} == {380}


def test_the_image_to_build_on_is_the_dockerfiles_and_taken_by_digest(monkeypatch):
    base = images.default_base()
    assert base.rpartition(":")[2] == "1.2.1"
    monkeypatch.setattr(Runtime, "ask", lambda *_, **__: Answer("sha256:" + "a" * 64))
    assert images.base_by_digest(Runtime("docker"), base) == base.removesuffix(":1.2.1") + "@sha256:" + "a" * 64
    assert images.base_by_digest(Runtime("docker"), "x@sha256:b") == "x@sha256:b"


class Answer:
    """What a program printed."""

    exit_code, seconds, tail = 0, 0.0, ""

    def __init__(self, output):
        self.output = output
