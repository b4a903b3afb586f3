"""The build step: an export becomes an engine that is proven, measured and published. Without proof nothing is.

What is particular to a backend is in a module of its own; here is the order of things.
"""

import asyncio
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from embedplane_server.builders.backend import BackendBuilder, Ingredients, backend_builder
from embedplane_server.builders.conformance import Conformance, measure, told
from embedplane_server.builders.manifest import (
    ENGINE_FILE,
    EngineManifest,
    backend_version,
    engine_entry,
    engine_key,
)
from embedplane_server.builders.proof import Proof, read_proof
from embedplane_server.builders.verdict import faults
from embedplane_server.engines.base import Engine
from embedplane_server.errors import PermanentError, PermanentReason, invalid_settings
from embedplane_server.export.manifest import ExportManifest, need_export, need_own_references
from embedplane_server.progress import Progress
from embedplane_server.results import BenchmarkResult, BuildResult, ConformanceResult, set_aside_results
from embedplane_server.settings import BuildSettings
from embedplane_server.sources import need_model
from embedplane_server.store import Store, digest_of, files_below, open_store
from embedplane_server.store.entries import stored_files
from embedplane_server.store.timing import keep_timings, read_timings, timings_of

# `precision: auto` takes the fastest that meets this floor, whatever floor the user asks for: the same key, the same
# engine.
AUTOMATIC_FLOOR = 0.999

_REMEDIES = {"float32": "Check the model, or", "int8": "Set engine.precision: auto, or"}


@dataclass(frozen=True, slots=True)
class Order:
    """One engine to be made: from which export, by which builder, under which key."""

    settings: BuildSettings
    export: ExportManifest
    builder: BackendBuilder
    library: str

    @property
    def key(self) -> str:
        return engine_key(self.export.vector_space, self.settings.engine, self.library, self.builder.machine)

    @property
    def entry(self) -> str:
        return engine_entry(self.key, self.builder.machine.variant)

    @property
    def timings(self) -> str | None:
        """The place of what builds like this one have measured."""
        if self.builder.timings is None:
            return None
        engine, kind = self.settings.engine, self.builder.machine.kind
        if engine.gpu and engine.gpu.mig_profile:  # fewer processors: other kernels are the fastest
            kind = f"{kind}-{engine.gpu.mig_profile}"
        return timings_of(f"{engine.backend}-{self.library}", kind)


@dataclass(frozen=True, slots=True)
class Material:
    """What an engine is made of, and what it is compared with."""

    made_of: Ingredients
    proof: Proof


async def build(settings: BuildSettings, progress: Progress) -> BuildResult:
    """Make the engine for this machine unless the store has it; say how near to the reference and how fast it is."""
    store = open_store(settings.store)
    library = backend_version(settings.engine.backend)
    builder = await asyncio.to_thread(backend_builder, settings)
    found = await need_export(store, settings.export_key)
    export = found.about
    if export.format != builder.export_format:
        raise invalid_settings(
            f"the export {export.key} is {export.format}; the backend {settings.engine.backend} needs "
            f"{builder.export_format}."
        )
    order = Order(settings, export, builder, library)
    manifest = await _published(store, order, progress)
    if manifest is None:
        proof = await _proof(store, order, found.directory)
        model = (await need_model(store, export.model_digest)).directory if builder.reads_model else None
        timings = await read_timings(store, order.timings) if order.timings else b""
        made_of = Ingredients(found.directory, export.description, model, timings)
        manifest = await _make_and_publish(store, order, Material(made_of, proof), progress)
    else:
        progress.say(f"{engine_entry(manifest.key, manifest.variant)} is in the store")
    hold_to_floor(manifest.precision, manifest.conformance, settings.minimum_cosine)
    result = manifest.result(settings.max_batch_tokens)
    return result.model_copy(update={"set_aside": set_aside_results(store.quarantine.put)})


def hold_to_floor(precision: str, conformance: ConformanceResult, floor: float, worst: str = "") -> None:
    """Refuse an engine whose vectors or scores are not as near to the reference as the user wants, or not the model's.

    `worst` names the texts that are farthest off.
    """
    if not (wrong := faults(conformance, floor)):
        return
    remedy = _REMEDIES.get(precision, "Set engine.precision: float32, or")
    named = f" Worst: {worst}." if worst else ""
    raise PermanentError(
        PermanentReason.CONFORMANCE_FAILED,
        f"the {precision} engine's {'; its '.join(wrong)}. "
        f"{remedy} lower engine.conformance.minimumCosine if you accept that.{named}",
    )


