"""From an export to a served engine of TensorRT-LLM: everything real but the library, which a fake computes."""

import asyncio
import io
import random
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from embedplane_server.builders import step, tensorrt_llm_command
from embedplane_server.builders.backend import Ingredients
from embedplane_server.builders.gpu import GpuMachine
from embedplane_server.builders.manifest import read_manifest
from embedplane_server.builders.tensorrt_llm import USUAL_BATCH_TOKENS, TensorRtLlmBuilder
from embedplane_server.builders.tensorrt_llm_command import command, shape_for
from embedplane_server.engines import load, tensorrt_llm
from embedplane_server.engines.base import Batch
from embedplane_server.engines.load import load_engine
from embedplane_server.engines.tensorrt_llm import PLAN, TensorRtLlmEngine, load_encoder
from embedplane_server.errors import EngineError, EngineIncompatible, StepError
from embedplane_server.export.manifest import need_export
from embedplane_server.progress import Progress
from embedplane_server.settings import BuildSettings, EngineSettings, ExportSettings, FetchSettings, Gpu, Source
from embedplane_server.store import open_store
from embedplane_server.store.timing import keep_timings, read_timings, timings_of
from tests.support.fake_engine import engine_manifest
from tests.support.reference import cosines
from tests.support.shortened import few_golden_texts, short_benchmarks
from tests.support.small_encoders import save_encoder
from tests.support.tensorrt_llm import NoStream, fake_tensorrt_llm

pytestmark = pytest.mark.model

L4 = Gpu(name="NVIDIA L4", compute_capability="8.9")
DESCRIPTION = engine_manifest().description
TIMINGS = timings_of("tensorrt-llm-1.2.1", "nvidia-l4-sm89")
MACHINE = GpuMachine("x86-64", "NVIDIA L4", "8.9", "580.95.05")


def on_cpu(folder: Path) -> TensorRtLlmEngine:
    from embedplane_server.engines.tensorrt_llm_library import load_library  # noqa: PLC0415 -- torch takes seconds

    return TensorRtLlmEngine(folder, load_library("cpu", NoStream()))


@dataclass
class Steps:
    """Fetch, export and build of one model folder."""

    store: str
    folder: Path
    precision: str = "auto"

    @property
    def engine(self) -> EngineSettings:
        return EngineSettings(backend="tensorrt-llm", precision=self.precision, gpu=L4)

    def export(self) -> str:
        from embedplane_server.export.step import export  # noqa: PLC0415 -- torch takes seconds to import
        from embedplane_server.fetch import fetch  # noqa: PLC0415 -- with it

        progress = Progress(io.StringIO())
        source = Source(path=self.folder)
        fetched = asyncio.run(fetch(FetchSettings(store=self.store, source=source, engine=self.engine), progress))
        settings = ExportSettings(store=self.store, model_digest=fetched.digest, format="onnx")
        with few_golden_texts():
            return asyncio.run(export(settings, progress)).export_key

    def builder(self, batch_tokens: int = USUAL_BATCH_TOKENS) -> TensorRtLlmBuilder:
        return TensorRtLlmBuilder(MACHINE, batch_tokens, on_cpu)

    def ingredients(self, export_key: str, timings: bytes = b"") -> Ingredients:
        found = asyncio.run(need_export(open_store(self.store), export_key))
        return Ingredients(found.directory, found.about.description, self.folder, timings)

    def build(self, export_key: str, builder: TensorRtLlmBuilder | None = None, **options):
        settings = BuildSettings(store=self.store, export_key=export_key, engine=self.engine, threads=1, **options)
        builder = builder or self.builder(settings.max_batch_tokens or USUAL_BATCH_TOKENS)
        with pytest.MonkeyPatch.context() as patch, short_benchmarks():
            patch.setattr(step, "backend_builder", lambda _: builder)
            return asyncio.run(step.build(settings, Progress(io.StringIO())))

    def directory(self, key: str, variant: str) -> Path:
        return asyncio.run(open_store(self.store).local_directory(f"engines/{key}/{variant}"))


@pytest.fixture
def library(tmp_path):
    commands = tmp_path / "bin"
    commands.mkdir()
    smi = commands / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'NVIDIA L4, 8.9, 580.95.05'\n")
    smi.chmod(0o755)
    with fake_tensorrt_llm(commands):
        yield


@pytest.fixture(scope="module", params=["bert", "xlm-roberta"])
def exported(request, tmp_path_factory):
    place = tmp_path_factory.mktemp(request.param)
    steps = Steps(f"file://{place}/store", save_encoder(place, request.param, "mean"))
    return steps, steps.export()


def token_ids(lengths):
    dice = random.Random(7)
    return [[dice.randint(1000, 30000) for _ in range(length)] for length in lengths]


@pytest.fixture
def built(exported, library):
    steps, key = exported
    return steps.build(key, max_batch_tokens=512), steps


