"""What a spec needs before it can be served: which of fetch, export and build run, and what they answered. Pure.

A fetch says what the store has already, so a step runs only when its output is missing. `way.py` has the steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from embedplane_operator.api.conditions import JobReason, Reason
from embedplane_operator.api.status import BuildTicket, EngineStatus, SourceStatus, VectorSpaceStatus
from embedplane_operator.decide.decision import JobAction
from embedplane_operator.decide.repair import in_vain
from embedplane_operator.decide.resolution import (
    UnreadableAnswerError,
    read_engine,
    read_export_keys,
    read_source,
    read_space,
)
from embedplane_operator.decide.steps import LOOK_AGAIN_STUCK, Outcome, Step, advance
from embedplane_operator.decide.turns import in_turn
from embedplane_operator.decide.way import Way, build_step, export_step, fetch_step
from embedplane_operator.no_room import NoRoom
from embedplane_operator.render.accelerator import engine_target
from embedplane_operator.render.inputs import fetch_inputs, source_inputs
from embedplane_operator.render.tensorrt_llm import Exactness, read_exactness
from embedplane_operator.status import Finding, Outlook


@dataclass(frozen=True)
class Stage:
    """How far a stage came."""

    finding: Finding | None = None
    """Why it is not done; None when it is."""
    answer: Mapping[str, Any] | None = None
    source: SourceStatus | None = None
    space: VectorSpaceStatus | None = None
    engine: EngineStatus | None = None
    jobs: tuple[str, ...] = ()
    """Names of the Jobs whose answers are used or waited for."""
    actions: tuple[JobAction, ...] = ()
    check_after: float | None = None
    no_room: NoRoom | None = None
    """Where the build waits for a node."""
    build: str | None = None
    """Name of the build Job that is waited for."""
    build_ticket: BuildTicket | None = None
    """Where it is not the model's turn to build."""
    is_early: bool = False
    """Steps come after the one that is not done; their Jobs may run already, from an answer that was lost since."""


def source_stage(way: Way, pinned: SourceStatus | None) -> Stage:
    """Fetches: a pinned source again by its commit, any other as the user named it."""
    step = fetch_step(way, pinned.commit if pinned else None)
    run = way.observed.job(step.name)
    is_answered = run is not None and run.result is not None
    if not is_answered and (finding := _missing_credentials(way) or _missing_store_secret(way) or _missing_claim(way)):
        return Stage(finding, check_after=LOOK_AGAIN_STUCK, is_early=True)
    outcome = advance(step, run, way.waiter, way.now)
    if outcome.result is None:
        return _watching_secret(way, _undone(step, outcome))
    try:
        source = pinned or read_source(outcome.result, source_inputs(way.model))
        space = read_space(outcome.result, fetch_inputs(way.model))
    except UnreadableAnswerError as error:
        return _unreadable(step, error)
    return Stage(answer=outcome.result, source=source, space=space, jobs=(step.name,), actions=outcome.actions)


def engine_stage(way: Way, source: SourceStatus, fetched: Mapping[str, Any], space_id: str) -> Stage:
    """Takes the engine that the store has, else builds one; exports first when the store has no export either."""
    exactness = read_exactness(fetched)
    try:
        if (found := fetched.get("engine")) and way.has(found.get("key")):
            return Stage(engine=read_engine(way.model, way.settings, space_id, found, way.texts, exactness))
        export_key = read_export_keys(fetched).get(engine_target(way.model, way.settings).export_format)
    except UnreadableAnswerError as error:
        return _unreadable(fetch_step(way, source.commit), error)
    exported = _export_stage(way, source) if export_key is None else Stage(answer={"exportKey": export_key})
    return exported if exported.answer is None else _build_stage(way, exported, exactness, space_id)


def _export_stage(way: Way, source: SourceStatus) -> Stage:
    step = export_step(way, source.digest)
    outcome = advance(step, way.observed.job(step.name), way.waiter, way.now)
    if outcome.result is None:
        return _undone(step, outcome)
    if not isinstance(outcome.result.get("exportKey"), str):
        return _unreadable(step, UnreadableAnswerError("exportKey is missing"))
    return Stage(answer=outcome.result, jobs=(step.name,), actions=outcome.actions)


