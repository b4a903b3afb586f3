"""The status of an EmbeddingModel, made from what was decided and what is. Pure; `reconcile.py` writes it."""

from dataclasses import replace
from datetime import datetime

from embedplane_operator.api.conditions import ConditionType, Reason
from embedplane_operator.api.status import EmbeddingModelStatus, ScalingStatus, SpaceStatus
from embedplane_operator.autoscale.report import ScalingReport
from embedplane_operator.decide.decision import Decision
from embedplane_operator.decide.serving import servers_of
from embedplane_operator.drifts import vector_drift
from embedplane_operator.observation import Observation
from embedplane_operator.render.names import url_of
from embedplane_operator.servers import Servers
from embedplane_operator.status import Finding, Findings, Outlook, conditions, summarize

UNKNOWN_GENERATION = 0
NOT_SERVING = Finding("False", Reason.NOT_SERVING, "there is no Deployment to scale yet")
RUNNING = frozenset({Reason.FETCH_RUNNING, Reason.EXPORT_RUNNING, Reason.BUILD_RUNNING})


def render_status(
    observed: Observation, decision: Decision, scaling: ScalingReport | None, now: datetime
) -> EmbeddingModelStatus:
    """The full status; equal to the one before when nothing changed."""
    model, servers = observed.model, servers_of(observed, decision.serves)
    before, generation = model.status, model.metadata.generation
    active = _scaling_active(scaling, before) if servers.exists else NOT_SERVING
    found = {**decision.findings.by_type, ConditionType.SCALING_ACTIVE: active}
    if servers.exists and (drift := vector_drift(servers.drifts, servers.ready, before.conditions)):
        found[ConditionType.VECTOR_DRIFT] = drift
    findings = replace(decision.findings, by_type=found)
    return EmbeddingModelStatus(
        observed_generation=generation,
        served_generation=_served_generation(before, generation, servers, summarize(findings).reason),
        conditions=conditions(findings, before.conditions, generation, now),
        source=decision.pinned.source,
        upstream=decision.upstream,
        vector_space=decision.pinned.vector_space,
        engine=decision.pinned.engine,
        build_ticket=decision.build_ticket,
        vector_spaces=tuple(_with_servers(space, observed) for space in decision.spaces),
        candidate=decision.candidate,
        accelerator=decision.accelerator,
        replicas=servers.replicas,
        ready_replicas=servers.ready,
        url=url_of(model) if servers.exists else None,
        scaling=(_scaling_status(scaling) if scaling else before.scaling) if servers.exists else None,
    )


def _with_servers(space: SpaceStatus, observed: Observation) -> SpaceStatus:
    servers = servers_of(observed, space.deployment)
    return space.model_copy(update={"replicas": servers.replicas, "ready_replicas": servers.ready})


def _served_generation(before: EmbeddingModelStatus, generation: int, servers: Servers, reason: str) -> int | None:
    """The newest generation that is wholly served; the first one as soon as a single pod took requests.

    From then on vectors may exist, and the vector space must not change any more. A Deployment that is older than
    the status tells of a status that was lost, so vectors may exist as well.
    """
    if before.observed_generation is None and servers.exists and not servers.ready:
        return UNKNOWN_GENERATION
    if reason == Reason.SERVING or (before.served_generation is None and servers.ready):
        return generation
    return before.served_generation


def with_refusal(decision: Decision, refused: Finding) -> Decision:
    """The decision as it is reported when the API server, or an object of a stranger, did not let it happen."""
    by_type = {
        kind: refused if finding.reason in RUNNING else finding for kind, finding in decision.findings.by_type.items()
    }
    # out of the line: who cannot start must not keep others waiting
    return replace(decision, findings=Findings(by_type, blocked=refused), build_ticket=None)


def invalid_status(before: EmbeddingModelStatus, generation: int, problem: str, now: datetime) -> EmbeddingModelStatus:
    """The status of an object whose spec cannot be read: all that is pinned stays."""
    words = f"spec cannot be read: {problem}"
    findings = Findings(blocked=Finding("False", Reason.INVALID_SPEC, words, Outlook.STALLED))
    return before.model_copy(
        update={
            "observed_generation": generation,
            "conditions": conditions(findings, before.conditions, generation, now),
        }
    )


def _scaling_active(scaling: ScalingReport | None, before: EmbeddingModelStatus) -> Finding:
    if scaling is not None:
        return Finding("True" if scaling.active else "False", scaling.reason, scaling.message)
    # a new process has not looked yet: what the last one said stands until it has
    for condition in before.conditions:
        if condition.type == ConditionType.SCALING_ACTIVE and condition.reason != Reason.NOT_SERVING:
            return Finding(condition.status, condition.reason, condition.message)
    return Finding("Unknown", Reason.PENDING, "the autoscaler has not looked at the model yet")


def _scaling_status(scaling: ScalingReport) -> ScalingStatus:
    return ScalingStatus(
        desired_replicas=scaling.desired_replicas,
        reason=scaling.reason,
        queued_tokens=scaling.queued_tokens,
        arriving_tokens_per_second=scaling.arriving_tokens_per_second,
        capacity_tokens_per_second=scaling.capacity_tokens_per_second,
        last_scale_time=scaling.last_scale_time,
    )