def test_an_export_becomes_a_proven_engine_that_can_be_loaded(built):
    result, steps = built

    assert (result.backend, result.precision, result.max_batch_tokens) == ("tensorrt-llm", "float16", 512)
    assert result.conformance.minimum_cosine >= 0.999
    assert result.benchmark.batch_tokens == 512
    folder = steps.directory(result.key, result.variant)
    assert load_encoder(folder).first_position == (2 if "roberta" in str(folder) else 0)
    engine = on_cpu(folder)
    assert (engine.dimensions, engine.token_dimensions, engine.parallel, engine.row_tokens) == (32, 32, 1, None)


def test_a_batch_larger_than_the_plan_is_cut_and_gives_the_same_vectors(built):
    result, steps = built
    engine = on_cpu(steps.directory(result.key, result.variant))
    texts = token_ids([5, 1, 64, 30, 7, 2, 9, 12, 33, 4] * 4)
    assert len(texts) > load_encoder(steps.directory(result.key, result.variant)).max_batch_size

    together = engine.embed(Batch(texts))

    alone = np.concatenate([engine.embed(Batch([ids], alone=True)) for ids in texts])
    assert together.dtype == np.float32
    assert cosines(together, alone).min() > 0.99999
    tokens = engine.embed(Batch(texts, every_token=True))
    assert tokens.shape == (sum(map(len, texts)), 32)
    assert cosines(tokens[:5].mean(axis=0)[None], together[:1]).min() > 0.9999


def test_an_engine_that_is_in_the_store_is_not_built_again(built, monkeypatch):
    result, steps = built
    monkeypatch.setenv("PATH", "/nowhere")

    assert steps.build(steps.export(), max_batch_tokens=512).built_at == result.built_at


def test_a_text_longer_than_the_plan_takes_costs_its_batch_only(built):
    result, steps = built
    engine = on_cpu(steps.directory(result.key, result.variant))

    with pytest.raises(EngineError, match="did not take the batch"):
        engine.embed(Batch(token_ids([65])))
    assert engine.embed(Batch(token_ids([64]))).shape == (1, 32)


@pytest.fixture
def served(built, tmp_path, monkeypatch):
    """A copy of the engine's folder, as a server finds it; what opens it opens it on the CPU."""
    result, steps = built
    folder = tmp_path / "served"
    shutil.copytree(steps.directory(result.key, result.variant), folder)
    monkeypatch.setattr(tensorrt_llm, "open_plan", on_cpu)
    return folder


def test_a_server_loads_it_by_its_manifest(served):
    assert load_engine(served, threads=1).embed(Batch(token_ids([3, 64]))).shape == (2, 32)


def test_a_plan_of_another_gpu_is_to_be_built_again(served, monkeypatch):
    (served / PLAN).write_bytes(b"another GPU's")
    monkeypatch.setattr(load, "this_machine", lambda: MACHINE)

    with pytest.raises(EngineIncompatible, match="built for another GPU or another release") as caught:
        load_engine(served, threads=1)
    assert caught.value.about == {"engine": read_manifest(served).key, "machine": MACHINE.variant}


def test_a_build_that_finds_such_a_plan_in_its_place_makes_another(built):
    result, steps = built
    builder = steps.builder(512)
    opened = []

    def refusing_the_first(folder):
        opened.append(folder)
        return on_cpu(folder) if len(opened) > 1 else tensorrt_llm_engine_of(b"another GPU's", folder)

    builder.open_engine = refusing_the_first
    again = steps.build(steps.export(), builder=builder, max_batch_tokens=512)

    name = f"engines/{result.key}/{result.variant}"
    assert [each.entry for each in again.set_aside] == [name]
    assert load_encoder(steps.directory(again.key, again.variant)) == load_encoder(opened[1])


def tensorrt_llm_engine_of(plan: bytes, folder: Path) -> TensorRtLlmEngine:
    with TemporaryDirectory() as name:
        copy = Path(name) / "engine"
        shutil.copytree(folder, copy)
        (copy / PLAN).write_bytes(plan)
        return on_cpu(copy)


def test_a_lone_text_has_kernels_of_its_own(built):
    result, steps = built
    engine = on_cpu(steps.directory(result.key, result.variant))
    short, long, several = token_ids([5]), token_ids([64]), token_ids([5, 6])
    lone, batches = engine._lone.context, engine._session.context

    vectors = [engine.embed(Batch(short)), engine.embed(Batch(long)), engine.embed(Batch(several))]

    assert (lone.runs, batches.runs) == (2, 1)
    assert engine._lone.most_tokens == 64
    assert lone.given == engine._session.engine.get_device_memory_size_for_profile_v2(1)
    together = engine.embed(Batch([*short, *long, *several]))
    assert cosines(np.concatenate(vectors), together).min() > 0.99999


