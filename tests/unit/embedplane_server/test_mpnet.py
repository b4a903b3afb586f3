"""The real all-mpnet-base-v2 from a hub to HTTP, held against sentence-transformers: a base-size model, no BERT."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import openai
import pytest

from embedplane_server.results import BuildResult, FetchResult
from embedplane_server.settings import HuggingFaceSource, Source
from hack.demo.repositories import Repositories
from hack.provision import mpnet
from tests.support.hub import mirroring
from tests.support.reference import cosines, reference_model
from tests.support.steps import Steps
from tests.support.texts import texts_up_to

pytestmark = pytest.mark.provisioned

PROMPTS = {"query": "Find what answers: "}
WINDOW = 384
FLOOR = 0.9995
"""What bfloat16 leaves of fp32's vectors, at least."""
TEXTS = [*texts_up_to(200, 12), "naïve 日本語 \U0001f600"]
LONG = texts_up_to(600, 3)[1:]


@dataclass
class Served:
    """What the steps made, and a client of the server over it."""

    fetched: FetchResult
    built: BuildResult
    client: openai.OpenAI

    def vectors(self, texts: list[str], **options: object):
        answer = self.client.embeddings.create(model="mpnet", input=texts, extra_body=options)
        return np.array([entry.embedding for entry in answer.data], dtype=np.float32)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    repositories = Repositories()
    repositories.add(mpnet.NAME, mpnet.model_folder())
    with mirroring(repositories) as endpoint:
        source = HuggingFaceSource(repo=mpnet.NAME, endpoint=endpoint)
        store = f"file://{tmp_path_factory.mktemp('store')}"
        steps = Steps(store, Source(hugging_face=source), has_few_texts=True)
        fetched = steps.fetch(prompts=PROMPTS)
    built = steps.build(steps.export(fetched, prompts=PROMPTS))
    with (
        steps.served(fetched, built, "mpnet", dimensions='{"allowed": [256]}') as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client,
    ):
        yield Served(fetched, built, client)


@pytest.fixture(scope="module")
def reference():
    return reference_model(folder=mpnet.model_folder())


def test_it_is_described_as_its_files_say(served):
    space = served.fetched.vector_space
    assert (space.dimensions, space.pooling, space.normalized, space.max_sequence_length) == (768, "mean", True, WINDOW)
    assert served.built.conformance.minimum_cosine >= FLOOR


def test_vectors_alone_and_together(served, reference):
    expected = reference.encode(TEXTS, batch_size=1)
    assert cosines(served.vectors(TEXTS), expected).min() >= FLOOR
    alone = np.concatenate([served.vectors([text]) for text in TEXTS[::3]])
    assert cosines(alone, expected[::3]).min() >= FLOOR


def test_a_prompt_before_each_text(served, reference):
    expected = reference.encode(TEXTS, prompt=PROMPTS["query"], batch_size=1)
    assert cosines(served.vectors(TEXTS, input_type="query"), expected).min() >= FLOOR


def test_shorter_vectors_are_the_beginnings_normalised_again(served, reference):
    expected = reference.encode(TEXTS, truncate_dim=256, normalize_embeddings=True, batch_size=1)
    found = served.vectors(TEXTS, dimensions=256)
    assert cosines(found, expected).min() >= FLOOR
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-6)


def test_what_is_beyond_the_window_is_refused_or_cut(served, reference):
    with pytest.raises(openai.BadRequestError, match=f"maximum context length is {WINDOW} tokens"):
        served.vectors(LONG)
    found = served.vectors(LONG, truncate=True)
    assert cosines(found, reference.encode(LONG, batch_size=1)).min() >= FLOOR


def test_the_window_is_full_to_the_last_token(served, reference):
    inside = "word " * (WINDOW - 2)
    assert len(reference.preprocess([inside])["input_ids"][0]) == WINDOW
    assert cosines(served.vectors([inside]), reference.encode([inside])).min() >= FLOOR
    with pytest.raises(openai.BadRequestError, match=f"you requested {WINDOW + 1} tokens"):
        served.vectors([inside + "word"])
