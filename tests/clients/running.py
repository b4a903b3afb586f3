"""Running the programs of `scripts/` in the environment of the clients."""

import json
import os
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hack.provision import clients

SCRIPTS = Path(__file__).parent / "scripts"
CL100K = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
"""The name under which tiktoken keeps the table of cl100k_base."""


@dataclass(frozen=True)
class Told:
    """What a program told, its vectors or its client's error, and what its client wrote to the log."""

    facts: dict[str, Any]
    log: str

    @property
    def vectors(self) -> NDArray[np.float32]:
        assert "vectors" in self.facts, self.facts
        return np.array(self.facts["vectors"], dtype=np.float32)


@dataclass(frozen=True)
class Task:
    """What a client is to do."""

    texts: list[str]
    model: str = "minilm"


def run_script(script: str, url: str, *tasks: Task, **settings: Any) -> list[Told]:
    """Let a client do tasks one after the other; `settings` are keyword arguments of its constructor.

    They share a process, and so the log.
    """
    path = SCRIPTS / script
    interpreter = clients.program("python") if path.suffix == ".py" else shutil.which("node")
    assert interpreter is not None
    done = subprocess.run(
        [interpreter, path, url, *([json.dumps(settings)] if settings else [])],
        input=json.dumps([asdict(task) for task in tasks]),
        env={**os.environ, **environment()},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Told(facts, done.stderr) for facts in json.loads(done.stdout.splitlines()[-1])]


def environment() -> dict[str, str]:
    """Return where things lie, and what keeps clients from calling home."""
    return {
        "NODE_PATH": str(clients.node_modules()),
        "TIKTOKEN_CACHE_DIR": str(cl100k_table().parent),
        "HAYSTACK_TELEMETRY_ENABLED": "False",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }


def cl100k_table() -> Path:
    """Return OpenAI's table as litellm brings it, so that nothing is downloaded."""
    return next(clients.program("python").parents[1].rglob(CL100K))
