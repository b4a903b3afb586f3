"""The way from an observation to a decision, stage by stage; a stage that is not done ends the way for now. Pure.

suspended? → acceptable to this installation? → source pinned → vector space stable → engine known → served.
Wherever the way ends, what serves already goes on, and its availability is reported.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from embedplane_operator.api.conditions import ConditionType, Reason
from embedplane_operator.api.resolved import Resolved
from embedplane_operator.api.status import EngineStatus, SetAside, SourceStatus, VectorSpaceStatus
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.decide.acceptance import spec_refusal, taken_name
from embedplane_operator.decide.decision import Decision, Pinned
from embedplane_operator.decide.dimensions import unavailable_dimensions, with_dimensions
from embedplane_operator.decide.drift import with_drift
from embedplane_operator.decide.own_texts import LOOK_AGAIN_TEXTS, has_own_texts, missing_texts
from embedplane_operator.decide.preparation import engine_stage, source_stage
from embedplane_operator.decide.progress import Progress, shared_jobs, stale_jobs
from embedplane_operator.decide.repair import finished_repair, needed_repair
from embedplane_operator.decide.resolution import (
    Live,
    below_the_floor,
    known_engine,
    live_of,
    pinned_before,
    pinned_source,
    pinned_space,
    read_set_aside,
    refused_change,
    set_aside_words,
)
from embedplane_operator.decide.serving import (
    availability,
    endpoint_manifests,
    leftovers,
    missing_api_keys,
    rollout,
    servers_of,
    serving_manifests,
)
from embedplane_operator.decide.standstill import LOOK_AGAIN_BLOCKED, blocked_by, suspended
from embedplane_operator.decide.unsaid import incomplete_description
from embedplane_operator.decide.way import Way
from embedplane_operator.kinds import Manifest
from embedplane_operator.observation import Observation
from embedplane_operator.render.inputs import source_inputs
from embedplane_operator.render.network_policies import render_network_policies
from embedplane_operator.render.service_accounts import render_service_accounts
from embedplane_operator.render.store_claim import render_store_claim
from embedplane_operator.settings import Settings
from embedplane_operator.status import Finding, Findings, met

LOOK_AGAIN_ROLLOUT = 10.0


def decide(observed: Observation, settings: Settings, now: datetime) -> Decision:
    """What should be, and what is to be said about it."""
    return with_drift(_decide(observed, settings, now), observed, settings, now)


def _decide(observed: Observation, settings: Settings, now: datetime) -> Decision:
    live = live_of(observed.deployments, observed.model)
    if observed.model.spec.suspend:
        return suspended(observed, live)
    if taken := taken_name(observed, settings):
        return blocked_by(observed, live, taken)
    if refused := spec_refusal(observed.model, settings):
        return replace(blocked_by(observed, live, refused), apply=_endpoint(observed.model, settings, live))
    return _serve(Progress(_way(Way(observed, settings, now), live), live))


def _way(way: Way, live: Live | None) -> Way:
    """The way, with what servers lack: only of an engine that is still wanted, for its Deployment keeps the record."""
    if live is None or _same_engine(way, live) is None:
        return way
    return replace(way, repair=needed_repair(servers_of(way.observed, live.name)))


def _serve(progress: Progress) -> Decision:
    """Finds what the spec resolves to, and serves it; else what was served before."""
    way, live = progress.way, progress.live
    resolved, pinned = _resolve(progress)
    manifests = _manifests(way, live, resolved)
    name = manifests[0]["metadata"]["name"] if resolved else (live.name if live else None)
    servers = servers_of(way.observed, name)
    progress.findings[ConditionType.AVAILABLE] = availability(servers)
    serving = rollout(servers, way.model.spec.scaling.min_replicas)
    if resolved and not serving.is_met:
        progress.checks.append(LOOK_AGAIN_ROLLOUT)
    if (keys := missing_api_keys(way.observed)) is not None:
        progress.checks.append(LOOK_AGAIN_BLOCKED)  # Secrets are not watched
    if has_own_texts(way.observed):
        progress.checks.append(LOOK_AGAIN_TEXTS)
    is_done = resolved is not None and serving.is_met
    leaving = stale_jobs(progress, is_done=is_done)
    old = live if not resolved or live is None or live.name == name else None
    namespace = way.model.metadata.namespace
    return Decision(
        findings=Findings(progress.findings, keys, serving if resolved else None),
        pinned=pinned,
        shared=(
            *render_service_accounts(namespace, way.settings),
            *render_network_policies(namespace, way.settings),
        ),
        claim=render_store_claim(namespace, way.settings) if _lacks_claim(way) else None,
        apply=manifests,
        jobs=(*progress.actions, *leaving),
        delete=leftovers(way.observed, old, manifests) if resolved else (),
        shared_jobs=shared_jobs(progress, leaving),
        serves=name,
        check_after=min(progress.checks, default=None),
    )


def _lacks_claim(way: Way) -> bool:
    return way.observed.claim is None and not way.settings.store.is_remote


def _manifests(way: Way, live: Live | None, resolved: Resolved | None) -> tuple[Manifest, ...]:
    """All that serves; at least the endpoint of what serves already."""
    if resolved:
        repair = finished_repair(way.repair, resolved.engine.key, way.now) if way.repair else None
        return serving_manifests(way.model, way.settings, resolved, repair)
    if same := _same_engine(way, live):
        return serving_manifests(way.model, way.settings, same, way.repair)
    return _endpoint(way.model, way.settings, live)


def _endpoint(model: EmbeddingModel, settings: Settings, live: Live | None) -> tuple[Manifest, ...]:
    return endpoint_manifests(model, settings, live.resolved.vector_space.id) if live else ()


def _resolve(progress: Progress) -> tuple[Resolved | None, Pinned]:
    """Goes through the stages; what is pinned stays pinned when a later one is not done."""
    way, live = progress.way, progress.live
    before = pinned_before(way.model, live)
    source, space = pinned_source(way.model, live), pinned_space(way.model, live)
    fetched = None
    unproven = missing_texts(way.observed)
    engine = _usable_engine(way, space.base_id, live) if source and space and not unproven else None
    if source is None or space is None or (engine is None and not unproven):
        stage = source_stage(way, source)
        progress.take(stage)
        if stage.finding or stage.source is None or stage.space is None:
            _pend(progress, {ConditionType.SOURCE_RESOLVED: stage.finding or _waiting("source")})
            return None, before
        source, space, fetched = stage.source, stage.space, stage.answer
    progress.findings[ConditionType.SOURCE_RESOLVED] = _resolved(source, read_set_aside(fetched))
    lengths = way.model.spec.embedding.dimensions
    space = with_dimensions(space, lengths)
    if unsaid := incomplete_description(space):
        progress.findings[ConditionType.DESCRIPTION_INCOMPLETE] = unsaid
    another = refused_change(way.model, way.observed.deployments, live, space)
    if refused := unavailable_dimensions(space, lengths) or another:
        _pend(progress, {ConditionType.VECTOR_SPACE_STABLE: refused})
        return None, before
    progress.findings[ConditionType.VECTOR_SPACE_STABLE] = met(Reason.UNCHANGED, f"the vector space is {space.id}")
    if unproven:
        _pend(progress, {ConditionType.ENGINE_READY: unproven})
        return None, _pinned_so_far(before, source, space, live)
    if engine is None:
        stage = engine_stage(way, source, fetched or {}, space.base_id)
        progress.take(stage)
        if stage.engine is None:
            _pend(progress, {ConditionType.ENGINE_READY: stage.finding or _waiting("engine")})
            return None, _pinned_so_far(before, source, space, live)
        engine = stage.engine
    if failed := below_the_floor(way.model, engine):
        progress.findings[ConditionType.ENGINE_READY] = failed
        return None, _pinned_so_far(before, source, space, live)
    words = f"{engine.backend} {engine.precision}, lowest cosine {engine.conformance.minimum_cosine:.6g}"
    progress.findings[ConditionType.ENGINE_READY] = met(
        Reason.PUBLISHED, words + set_aside_words(engine.set_aside or ())
    )
    if missing_api_keys(way.observed):
        return None, _pinned_so_far(before, source, space, live)
    return Resolved(source, space, engine), Pinned(source, space, engine)


def _usable_engine(way: Way, space_id: str, live: Live | None) -> EngineStatus | None:
    """The engine of these wishes, unless servers could not load it."""
    engine = known_engine(way.model, way.settings, space_id, live, way.texts)
    return engine if engine and way.has(engine.key) else None


def _pend(progress: Progress, ended_by: dict[ConditionType, Finding]) -> None:
    """Says why the way ends here, and that the later stages wait."""
    progress.findings.update(ended_by)
    later = {
        ConditionType.VECTOR_SPACE_STABLE: "the vector space is known once the source is resolved",
        ConditionType.ENGINE_READY: "the engine comes after the source",
    }
    for kind, words in later.items():
        progress.findings.setdefault(kind, Finding("Unknown", Reason.PENDING, words))


def _pinned_so_far(before: Pinned, source: SourceStatus, space: VectorSpaceStatus, live: Live | None) -> Pinned:
    """A new commit of the served space is pinned at once; the engine that serves stays in status."""
    return Pinned(source, space, before.engine if live else None)


def _same_engine(way: Way, live: Live | None) -> Resolved | None:
    """What serves, if its source and engine are still what the spec asks for, so that other changes reach its pods.

    A new source or engine must not: its names, image or flags would be put around the old one.
    """
    if live is None or live.resolved.source.inputs != source_inputs(way.model) or missing_api_keys(way.observed):
        return None
    if missing_texts(way.observed):
        return None
    engine = known_engine(way.model, way.settings, live.resolved.vector_space.base_id, live, way.texts)
    if engine is None or engine.key != live.resolved.engine.key or below_the_floor(way.model, engine):
        return None
    return live.resolved


def _resolved(source: SourceStatus, set_aside: Sequence[SetAside]) -> Finding:
    words = f"pinned to {source.commit}, {source.size_bytes / 1e6:.1f} MB"
    return met(Reason.RESOLVED, words + set_aside_words(set_aside))


def _waiting(what: str) -> Finding:
    return Finding("False", Reason.PENDING, f"the {what} is being looked at")
