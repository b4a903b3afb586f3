"""A model of a few kilobytes in real OpenVINO: a table of words, a mean, a matrix, length 1. References by numpy.

It takes the way of any model from the export on: `build` proves and publishes it, `serve` serves it. No torch.
"""

import asyncio
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

from embedplane_server.builders.conformance import References, save_references
from embedplane_server.builders.machine import machine_class
from embedplane_server.builders.manifest import engine_entry
from embedplane_server.builders.step import build
from embedplane_server.engines.base import Vectors
from embedplane_server.export.manifest import GOLDEN_TEXTS, OPENVINO_GRAPH, TOKENIZER, ExportManifest, export_entry
from embedplane_server.model import ModelDescription
from embedplane_server.progress import Progress
from embedplane_server.results import BuildResult
from embedplane_server.settings import BuildSettings, EngineSettings
from embedplane_server.store import files_below, open_store
from tests.unit.embedplane_server.model_folder import WORDS, word_tokenizer

DIMENSIONS, WINDOW = 16, 32
SPACE, KEY = "vs1-5a115a115a115a115a11", "ex1-5a115a115a115a115a11"


def tables() -> tuple[Vectors, Vectors]:
    """The weights: a row for each word, and a matrix."""
    random = np.random.default_rng(7)
    words = random.standard_normal((len(WORDS), DIMENSIONS)).astype(np.float32)
    return words, random.standard_normal((DIMENSIONS, DIMENSIONS)).astype(np.float32)


def references() -> References:
    """Golden texts of all lengths, and what numpy makes of them."""
    words, matrix = tables()
    random = np.random.default_rng(8)
    ids = [tuple(random.integers(4, len(WORDS), length).tolist()) for length in (1, 2, 3, 5, 8, 12, 16, 20, 26, 32)]
    means = np.stack([words[list(each)].mean(axis=0) for each in ids]) @ matrix
    return References(tuple(ids), (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32))


def write_graph(path: Path) -> None:
    """Write the graph, with an output for texts and one for tokens, as `export` does."""
    words, matrix = tables()
    ids, mask = (ops.parameter([-1, -1], np.int64, name=name) for name in ("input_ids", "attention_mask"))
    for each, name in ((ids, "input_ids"), (mask, "attention_mask")):
        each.output(0).set_names({name})
    tokens = ops.gather(ops.constant(words), ids, ops.constant(0))
    weights = ops.unsqueeze(ops.convert(mask, "f32"), ops.constant(2))
    summed = ops.reduce_sum(ops.multiply(tokens, weights), ops.constant(1))
    means = ops.divide(summed, ops.reduce_sum(weights, ops.constant(1)))
    product = ops.matmul(means, ops.constant(matrix), False, False)
    vectors = ops.normalize_l2(product, ops.constant(1), 1e-12, "max")
    vectors.output(0).set_names({"sentence_embedding"})
    tokens.output(0).set_names({"token_embeddings"})
    openvino.save_model(openvino.Model([vectors, tokens], [ids, mask]), path, compress_to_fp16=False)


def description() -> ModelDescription:
    return ModelDescription(
        architecture="SmallModel",
        dimensions=DIMENSIONS,
        pooling="mean",
        normalized=True,
        max_sequence_length=WINDOW,
        similarity="cosine",
        prompts={},
        default_prompt=None,
        vector_space=SPACE,
    )


@dataclass(frozen=True)
class SmallModel:
    """The model in a store."""

    root: Path

    @property
    def url(self) -> str:
        return self.root.as_uri()

    def export(self) -> None:
        """Publish what an export step would."""
        folder = self.root.parent / "export"
        folder.mkdir(exist_ok=True)
        write_graph(folder / OPENVINO_GRAPH)
        golden = references()
        save_references(folder, golden)
        (folder / GOLDEN_TEXTS).write_text(json.dumps([f"text {row}" for row in range(len(golden.token_ids))]))
        word_tokenizer().save(str(folder / TOKENIZER))
        about = ExportManifest(
            key=KEY,
            format="openvino",
            vector_space=SPACE,
            description=description(),
            model_digest="d",
            commit="c0ffee",
            texts=10,
            versions={},
        )
        store = open_store(self.url)
        asyncio.run(store.publish(export_entry(KEY), folder, files_below(folder), about.model_dump(mode="json")))

    def build(self) -> BuildResult:
        """Run the build step."""
        engine = EngineSettings(backend="openvino", precision="float32")
        settings = BuildSettings(store=self.url, export_key=KEY, engine=engine, threads=1)
        return asyncio.run(build(settings, Progress(io.StringIO())))

    def engine_folder(self, built: BuildResult) -> Path:
        """The entry of an engine: its manifest, and a folder with its files."""
        return self.root / engine_entry(built.key, machine_class().variant)

    def serve_environment(self, built: BuildResult, **more: Any) -> dict[str, str]:
        """The settings of a server for this engine."""
        settings = {
            "store": self.url,
            "engine_key": built.key,
            "model_name": "small",
            "served_model_names": '["small"]',
            "vector_space": SPACE,
            "threads": 1,
            "host": "127.0.0.1",
            "drain_delay_seconds": 0,
            **more,
        }
        return {f"EMBEDPLANE_{name.upper()}": str(value) for name, value in settings.items()}
