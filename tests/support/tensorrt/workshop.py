"""A small BERT that was exported for GPUs, in a store, and builds of it as a GPU image runs them."""

import asyncio
import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from embedplane_server.builders.backend import Ingredients
from embedplane_server.builders.gpu import GpuMachine
from embedplane_server.builders.gpu_room import GpuMemory
from embedplane_server.builders.tensorrt import TensorRtBuilder
from embedplane_server.export.manifest import ONNX_GRAPH, need_export
from embedplane_server.results import BuildResult, FetchResult
from embedplane_server.settings import EngineSettings, Gpu, Source
from embedplane_server.store import open_store
from tests.support.steps import Steps
from tests.support.tensorrt.families import save
from tests.support.tensorrt.reading import reading_builder, running

L4 = GpuMachine("x86-64", "NVIDIA L4", "8.9", "580.95.05")
ENGINE = EngineSettings(backend="tensorrt", gpu=Gpu(name=L4.name, compute_capability=L4.compute_capability))
VERSION = "10.14.1.48"
MODEL = "model"


@dataclass(frozen=True)
class Workshop:
    """A folder with the model and a store that holds its export, and builders over it."""

    folder: Path
    fetched: FetchResult
    export_key: str

    @property
    def steps(self) -> Steps:
        return _steps(self.folder)

    @property
    def model(self) -> Path:
        return self.folder / MODEL

    def moved_to(self, folder: Path) -> "Workshop":
        """Return another with the same content: what is built there is there only."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return replace(self, folder=folder)

    @cached_property
    def made_of(self) -> Ingredients:
        found = asyncio.run(need_export(open_store(self.steps.store), self.export_key))
        return Ingredients(found.directory, found.about.description)

    @property
    def graph(self) -> Path:
        return self.made_of.export / ONNX_GRAPH

    @cached_property
    def exact(self) -> onnxruntime.InferenceSession:
        """The graph in float32, as it was exported."""
        return running(self.graph)

    def builder(self, machine: GpuMachine = L4, memory: GpuMemory | None = None) -> TensorRtBuilder:
        """Return a GPU image's, whose plans compute in float32 whatever their precision."""
        return reading_builder(machine, memory, self.exact)

    def build(
        self,
        monkeypatch: pytest.MonkeyPatch,
        machine: GpuMachine = L4,
        builder: TensorRtBuilder | None = None,
        minimum_cosine: float = 0.999,
        **engine: Any,
    ) -> tuple[BuildResult, str]:
        """Run the build step as in the GPU image; return what it reports and what it says meanwhile."""
        builder = builder or self.builder(machine)
        monkeypatch.setattr("embedplane_server.builders.step.backend_version", lambda _: VERSION)
        monkeypatch.setattr("embedplane_server.builders.step.backend_builder", lambda _: builder)
        steps = self.steps
        built = steps.build(self.export_key, ENGINE.model_copy(update=engine), minimum_cosine)
        return built, steps.told.getvalue()


def open_workshop(folder: Path) -> Workshop:
    """Make the model, fetch it and export it."""
    save("bert", folder / MODEL)
    steps = _steps(folder)
    fetched = steps.fetch()
    return Workshop(folder, fetched, steps.export(fetched))


def _steps(folder: Path) -> Steps:
    source = Source(path=folder / MODEL)
    return Steps(f"file://{folder}/store", source, engine=ENGINE, format="onnx", has_few_texts=True)