async def _published(store: Store, order: Order, progress: Progress) -> EngineManifest | None:
    """Return a variant that is as good here as a new one, if the store has it intact and the library loads it.

    One that is damaged, or that is this machine's own and refused, is set aside.
    """
    machine = order.builder.machine
    names = await store.names(f"engines/{order.key}")
    others = [name for name in names if name != machine.variant and machine.is_served_by(name)]
    for variant in (machine.variant, *others):
        name = engine_entry(order.key, variant)
        found = await store.find_intact(name, EngineManifest)
        if found is None:
            continue
        if (refusal := await asyncio.to_thread(order.builder.refusal, found.directory)) is None:
            return found.about
        progress.say(f"{name} is in the store, but is not loaded here: {refusal}")
        if variant == machine.variant:  # the place is needed for the one that is built now
            await store.set_aside(name, f"it is not loaded where it belongs: {refusal}")
    return None


async def _proof(store: Store, order: Order, export: Path) -> Proof:
    """Return what the engine is compared with."""
    if (texts := order.settings.engine.texts) is None:
        return await asyncio.to_thread(read_proof, export, None)
    own = await need_own_references(store, order.export.vector_space, texts)
    return await asyncio.to_thread(read_proof, export, own.directory)


async def _make_and_publish(store: Store, order: Order, material: Material, progress: Progress) -> EngineManifest:
    with tempfile.TemporaryDirectory(prefix="embedplane-build-") as name:
        folder = Path(name)
        try:
            manifest = await asyncio.to_thread(_make, order, material, folder, progress)
        finally:  # what was measured for an engine that is not good enough helps the next build as well
            if order.timings and order.builder.timings:
                await keep_timings(store, order.timings, order.builder.timings)
        progress.say(f"publishing {order.entry}")
        published = await store.publish(order.entry, folder, files_below(folder), manifest.model_dump(mode="json"))
    return store.about(order.entry, published, EngineManifest)


def _make(order: Order, material: Material, folder: Path, progress: Progress) -> EngineManifest:
    engine, precision, found = _nearest_of_fastest(order, material, progress)
    conformance = _conformance_result(found, material.proof.own_texts)
    # Below the floor nothing is published.
    hold_to_floor(precision, conformance, order.settings.minimum_cosine, material.proof.worst(found))
    progress.say("measuring its speed")
    window = order.export.description.max_sequence_length
    speed = order.builder.measure(engine, window)
    engine.close()
    progress.say(f"{speed.tokens_per_second:.0f} tokens/s in batches of {speed.batch_tokens} tokens")
    order.builder.keep(material.made_of, folder)
    digests = {name: file.sha256 for name, file in stored_files(folder, files_below(folder)).items()}
    manifest = EngineManifest(
        key=order.key,
        variant=order.builder.machine.variant,
        backend=order.settings.engine.backend,
        backend_version=order.library,
        precision=precision,
        max_batch_tokens=speed.batch_tokens,
        conformance=conformance,
        benchmark=BenchmarkResult(tokens_per_second=round(speed.tokens_per_second, 1), batch_tokens=speed.batch_tokens),
        built_at=datetime.now(UTC).replace(microsecond=0),
        commit=order.export.commit,
        digest=digest_of(digests),
        vector_space=order.export.vector_space,
        description=order.export.description,
        machine=order.builder.machine.facts,
        timings=order.timings,
    )
    (folder / ENGINE_FILE).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    return manifest


def _conformance_result(found: Conformance, own_texts: int | None) -> ConformanceResult:
    # Rounded to the worse side: a cosine below a floor must not look as if it met it.
    return ConformanceResult(
        texts=found.texts,
        own_texts=own_texts,
        minimum_cosine=math.floor(found.minimum_cosine * 1e6) / 1e6,
        mean_cosine=math.floor(found.mean_cosine * 1e6) / 1e6,
        first_percentile_cosine=_micro(found.first_percentile_cosine, math.floor),
        maximum_norm_difference=_micro(found.maximum_norm_difference, math.ceil),
        neighbor_overlap=_micro(found.neighbor_overlap, math.floor),
        minimum_batch_cosine=_micro(found.minimum_batch_cosine, math.floor),
        maximum_difference=_micro(found.maximum_difference, math.ceil),
        rank_correlation=_micro(found.rank_correlation, math.floor),
    )


def _micro(value: float | None, rounded: Callable[[float], int]) -> float | None:
    return None if value is None else rounded(value * 1e6) / 1e6


def _nearest_of_fastest(order: Order, material: Material, progress: Progress) -> tuple[Engine, str, Conformance]:
    """Return the first engine that meets the automatic floor, the fastest precision first, else the last one."""
    references = material.proof.references
    candidates = order.builder.precisions(order.settings.engine.precision, material.made_of.description)
    order.builder.need_room(material.made_of, candidates[0])
    for precision in candidates:
        progress.say(f"compiling in {precision} and comparing {len(references.token_ids)} texts with the reference")
        engine = order.builder.compile(material.made_of, precision)
        known = order.builder.conformance if material.proof.own_texts is None else None
        conformance = known or measure(engine, references, activation=order.export.description.activation)
        progress.say(told(conformance))
        if not faults(conformance, AUTOMATIC_FLOOR) or precision == candidates[-1]:
            return engine, precision, conformance
        engine.close()
    raise AssertionError("there is always a precision to try")
