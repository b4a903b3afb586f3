"""The way from an observation to a decision, stage by stage; a stage that is not done ends the way for now. Pure.

suspended? → acceptable to this installation? → source pinned → vector space stable → engine known → served.
Wherever the way ends, what serves already goes on, and its availability is reported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from embedplane_operator.api.conditions import ConditionType, Reason
from embedplane_operator.api.resolved import Resolved
from embedplane_operator.api.status import CandidateStatus, EngineStatus, SetAside, SourceStatus, VectorSpaceStatus
from embedplane_operator.decide.accelerators import on_profile, with_fallback
from embedplane_operator.decide.acceptance import spec_refusal, taken_name
from embedplane_operator.decide.decision import Decision, Pinned
from embedplane_operator.decide.dimensions import unavailable_dimensions, with_dimensions
from embedplane_operator.decide.drift import with_drift
from embedplane_operator.decide.fleet import Fleet, same_engine
from embedplane_operator.decide.marks import listed, marks_of
from embedplane_operator.decide.own_texts import LOOK_AGAIN_TEXTS, has_own_texts, missing_texts
from embedplane_operator.decide.preparation import engine_stage, source_stage
from embedplane_operator.decide.progress import Progress, shared_jobs, stale_jobs
from embedplane_operator.decide.repair import needed_repair
from embedplane_operator.decide.resolution import (
    below_the_floor,
    known_engine,
    pinned_before,
    pinned_source,
    pinned_space,
    read_set_aside,
    set_aside_words,
)
from embedplane_operator.decide.room import room_marks, with_holders, with_old_servers
from embedplane_operator.decide.serving import (
    availability,
    endpoint_manifests,
    missing_api_keys,
    no_room_for_servers,
    rollout,
    servers_of,
)
from embedplane_operator.decide.spaces import Plan, Spaces, plan_spaces, read_spaces
from embedplane_operator.decide.stability import Question, judge, waiting_cutover
from embedplane_operator.decide.standstill import LOOK_AGAIN_BLOCKED, blocked_by, suspended
from embedplane_operator.decide.unsaid import incomplete_description
from embedplane_operator.decide.way import Way
from embedplane_operator.kinds import Manifest
from embedplane_operator.observation import Observation
from embedplane_operator.render.network_policies import render_network_policies
from embedplane_operator.render.service_accounts import render_service_accounts
from embedplane_operator.render.store_claim import render_store_claim
from embedplane_operator.settings import Settings
from embedplane_operator.status import Finding, Findings, met

LOOK_AGAIN_ROLLOUT = 10.0


def decide(observed: Observation, settings: Settings, now: datetime) -> Decision:
    """What should be, and what is to be said about it."""
    here = on_profile(observed, settings, now)
    return with_fallback(with_drift(_decide(here, settings, now), here, settings, now), observed, now)


def _decide(observed: Observation, settings: Settings, now: datetime) -> Decision:
    spaces, model = read_spaces(observed), observed.model
    if model.spec.suspend:
        return suspended(observed, spaces)
    if taken := taken_name(observed, settings):
        return blocked_by(observed, spaces, taken)
    if refused := spec_refusal(model, settings):
        endpoint = endpoint_manifests(model, settings, spaces.active.space) if spaces.active else ()
        return replace(blocked_by(observed, spaces, refused), apply=endpoint)
    return _serve(Progress(_way(Way(observed, settings, now), spaces), spaces))


def _way(way: Way, spaces: Spaces) -> Way:
    """The way, with what servers lack: only of an engine that is still wanted, for its Deployment keeps the record."""
    live = spaces.of_wishes(way.model) or spaces.active
    if live is None or same_engine(way, live) is None:
        return way
    return replace(way, repair=needed_repair(servers_of(way.observed, live.name)))


def _serve(progress: Progress) -> Decision:
    """Finds what the spec resolves to, and serves it; else what was served before."""
    way, spaces = progress.way, progress.spaces
    wanted = _wanted(progress)
    plan = plan_spaces(spaces, way.model, wanted.space.id if wanted else None, way.now)
    resolved = _resolve(progress, plan, wanted)
    if resolved is None and not spaces.is_served:
        plan = plan_spaces(spaces, way.model, None, way.now)  # nothing takes the place of what starts, until it can
    fleet = Fleet(way, spaces, plan, resolved)
    serving = _look_at_servers(progress, fleet)
    leaving = stale_jobs(progress, is_done=serving is not None and serving.is_met)
    return Decision(
        findings=Findings(progress.findings, missing_api_keys(way.observed), serving),
        pinned=_pinned(progress, plan, wanted, resolved),
        shared=_shared(way),
        claim=_claim(way),
        apply=fleet.manifests,
        jobs=(*progress.actions, *leaving),
        delete=fleet.leftovers,
        shared_jobs=shared_jobs(progress, leaving),
        build_ticket=progress.build_ticket,
        marks=(*marks_of(way.observed, spaces, plan), *room_marks(progress)),
        spaces=listed(way.model, spaces, plan),
        candidate=_candidate(way, plan, wanted),
        accelerator=way.model.status.accelerator,
        no_room=progress.no_room,
        serves=fleet.active_name,
        check_after=_check_after(progress, plan),
    )


def _shared(way: Way) -> tuple[Manifest, ...]:
    """What the models of a namespace have in common."""
    namespace = way.model.metadata.namespace
    return (*render_service_accounts(namespace, way.settings), *render_network_policies(namespace, way.settings))


def _claim(way: Way) -> Manifest | None:
    """The store's claim, where the namespace lacks it."""
    if way.observed.claim is not None or way.settings.store.is_remote:
        return None
    return render_store_claim(way.model.metadata.namespace, way.settings)