def test_a_text_that_is_too_long_for_the_kernels_of_lone_ones_runs_as_a_batch(built):
    result, steps = built
    engine = on_cpu(steps.directory(result.key, result.variant))
    engine._lone = replace(engine._lone, most_tokens=10)

    engine.embed(Batch(token_ids([11])))

    assert (engine._lone.context.runs, engine._session.context.runs) == (0, 1)


def test_what_one_build_measures_the_next_one_knows(built, exported):
    result, steps = built
    known = asyncio.run(read_timings(open_store(steps.store), TIMINGS))
    assert read_manifest(steps.directory(result.key, result.variant)).timings == TIMINGS
    builder = steps.builder(512)

    builder.compile(steps.ingredients(exported[1], known), "float32").close()

    assert known.startswith(b"timing+")
    assert builder.timings == known + b"+"


@pytest.mark.parametrize("useless", [b"another GPU's kernels", b"no kernels at all"])
def test_measurements_that_are_of_no_use_end_no_build(exported, library, useless):
    steps, key = exported
    asyncio.run(keep_timings(open_store(steps.store), TIMINGS, useless))
    builder = steps.builder(256)

    engine = builder.compile(steps.ingredients(key, useless), "float16")

    assert builder.timings == b"timing+"
    assert engine.embed(Batch(token_ids([3]))).shape == (1, 32)


def test_a_release_that_builds_models_otherwise_builds_a_plain_plan(exported, library, monkeypatch, tmp_path, caplog):
    steps, key = exported
    other = tmp_path / "other.py"
    other.write_text("from tensorrt_llm.of_another_release import BertModel\n")
    monkeypatch.setattr(tensorrt_llm_command, "tuned_encoder_file", lambda: other)

    engine = steps.builder(256).compile(steps.ingredients(key), "float16")

    assert "built without ranges of shapes" in caplog.text
    assert "of_another_release" in caplog.text
    assert engine._lone is None
    assert engine.embed(Batch(token_ids([3]))).shape == (1, 32)


def test_an_encoder_that_it_would_compute_wrongly_is_refused_before_any_work(tmp_path, library):
    import json  # noqa: PLC0415

    folder = save_encoder(tmp_path / "made", "bert", "mean")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": "relu"}))
    steps = Steps(f"file://{tmp_path}/store", folder)

    with pytest.raises(StepError, match=r"hidden_act is relu, not gelu. Set engine.backend: auto") as caught:
        steps.build(steps.export())
    assert caught.value.reason == "UnsupportedModel"


def test_a_gpu_without_memory_for_the_build_is_told_so(exported, library):
    steps, key = exported

    with pytest.raises(
        StepError, match=r"ran out of the GPU's memory: .*OutOfMemory.* Lower engine.maxBatchTokens"
    ) as caught:
        Steps(steps.store, steps.folder, "float32").build(key, max_batch_tokens=20_000)
    assert caught.value.reason == "OutOfMemory"


@pytest.mark.parametrize(
    ("budget", "window", "texts", "usual"),
    [
        (USUAL_BATCH_TOKENS, 512, 64, 16_384),
        (USUAL_BATCH_TOKENS, 8192, 8, 16_384),
        (1_000_000, 128, 512, 65_536),
        (100, 256, 8, 100),
    ],
)
def test_the_plan_is_tuned_for_the_token_budget(budget, window, texts, usual):
    shape = shape_for(budget, window)
    batches, lone = shape.profiles

    assert batches["batch_size"][2] == texts
    assert batches["num_tokens"] == (1, usual, texts * window)
    assert batches["max_input_length"][2] == window
    assert lone == {
        "batch_size": (1, 1, 1),
        "num_tokens": (1, 32, min(window, 512)),
        "max_input_length": (1, 32, min(window, 512)),
    }


def test_the_command_names_every_size_and_writes_in_its_scratch(tmp_path):
    call = command(tmp_path / "c", tmp_path / "o", shape_for(USUAL_BATCH_TOKENS, 512), "float16", tmp_path)
    given = dict(zip(call[1::2], call[2::2], strict=True))

    assert call[0] == "trtllm-build"
    assert (given["--max_batch_size"], given["--max_input_len"]) == ("64", "512")
    assert given["--remove_input_padding"] == given["--context_fmha"] == "enable"
    assert given["--bert_attention_plugin"] == "float16"
    assert given["--output_timing_cache"].startswith(str(tmp_path))


def test_bfloat16_is_refused_by_name():
    builder = TensorRtLlmBuilder(MACHINE, USUAL_BATCH_TOKENS)
    assert builder.precisions("auto", DESCRIPTION) == ("float16", "float32")
    with pytest.raises(StepError, match="no bfloat16 for encoders"):
        builder.precisions("bfloat16", DESCRIPTION)
