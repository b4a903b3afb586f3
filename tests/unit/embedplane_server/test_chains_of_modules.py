"""Every chain of modules that is served gives sentence-transformers' own vectors: real modules over small weights.

Each model goes through the fetch and the export, and its graph through the engine in fp32.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from embedplane_server.app import create_app
from embedplane_server.engines.base import Batch
from embedplane_server.engines.openvino import OpenVinoEngine, OpenVinoOptions
from embedplane_server.errors import PermanentError
from embedplane_server.export.manifest import OPENVINO_GRAPH, TOKENIZER, find_export
from embedplane_server.model import ModelDescription
from embedplane_server.model.description import read_model
from embedplane_server.serve import Loaded, load
from embedplane_server.settings import EngineSettings, Overrides, Source
from embedplane_server.store import open_store
from embedplane_server.tokenization import load_tokenizer
from tests.support.fake_engine import serve_settings
from tests.support.reference import cosines
from tests.support.small_models import TEXTS, WIDTH, reference_vectors, save_model, transformer
from tests.support.steps import Steps

if TYPE_CHECKING:
    from torch import nn

pytestmark = pytest.mark.model

FLOOR = 0.9999
OPTIONS = OpenVinoOptions(precision="float32", threads=1)
EXACT = EngineSettings(backend="openvino", precision="float32")
MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")


class Exported:
    """What the steps made of a folder, and the engine over it."""

    def __init__(self, store: Path, folder: Path, **overrides: Any) -> None:
        steps = steps_of(store, folder)
        fetched = steps.fetch(**overrides)
        self.space = fetched.vector_space
        key = steps.export(fetched, **overrides)
        self.description, directory = asyncio.run(_found(steps.store, key))
        self._tokenizer = load_tokenizer(directory / TOKENIZER)
        self._engine = OpenVinoEngine(directory / OPENVINO_GRAPH, OPTIONS)
        self.texts_share_rows = self._engine.row_tokens is not None

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of one padded batch, the default prompt before each text."""
        prompted = [self.description.default_prompt_text + text for text in texts]
        ids = self._tokenizer.encode_within(prompted, self.description.max_sequence_length)
        return self._engine.embed(Batch(ids))


def steps_of(store: Path, folder: Path) -> Steps:
    return Steps(f"file://{store}", Source(path=folder), has_few_texts=True)


async def _found(store: str, key: str) -> tuple[ModelDescription, Path]:
    opened = open_store(store)
    found = await find_export(opened, key)
    assert found is not None
    manifest, entry = found
    return manifest.description, await opened.local_directory(f"exports/{key}", entry)


