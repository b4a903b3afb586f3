"""The real MiniLM, served from a store in a real S3 server that lets nobody write."""

import httpx
import numpy as np
import pytest

from embedplane_server.settings import Source
from tests.support.object_storage import running_object_storage
from tests.support.reference import cosines, minilm_folder
from tests.support.steps import Steps

pytestmark = [pytest.mark.model, pytest.mark.provisioned]

TEXTS = ["when do I get my money back?", "a", "résumé 履歴書"]


def vectors(url):
    answer = httpx.post(f"{url}/v1/embeddings", json={"input": TEXTS, "model": "minilm"}).raise_for_status()
    return np.array([row["embedding"] for row in answer.json()["data"]], dtype=np.float32)


def test_a_server_starts_from_a_store_that_it_can_only_read(minilm, tmp_path):
    with running_object_storage(tmp_path) as storage:
        storage.bucket("artifacts")
        storage.upload("artifacts", "a-namespace", minilm.cache / "embedplane/store")
        fetched = steps_of(storage).fetch()
        assert fetched.engine is not None

        with (
            running_object_storage(tmp_path, "127.0.0.1", "--readonly") as readonly,
            steps_of(readonly).served(fetched, fetched.engine, "minilm") as url,
        ):
            assert cosines(vectors(url), vectors(minilm.url)).min() >= 0.9999


def steps_of(storage):
    return Steps(storage.url("s3://artifacts/a-namespace", storage.credentials()), Source(path=minilm_folder()))