def _check_after(progress: Progress, plan: Plan) -> float | None:
    """In how many seconds to look again: at what the stages wait for, at what nobody watches, at a space to retire."""
    checks = list(progress.checks)
    if missing_api_keys(progress.way.observed) is not None:
        checks.append(LOOK_AGAIN_BLOCKED)  # Secrets are not watched
    if has_own_texts(progress.way.observed):
        checks.append(LOOK_AGAIN_TEXTS)
    if plan.check_after is not None:
        checks.append(plan.check_after)
    return min(checks, default=None)


def _look_at_servers(progress: Progress, fleet: Fleet) -> Finding | None:
    """Whether the endpoint answers, and whether the newest spec is what is served; None while that cannot be."""
    observed, findings = progress.way.observed, progress.findings
    findings[ConditionType.AVAILABLE] = availability(servers_of(observed, fleet.active_name))
    if fleet.resolved is None:
        return None
    servers = servers_of(observed, fleet.newest_name)
    newest = with_old_servers(progress.way, servers, rollout(servers, observed.model.spec.scaling.min_replicas))
    findings[ConditionType.VECTOR_SPACE_STABLE] = _with_trouble(progress, newest)
    if not newest.is_met:
        progress.checks.append(LOOK_AGAIN_ROLLOUT)
        progress.no_room = no_room_for_servers(observed, fleet.newest_name, newest.message)
    return newest


def _with_trouble(progress: Progress, newest: Finding) -> Finding:
    """What is said of the spaces; a cut-over that waits for servers which do not start has their words."""
    found = progress.findings[ConditionType.VECTOR_SPACE_STABLE]
    if found.reason != Reason.CUTOVER_WAITING or newest.is_met or newest.reason == Reason.ROLLOUT_RUNNING:
        return found
    return replace(found, message=f"{found.message}. {newest.reason}: {newest.message}", outlook=newest.outlook)


@dataclass(frozen=True)
class Wanted:
    """What the spec leads to; the engine, if one is known that counts."""

    source: SourceStatus
    space: VectorSpaceStatus
    engine: EngineStatus | None
    fetched: Mapping[str, Any] | None = None
    """The answer of the fetch Job, where it had to be asked."""


def _wanted(progress: Progress) -> Wanted | None:
    """The source and the space of the spec; None while they are not known, or cannot be."""
    way, spaces = progress.way, progress.spaces
    source, space = pinned_source(way.model, spaces), pinned_space(way.model, spaces)
    unproven = missing_texts(way.observed)
    engine = _usable_engine(way, space.base_id, spaces) if source and space and not unproven else None
    fetched = None
    if source is None or space is None or (engine is None and not unproven):
        stage = source_stage(way, source)
        progress.take(stage)
        if stage.finding or stage.source is None or stage.space is None:
            progress.findings[ConditionType.SOURCE_RESOLVED] = stage.finding or _waiting("source")
            return None
        source, space, fetched = stage.source, stage.space, stage.answer
    progress.findings[ConditionType.SOURCE_RESOLVED] = _resolved(source, read_set_aside(fetched))
    lengths = way.model.spec.embedding.dimensions
    space = with_dimensions(space, lengths)
    if unsaid := incomplete_description(space):
        progress.findings[ConditionType.DESCRIPTION_INCOMPLETE] = unsaid
    if refused := unavailable_dimensions(space, lengths):
        progress.findings[ConditionType.VECTOR_SPACE_STABLE] = refused
        return None
    return Wanted(source, space, engine, fetched)