def assert_same(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> None:
    assert cosines(ours, theirs).min() >= FLOOR
    assert np.linalg.norm(ours, axis=1) == pytest.approx(np.linalg.norm(theirs, axis=1), rel=1e-3)


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def pooling(*modes: str, **options: Any) -> "nn.Module":
    from sentence_transformers.sentence_transformer.modules import Pooling  # noqa: PLC0415 -- torch

    return Pooling(WIDTH, modes if len(modes) > 1 else modes[0], **options)  # type: ignore[arg-type]


def dense(width: int, out: int, activation: str | None = None, **options: Any) -> "nn.Module":
    import torch  # noqa: PLC0415
    from sentence_transformers.base.modules import Dense  # noqa: PLC0415

    chosen = getattr(torch.nn, activation)() if activation else None
    return Dense(width, out, activation_function=chosen, **options)


def layer_norm(width: int) -> "nn.Module":
    import torch  # noqa: PLC0415
    from sentence_transformers.sentence_transformer.modules import LayerNorm  # noqa: PLC0415

    module = LayerNorm(width)
    torch.nn.init.normal_(module.norm.weight)
    torch.nn.init.normal_(module.norm.bias)
    return module


def normalize() -> "nn.Module":
    from sentence_transformers.base.modules import Normalize  # noqa: PLC0415

    return Normalize()


def dropout() -> "nn.Module":
    from sentence_transformers.sentence_transformer.modules import Dropout  # noqa: PLC0415

    return Dropout(0.5)


CHAINS: dict[str, Callable[[], Sequence["nn.Module"]]] = {
    **{mode: lambda mode=mode: [pooling(mode)] for mode in MODES},  # type: ignore[misc]
    "normalised": lambda: [pooling("mean"), normalize()],
    "two modes": lambda: [pooling("cls", "mean"), normalize()],
    "two modes the other way round": lambda: [pooling("mean", "max")],
    "all modes": lambda: [pooling(*MODES)],
    "dense": lambda: [pooling("mean"), dense(WIDTH, 16, "Tanh")],
    "dense without activation and bias": lambda: [pooling("cls"), dense(WIDTH, 48, bias=False), normalize()],
    "dense with a way around it": lambda: [pooling("mean"), dense(WIDTH, 16, "GELU", use_residual=True)],
    "two dense": lambda: [pooling("mean"), dense(WIDTH, 64, "ReLU"), dense(64, 8, "Sigmoid")],
    "layer norm": lambda: [pooling("mean"), layer_norm(WIDTH)],
    "everything": lambda: [
        pooling("cls", "max"),
        dropout(),
        dense(2 * WIDTH, 16, "Tanh"),
        layer_norm(16),
        normalize(),
    ],
}


@pytest.mark.parametrize("chain", CHAINS)
def test_a_chains_vectors_are_sentence_transformers_own(tmp_path: Path, chain: str) -> None:
    folder = save_model(tmp_path / "model", CHAINS[chain])
    exported = Exported(tmp_path / "store", folder)
    expected = reference_vectors(folder, TEXTS)

    assert exported.space.dimensions == expected.shape[1]
    assert exported.space.normalized == bool(np.allclose(np.linalg.norm(expected, axis=1), 1, atol=1e-6))
    assert exported.texts_share_rows
    assert_same(exported.vectors(TEXTS), expected)


def test_a_plain_transformers_model_is_pooled_as_sentence_transformers_does(tmp_path: Path) -> None:
    transformer(folder := tmp_path / "model")
    plain = folder.with_name("model-transformer")
    exported = Exported(tmp_path / "store", plain)

    assert exported.space.unsaid == ("PoolingUnsaid",)
    assert_same(exported.vectors(TEXTS), reference_vectors(plain, TEXTS))


def test_a_tokenizer_that_pads_on_the_left_moves_no_vector(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", lambda: [pooling("lasttoken")])
    change(folder / "tokenizer_config.json", padding_side="left")

    assert_same(Exported(tmp_path / "store", folder).vectors(TEXTS), reference_vectors(folder, TEXTS))


def test_the_older_form_of_a_pooling_is_the_same(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", lambda: [pooling("mean")])
    flags = {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(flags))
    exported = Exported(tmp_path / "store", folder)

    assert (exported.space.pooling, exported.space.unsaid) == ("max+mean", ("SeveralPoolings",))
    assert_same(exported.vectors(TEXTS), reference_vectors(folder, TEXTS))


@pytest.mark.parametrize("config", [None, {"embedding_dimension": WIDTH, "pooling_mode": "attention"}])
def test_a_pooling_that_cannot_be_read_is_what_the_user_says(tmp_path: Path, config: dict[str, Any] | None) -> None:
    folder = save_model(tmp_path / "model", lambda: [pooling("cls"), normalize()])
    expected = reference_vectors(folder, TEXTS)
    written = folder / "1_Pooling" / "config.json"
    written.unlink() if config is None else written.write_text(json.dumps(config))

    with pytest.raises(PermanentError, match=r"Set embedding\.pooling"):
        Exported(tmp_path / "store", folder)
    assert_same(Exported(tmp_path / "store", folder, pooling="cls").vectors(TEXTS), expected)


@pytest.mark.parametrize(
    "overrides", [{"pooling": "max"}, {"normalize": True}, {"normalize": False}, {"max_sequence_length": 20}]
)
def test_an_override_gives_the_vectors_of_a_model_saved_that_way(tmp_path: Path, overrides: dict[str, Any]) -> None:
    folder = save_model(tmp_path / "model", lambda: [pooling("mean")])
    said = overrides.get("pooling", "mean")
    rest = [normalize()] if overrides.get("normalize") else []
    other = save_model(tmp_path / "other", lambda: [pooling(said), *rest])
    change(other / "tokenizer_config.json", model_max_length=overrides.get("max_sequence_length", 48))
    exported, saved = Exported(tmp_path / "store", folder, **overrides), Exported(tmp_path / "store", other)

    assert_same(exported.vectors(TEXTS), reference_vectors(other, TEXTS))
    assert exported.description.max_sequence_length == saved.description.max_sequence_length


def test_prompts_and_the_default_one_move_vectors_as_sentence_transformers_moves_them(tmp_path: Path) -> None:
    prompts = {"query": "find what answers this: ", "document": ""}
    folder = save_model(tmp_path / "model", lambda: [pooling("mean")], prompts, "query")
    exported = Exported(tmp_path / "store", folder)

    assert_same(exported.vectors(TEXTS), reference_vectors(folder, TEXTS))
    assert cosines(exported.vectors(TEXTS), reference_vectors(folder, TEXTS, prompt_name="document")).min() < FLOOR


@pytest.mark.parametrize("modes", [("cls",), ("mean", "max"), ("mean_sqrt_len_tokens",), ("lasttoken",)])
async def test_a_pooling_that_leaves_prompts_out_is_served_so(tmp_path: Path, modes: tuple[str, ...]) -> None:
    prompts = {"query": "find what answers this: ", "topic": "a"}
    pools = {name: pooling(*modes, include_prompt=name == "all") for name in ("all", "text")}
    folders = [save_model(tmp_path / name, lambda name=name: [pools[name]], prompts, "query") for name in pools]
    loaded = await asyncio.to_thread(loaded_engine, steps_of(tmp_path / "store", folders[1]))
    async with client_of(loaded) as client:
        for name in prompts:
            answer = await client.post("/v1/embeddings", json={"input": TEXTS[:4], "prompt_name": name})
            found = np.float32([each["embedding"] for each in answer.json()["data"]])
            assert_same(found, reference_vectors(folders[1], TEXTS[:4], prompt_name=name))
            if modes != ("lasttoken",):
                assert cosines(found, reference_vectors(folders[0], TEXTS[:4], prompt_name=name)).min() < FLOOR


def loaded_engine(steps: Steps) -> Loaded:
    """Build what is fetched and exported, and load it as a server does."""
    fetched = steps.fetch()
    built = steps.build(steps.export(fetched), EXACT, FLOOR)
    return load(serve_settings(store=steps.store, engine_key=built.key, vector_space=fetched.vector_space.id))


@asynccontextmanager
async def client_of(loaded: Loaded) -> AsyncIterator[httpx.AsyncClient]:
    settings = serve_settings(vector_space=loaded.manifest.vector_space)
    application = create_app(settings, loaded.engine, loaded.tokenizer, loaded.manifest)
    transport = httpx.ASGITransport(application.asgi)
    async with application.running(), httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client
    loaded.engine.close()


def test_a_weighted_mean_that_leaves_prompts_out_is_refused_with_a_way_out(tmp_path: Path) -> None:
    prompts = {"query": "find: "}
    folder = save_model(tmp_path / "model", lambda: [pooling("weightedmean", include_prompt=False)], prompts)

    with pytest.raises(PermanentError, match=r"include_prompt: false.*Set embedding\.prompts to {}"):
        Exported(tmp_path / "store", folder)
    exported = Exported(tmp_path / "store", folder, prompts={})
    assert_same(exported.vectors(TEXTS), reference_vectors(folder, TEXTS))


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean", "manhattan"])
def test_the_similarity_is_told_and_moves_no_vector(tmp_path: Path, similarity: str) -> None:
    folder = save_model(tmp_path / "model", lambda: [pooling("mean")], similarity_fn_name=similarity)
    usual = save_model(tmp_path / "usual", lambda: [pooling("mean")])
    described, other = (read_model(each, Overrides()).describe() for each in (folder, usual))

    assert described.similarity == similarity
    assert described.vector_space == other.vector_space


def test_a_model_of_everything_is_served_with_its_prompts_and_shorter_vectors(tmp_path: Path) -> None:
    prompts = {"query": "find what answers this: "}
    folder = save_model(tmp_path / "model", CHAINS["everything"], prompts)
    steps = steps_of(tmp_path / "store", folder)
    fetched = steps.fetch()
    built = steps.build(steps.export(fetched), EXACT, FLOOR)
    with steps.served(fetched, built, "small", dimensions='{"default": 8, "allowed": [12]}') as url:
        for wanted in ({}, {"prompt_name": "query"}, {"dimensions": 12}, {"dimensions": 16, "input_type": "query"}):
            answer = httpx.post(f"{url}/v1/embeddings", json={"input": TEXTS[:4], **wanted})
            length = wanted.get("dimensions", 8)
            expected = reference_vectors(
                folder,
                TEXTS[:4],
                prompt_name="query" if len(wanted) > 1 or "prompt_name" in wanted else None,
                truncate_dim=length,
                normalize_embeddings=True,
            )
            assert_same(np.float32([each["embedding"] for each in answer.json()["data"]]), expected)
            name = fetched.vector_space.id + (f";dimensions={length}" if length != 16 else "")
            assert answer.headers["x-embedplane-vector-space"] == name
