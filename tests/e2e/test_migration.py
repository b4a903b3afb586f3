"""The Jobs of examples/migration, as they stand but for image and URL: a switch judged, a corpus embedded again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.e2e.test_sources import claim
from tests.support.claims import opened
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.models import embedding_model
from tests.support.reference import cosines, reference_model
from tests.support.serving import address_of
from tests.support.texts import text_of
from tests.support.waiting import wait_for

pytestmark = pytest.mark.cluster

EXAMPLES = Path(__file__).parents[2] / "examples" / "migration"
TEXTS = [text_of(1 + number % 30, start=number) for number in range(60)]


def example(name: str, image: str, url: str) -> dict[str, Any]:
    """Return a Job of the examples with our image; where it speaks of the candidate, it meets `url`."""
    job: dict[str, Any] = yaml.safe_load((EXAMPLES / name).read_text())
    container = job["spec"]["template"]["spec"]["containers"][0]
    container["image"] = image
    container["args"] = [url if each == "http://minilm-candidate" else each for each in container["args"]]
    return job


def wait_complete(namespace: Kubectl, job: str) -> None:
    def look() -> bool:
        found = namespace.get("job", job) or {}
        ended = {each["type"] for each in found.get("status", {}).get("conditions", []) if each["status"] == "True"}
        assert "Failed" not in ended, namespace.run("logs", f"job/{job}")
        return "Complete" in ended

    wait_for(f"Job {job} is complete", look)


def test_a_switch_is_judged_and_carried_out_by_the_jobs_of_the_examples(
    shared: Kubectl, installation: Installation
) -> None:
    image = installation.server_image
    claim(shared, "corpus")
    shared.apply(embedding_model("minilm", shared.namespace))
    model = shared.wait_ready("minilm")
    address_of(shared, "minilm")  # requests get through
    lines = "".join(json.dumps({"id": number, "text": text}) + "\n" for number, text in enumerate(TEXTS))
    with opened(shared, "corpus", image) as data:
        data.run("sh", "-c", "cat > /data/corpus.jsonl", stdin=lines.encode())

    for name, job in (("reembedding-job.yaml", "reembed-corpus"), ("compare-job.yaml", "compare-spaces")):
        shared.apply(example(name, image, "http://minilm"))
        wait_complete(shared, job)

    assert "overlap@10         1.000 mean" in shared.run("logs", "job/compare-spaces")
    with opened(shared, "corpus", image) as data:
        part = data.read("cat", "/data/vectors/part-000000.jsonl")
    rows = [json.loads(line) for line in part.splitlines()]
    assert [row["id"] for row in rows] == list(range(len(TEXTS)))
    assert {row["vector_space"] for row in rows} == {model["status"]["vectorSpace"]["id"]}
    vectors = np.array([row["embedding"] for row in rows], dtype=np.float32)
    assert cosines(vectors, reference_model().encode(TEXTS)).min() >= 0.999