def _build_stage(way: Way, exported: Stage, exactness: Exactness, space_id: str) -> Stage:
    """Builds from an export; what that and the build set aside is said together."""
    export = exported.answer or {}
    step = build_step(way, export["exportKey"], exactness)
    outcome, ticket = in_turn(way, advance(step, way.observed.job(step.name), way.waiter, way.now))
    jobs, actions = (*exported.jobs, step.name), (*exported.actions, *outcome.actions)
    if outcome.result is None:
        finding = in_vain(way.lack, outcome.finding) if outcome.finding else None
        return Stage(
            finding,
            jobs=jobs,
            actions=actions,
            check_after=outcome.check_after,
            no_room=outcome.no_room,
            build=step.name,
            build_ticket=ticket,
        )
    try:
        set_aside = [*(export.get("setAside") or ()), *(outcome.result.get("setAside") or ())]
        answer = {**outcome.result, "setAside": set_aside or None}
        engine = read_engine(way.model, way.settings, space_id, answer, way.texts, exactness)
        return Stage(engine=engine, jobs=jobs, actions=actions)
    except UnreadableAnswerError as error:
        return _unreadable(step, error)


def _undone(step: Step, outcome: Outcome) -> Stage:
    jobs, actions = (step.name,), outcome.actions
    return Stage(outcome.finding, jobs=jobs, actions=actions, check_after=outcome.check_after, is_early=True)


def _watching_secret(way: Way, stage: Stage) -> Stage:
    """Secrets are not watched, so a model that waits with one looks at it often: a repaired one works at once."""
    if way.observed.secret_version is None and way.observed.store_secret_version is None:
        return stage
    return replace(stage, check_after=min(stage.check_after or LOOK_AGAIN_STUCK, LOOK_AGAIN_STUCK))


def _unreadable(step: Step, error: UnreadableAnswerError) -> Stage:
    words = (
        f"the answer of Job {step.name} cannot be read ({error}): the operator and the server image are of different "
        "versions; set images.server to the version of this operator, then delete the Job"
    )
    return Stage(Finding("False", JobReason.INTERNAL_ERROR, words, Outlook.STALLED), jobs=(step.name,))


def _missing_credentials(way: Way) -> Finding | None:
    source = way.model.spec.source
    if source.secret_name is None or way.observed.secret_version is not None:
        return None
    if source.hugging_face and (reference := source.hugging_face.token_secret_ref):
        content, field = f"the token under the key {reference.key}", "huggingFace.tokenSecretRef"
    else:
        content, field = "the bucket's credentials", "objectStorage.credentialsSecretRef"
    words = (
        f"Secret {source.secret_name} does not exist in namespace {way.model.metadata.namespace}: create it with "
        f"{content}, or remove spec.source.{field}"
    )
    return Finding("False", Reason.SECRET_NOT_FOUND, words, Outlook.STALLED)


def _missing_store_secret(way: Way) -> Finding | None:
    store = way.settings.store
    name = store.jobs_secret
    if name is None or way.observed.store_secret_version is not None:
        return None
    words = (
        f"Secret {name} does not exist in namespace {way.model.metadata.namespace}: create it with credentials for "
        f"{store.url}, or correct store.secrets.jobs in the Helm values"
    )
    return Finding("False", Reason.SECRET_NOT_FOUND, words, Outlook.STALLED)


def _missing_claim(way: Way) -> Finding | None:
    claim = way.model.spec.source.persistent_volume_claim
    if claim is None or way.observed.source_claim is not None:
        return None
    words = (
        f"claim {claim.claim_name} does not exist in namespace {way.model.metadata.namespace}: create it, or correct "
        "spec.source.persistentVolumeClaim.claimName"
    )
    return Finding("False", Reason.CLAIM_NOT_FOUND, words, Outlook.STALLED)
