"""A container program and an nvidia-smi for machines without: commands of images run by this checkout's Python.

Mounted paths in variables and arguments become those of this machine, 8080 the published port.
Every image is there. A container with a GPU has NVIDIA's libraries imitated (`gpu_image`).
"""

import json
import os
import re
import signal
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from pathlib import Path

from hack.environment import outside
from tests.support.gpu_image import on_a_gpu

STATE = "FAKE_DOCKER_STATE"
FAILS = "FAKE_DOCKER_FAILS"
"""A word of arguments: a command that has it fails, for example `--target` or `exporter`."""
IMAGE_ID = "sha256:" + "ab" * 32
ROOT = Path(__file__).parents[2]
L4 = "NVIDIA L4, 8.9, 580.95.05, 23034"
BANNER = "| NVIDIA-SMI 580.95.05    Driver Version: 580.95.05    CUDA Version: 13.0 |"


def install(folder: Path) -> None:
    """Write `docker` and `nvidia-smi` into a folder for the PATH."""
    docker = f'PYTHONPATH={ROOT} {STATE}={folder} exec {sys.executable} -m {__name__} "$@"'
    smi = f'case "$*" in *memory.used*) echo 1234 ;; *query*) echo "{L4}" ;; *) echo "{BANNER}" ;; esac'
    for name, line in (("docker", docker), ("nvidia-smi", smi)):
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)


def main(arguments: list[str]) -> int:
    if (word := os.environ.get(FAILS)) and word in arguments:
        sys.stdout.write(f"fake docker: {word} fails as asked in {Path.cwd()}\n")
        return 1
    if arguments[:1] == ["run"]:
        return run(arguments[1:])
    if arguments[:1] == ["kill"]:
        return kill(arguments[2], arguments[3])
    if arguments[:2] == ["image", "inspect"]:
        sys.stdout.write(json.dumps([f"name@{IMAGE_ID}"]) if "{{json .RepoDigests}}" in arguments else IMAGE_ID)
    if arguments == ["--version"]:
        sys.stdout.write("Docker version 99.0, in Python\n")
    return 0


def run(arguments: list[str]) -> int:
    """Run what a container would until it ends; its name leads to its process."""
    options = parse(arguments)
    mounts = {target: source for source, target, *_ in (each.split(":") for each in options.volume if ":" in each)}
    given = dict(each.split("=", 1) for each in options.env)
    environment = {**outside(), **{name: in_place_of(value, mounts) for name, value in given.items()}}
    if options.publish:
        environment |= {"EMBEDPLANE_HOST": "127.0.0.1", "EMBEDPLANE_PORT": options.publish.split(":")[1]}
    if options.gpus and options.entrypoint != "nvidia-smi":
        environment = on_a_gpu(environment)
    python = [sys.executable] if options.entrypoint else [sys.executable, "-m", "embedplane_server"]
    program = ["nvidia-smi"] if options.entrypoint == "nvidia-smi" else python
    with subprocess.Popen(
        [*program, *(in_place_of(each, mounts) for each in options.command)], env=environment
    ) as process:
        (Path(os.environ[STATE]) / options.name).write_text(str(process.pid))
    code = process.returncode
    return code if code >= 0 else 128 - code


def parse(arguments: list[str]) -> Namespace:
    """Read the options of `docker run` that we use; another one ends the program, as the real one would."""
    parser = ArgumentParser(allow_abbrev=False)
    for flag in ("--rm", "--read-only"):
        parser.add_argument(flag, action="store_true")
    for option in ("--name", "--user", "--cap-drop", "--security-opt", "--workdir", "--gpus", "--publish"):
        parser.add_argument(option)
    parser.add_argument("--entrypoint")
    for option in ("--env", "--volume"):
        parser.add_argument(option, action="append", default=[])
    parser.add_argument("image")
    options, command = parser.parse_known_args(arguments)
    options.command = command
    return options


def in_place_of(text: str, mounts: dict[str, str]) -> str:
    """Return a text with the places of this machine where it has those of the container."""
    for target, source in mounts.items():
        text = re.sub(rf"(?<![\w.-]){re.escape(target)}(?![\w.-])", lambda _, source=source: source, text)
    return text


def kill(name: str, container: str) -> int:
    number = int((Path(os.environ[STATE]) / container).read_text())
    with suppress(ProcessLookupError):
        os.kill(number, signal.Signals[f"SIG{name}"])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
