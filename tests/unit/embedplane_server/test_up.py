"""`up` on the real all-MiniLM-L6-v2: from a folder to vectors, in processes of its own."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import openai
import pytest

from tests.support.reference import cosines, minilm_folder, reference_model
from tests.support.texts import texts_up_to

pytestmark = pytest.mark.model


@contextmanager
def minilm_up(cache: Path) -> Iterator[tuple[str, list[str]]]:
    """Run `up`; give its base URL and the progress lines it wrote until it was ready."""
    command = [sys.executable, "-m", "embedplane_server", "up", str(minilm_folder()), "--port", "0", "--name", "minilm"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        progress: list[str] = []
        reader = threading.Thread(target=progress.extend, args=(process.stderr,), daemon=True)
        reader.start()
        watchdog = threading.Timer(600, process.kill)
        watchdog.start()
        told = process.stdout.readline()
        assert told.startswith("minilm is served at http://127.0.0.1:"), progress
        yield told.split()[-1].removesuffix("/embeddings"), progress
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        watchdog.cancel()
        reader.join()


def test_a_folder_comes_up_equals_the_reference_and_is_reused(tmp_path):
    texts = texts_up_to(150, 60)
    theirs = reference_model().encode(texts, batch_size=1)
    with minilm_up(tmp_path) as (url, first), openai.OpenAI(base_url=url, api_key="unused") as client:
        mixed = client.embeddings.create(model="minilm", input=texts)
        alone = [client.embeddings.create(model="minilm", input=text).data[0].embedding for text in texts[::6]]
        with pytest.raises(openai.BadRequestError, match="maximum context length is 256 tokens"):
            client.embeddings.create(model="minilm", input="word " * 300)
    ours = np.array([entry.embedding for entry in mixed.data], dtype=np.float32)
    assert cosines(ours, theirs).min() >= 0.999
    assert cosines(np.array(alone, dtype=np.float32), theirs[::6]).min() >= 0.999
    assert any("reference vectors" in line for line in first)

    with minilm_up(tmp_path) as (url, second), openai.OpenAI(base_url=url, api_key="unused") as client:
        assert client.models.list().data[0].id == "minilm"
    assert any("is in the store" in line for line in second)
    assert not any("reference vectors" in line or "compiling" in line for line in second)