def _resolve(progress: Progress, plan: Plan, wanted: Wanted | None) -> Resolved | None:
    """Goes on to the engine where the space may be served, and says why not where it may not."""
    way, spaces, findings = progress.way, progress.spaces, progress.findings
    if wanted is None:
        if waiting := waiting_cutover(way.model, spaces, plan):
            findings.setdefault(ConditionType.VECTOR_SPACE_STABLE, waiting)
        _pend(progress)
        return None
    verdict = judge(Question(way.model, spaces, plan, wanted.space))
    findings[ConditionType.VECTOR_SPACE_STABLE] = verdict.finding
    if not verdict.is_admitted:
        _pend(progress)
        return None
    engine, findings[ConditionType.ENGINE_READY] = _engine(progress, wanted)
    if engine is None or missing_api_keys(way.observed):
        return None
    return Resolved(wanted.source, wanted.space, engine)


def _engine(progress: Progress, wanted: Wanted) -> tuple[EngineStatus | None, Finding]:
    """The engine that may serve the wanted space, made where none is known, and what is to be said of it."""
    way, engine = progress.way, wanted.engine
    if unproven := missing_texts(way.observed):
        return None, unproven
    if engine is None:
        stage = engine_stage(way, wanted.source, wanted.fetched or {}, wanted.space.base_id)
        progress.take(stage)
        if stage.engine is None:
            return None, with_holders(progress, stage.finding or _waiting("engine"))
        engine = stage.engine
    if failed := below_the_floor(way.model, engine):
        return None, failed
    words = f"{engine.backend} {engine.precision}, lowest cosine {engine.conformance.minimum_cosine:.6g}"
    return engine, met(Reason.PUBLISHED, words + set_aside_words(engine.set_aside or ()))


def _usable_engine(way: Way, space_id: str, spaces: Spaces) -> EngineStatus | None:
    """The engine of these wishes, unless servers could not load it."""
    engine = known_engine(way.model, way.settings, space_id, spaces, way.texts)
    return engine if engine and way.has(engine.key) else None


def _pend(progress: Progress) -> None:
    """Says that the later stages wait."""
    later = {
        ConditionType.VECTOR_SPACE_STABLE: "the vector space is known once the source is resolved",
        ConditionType.ENGINE_READY: "the engine comes after the source",
    }
    for kind, words in later.items():
        progress.findings.setdefault(kind, Finding("Unknown", Reason.PENDING, words))


def _pinned(progress: Progress, plan: Plan, wanted: Wanted | None, resolved: Resolved | None) -> Pinned:
    """What is pinned of the active space. A new commit of it is pinned at once; the engine that serves stays."""
    live = progress.spaces.find(plan.active)
    before = pinned_before(progress.way.model, live)
    if wanted is None or (progress.spaces.is_served and wanted.space.id != plan.active):
        return before
    engine = resolved.engine if resolved else (before.engine if live else None)
    return Pinned(wanted.source, wanted.space, engine)


def _candidate(way: Way, plan: Plan, wanted: Wanted | None) -> CandidateStatus | None:
    """What the spec leads to while another space is active; kept while that cannot be known."""
    if way.model.spec.vector_space_policy != "SideBySide":
        return None
    if wanted is None:
        return way.model.status.candidate
    if plan.active in (None, wanted.space.id):
        return None
    return CandidateStatus(source=wanted.source, vector_space=wanted.space)


def _resolved(source: SourceStatus, set_aside: Sequence[SetAside]) -> Finding:
    words = f"pinned to {source.commit}, {source.size_bytes / 1e6:.1f} MB"
    return met(Reason.RESOLVED, words + set_aside_words(set_aside))


def _waiting(what: str) -> Finding:
    return Finding("False", Reason.PENDING, f"the {what} is being looked at")
