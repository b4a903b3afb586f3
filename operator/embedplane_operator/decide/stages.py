"""The way from an observation to a decision, stage by stage; a stage that is not done ends the way for now. Pure.

suspended? → acceptable to this installation? → source pinned → vector space stable → engine known → served.
Wherever the way ends, what serves already goes on, and its availability is reported.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from embedplane_operator.api.conditions import ConditionType, Reason
from embedplane_operator.api.resolved import Resolved
from embedplane_operator.api.status import SourceStatus, VectorSpaceStatus
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.decide.acceptance import spec_refusal, taken_name
from embedplane_operator.decide.decision import Decision, JobAction, LeaveJob, Pinned
from embedplane_operator.decide.dimensions import unavailable_dimensions, with_dimensions
from embedplane_operator.decide.preparation import Stage, engine_stage, source_stage
from embedplane_operator.decide.repair import finished_repair, needed_repair
from embedplane_operator.decide.resolution import (
    Live,
    below_the_floor,
    known_engine,
    live_of,
    pinned_before,
    pinned_source,
    pinned_space,
    stable_space,
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
from embedplane_operator.decide.way import Way
from embedplane_operator.kinds import Manifest
from embedplane_operator.observation import Observation
from embedplane_operator.render.inputs import source_inputs
from embedplane_operator.render.names import FETCH
from embedplane_operator.render.network_policies import render_network_policies
from embedplane_operator.render.service_accounts import render_service_accounts
from embedplane_operator.render.store_claim import render_store_claim
from embedplane_operator.settings import Settings
from embedplane_operator.status import Finding, Findings, Outlook, met

LOOK_AGAIN_ROLLOUT = 10.0


def decide(observed: Observation, settings: Settings, now: datetime) -> Decision:
    """What should be, and what is to be said about it."""
    live = live_of(observed.deployments, observed.model)
    if observed.model.spec.suspend:
        return suspended(observed, live)
    if taken := taken_name(observed, settings):
        return blocked_by(observed, live, taken)
    if refused := spec_refusal(observed.model, settings):
        return replace(blocked_by(observed, live, refused), apply=_endpoint(observed.model, settings, live))
    return _serve(_Progress(_way(Way(observed, settings, now), live), live))


def _way(way: Way, live: Live | None) -> Way:
    """The way, with what servers lack: only of an engine that is still wanted, for its Deployment keeps the record."""
    if live is None or _same_engine(way, live) is None:
        return way
    return replace(way, repair=needed_repair(servers_of(way.observed, live.name)))


@dataclass
class _Progress:
    """What the stages found so far; lives for one decision."""

    way: Way
    live: Live | None
    findings: dict[ConditionType, Finding] = field(default_factory=dict)
    jobs: set[str] = field(default_factory=set)
    actions: list[JobAction] = field(default_factory=list)
    checks: list[float] = field(default_factory=list)
    is_early: bool = False
    """The way ended before its last Job."""

    def take(self, stage: Stage) -> None:
        """Keeps what a stage wants done."""
        self.jobs.update(stage.jobs)
        self.actions.extend(stage.actions)
        self.is_early = stage.is_early
        if stage.check_after is not None:
            self.checks.append(stage.check_after)


def _serve(progress: _Progress) -> Decision:
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
    is_done = resolved is not None and serving.is_met
    leaving = _stale_jobs(progress, is_done=is_done)
    old = live if not resolved or live is None or live.name == name else None
    namespace = way.model.metadata.namespace
    return Decision(
        findings=Findings(progress.findings, keys, serving if resolved else None),
        pinned=pinned,
        shared=(
            *render_service_accounts(namespace, way.settings),
            *render_network_policies(namespace, way.settings),
        ),
        claim=render_store_claim(namespace, way.settings) if way.observed.claim is None else None,
        apply=manifests,
        jobs=(*progress.actions, *leaving),
        delete=leftovers(way.observed, old, manifests) if resolved else (),
        shared_jobs=_shared(progress, leaving),
        serves=name,
        check_after=min(progress.checks, default=None),
    )


def _manifests(way: Way, live: Live | None, resolved: Resolved | None) -> tuple[Manifest, ...]:
    """All that serves; at least the endpoint of what serves already."""
    if resolved:
        repair = finished_repair(way.repair, resolved.engine.key, way.now) if way.repair else None
        return serving_manifests(way.model, way.settings, resolved, repair)
    if same := _same_engine(way, live):
        return serving_manifests(way.model, way.settings, same, way.repair)
    return _endpoint(way.model, way.settings, live)


def _endpoint(model: EmbeddingModel, settings: Settings, live: Live | None) -> tuple[Manifest, ...]:
    return endpoint_manifests(model, settings, live.resolved.vector_space.base_id) if live else ()


def _resolve(progress: _Progress) -> tuple[Resolved | None, Pinned]:
    """Goes through the stages; what is pinned stays pinned when a later one is not done."""
    way, live = progress.way, progress.live
    before = pinned_before(way.model, live)
    source, space = pinned_source(way.model, live), pinned_space(way.model, live)
    fetched = None
    engine = known_engine(way.model, way.settings, space.base_id, live) if source and space else None
    if engine and not way.has(engine.key):
        engine = None
    if source is None or space is None or engine is None:
        stage = source_stage(way, source)
        progress.take(stage)
        if stage.finding or stage.source is None or stage.space is None:
            _pend(progress, {ConditionType.SOURCE_RESOLVED: stage.finding or _waiting("source")})
            return None, before
        source, space, fetched = stage.source, stage.space, stage.answer
    progress.findings[ConditionType.SOURCE_RESOLVED] = _resolved(source)
    lengths = way.model.spec.embedding.dimensions
    space = with_dimensions(space, lengths)
    if refused := unavailable_dimensions(space, lengths) or _refused_change(way, live, space):
        _pend(progress, {ConditionType.VECTOR_SPACE_STABLE: refused})
        return None, before
    progress.findings[ConditionType.VECTOR_SPACE_STABLE] = met(Reason.UNCHANGED, f"the vector space is {space.id}")
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
    progress.findings[ConditionType.ENGINE_READY] = met(Reason.PUBLISHED, words)
    if missing_api_keys(way.observed):
        return None, _pinned_so_far(before, source, space, live)
    return Resolved(source, space, engine), Pinned(source, space, engine)


def _pend(progress: _Progress, ended_by: dict[ConditionType, Finding]) -> None:
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


def _refused_change(way: Way, live: Live | None, space: VectorSpaceStatus) -> Finding | None:
    stable = stable_space(way.model, way.observed.deployments, live)
    if stable is None or stable == space.id:
        return None
    is_other_length = stable.partition(";")[0] == space.base_id
    fields = "spec.embedding.dimensions.default leads" if is_other_length else "spec.source and spec.embedding lead"
    by_request = " let requests ask for the length (spec.embedding.dimensions.allowed)," if is_other_length else ""
    words = (
        f"{fields} to the vector space {space.id}, but {stable} is served, and vectors of the two cannot be compared: "
        f"undo the change,{by_request} or serve the new space under another EmbeddingModel and embed your texts again"
    )
    return Finding("False", Reason.VECTOR_SPACE_CHANGE_REFUSED, words, Outlook.STALLED)


def _same_engine(way: Way, live: Live | None) -> Resolved | None:
    """What serves, if its source and engine are still what the spec asks for, so that other changes reach its pods.

    A new source or engine must not: its names, image or flags would be put around the old one.
    """
    if live is None or live.resolved.source.inputs != source_inputs(way.model) or missing_api_keys(way.observed):
        return None
    engine = known_engine(way.model, way.settings, live.resolved.vector_space.base_id, live)
    if engine is None or engine.key != live.resolved.engine.key or below_the_floor(way.model, engine):
        return None
    return live.resolved


def _stale_jobs(progress: _Progress, *, is_done: bool) -> list[LeaveJob]:
    """Jobs of other inputs; once the model is served, all Jobs.

    A step that runs again only because its answer was lost (its pod is gone) ends no Job of a later step.
    """
    spares_later = _may_be_later(progress)
    uid = progress.way.model.metadata.uid
    owned = [job for job in progress.way.observed.jobs if job.is_owned_by(uid) and not job.deleting]
    return [
        LeaveJob(job, uid)
        for job in owned
        if is_done or (job.name not in progress.jobs and not (spares_later and job.step != FETCH))
    ]


def _may_be_later(progress: _Progress) -> bool:
    """True where the wishes are those that the later Jobs were started for."""
    way, live = progress.way, progress.live
    is_pinned = pinned_source(way.model, live) is not None and pinned_space(way.model, live) is not None
    return progress.is_early and is_pinned


def _shared(progress: _Progress, leaving: list[LeaveJob]) -> frozenset[str]:
    """Those that are waited for, and those that are only spared: one that is lost sight of would stay for ever."""
    model = progress.way.model.metadata
    owned = {job.name for job in progress.way.observed.jobs if job.is_owned_by(model.uid)}
    names = progress.jobs | (owned - {left.job.name for left in leaving})
    return frozenset(name for name in names if not name.startswith(f"{model.name}-fetch-"))


def _resolved(source: SourceStatus) -> Finding:
    return met(Reason.RESOLVED, f"pinned to {source.commit}, {source.size_bytes / 1e6:.1f} MB")


def _waiting(what: str) -> Finding:
    return Finding("False", Reason.PENDING, f"the {what} is being looked at")
